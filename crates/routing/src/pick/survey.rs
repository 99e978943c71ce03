//! What the replicas have to offer a request, by how readily it goes there.

use remuda_types::{LeaseId, Span, Time};

use super::replica::{Rank, Replica, Standing};
use super::wish::Wish;
use super::{NoReplica, Policy, State};

/// A replica, or the advice to wait for one.
type Decision = Result<LeaseId, NoReplica>;

/// What all of them offer: the ready before the suspect, and of each those that are cheap enough
/// before those that are not.
#[derive(Default)]
pub(super) struct Surveys([Survey; 4]);

/// What some of them offer.
#[derive(Default)]
struct Survey {
    best: Option<Rank>,
    full: Option<Span>,
    ejected: Option<Span>,
}

impl Surveys {
    pub(super) fn add(&mut self, replica: &Replica, wish: &Wish, now: Time, policy: &Policy) {
        let suspect = replica.route.state != State::Ready;
        let at = usize::from(suspect) * 2 + usize::from(replica.is_dear(wish));
        let survey = &mut self.0[at];
        match replica.standing(now, policy) {
            Standing::Free => survey.offer(replica.rank(wish, now, policy)),
            Standing::Full(wait) => survey.full = sooner(survey.full, Some(wait)),
            Standing::Ejected(wait) => survey.ejected = sooner(survey.ejected, Some(wait)),
        }
    }

    /// What to do; else when the first of the ejected may be tried, if any is.
    pub(super) fn decided(&self) -> Result<Decision, Option<Span>> {
        let ejected = self.0.iter().filter_map(|survey| survey.ejected).min();
        self.0.iter().find_map(Survey::decided).ok_or(ejected)
    }
}

impl Survey {
    fn offer(&mut self, rank: Rank) {
        if self.best.is_none_or(|best| rank < best) {
            self.best = Some(rank);
        }
    }

    /// Full is not gone: waiting for a ready replica beats trusting a silent node, and for a cheap
    /// one paying more than was said.
    fn decided(&self) -> Option<Decision> {
        let busy = |retry_after| Err(NoReplica::Busy { retry_after });
        let best = self.best.map(|rank| Ok(rank.lease));
        best.or(self.full.map(busy))
    }
}

fn sooner(a: Option<Span>, b: Option<Span>) -> Option<Span> {
    a.into_iter().chain(b).min()
}
