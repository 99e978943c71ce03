//! What of a spec says how its copies stand to each other, and whether that goes together. What owners
//! and sites there are does not belong here.

use remuda_types::{Share, Tier, Together};

use super::WorkloadSpec;

/// A field's pointer, and what is wrong with it.
pub type Fault = (&'static str, String);

/// A tier whose promise rests on two owners and sites has at least so many copies.
const SPREAD_MIN: u32 = 2;

/// What is wrong with so many copies under a tier, if they cannot be kept apart as it promises. None
/// at all are wrong for another reason.
pub fn copies_fault(tier: Tier, replicas: u32) -> Option<Fault> {
    let is_short = tier.spreads_owners() && (1..SPREAD_MIN).contains(&replicas);
    is_short.then(|| {
        let detail = format!(
            "{replicas}: the tier {tier} is kept by two owners and sites at least: ask for \
             {SPREAD_MIN} or more, or choose the tier {}, which one copy can keep",
            Tier::Enterprise
        );
        ("/replicas", detail)
    })
}

impl WorkloadSpec {
    /// What is wrong with how its copies are to stand to each other.
    pub fn spread_faults(&self) -> impl Iterator<Item = Fault> {
        let placement = &self.placement;
        let shares = [
            (
                "/placement/max_owner_share_pct",
                placement.max_owner_share_pct,
            ),
            (
                "/placement/max_site_share_pct",
                placement.max_site_share_pct,
            ),
        ];
        let shares = shares
            .into_iter()
            .filter_map(|(pointer, percent)| Some((pointer, self.share_fault(percent?)?)));
        let copies = copies_fault(self.tier, self.replicas);
        let fabric = self.fabric_fault();
        fabric.into_iter().chain(copies).chain(shares)
    }

    fn fabric_fault(&self) -> Option<Fault> {
        let is_apart = self.tier.spreads_owners() && self.placement.together == Together::Fabric;
        is_apart.then(|| {
            let detail = "one fabric is at one site, and the tier has its copies at several: choose \
                          another tier, or leave it out";
            ("/placement/together", detail.to_owned())
        })
    }

    fn share_fault(&self, percent: u32) -> Option<String> {
        let (tier, most) = (self.tier, self.tier.max_share_percent());
        if let Err(error) = Share::of_percent(percent) {
            return Some(error.to_string());
        }
        if self.placement.together == Together::Fabric {
            let detail = "one fabric is at one site, of one owner: leave this out, or `together`";
            return Some(detail.to_owned());
        }
        (percent > most).then(|| {
            format!(
                "{percent}: the tier {tier} is kept by two owners and sites at least: ask for at \
                 most {most}, or choose another tier"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_copy_cannot_be_with_two_owners() {
        for &tier in Tier::ALL {
            let refused = copies_fault(tier, 1);
            assert_eq!(refused.is_some(), tier == Tier::MultiSite, "{tier}");
            assert_eq!(copies_fault(tier, 2), None, "{tier}");
        }
        let (pointer, detail) = copies_fault(Tier::MultiSite, 1).unwrap();
        assert_eq!(pointer, "/replicas");
        assert!(
            detail.contains("2 or more") && detail.contains("enterprise"),
            "{detail}"
        );
    }
}
