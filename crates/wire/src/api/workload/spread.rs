//! What of a spec says how its copies stand to each other, and whether that goes together. What owners
//! and sites there are does not belong here.

use remuda_types::{Share, Together};

use super::WorkloadSpec;

/// A field's pointer, and what is wrong with it.
pub type Fault = (&'static str, String);

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
        self.fabric_fault().into_iter().chain(shares)
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
