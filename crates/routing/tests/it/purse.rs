//! Whatever requests and control do, no tranche is overspent and every micro-dollar is accounted for.

use std::collections::BTreeMap;

use proptest::prelude::*;
use remuda_routing::invariant::check_purse;
use remuda_routing::tranche::{Ask, Denial, Policy, Purse, Refusal, Reservation, Tranche, Wanted};
use remuda_types::{Money, RequestId, Span, Time, TrancheId};

#[derive(Clone, Debug)]
enum Step {
    Reserve { micros: i64, lasts: u64 },
    Settle { which: usize, percent: u64 },
    Release { which: usize },
    Pass { seconds: u64 },
    Ask,
    Grant { percent: u64, late: bool },
    Deny,
    Defer,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_i64..3_000_000, 0_u64..900)
            .prop_map(|(micros, lasts)| Step::Reserve { micros, lasts }),
        3 => (any::<usize>(), 0_u64..=100).prop_map(|(which, percent)| Step::Settle { which, percent }),
        1 => any::<usize>().prop_map(|which| Step::Release { which }),
        1 => (0_u64..400).prop_map(|seconds| Step::Pass { seconds }),
        3 => Just(Step::Ask),
        2 => (1_u64..=100, any::<bool>()).prop_map(|(percent, late)| Step::Grant { percent, late }),
        1 => Just(Step::Deny),
        1 => Just(Step::Defer),
        1 => Just(Step::Close),
    ];
    proptest::collection::vec(step, 1..150)
}

struct World {
    purse: Purse,
    now: Time,
    held: Vec<Reservation>,
    asked: Option<Ask>,
    born: u128,
    granted: BTreeMap<TrancheId, Tranche>,
    settled: BTreeMap<TrancheId, Money>,
}

impl World {
    fn new() -> Self {
        let policy = Policy {
            most: Money::from_micros(20_000_000),
            ..Policy::default()
        };
        Self {
            purse: Purse::new(policy),
            now: Time::EPOCH,
            held: Vec::new(),
            asked: None,
            born: 0,
            granted: BTreeMap::new(),
            settled: BTreeMap::new(),
        }
    }

    fn next_id(&mut self) -> u128 {
        self.born += 1;
        self.born
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Reserve { micros, lasts } => {
                self.reserve(Money::from_micros(micros), Span::from_secs(lasts));
            }
            Step::Settle { which, percent } => self.settle(which, percent),
            Step::Release { which } => self.settle(which, 0),
            Step::Pass { seconds } => self.now = self.now + Span::from_secs(seconds),
            Step::Ask => self.ask(),
            Step::Grant { percent, late } => self.grant(percent, late),
            Step::Deny => self.deny(),
            Step::Defer => self.defer(),
            Step::Close => self.close(),
        }
    }

    fn reserve(&mut self, needed: Money, lasts: Span) {
        let request = RequestId::from_u128(self.next_id());
        let available = self.purse.available(self.now);
        match self.purse.reserve(request, needed, lasts, self.now) {
            Ok(reservation) => {
                assert!(needed <= available);
                assert!(self.now < self.granted[&reservation.tranche()].deadline);
                self.held.push(reservation);
            }
            Err(Refusal::Twice) => panic!("a new request has a reservation"),
            // A free request is refused only when there is no tranche to name in its post.
            Err(_) => assert!(needed > available || available.is_zero()),
        }
    }

    fn settle(&mut self, which: usize, percent: u64) {
        if self.held.is_empty() {
            return;
        }
        let reservation = self.held.swap_remove(which % self.held.len());
        let actual = reservation.amount().fraction(percent, 100);
        let spent = self.settled.entry(reservation.tranche()).or_default();
        *spent = spent.saturating_add(actual);
        self.purse.settle(reservation, actual).unwrap();
    }

    fn ask(&mut self) {
        let ask = match self.purse.wanted(self.now) {
            None => return,
            Some(Wanted::Again(ask)) => {
                assert_eq!(self.asked, Some(ask));
                ask
            }
            Some(Wanted::New { amount }) => {
                assert!((1_000_000..=20_000_000).contains(&amount.as_micros()));
                Ask {
                    tranche: TrancheId::from_u128(self.next_id()),
                    amount,
                }
            }
        };
        self.purse.asked(ask, self.now);
        self.asked = Some(ask);
    }

    fn grant(&mut self, percent: u64, late: bool) {
        if late && let Some(&old) = self.granted.values().next() {
            assert!(!self.purse.granted(old, self.now));
        }
        let Some(ask) = self.asked.take() else { return };
        let amount = ask.amount.fraction(percent, 100);
        let deadline = self.now + Span::from_secs(600);
        let tranche = Tranche {
            id: ask.tranche,
            amount,
            deadline,
        };
        assert!(self.purse.granted(tranche, self.now));
        self.granted.insert(tranche.id, tranche);
    }

    fn deny(&mut self) {
        if let Some(ask) = self.asked.take() {
            assert!(self.purse.denied(ask.tranche, Denial::Exhausted, self.now));
        }
    }

    fn defer(&mut self) {
        if let Some(ask) = self.asked.take() {
            assert!(self.purse.denied(ask.tranche, Denial::Reserved, self.now));
        }
    }

    fn close(&mut self) {
        for tranche in self.purse.closable(self.now) {
            assert!(self.purse.forget(tranche));
        }
    }

    fn check(&self) {
        assert_eq!(check_purse(&self.purse), Ok(()));
        for (tranche, spent) in &self.settled {
            assert!(*spent <= self.granted[tranche].amount);
        }
    }
}

proptest! {
    #[test]
    fn no_tranche_is_ever_overspent(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
            world.check();
        }
        while !world.held.is_empty() {
            world.settle(0, 100);
            world.check();
        }
    }
}
