//! When to ask a second replica for a first token that does not come.
//!
//! One [`Hedge`] for each lane, beside its [`Balancer`]. A first token is late when it has not come
//! within the time in which 95 of 100 lately came, longer where this request gives more to read than
//! most, and never sooner than a floor. Then a second replica may be asked, as long as the budget
//! lasts: every request earns the lane a share of a hedge, and a hedge costs a whole one, so never
//! more than that share of the load is added, least of all when everything is slow.
//!
//! ```text
//! request admitted            Hedge::earned
//! dispatched to a lease       tokens = Balancer::tokens_before_first, asked before Balancer::dispatched
//! no first token at `until`   Hedge::advise -> Wait { until } | Ask { second } | Refrain
//! first token came            Hedge::first_token, with the tokens that were reckoned
//! ```
//!
//! After [`Advice::Ask`] or [`Advice::Refrain`] the request is not to ask again. The second replica is
//! [`Balancer::dispatched`] as the first was; whichever speaks first is listened to, and the other is
//! cancelled and [`Balancer::ended`] as released. Both would write the same tokens, so it does not
//! matter to the client which it is; it is billed once.

mod budget;
mod recent;

use remuda_types::{LeaseId, Span, Time};

use crate::pick::{Balancer, State, Wish};
use budget::Budget;
use recent::Recent;

/// When first tokens are late, and how many hedges there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Hedges for every 1,000 requests at most.
    pub hedges_per_mille: u32,
    /// Hedges that can be saved up.
    pub saved_most: u32,
    /// No first token is late before this.
    pub patience_least: Span,
    /// First tokens that must have been measured before any is late.
    pub measured_least: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            hedges_per_mille: 30,
            saved_most: 8,
            patience_least: Span::from_millis(200),
            measured_least: 32,
        }
    }
}

/// A request that waits for its first token.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// What it wants.
    pub wish: &'a Wish,
    /// Where it was sent.
    pub lease: LeaseId,
    /// When.
    pub since: Time,
    /// Tokens that were to be read before its first, when it was sent
    /// ([`Balancer::tokens_before_first`]).
    pub tokens: u64,
    /// Leases that it has tried before.
    pub tried: &'a [LeaseId],
}

/// What to do about a first token that has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// It is not late: look again then.
    Wait {
        /// When.
        until: Time,
    },
    /// Ask this replica as well; the budget has been charged.
    Ask {
        /// The second replica.
        second: LeaseId,
    },
    /// Wait on, and do not ask again.
    Refrain(Reason),
}

/// Why no second replica is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Too few first tokens were measured to say what is late.
    Unmeasured,
    /// The budget is spent.
    Spent,
    /// No other replica is ready, free, and soon done with what it has to read.
    Alone,
}

/// The hedging of one lane.
#[derive(Clone, Debug)]
pub struct Hedge {
    policy: Policy,
    budget: Budget,
    recent: Recent,
}

impl Hedge {
    /// Nothing was measured, nothing is saved.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            budget: Budget::new(policy.hedges_per_mille, policy.saved_most),
            recent: Recent::default(),
        }
    }

    /// A request has been admitted: it earns its share of a hedge. Not said again when it moves.
    pub fn earned(&mut self) {
        self.budget.earn();
    }

    /// A first token came so long after dispatch, when so many tokens were to be read before it.
    pub fn first_token(&mut self, after: Span, tokens: u64) {
        self.recent.record(after, tokens);
    }

    /// How long a first token may take that so many tokens are to be read for; none while too little
    /// is known.
    pub fn patience(&self, tokens: u64) -> Option<Span> {
        let measured = self.recent.len() >= self.policy.measured_least.max(1);
        let patience = self.recent.slow_for(tokens)?;
        measured.then(|| patience.max(self.policy.patience_least))
    }

    /// What to do about a first token that has not come by now.
    pub fn advise(&mut self, waiting: &Waiting<'_>, balancer: &Balancer, now: Time) -> Advice {
        let Some(patience) = self.patience(waiting.tokens) else {
            return Advice::Refrain(Reason::Unmeasured);
        };
        let until = waiting.since + patience;
        if now < until {
            return Advice::Wait { until };
        }
        let Some(second) = second(waiting, balancer, now) else {
            return Advice::Refrain(Reason::Alone);
        };
        if self.budget.spend() {
            Advice::Ask { second }
        } else {
            Advice::Refrain(Reason::Spent)
        }
    }
}

/// Another replica, if it is ready and has not far more to read first than the first had.
fn second(waiting: &Waiting<'_>, balancer: &Balancer, now: Time) -> Option<LeaseId> {
    let exclude = [waiting.tried, &[waiting.lease]].concat();
    let picked = balancer.pick(now, waiting.wish, &exclude).ok();
    let ready = picked.filter(|lease| balancer.state(*lease) == Some(State::Ready));
    let most = waiting.tokens.saturating_mul(2);
    ready.filter(|lease| balancer.tokens_before_first(*lease, waiting.wish) <= most)
}

#[cfg(test)]
mod tests;
