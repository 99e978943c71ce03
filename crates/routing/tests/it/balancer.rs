//! Load is what is in flight, whatever tables and outcomes come; and picks keep their promises.

use proptest::prelude::*;
use remuda_routing::invariant::check_balancer;
use remuda_routing::pick::{Balancer, Outcome, Policy, Route, State};
use remuda_types::{LeaseId, NodeKey, Span, Time};

#[derive(Clone, Debug)]
enum Step {
    Update(Vec<(u128, State, u32)>),
    Send { exclude: Vec<u128> },
    End { which: usize, outcome: Outcome },
    Pass { millis: u64 },
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (0_u64..500).prop_map(|ms| Outcome::Served {
            first_token: Some(Span::from_millis(ms))
        }),
        Just(Outcome::Served { first_token: None }),
        Just(Outcome::Failed),
        Just(Outcome::Failed),
        Just(Outcome::Declined),
        Just(Outcome::Released),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let state =
        prop_oneof![4 => Just(State::Ready), 1 => Just(State::Suspect), 1 => Just(State::Draining)];
    let step = prop_oneof![
        1 => proptest::collection::vec((0_u128..5, state, 0_u32..4), 0..5).prop_map(Step::Update),
        6 => proptest::collection::vec(0_u128..5, 0..2).prop_map(|exclude| Step::Send { exclude }),
        5 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Step::End { which, outcome }),
        2 => (0_u64..3_000).prop_map(|millis| Step::Pass { millis }),
    ];
    proptest::collection::vec(step, 1..200)
}

struct World {
    balancer: Balancer,
    now: Time,
    routes: Vec<Route>,
    flying: Vec<LeaseId>,
}

impl World {
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Update(rows) => self.update(rows),
            Step::Send { exclude } => {
                self.send(
                    &exclude
                        .iter()
                        .map(|&n| LeaseId::from_u128(n))
                        .collect::<Vec<_>>(),
                );
            }
            Step::End { which, outcome } if !self.flying.is_empty() => {
                let lease = self.flying.swap_remove(which % self.flying.len());
                self.balancer.ended(lease, *outcome, self.now);
            }
            Step::End { .. } => {}
            Step::Pass { millis } => self.now = self.now + Span::from_millis(*millis),
        }
    }

    fn update(&mut self, rows: &[(u128, State, u32)]) {
        self.routes = rows
            .iter()
            .map(|&(number, state, slots)| Route {
                lease: LeaseId::from_u128(number),
                node: NodeKey([0; 32]),
                state,
                slots,
            })
            .collect();
        self.routes.reverse();
        self.routes.sort_by_key(|route| route.lease);
        self.routes.dedup_by_key(|route| route.lease);
        self.balancer.update(self.routes.iter().copied());
    }

    fn send(&mut self, exclude: &[LeaseId]) {
        let Ok(lease) = self.balancer.pick(self.now, exclude) else {
            return;
        };
        let route = self
            .routes
            .iter()
            .find(|route| route.lease == lease)
            .expect("a listed lease");
        assert_ne!(route.state, State::Draining);
        assert!(!exclude.contains(&lease));
        assert!(self.balancer.in_flight(lease) < route.slots.max(1));
        self.balancer.dispatched(lease);
        self.flying.push(lease);
    }

    fn check(&self) {
        assert_eq!(check_balancer(&self.balancer), Ok(()));
        for lease in (0..5).map(LeaseId::from_u128) {
            let flying = self.flying.iter().filter(|&&other| other == lease).count();
            assert_eq!(self.balancer.in_flight(lease) as usize, flying);
        }
    }
}

proptest! {
    #[test]
    fn load_is_what_is_in_flight(steps in steps()) {
        let mut world = World {
            balancer: Balancer::new(Policy::default()),
            now: Time::EPOCH,
            routes: Vec::new(),
            flying: Vec::new(),
        };
        for step in &steps {
            world.apply(step);
            world.check();
        }
    }

    #[test]
    fn every_ejection_ends(failures in 3_usize..40) {
        let lease = LeaseId::from_u128(1);
        let mut balancer = Balancer::new(Policy::default());
        balancer.update([Route { lease, node: NodeKey([0; 32]), state: State::Ready, slots: 1 }]);
        let mut now = Time::EPOCH;
        for _ in 0..failures {
            now = now + Policy::default().eject_most;
            prop_assert_eq!(balancer.pick(now, &[]), Ok(lease));
            balancer.dispatched(lease);
            balancer.ended(lease, Outcome::Failed, now);
        }
        prop_assert_eq!(balancer.pick(now + Policy::default().eject_most, &[]), Ok(lease));
    }
}
