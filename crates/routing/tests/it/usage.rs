//! However posts and their answers are lost, doubled or late: control sums exactly what was recorded.

use std::collections::BTreeMap;

use proptest::prelude::*;
use remuda_routing::meter::{Delivered, Delivery};
use remuda_routing::price::{Rate, Tokens};
use remuda_routing::usage::{Post, UsageAccumulator};
use remuda_types::{ApiKeyId, Digest, LeaseId, Money, TrancheId};

const RATE: Rate = Rate {
    prompt_micros_per_million: 730_000,
    completion_micros_per_million: 2_900_000,
};

#[derive(Clone, Debug)]
enum Step {
    Record {
        tranche: u128,
        key: u128,
        leases: Vec<u128>,
        tokens: u32,
    },
    /// The gateway sends what it has to send.
    Send { tranche: u128 },
    /// Control receives one of all the posts ever sent; it may have it already.
    Receive { which: usize },
    /// One of all the answers ever given arrives.
    Answer { which: usize },
    /// The gateway restarts from its spool.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (
        0_u128..2,
        0_u128..3,
        proptest::collection::vec(0_u128..3, 1..3),
        1_u32..500,
    )
        .prop_map(|(tranche, key, leases, tokens)| Step::Record {
            tranche,
            key,
            leases,
            tokens,
        });
    let step = prop_oneof![
        4 => record,
        3 => (0_u128..2).prop_map(|tranche| Step::Send { tranche }),
        3 => any::<usize>().prop_map(|which| Step::Receive { which }),
        3 => any::<usize>().prop_map(|which| Step::Answer { which }),
    ];
    let step = prop_oneof![20 => step, 1 => Just(Step::Restart)];
    proptest::collection::vec(step, 1..200)
}

type Sums = BTreeMap<(TrancheId, LeaseId, ApiKeyId), (u64, Tokens, Money)>;

fn add(sums: &mut Sums, place: (TrancheId, LeaseId, ApiKeyId), part: (u64, Tokens, Money)) {
    let sum = sums.entry(place).or_default();
    *sum = (sum.0 + part.0, sum.1 + part.1, sum.2.saturating_add(part.2));
}

/// A recorded row, as the spool keeps it.
#[derive(Clone)]
struct Row {
    tranche: TrancheId,
    key: ApiKeyId,
    delivery: Delivery,
    digest: Digest,
}

#[derive(Default)]
struct World {
    usage: UsageAccumulator,
    recorded: Sums,
    /// What control keeps: by (tranche, seq), the first to arrive.
    received: BTreeMap<(TrancheId, u64), Post>,
    sent: Vec<Post>,
    answers: Vec<(TrancheId, u64)>,
    /// The spool: rows that no post had summed, the post on its way, the last acknowledged.
    unsummed: Vec<Row>,
    outstanding: BTreeMap<TrancheId, Post>,
    acknowledged: BTreeMap<TrancheId, u64>,
    rows: u64,
}

impl World {
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Record {
                tranche,
                key,
                leases,
                tokens,
            } => {
                let row = self.row(*tranche, *key, leases, *tokens);
                self.record(row);
            }
            Step::Send { tranche } => self.send(TrancheId::from_u128(*tranche)),
            Step::Receive { which } if !self.sent.is_empty() => {
                self.receive(which % self.sent.len());
            }
            Step::Answer { which } if !self.answers.is_empty() => {
                self.answer(which % self.answers.len());
            }
            Step::Receive { .. } | Step::Answer { .. } => {}
            Step::Restart => self.restart(),
        }
    }

    fn row(&mut self, tranche: u128, key: u128, leases: &[u128], tokens: u32) -> Row {
        self.rows += 1;
        let part = |&lease: &u128| Delivered {
            lease: LeaseId::from_u128(lease),
            tokens,
        };
        let delivered = leases.iter().map(part).collect();
        Row {
            tranche: TrancheId::from_u128(tranche),
            key: ApiKeyId::from_u128(key),
            delivery: Delivery {
                prompt_tokens: 3 * tokens,
                delivered,
                ended_by: None,
            },
            digest: Digest::of(&self.rows.to_be_bytes()),
        }
    }

    fn record(&mut self, row: Row) {
        let bill = row.delivery.bill(RATE);
        for (place, leg) in bill.legs.iter().enumerate() {
            let part = (u64::from(place == 0), leg.tokens, leg.amount);
            add(&mut self.recorded, (row.tranche, leg.lease, row.key), part);
        }
        self.usage.record(row.tranche, row.key, &bill, row.digest);
        self.unsummed.push(row);
    }

    fn send(&mut self, tranche: TrancheId) {
        let Some(post) = self.usage.take(tranche) else {
            return;
        };
        match self.outstanding.get(&tranche) {
            Some(before) => assert_eq!(before, &post),
            None => self.unsummed.retain(|row| row.tranche != tranche),
        }
        self.outstanding.insert(tranche, post.clone());
        self.sent.push(post);
    }

    fn receive(&mut self, which: usize) {
        let post = self.sent[which].clone();
        let place = (post.tranche, post.seq);
        let kept = self.received.entry(place).or_insert_with(|| post.clone());
        assert_eq!(kept, &post, "one number, two posts");
        self.answers.push(place);
    }

    fn answer(&mut self, which: usize) {
        let (tranche, seq) = self.answers[which];
        if self.usage.acknowledge(tranche, seq) {
            self.outstanding.remove(&tranche);
            self.acknowledged.insert(tranche, seq);
        }
    }

    fn restart(&mut self) {
        self.usage = UsageAccumulator::default();
        for tranche in (0..2).map(TrancheId::from_u128) {
            let acknowledged = self.acknowledged.get(&tranche).copied().unwrap_or(0);
            self.usage.restore(
                tranche,
                acknowledged,
                self.outstanding.get(&tranche).cloned(),
            );
        }
        for row in self.unsummed.clone() {
            self.usage
                .record(row.tranche, row.key, &row.delivery.bill(RATE), row.digest);
        }
    }

    /// The network heals: everything is sent and answered.
    fn settle(&mut self) {
        while let Some(tranche) = self.usage.pending().pop() {
            self.send(tranche);
            self.receive(self.sent.len() - 1);
            self.answer(self.answers.len() - 1);
        }
    }

    fn summed_by_control(&self) -> Sums {
        let mut sums = Sums::new();
        for post in self.received.values() {
            for (&(lease, key), total) in &post.totals {
                let part = (total.requests, total.tokens, total.amount);
                add(&mut sums, (post.tranche, lease, key), part);
            }
        }
        sums
    }
}

proptest! {
    #[test]
    fn control_sums_what_was_recorded(steps in steps()) {
        let mut world = World::default();
        for step in &steps {
            world.apply(step);
        }
        world.settle();
        prop_assert_eq!(world.summed_by_control(), world.recorded);
    }
}
