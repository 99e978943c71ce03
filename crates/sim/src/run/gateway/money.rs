//! A gateway's money: the purses of all projects and the usage that control is told, as the
//! gateway's own treasury keeps them, under a virtual clock.

use std::collections::{BTreeMap, BTreeSet};

use remuda_routing::invariant::{self, Violation};
use remuda_routing::tranche::{Ask, Denial, Policy, Reservation, SettleError, Tranche, Wanted};
use remuda_routing::usage::Post;
use remuda_routing::{Bill, Purse, UsageAccumulator};
use remuda_types::{ApiKeyId, Digest, ProjectId, Span, Time, TrancheId};

use super::spool::Recovered;

/// How long after a tranche's deadline control may still take its usage.
const POST_GRACE: Span = Span::from_secs(600);

/// A tranche that control gave.
#[derive(Clone, Copy, Debug)]
struct Known {
    deadline: Time,
    /// The newest post that the spool has.
    spooled: u64,
}

/// All purses.
#[derive(Debug, Default)]
pub(crate) struct Treasury {
    policy: Policy,
    purses: BTreeMap<ProjectId, Purse>,
    usage: UsageAccumulator,
    tranches: BTreeMap<TrancheId, Known>,
    /// Tranches that no purse has any longer, to be closed when their usage is posted.
    closing: BTreeSet<TrancheId>,
    next_ordinal: u64,
}

impl Treasury {
    /// The treasury after a restart.
    pub(crate) fn restored(recovered: Recovered, now: Time) -> Self {
        let mut treasury = Self {
            next_ordinal: recovered.next_ordinal,
            ..Self::default()
        };
        for (tranche, held) in recovered.tranches {
            let super::spool::Held {
                project,
                amount,
                deadline,
                settled,
                acknowledged,
                outstanding,
            } = held;
            let Some(deadline) = deadline else {
                // Long ago, so that control is asked again at once.
                let ask = Ask { tranche, amount };
                treasury.purse(project).asked(ask, Time::EPOCH);
                continue;
            };
            let spooled = outstanding.as_ref().map_or(acknowledged, |post| post.seq);
            let known = Known { deadline, spooled };
            treasury.tranches.insert(tranche, known);
            treasury.usage.restore(tranche, acknowledged, outstanding);
            let left = amount.saturating_sub(settled);
            if left.is_zero() || now >= deadline {
                treasury.closing.insert(tranche);
                continue;
            }
            let purse = treasury.purse(project);
            let (id, amount) = (tranche, left);
            purse.asked(Ask { tranche, amount }, now);
            purse.granted(
                Tranche {
                    id,
                    amount,
                    deadline,
                },
                now,
            );
        }
        for (request, row) in recovered.bills {
            let (bill, digest) = (row.bill(), row.digest(request));
            treasury.usage.record(row.tranche, row.key, &bill, digest);
        }
        treasury
    }

    pub(crate) fn purse(&mut self, project: ProjectId) -> &mut Purse {
        let policy = self.policy;
        self.purses
            .entry(project)
            .or_insert_with(|| Purse::new(policy))
    }

    pub(crate) fn deadline(&self, tranche: TrancheId) -> Time {
        let known = self.tranches.get(&tranche);
        known.map_or(Time::FOREVER, |known| known.deadline)
    }

    /// How long a request for so many tokens may last.
    pub(crate) fn lasts(&self, max_tokens: u32) -> Span {
        self.policy.lasts(max_tokens)
    }

    /// What is to be asked for now; from here on it counts as asked. `id` names a new tranche.
    pub(crate) fn wanted(
        &mut self,
        now: Time,
        mut id: impl FnMut() -> TrancheId,
    ) -> Vec<(ProjectId, Ask)> {
        let mut asks = Vec::new();
        for (project, purse) in &mut self.purses {
            let ask = match purse.wanted(now) {
                None => continue,
                Some(Wanted::Again(ask)) => ask,
                Some(Wanted::New { amount }) => Ask {
                    tranche: id(),
                    amount,
                },
            };
            purse.asked(ask, now);
            asks.push((*project, ask));
        }
        asks
    }

    /// Control gave a tranche; whether it was still waited for.
    pub(crate) fn granted(&mut self, project: ProjectId, open: Tranche, now: Time) -> bool {
        let taken = self.purse(project).granted(open, now);
        if taken {
            let known = Known {
                deadline: open.deadline,
                spooled: 0,
            };
            self.tranches.insert(open.id, known);
        }
        taken
    }

    pub(crate) fn denied(
        &mut self,
        project: ProjectId,
        tranche: TrancheId,
        denial: Denial,
        now: Time,
    ) -> bool {
        self.purse(project).denied(tranche, denial, now)
    }

    /// Spends what a bill comes to, and frees the rest.
    pub(crate) fn settle(
        &mut self,
        project: ProjectId,
        reservation: Reservation,
        bill: &Bill,
    ) -> Result<(), SettleError> {
        self.purse(project).settle(reservation, bill.amount)
    }

    /// Takes a bill up; its place in the order of bills.
    pub(crate) fn record(
        &mut self,
        tranche: TrancheId,
        key: ApiKeyId,
        bill: &Bill,
        row: Digest,
    ) -> u64 {
        self.usage.record(tranche, key, bill, row);
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        ordinal
    }

    /// The posts to send now, and whether the spool does not have them yet. From here on it does.
    pub(crate) fn posts(&mut self) -> Vec<(Post, bool)> {
        let mut posts = Vec::new();
        for tranche in self.usage.pending() {
            let Some(post) = self.usage.take(tranche) else {
                continue;
            };
            let known = self.tranches.get_mut(&tranche);
            let is_new = known.is_some_and(|known| {
                let is_new = known.spooled < post.seq;
                known.spooled = known.spooled.max(post.seq);
                is_new
            });
            posts.push((post, is_new));
        }
        posts
    }

    /// Whether an answer to a post was waited for.
    pub(crate) fn acknowledged(&mut self, tranche: TrancheId, seq: u64) -> bool {
        self.usage.acknowledge(tranche, seq)
    }

    /// Whether a post is on its way, and control will not take it any more.
    pub(crate) fn is_hopeless(&mut self, tranche: TrancheId, seq: u64, now: Time) -> bool {
        let over = self.deadline(tranche) + POST_GRACE <= now;
        over && self.usage.take(tranche).is_some_and(|post| post.seq == seq)
    }

    /// Takes tranches that have served out of their purses; those that may be closed at control.
    pub(crate) fn closable(&mut self, now: Time) -> Vec<TrancheId> {
        for purse in self.purses.values_mut() {
            for tranche in purse.closable(now) {
                if purse.forget(tranche) {
                    self.closing.insert(tranche);
                }
            }
        }
        let closing = self.closing.iter().copied();
        closing
            .filter(|tranche| self.usage.is_drained(*tranche))
            .collect()
    }

    pub(crate) fn closed(&mut self, tranche: TrancheId) {
        self.usage.forget(tranche);
        self.tranches.remove(&tranche);
        self.closing.remove(&tranche);
    }

    pub(crate) fn check(&self) -> Result<(), Violation> {
        self.purses.values().try_for_each(invariant::check_purse)
    }
}
