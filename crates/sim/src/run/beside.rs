//! Two runs of one scenario and seed beside each other: what the same services cost in both.

use super::outcome::Outcome;
use super::service::Kind;
use super::uptime::Tally;

impl Outcome {
    /// What services of these kinds cost, beside what they cost in another run for as long; nothing
    /// where that had none of a kind.
    ///
    /// Where the other run is of the same seed and differs in what services have of redundancy alone,
    /// this is what redundancy costs, what it does to the prices of the network included.
    #[expect(clippy::cast_precision_loss, reason = "amounts far below 2^52")]
    pub fn cost_beside(&self, other: &Self, kinds: impl IntoIterator<Item = Kind>) -> Option<f64> {
        let (mut here, mut there) = (0.0, 0.0);
        for kind in kinds {
            let (ours, theirs) = (self.delivered.get(&kind)?, other.delivered.get(&kind)?);
            let by_ms = theirs.paid.as_micros() as f64 / wanted_ms(&theirs.tally)?;
            here += ours.paid.as_micros() as f64;
            there += by_ms * wanted_ms(&ours.tally)?;
        }
        (there > 0.0).then(|| here / there)
    }
}

/// For how long such services were wanted; nothing where none ever was.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of years, far below 2^52"
)]
fn wanted_ms(tally: &Tally) -> Option<f64> {
    let wanted_ms = tally.up_ms + tally.all_down_ms();
    (wanted_ms > 0).then_some(wanted_ms as f64)
}

#[cfg(test)]
mod tests {
    use remuda_types::{Money, Tier};

    use super::*;
    use crate::run::service::Delivered;

    fn of(paid: i64, up_ms: u64, needed: u32) -> (Kind, Delivered) {
        let tier = Tier::MultiSite;
        let tally = Tally {
            up_ms,
            ..Tally::default()
        };
        let delivered = Delivered {
            paid: Money::from_micros(paid),
            tally,
            ..Delivered::default()
        };
        (Kind { tier, needed }, delivered)
    }

    fn outcome(delivered: impl IntoIterator<Item = (Kind, Delivered)>) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.delivered = delivered.into_iter().collect();
        outcome
    }

    #[test]
    fn as_long_is_held_beside_as_long() {
        let ours = outcome([of(130, 10, 12), of(250, 10, 24)]);
        let bare = outcome([of(240, 20, 12), of(120, 5, 24)]);
        let kinds: Vec<_> = ours.delivered.keys().copied().collect();
        let beside = |kinds: &[Kind]| ours.cost_beside(&bare, kinds.iter().copied());
        assert_eq!(beside(&kinds[..1]), Some(130.0 / 120.0));
        assert_eq!(beside(&kinds), Some(380.0 / 360.0));
        assert_eq!(beside(&[]), None);
        let (unknown, _) = of(0, 0, 7);
        assert_eq!(beside(&[unknown]), None);
        assert_eq!(ours.cost_beside(&outcome([of(0, 0, 12)]), [kinds[0]]), None);
    }
}
