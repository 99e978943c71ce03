//! What each tier promises of a month, and what is given back when it is not kept.
//!
//! Shares of a month are in parts per million, credits in basis points of what the unit cost that
//! month. DESIGN, section 5, has the table.

use crate::tier::Tier;

/// Under so much of a month, so much of its price is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The month's share, in parts per million.
    pub below_ppm: u32,
    /// The credit, in basis points.
    pub credit_bp: u32,
}

const fn credit(below_ppm: u32, credit_bp: u32) -> Credit {
    Credit {
        below_ppm,
        credit_bp,
    }
}

/// The worst month first.
const STANDARD: &[Credit] = &[
    credit(950_000, 10_000),
    credit(990_000, 3_000),
    credit(995_000, 1_000),
];
const ENTERPRISE: &[Credit] = &[
    credit(950_000, 10_000),
    credit(990_000, 3_000),
    credit(999_000, 1_000),
];
const MULTI_SITE: &[Credit] = &[
    credit(950_000, 10_000),
    credit(999_000, 3_000),
    credit(999_900, 1_000),
];

impl Tier {
    /// The table of credits, the worst month first; none for a tier that promises nothing.
    pub const fn credits(self) -> &'static [Credit] {
        match self {
            Self::Spot => &[],
            Self::Standard => STANDARD,
            Self::Enterprise => ENTERPRISE,
            Self::MultiSite => MULTI_SITE,
        }
    }

    /// The share of a month that is promised, in parts per million; nothing for `spot`.
    pub fn promised_ppm(self) -> Option<u32> {
        self.credits().last().map(|credit| credit.below_ppm)
    }

    /// What is given back of a month in which so much was delivered.
    pub fn credit_bp(self, delivered_ppm: u32) -> u32 {
        let missed = |credit: &&Credit| delivered_ppm < credit.below_ppm;
        self.credits()
            .iter()
            .find(missed)
            .map_or(0, |credit| credit.credit_bp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_met_where_it_begins() {
        let bp = |ppm| Tier::MultiSite.credit_bp(ppm);
        assert_eq!(
            [999_900, 999_899, 999_000, 998_999].map(bp),
            [0, 1_000, 1_000, 3_000]
        );
        assert_eq!([950_000, 949_999, 0].map(bp), [3_000, 10_000, 10_000]);
        assert_eq!(Tier::Spot.credit_bp(0), 0);
        assert_eq!(Tier::Enterprise.promised_ppm(), Some(999_000));
        assert_eq!(Tier::Standard.promised_ppm(), Some(995_000));
        assert_eq!(Tier::Spot.promised_ppm(), None);
    }

    #[test]
    fn a_worse_month_never_gives_less_back() {
        for tier in Tier::ALL {
            let steps = tier.credits();
            assert!(
                steps.is_sorted_by(|a, b| a.below_ppm < b.below_ppm && a.credit_bp > b.credit_bp)
            );
        }
    }
}
