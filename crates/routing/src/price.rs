//! What tokens cost.
//!
//! One rule of rounding: the exact price of a whole request (prompt and completion together) is
//! rounded down once, to the micro-dollar. A tenant never pays the fraction, and since the price
//! grows with either count, no request costs more than its worst case.

use std::ops::Add;

use remuda_types::Money;

const TOKENS_PER_PRICE: u128 = 1_000_000;

/// A model's prices in micro-USD for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// For a million prompt tokens.
    pub prompt_micros_per_million: u64,
    /// For a million completion tokens.
    pub completion_micros_per_million: u64,
}

/// Counts of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read by the model.
    pub prompt: u64,
    /// Written by the model and forwarded to the client.
    pub completion: u64,
}

impl Tokens {
    /// Prompt tokens only.
    pub const fn prompt(count: u64) -> Self {
        Self {
            prompt: count,
            completion: 0,
        }
    }

    /// Completion tokens only.
    pub const fn completion(count: u64) -> Self {
        Self {
            prompt: 0,
            completion: count,
        }
    }
}

impl Add for Tokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            prompt: self.prompt.saturating_add(other.prompt),
            completion: self.completion.saturating_add(other.completion),
        }
    }
}

impl Rate {
    /// What a request of `tokens` costs, rounded down once over the whole; held at [`Money::MAX`].
    pub fn cost(self, tokens: Tokens) -> Money {
        let prompt = u128::from(tokens.prompt) * u128::from(self.prompt_micros_per_million);
        let completion =
            u128::from(tokens.completion) * u128::from(self.completion_micros_per_million);
        let micros = prompt.saturating_add(completion) / TOKENS_PER_PRICE;
        i64::try_from(micros).map_or(Money::MAX, Money::from_micros)
    }

    /// The most that a request can cost; reserve this before the first token.
    pub fn worst_case(self, prompt_tokens: u32, max_tokens: u32) -> Money {
        self.cost(Tokens {
            prompt: prompt_tokens.into(),
            completion: max_tokens.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_whole_request_is_rounded_once_and_down() {
        let rate = Rate {
            prompt_micros_per_million: 500_000,
            completion_micros_per_million: 1_500_000,
        };
        // 0.5 + 1.5 micro-dollars: rounded apart they would give 0 + 1.
        assert_eq!(
            rate.cost(Tokens {
                prompt: 1,
                completion: 1
            }),
            Money::from_micros(2)
        );
        assert_eq!(rate.cost(Tokens::prompt(1)), Money::ZERO);
        assert_eq!(
            rate.cost(Tokens {
                prompt: 1_000_000,
                completion: 0
            }),
            Money::from_micros(500_000)
        );
    }

    #[test]
    fn prices_that_do_not_fit_are_held_at_the_largest_amount() {
        let rate = Rate {
            prompt_micros_per_million: u64::MAX,
            completion_micros_per_million: u64::MAX,
        };
        assert_eq!(
            rate.cost(Tokens {
                prompt: u64::MAX,
                completion: u64::MAX
            }),
            Money::MAX
        );
    }

    proptest! {
        #[test]
        fn no_request_costs_more_than_its_worst_case(
            prompt_price: u64, completion_price: u64, prompt: u32, max: u32, share in 0_u32..=100,
        ) {
            let rate = Rate {
                prompt_micros_per_million: prompt_price,
                completion_micros_per_million: completion_price,
            };
            let completion = u64::from(max) * u64::from(share) / 100;
            let cost = rate.cost(Tokens { prompt: prompt.into(), completion });
            prop_assert!(cost <= rate.worst_case(prompt, max));
            prop_assert!(!cost.is_negative());
        }
    }
}
