//! How the copies of a workload are to stand to each other, checked, and the shares that one owner and
//! one site may have of it.

use remuda_types::Share;
use remuda_wire::api::WorkloadSpec;

use super::Errors;

/// The most that one owner and one site may have.
pub(super) fn shares(errors: &mut Errors, spec: &WorkloadSpec) -> [Option<Share>; 2] {
    for (pointer, detail) in spec.spread_faults() {
        errors.push(pointer, detail);
    }
    let placement = &spec.placement;
    let given = [placement.max_owner_share_pct, placement.max_site_share_pct];
    given.map(|percent| Share::of_percent(percent?).ok())
}

#[cfg(test)]
mod tests {
    use remuda_wire::api::problem::FieldError;

    use super::super::checked;
    use super::*;

    #[test]
    fn shares_are_percents_that_the_tier_and_the_fabric_allow() {
        let spec = |tier: &str, placement: serde_json::Value| {
            serde_json::json!({
                "name": "a", "model": {"name": "tiny"}, "tier": tier, "replicas": 2,
                "placement": placement,
            })
        };
        let told = |spec: serde_json::Value| {
            let spec: WorkloadSpec = serde_json::from_value(spec).unwrap();
            let problem = checked(&spec).map(|_| ()).unwrap_err();
            let told = |error: &FieldError| format!("{}: {}", error.pointer, error.detail);
            problem.errors().iter().map(told).collect::<Vec<_>>()
        };
        let odd = serde_json::json!({"max_owner_share_pct": 0, "max_site_share_pct": 101});
        assert_eq!(
            told(spec("standard", odd)),
            [
                "/placement/max_owner_share_pct: 0: 1 to 100 percent is expected",
                "/placement/max_site_share_pct: 101: 1 to 100 percent is expected",
            ]
        );
        let most = serde_json::json!({"max_owner_share_pct": 51, "max_site_share_pct": 50});
        assert_eq!(
            told(spec("multi-site", most.clone())),
            [
                "/placement/max_owner_share_pct: 51: the tier multi-site is kept by two owners and \
              sites at least: ask for at most 50, or choose another tier"
            ]
        );
        let gang = serde_json::json!({"together": "fabric", "max_site_share_pct": 50});
        assert_eq!(
            told(spec("standard", gang)),
            [
                "/placement/max_site_share_pct: one fabric is at one site, of one owner: leave this \
              out, or `together`"
            ]
        );
        let asked = checked(&serde_json::from_value(spec("enterprise", most)).unwrap()).unwrap();
        let percent = |share: Option<Share>| share.map(Share::percent);
        assert_eq!(percent(asked.max_owner_share), Some(51));
        assert_eq!(percent(asked.max_site_share), Some(50));
    }
}
