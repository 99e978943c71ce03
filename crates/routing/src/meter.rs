//! What a request is billed, and which leases it pays.
//!
//! Metered are the tokens that the gateway forwarded, never what a client or a node says:
//! - the prompt once, for the lease that delivered the first token;
//! - each completion token, for the lease that delivered it, however often the stream moved;
//! - a request that failed before its first token: nothing;
//! - one that broke in the middle, or whose client left: what had been forwarded;
//! - a generation that ended in order without a token (an empty answer): the prompt.

use remuda_types::{LeaseId, Money};

use crate::price::{Rate, Tokens};

/// Tokens of one request that one lease delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The lease.
    pub lease: LeaseId,
    /// Tokens forwarded from it.
    pub tokens: u32,
}

/// All that was delivered for one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Who delivered, in order of first delivery; each lease once and with at least one token.
    pub delivered: Vec<Delivered>,
    /// Who ended the generation in order; none when it was cut short.
    pub ended_by: Option<LeaseId>,
}

/// One lease's part of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The lease that is paid.
    pub lease: LeaseId,
    /// What it delivered.
    pub tokens: Tokens,
    /// Its part of the price.
    pub amount: Money,
}

/// What one request is billed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// The parts; their amounts add up to `amount` exactly.
    pub legs: Vec<Leg>,
    /// All tokens.
    pub tokens: Tokens,
    /// The price of all tokens.
    pub amount: Money,
}

impl Delivery {
    /// The bill at `rate`; empty when nothing is owed to anybody.
    pub fn bill(&self, rate: Rate) -> Bill {
        let mut bill = Bill::default();
        self.parts()
            .for_each(|(lease, tokens)| bill.add(lease, tokens, rate));
        bill
    }

    /// The leases with their tokens, the prompt with the first.
    fn parts(&self) -> impl Iterator<Item = (LeaseId, Tokens)> {
        let empty_answer = self.ended_by.filter(|_| self.delivered.is_empty());
        let delivered = self.delivered.iter().map(|part| (part.lease, part.tokens));
        let prompts = std::iter::once(self.prompt_tokens).chain(std::iter::repeat(0));
        delivered
            .chain(empty_answer.map(|lease| (lease, 0)))
            .zip(prompts)
            .map(|((lease, completion), prompt)| {
                (
                    lease,
                    Tokens {
                        prompt: prompt.into(),
                        completion: completion.into(),
                    },
                )
            })
    }
}

impl Bill {
    /// Whether anybody delivered anything.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// Adds a leg worth the growth of the rounded total, so that legs add up to it exactly.
    fn add(&mut self, lease: LeaseId, tokens: Tokens, rate: Rate) {
        self.tokens = self.tokens + tokens;
        let total = rate.cost(self.tokens);
        self.legs.push(Leg {
            lease,
            tokens,
            amount: total.saturating_sub(self.amount),
        });
        self.amount = total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate {
        prompt_micros_per_million: 300_000,
        completion_micros_per_million: 700_000,
    };

    fn lease(number: usize) -> LeaseId {
        LeaseId::from_u128(number as u128)
    }

    fn delivery(prompt_tokens: u32, parts: &[u32], ended_by: Option<LeaseId>) -> Delivery {
        let delivered = parts
            .iter()
            .enumerate()
            .map(|(number, &tokens)| Delivered {
                lease: lease(number),
                tokens,
            })
            .collect();
        Delivery {
            prompt_tokens,
            delivered,
            ended_by,
        }
    }

    #[test]
    fn a_request_that_failed_before_its_first_token_is_free() {
        assert!(delivery(500, &[], None).bill(RATE).is_empty());
        assert_eq!(delivery(500, &[], None).bill(RATE).amount, Money::ZERO);
    }

    #[test]
    fn an_empty_answer_is_billed_its_prompt() {
        let bill = delivery(1_000_000, &[], Some(lease(4))).bill(RATE);
        assert_eq!(bill.amount, Money::from_micros(300_000));
        assert_eq!(
            bill.legs.iter().map(|leg| leg.lease).collect::<Vec<_>>(),
            [lease(4)]
        );
    }

    #[test]
    fn the_prompt_is_paid_once_to_the_first_to_deliver() {
        let bill = delivery(100, &[3, 5], Some(lease(1))).bill(RATE);
        let tokens: Vec<_> = bill.legs.iter().map(|leg| leg.tokens).collect();
        assert_eq!(
            tokens,
            [
                Tokens {
                    prompt: 100,
                    completion: 3
                },
                Tokens::completion(5)
            ]
        );
    }

    proptest! {
        #[test]
        fn legs_add_up_to_one_rounded_price(
            prompt in 0_u32..100_000, parts in proptest::collection::vec(1_u32..10_000, 0..6),
            prompt_price in 0_u64..1 << 40, completion_price in 0_u64..1 << 40,
        ) {
            let rate = Rate {
                prompt_micros_per_million: prompt_price,
                completion_micros_per_million: completion_price,
            };
            let bill = delivery(prompt, &parts, None).bill(rate);
            let sum = bill.legs.iter().fold(Money::ZERO, |sum, leg| sum.saturating_add(leg.amount));
            prop_assert_eq!(sum, bill.amount);
            prop_assert_eq!(rate.cost(bill.tokens), bill.amount);
            prop_assert!(bill.legs.iter().all(|leg| !leg.amount.is_negative()));
            prop_assert!(bill.amount <= rate.worst_case(prompt, parts.iter().sum()));
        }
    }
}
