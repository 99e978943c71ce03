//! Why a replica is where it is: data that reads as a sentence.

use std::fmt::{self, Display, Formatter};

use remuda_types::Price;

use crate::text::Usd;

/// No price at all.
const FREE: Price = Price::from_micros_per_hour(0);

/// Why this node. `cheapest of 14 that fit of 412; next best 2.10 USD/h; packed onto the fullest`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    /// How many nodes were looked at: all of the fleet.
    pub considered: usize,
    /// How many of them fit, this one included.
    pub fit: usize,
    /// How much more than the cheapest that fits it costs by the hour; zero while price comes first.
    pub above_cheapest: Price,
    /// What the best of the others costs by the hour, if any other fits.
    pub next_best: Option<Price>,
    /// What told it from others of the same price.
    pub tie: TieBreak,
    /// Kilometres from the place asked, rounded, if one was.
    pub distance_km: Option<u32>,
}

/// What told the node chosen from others of the same price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TieBreak {
    /// Nothing had to: no other that fits has this price.
    Untied,
    /// It is the fullest: the least is left over.
    TightestFit,
    /// As full as another; it has the lower key.
    LowestKey,
}

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            considered, fit, ..
        } = self;
        match (fit, self.above_cheapest) {
            (1, _) => write!(f, "the only one that fits of {considered}")?,
            (_, FREE) => write!(f, "cheapest of {fit} that fit of {considered}")?,
            (_, above) => write!(
                f,
                "{} over the cheapest of {fit} that fit of {considered}",
                Usd(above)
            )?,
        }
        if let Some(next) = self.next_best {
            write!(f, "; next best {}", Usd(next))?;
        }
        f.write_str(match self.tie {
            TieBreak::Untied => "",
            TieBreak::TightestFit => "; packed onto the fullest",
            TieBreak::LowestKey => "; as full as another, with the lower key",
        })?;
        self.distance_km
            .map_or(Ok(()), |km| write!(f, "; {km} km away"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: Why = Why {
        considered: 412,
        fit: 14,
        above_cheapest: Price::from_micros_per_hour(0),
        next_best: Some(Price::from_micros_per_hour(2_100_000)),
        tie: TieBreak::TightestFit,
        distance_km: None,
    };

    #[test]
    fn it_reads_as_a_sentence() {
        assert_eq!(
            WHY.to_string(),
            "cheapest of 14 that fit of 412; next best 2.10 USD/h; packed onto the fullest",
        );
        let alone = Why {
            fit: 1,
            next_best: None,
            tie: TieBreak::Untied,
            distance_km: Some(120),
            ..WHY
        };
        assert_eq!(
            alone.to_string(),
            "the only one that fits of 412; 120 km away"
        );
        let dearer = Why {
            above_cheapest: Price::from_micros_per_hour(50_000),
            tie: TieBreak::LowestKey,
            ..WHY
        };
        assert_eq!(
            dearer.to_string(),
            "0.05 USD/h over the cheapest of 14 that fit of 412; next best 2.10 USD/h; \
             as full as another, with the lower key",
        );
    }
}
