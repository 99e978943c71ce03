//! Gateways, and the requests that come to them.

use remuda_network::state::TokenPrices;
use remuda_types::Span;
use serde::Deserialize;

use super::bounds::{LATE_MAX, PER_YEAR_MAX, at_most, shorter};
use super::{Chance, Factor, Length, ScenarioError};

/// The most gateways, and requests a second.
const GATEWAYS_MAX: u32 = 100;
const PER_SECOND_MAX: f64 = 10_000.0;
/// What control tells gateways is sent until it arrives.
const LOST_MAX: f64 = 0.9;
/// The most that a million tokens may cost, in USD.
const PRICE_MAX: f64 = 1e6;

/// Gateways, and the requests that come to them. They are for `multi-site` services, any of them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gateways {
    /// How many there are.
    pub count: u32,
    /// Requests that come in a second, to all of them; a trace of requests takes their place.
    pub per_second: f64,
    /// How often each dies in a year.
    pub per_year: f64,
    /// Until it is there again: half are faster.
    pub down: Length,
    /// How long what passes between a gateway and a node takes at most.
    pub late: Length,
    /// What a million tokens of prompts cost, in USD.
    pub prompt_price: Factor,
    /// What a million tokens of answers cost, in USD.
    pub answer_price: Factor,
}

impl Default for Gateways {
    fn default() -> Self {
        Self {
            count: 0,
            per_second: 0.0,
            per_year: 0.0,
            down: Length(Span::from_secs(5)),
            late: Length(Span::from_millis(100)),
            prompt_price: Factor(1.0),
            answer_price: Factor(3.0),
        }
    }
}

impl Gateways {
    pub(super) fn check(&self, lost: Chance) -> Result<(), ScenarioError> {
        if self.count > 0 && lost.0 > LOST_MAX {
            let problem = format!(
                "{}: at most {LOST_MAX} where there are gateways, or they never learn of a route",
                lost.0
            );
            return Err(ScenarioError::value("wires.lost", problem));
        }
        if self.count > GATEWAYS_MAX {
            let problem = format!("{}: 0 to {GATEWAYS_MAX} is expected", self.count);
            return Err(ScenarioError::value("gateways.count", problem));
        }
        at_most("gateways.per_second", self.per_second, PER_SECOND_MAX)?;
        at_most("gateways.per_year", self.per_year, PER_YEAR_MAX)?;
        shorter("gateways.late", self.late, LATE_MAX)?;
        for (field, price) in [
            ("gateways.prompt_price", self.prompt_price),
            ("gateways.answer_price", self.answer_price),
        ] {
            if price.0 > PRICE_MAX {
                let problem = format!("{}: at most {PRICE_MAX} USD for a million tokens", price.0);
                return Err(ScenarioError::value(field, problem));
            }
        }
        if self.per_second > 0.0 && self.count == 0 {
            let problem = "0: requests need a gateway".to_owned();
            return Err(ScenarioError::value("gateways.count", problem));
        }
        Ok(())
    }

    /// Between two requests on average, if any come.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float that is too large saturates: it never comes"
    )]
    pub(crate) fn mean(&self) -> Option<Span> {
        let comes = self.count > 0 && self.per_second > 0.0;
        comes.then(|| Span::from_millis((1_000.0 / self.per_second).max(1.0) as u64))
    }

    /// What tokens cost, if any gateway sells them.
    pub(crate) fn tokens(&self) -> Option<TokenPrices> {
        (self.count > 0).then(|| TokenPrices {
            prompt_micros_per_million: micros(self.prompt_price),
            completion_micros_per_million: micros(self.answer_price),
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be from 0 to a million USD"
)]
const fn micros(usd: Factor) -> u64 {
    (usd.0 * 1e6) as u64
}
