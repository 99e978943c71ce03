//! What came of a trial.

use remuda_types::Span;

/// With how much certainty a bound is told.
const CERTAINTY: f64 = 0.95;

/// What came of a trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Virtual time that the nodes lived through, all together.
    pub lived: Span,
    /// Reports that arrived.
    pub reports: u64,
    /// Probes that were sent.
    pub probes: u64,
    /// How often a live node was suspected.
    pub suspicions: u64,
    /// How often a live node was judged lost.
    pub false_alarms: u64,
    /// From each death to the verdict; the shortest first.
    pub detected: Vec<Span>,
    /// Deaths that no verdict followed.
    pub missed: u64,
}

impl Outcome {
    /// The time within which such a part of the deaths was found.
    pub fn detected_within(&self, part: f64) -> Option<Span> {
        let rank = ceil(part.clamp(0.0, 1.0) * count(self.detected.len() as u64));
        self.detected.get(rank.saturating_sub(1)).copied()
    }

    /// So many of 1,000 nodes a day, had they happened as often as here.
    pub fn per_day_per_1000(&self, happened: u64) -> f64 {
        self.rate(count(happened))
    }

    /// More of 1,000 nodes a day there are not, at a certainty of 95 %: seeing none is no proof
    /// that there are none.
    pub fn at_most_per_day_per_1000(&self, happened: u64) -> f64 {
        self.rate(upper_bound(happened))
    }

    fn rate(&self, happened: f64) -> f64 {
        let thousands = count(self.lived.as_millis()) / count(Span::DAY.as_millis()) / 1_000.0;
        if thousands > 0.0 {
            happened / thousands
        } else {
            0.0
        }
    }
}

/// The mean of the Poisson law under which so few happen with a chance of 5 %.
fn upper_bound(happened: u64) -> f64 {
    let (mut low, mut high) = (0.0, 2.0 * count(happened) + 10.0);
    for _ in 0..100 {
        let mean = f64::midpoint(low, high);
        if at_most(happened, mean) > 1.0 - CERTAINTY {
            low = mean;
        } else {
            high = mean;
        }
    }
    high
}

/// The chance that no more than so many happen where `mean` do on average.
fn at_most(happened: u64, mean: f64) -> f64 {
    let mut log_term = -mean;
    let mut sum = log_term.exp();
    for k in 1..=happened {
        log_term += mean.ln() - count(k).ln();
        sum += log_term.exp();
    }
    sum
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn count(of: u64) -> f64 {
    of as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is positive and far below 2^52"
)]
fn ceil(rank: f64) -> usize {
    rank.ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_a_thousand_nodes_and_a_day() {
        let outcome = Outcome {
            lived: Span::from_secs(86_400 * 500),
            detected: (1..=200).map(Span::from_millis).collect(),
            ..Outcome::default()
        };
        assert!((outcome.per_day_per_1000(3) - 6.0).abs() < 1e-9);
        // The rule of three: none seen in half a unit is at most six in one.
        assert!((outcome.at_most_per_day_per_1000(0) - 5.991).abs() < 0.001);
        // As tables of the Poisson law have it: 7.754 for 3.
        assert!((outcome.at_most_per_day_per_1000(3) - 15.507).abs() < 0.001);
        assert_eq!(outcome.detected_within(0.5), Some(Span::from_millis(100)));
        assert_eq!(outcome.detected_within(0.99), Some(Span::from_millis(198)));
        assert_eq!(outcome.detected_within(1.0), Some(Span::from_millis(200)));
        assert_eq!(Outcome::default().detected_within(0.99), None);
        assert!(Outcome::default().per_day_per_1000(1).abs() < 1e-9);
    }
}
