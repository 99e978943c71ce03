//! The gateway's money: purses of all projects, and the usage that control is told.
//!
//! A request [`Treasury::reserve`]s before it is sent anywhere, and [`Treasury::settle`]s when it
//! ends; [`asker`] gets tranches from control, [`poster`] posts usage and gives tranches back.
//! Both notes of a request go to the spool while the treasury is locked, so their order there is
//! the order here: a restart sums the same rows in the same order.

mod asker;
mod poster;
mod restore;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remuda_link::Clock;
use remuda_routing::tranche::{self, Refusal, Reservation, SettleError};
use remuda_routing::{Bill, Delivery, Purse, Rate, UsageAccumulator};
use remuda_types::{ApiKeyId, Money, ProjectId, RequestId, Time, TrancheId};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub(crate) use asker::keep as keep_asking;
pub(crate) use poster::{finish, keep as keep_posting};

use crate::spool::{Billed, Broken, Note, Receipt, Recovered, Reserved, Spool};

/// All purses.
#[derive(Debug)]
pub(crate) struct Treasury {
    policy: tranche::Policy,
    spool: Spool,
    state: Mutex<State>,
    /// Somebody lacks money: ask for it now.
    lacking: Notify,
    /// Counts control's answers.
    answers: watch::Sender<u64>,
    /// Held while posting.
    posting: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    purses: BTreeMap<ProjectId, Purse>,
    usage: UsageAccumulator,
    tranches: BTreeMap<TrancheId, Known>,
    /// Tranches that no purse has any longer, to be closed at control when their usage is posted.
    closing: BTreeSet<TrancheId>,
    next_ordinal: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    project: ProjectId,
    deadline: Time,
    /// The newest post that the spool has.
    spooled: u64,
    /// While control refuses its posts.
    backoff: Option<Backoff>,
}

/// A post is not sent again before its time.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    refusals: u32,
    until: Instant,
}

/// What a request may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) request: RequestId,
    pub(crate) project: ProjectId,
    pub(crate) key: ApiKeyId,
    pub(crate) rate: Rate,
    pub(crate) prompt_tokens: u32,
    pub(crate) max_tokens: u32,
}

/// Money held for a request. Settle it.
#[derive(Debug)]
#[must_use = "held money is locked until it is settled"]
pub(crate) struct Held {
    claim: Claim,
    reservation: Reservation,
    deadline: Time,
    receipt: Option<Receipt>,
}

impl Held {
    /// When what is delivered can no longer be posted.
    pub(crate) fn deadline(&self) -> Time {
        self.deadline
    }

    /// Waits until the reservation is durable; nothing may be delivered before.
    pub(crate) async fn durable(&mut self) -> Result<(), Broken> {
        match self.receipt.take() {
            Some(receipt) => receipt.durable_or_not().await,
            None => Ok(()),
        }
    }
}

impl Treasury {
    pub(crate) fn new(
        policy: tranche::Policy,
        spool: Spool,
        recovered: Recovered,
        now: Time,
    ) -> Self {
        let state = restore::state(policy, recovered, now);
        Self {
            policy,
            spool,
            state: Mutex::new(state),
            lacking: Notify::new(),
            answers: watch::Sender::new(0),
            posting: tokio::sync::Mutex::default(),
        }
    }

    /// Holds the worst case of a request, and waits for a tranche that is on its way.
    pub(crate) async fn reserve(
        &self,
        claim: Claim,
        clock: &Clock,
        wait: Duration,
    ) -> Result<Held, Refusal> {
        let until = Instant::now() + wait;
        let mut answers = self.answers.subscribe();
        loop {
            // Nothing is awaited after this has held: a client that leaves then leaks nothing.
            let refusal = match self.try_reserve(claim, clock.now()) {
                Ok(held) => return Ok(held),
                Err(refusal) => refusal,
            };
            if !may_pass(refusal) {
                return Err(refusal);
            }
            self.lacking.notify_one();
            if tokio::time::timeout_at(until, answers.changed())
                .await
                .is_err()
            {
                return Err(refusal);
            }
        }
    }

    fn try_reserve(&self, claim: Claim, now: Time) -> Result<Held, Refusal> {
        let worst_case = claim.rate.worst_case(claim.prompt_tokens, claim.max_tokens);
        let mut state = self.state();
        let purse = state.purse(claim.project, self.policy);
        let lasts = self.policy.lasts(claim.max_tokens);
        let reservation = purse.reserve(claim.request, worst_case, lasts, now)?;
        let known = state.tranches.get(&reservation.tranche());
        let deadline = known.map_or(Time::FOREVER, |known| known.deadline);
        let receipt = self.spool.note(Note::Reserved(Reserved {
            request: claim.request,
            tranche: reservation.tranche(),
            key: claim.key,
            rate: claim.rate,
            prompt_tokens: claim.prompt_tokens,
            amount: reservation.amount(),
        }));
        Ok(Held {
            claim,
            reservation,
            deadline,
            receipt: Some(receipt),
        })
    }

    /// Spends what was delivered and frees the rest.
    pub(crate) fn settle(&self, held: Held, delivery: Delivery) -> Bill {
        let Held {
            claim, reservation, ..
        } = held;
        let bill = delivery.bill(claim.rate);
        let tranche = reservation.tranche();
        let mut state = self.state();
        let purse = state.purse(claim.project, self.policy);
        if let Err(error) = purse.settle(reservation, bill.amount) {
            return self.unsettled(purse, error, claim);
        }
        if bill.is_empty() {
            drop(self.spool.note(Note::Free(claim.request)));
            return bill;
        }
        let billed = Billed {
            request: claim.request,
            tranche,
            key: claim.key,
            rate: claim.rate,
            delivery,
            ordinal: state.next_ordinal,
        };
        state.next_ordinal += 1;
        state
            .usage
            .record(tranche, claim.key, &bill, billed.digest());
        drop(self.spool.note(Note::Billed(Box::new(billed))));
        bill
    }

    /// A bill above its worst case would be a fault of ours: the tenant is not billed for it.
    fn unsettled(&self, purse: &mut Purse, error: SettleError, claim: Claim) -> Bill {
        tracing::error!(request = %claim.request, %error, "a request is not billed");
        if let SettleError::OutOfRange { reservation, .. } = error {
            // It was this purse's a moment ago.
            purse.release(reservation).unwrap_or_default();
        }
        drop(self.spool.note(Note::Free(claim.request)));
        Bill::default()
    }

    /// Looks at once whether money is to be asked for.
    pub(crate) fn wake(&self) {
        self.lacking.notify_one();
    }

    /// What each project could reserve now.
    pub(crate) fn levels(&self, now: Time) -> Vec<(ProjectId, Money)> {
        let state = self.state();
        state
            .purses
            .iter()
            .map(|(project, purse)| (*project, purse.available(now)))
            .collect()
    }

    fn answered(&self) {
        self.answers
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn purse(&mut self, project: ProjectId, policy: tranche::Policy) -> &mut Purse {
        self.purses
            .entry(project)
            .or_insert_with(|| Purse::new(policy))
    }
}

/// Whether more money may be on its way.
const fn may_pass(refusal: Refusal) -> bool {
    match refusal {
        Refusal::NoTranche | Refusal::Short { .. } | Refusal::PastDeadline => true,
        Refusal::Reserved { .. }
        | Refusal::Exhausted { .. }
        | Refusal::TooDear { .. }
        | Refusal::Twice => false,
    }
}
