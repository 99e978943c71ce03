//! What control is told: settled requests, summed to one total per lease and key.
//!
//! Posts of a tranche are numbered from 1, and there is at most one outstanding: it is offered
//! again, byte for byte the same, until control acknowledges it, and what is settled meanwhile goes
//! into the next. Control takes each number once. So whatever is lost, doubled or late on the way,
//! what control has summed is what was recorded, no more and no less.

use std::collections::{BTreeMap, VecDeque};

use remuda_types::{ApiKeyId, Digest, LeaseId, Money, TrancheId};

use crate::meter::{Bill, Leg};
use crate::price::Tokens;

/// The most totals in one post, so that a post fits in a frame (about 100 bytes each).
pub const MAX_TOTALS: usize = 8_192;

/// What one key used of one lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Requests whose first token (or empty answer) came from this lease.
    pub requests: u64,
    /// Tokens.
    pub tokens: Tokens,
    /// Their price.
    pub amount: Money,
}

/// One post to control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// From which tranche.
    pub tranche: TrancheId,
    /// Counts this tranche's posts from 1.
    pub seq: u64,
    /// One total per lease and key.
    pub totals: BTreeMap<(LeaseId, ApiKeyId), Total>,
    /// A chain over the spool rows that were summed, in the order they were recorded:
    /// `BLAKE3(previous || row)`, from 32 zero bytes.
    pub rows: Digest,
}

/// Rows that wait for one post.
#[derive(Clone, Debug, Default)]
struct Batch {
    totals: BTreeMap<(LeaseId, ApiKeyId), Total>,
    rows: Digest,
}

impl Batch {
    fn has_room_for(&self, bill: &Bill) -> bool {
        self.totals.len() + bill.legs.len() <= MAX_TOTALS
    }

    fn add(&mut self, key: ApiKeyId, bill: &Bill, row: Digest) {
        for (place, leg) in bill.legs.iter().enumerate() {
            let total = self.totals.entry((leg.lease, key)).or_default();
            total.add(leg, u64::from(place == 0));
        }
        self.rows = chain(self.rows, row);
    }
}

impl Total {
    fn add(&mut self, leg: &Leg, requests: u64) {
        self.requests = self.requests.saturating_add(requests);
        self.tokens = self.tokens + leg.tokens;
        self.amount = self.amount.saturating_add(leg.amount);
    }
}

fn chain(previous: Digest, row: Digest) -> Digest {
    Digest::of(&[previous.0, row.0].concat())
}

/// One tranche's posts.
#[derive(Clone, Debug, Default)]
struct Account {
    acknowledged: u64,
    outstanding: Option<Post>,
    waiting: VecDeque<Batch>,
}

impl Account {
    fn record(&mut self, key: ApiKeyId, bill: &Bill, row: Digest) {
        if !self
            .waiting
            .back()
            .is_some_and(|batch| batch.has_room_for(bill))
        {
            self.waiting.push_back(Batch::default());
        }
        if let Some(batch) = self.waiting.back_mut() {
            batch.add(key, bill, row);
        }
    }

    fn take(&mut self, tranche: TrancheId) -> Option<Post> {
        if self.outstanding.is_none() {
            self.outstanding = self.waiting.pop_front().map(|batch| Post {
                tranche,
                seq: self.acknowledged.saturating_add(1),
                totals: batch.totals,
                rows: batch.rows,
            });
        }
        self.outstanding.clone()
    }

    fn is_drained(&self) -> bool {
        self.outstanding.is_none() && self.waiting.is_empty()
    }
}

/// The usage of all tranches of a gateway.
#[derive(Clone, Debug, Default)]
pub struct UsageAccumulator {
    accounts: BTreeMap<TrancheId, Account>,
}

impl UsageAccumulator {
    /// Takes up a tranche after a restart: how far control had acknowledged, and the post that was
    /// on its way. Rows that no post had summed are recorded again from the spool.
    pub fn restore(&mut self, tranche: TrancheId, acknowledged: u64, outstanding: Option<Post>) {
        let account = Account {
            acknowledged,
            outstanding,
            waiting: VecDeque::new(),
        };
        self.accounts.insert(tranche, account);
    }

    /// Adds one settled request; `row` is the digest of its row in the spool. An empty bill adds
    /// nothing: such a request is not posted.
    pub fn record(&mut self, tranche: TrancheId, key: ApiKeyId, bill: &Bill, row: Digest) {
        if !bill.is_empty() {
            self.accounts
                .entry(tranche)
                .or_default()
                .record(key, bill, row);
        }
    }

    /// The post to send now: the outstanding one, else what was recorded since. None when nothing
    /// is to be said.
    pub fn take(&mut self, tranche: TrancheId) -> Option<Post> {
        self.accounts.get_mut(&tranche)?.take(tranche)
    }

    /// Control has taken a post. False when that is no news (a late or doubled answer).
    pub fn acknowledge(&mut self, tranche: TrancheId, seq: u64) -> bool {
        let Some(account) = self.accounts.get_mut(&tranche) else {
            return false;
        };
        let answered = account.outstanding.take_if(|post| post.seq == seq);
        if answered.is_some() {
            account.acknowledged = seq;
        }
        answered.is_some()
    }

    /// Tranches that have something to post.
    pub fn pending(&self) -> Vec<TrancheId> {
        self.accounts
            .iter()
            .filter(|(_, account)| !account.is_drained())
            .map(|(&tranche, _)| tranche)
            .collect()
    }

    /// Whether all that was recorded in the tranche has been acknowledged; then it may be closed.
    pub fn is_drained(&self, tranche: TrancheId) -> bool {
        self.accounts.get(&tranche).is_none_or(Account::is_drained)
    }

    /// Drops a tranche that is closed at control (its numbering ends with it); false when it still
    /// has something to post.
    pub fn forget(&mut self, tranche: TrancheId) -> bool {
        let drained = self.is_drained(tranche);
        if drained {
            self.accounts.remove(&tranche);
        }
        drained
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::{Delivered, Delivery};
    use crate::price::Rate;

    const RATE: Rate = Rate {
        prompt_micros_per_million: 1_000_000,
        completion_micros_per_million: 2_000_000,
    };

    fn lease(number: u128) -> LeaseId {
        LeaseId::from_u128(number)
    }

    fn bill(parts: &[(u128, u32)]) -> Bill {
        let delivered = parts
            .iter()
            .map(|&(number, tokens)| Delivered {
                lease: lease(number),
                tokens,
            })
            .collect();
        Delivery {
            prompt_tokens: 10,
            delivered,
            ended_by: None,
        }
        .bill(RATE)
    }

    const TRANCHE: TrancheId = TrancheId::from_u128(1);
    const KEY: ApiKeyId = ApiKeyId::from_u128(7);

    fn row(number: u8) -> Digest {
        Digest([number; 32])
    }

    #[test]
    fn requests_are_summed_per_lease_and_key() {
        let mut usage = UsageAccumulator::default();
        usage.record(TRANCHE, KEY, &bill(&[(1, 5), (2, 3)]), row(1));
        usage.record(TRANCHE, KEY, &bill(&[(1, 5)]), row(2));
        let post = usage.take(TRANCHE).unwrap();
        let first = post.totals[&(lease(1), KEY)];
        assert_eq!((first.requests, first.amount), (2, Money::from_micros(40)));
        assert_eq!(
            first.tokens,
            Tokens {
                prompt: 20,
                completion: 10
            }
        );
        assert_eq!(post.totals[&(lease(2), KEY)].requests, 0);
        assert_eq!(post.rows, chain(chain(Digest::default(), row(1)), row(2)));
    }

    #[test]
    fn a_post_is_offered_unchanged_until_it_is_acknowledged() {
        let mut usage = UsageAccumulator::default();
        usage.record(TRANCHE, KEY, &bill(&[(1, 5)]), row(1));
        let first = usage.take(TRANCHE).unwrap();
        usage.record(TRANCHE, KEY, &bill(&[(1, 9)]), row(2));
        assert_eq!(usage.take(TRANCHE).as_ref(), Some(&first));
        assert!(!usage.acknowledge(TRANCHE, 2));
        assert!(usage.acknowledge(TRANCHE, 1));
        assert!(!usage.acknowledge(TRANCHE, 1));
        assert!(!usage.forget(TRANCHE));
        assert_eq!(usage.take(TRANCHE).unwrap().seq, 2);
        assert!(usage.acknowledge(TRANCHE, 2));
        assert_eq!(usage.take(TRANCHE), None);
        assert!(usage.forget(TRANCHE));
    }

    #[test]
    fn a_post_survives_a_restart_as_it_was() {
        let mut usage = UsageAccumulator::default();
        usage.record(TRANCHE, KEY, &bill(&[(1, 5)]), row(1));
        let sent = usage.take(TRANCHE);
        let mut restarted = UsageAccumulator::default();
        restarted.restore(TRANCHE, 0, sent.clone());
        restarted.record(TRANCHE, KEY, &bill(&[(1, 6)]), row(2));
        assert_eq!(restarted.take(TRANCHE), sent);
        assert!(restarted.acknowledge(TRANCHE, 1));
        assert_eq!(restarted.take(TRANCHE).unwrap().seq, 2);
    }

    #[test]
    fn a_full_post_makes_room_in_the_next() {
        let mut usage = UsageAccumulator::default();
        for number in 0..=MAX_TOTALS as u128 {
            usage.record(TRANCHE, KEY, &bill(&[(number, 1)]), row(0));
        }
        assert_eq!(usage.take(TRANCHE).unwrap().totals.len(), MAX_TOTALS);
        assert!(usage.acknowledge(TRANCHE, 1));
        assert_eq!(usage.take(TRANCHE).unwrap().totals.len(), 1);
    }

    #[test]
    fn nothing_billed_is_nothing_posted() {
        let mut usage = UsageAccumulator::default();
        usage.record(TRANCHE, KEY, &Bill::default(), row(1));
        assert_eq!(usage.take(TRANCHE), None);
        assert_eq!(usage.pending(), []);
    }
}
