//! Load is what is in flight, whatever tables and outcomes come; and picks keep their promises.

use proptest::prelude::*;
use remuda_routing::invariant::check_balancer;
use remuda_routing::pick::{Balancer, Outcome, Policy, Route, Session, State, Wish};
use remuda_types::{LeaseId, NodeKey, Price, RequestId, Span, Time};

#[derive(Clone, Debug)]
enum Step {
    Update(Vec<(u128, State, u32, Option<u64>)>),
    Send {
        wish: Wish,
        exclude: Vec<u128>,
    },
    Spoke {
        which: usize,
    },
    Found {
        which: usize,
        tokens: u32,
    },
    End {
        which: usize,
        outcome: Outcome,
    },
    Hold {
        lease: u128,
        wish: Wish,
    },
    /// Said of what is not there, or not any longer.
    Stray {
        lease: u128,
        outcome: Outcome,
    },
    Pass {
        millis: u64,
    },
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

/// Prompts that begin alike, of some blocks or none.
fn wish() -> impl Strategy<Value = Wish> {
    let prompt = (0_u32..4, 0_usize..3, 0_u32..400);
    let bounds = (
        proptest::option::of(0_u8..3),
        proptest::option::of(0_u64..400),
        proptest::option::of(0_u64..3),
    );
    (prompt, bounds).prop_map(|((kind, blocks, more), (session, late, dear))| {
        let tokens = [vec![9; 64], vec![kind; 64 * blocks]].concat();
        let wish = Wish::of_prompt(&tokens[..64 * blocks]);
        Wish {
            prompt_tokens: wish.prompt_tokens + more,
            session: session.map(|name| Session::named(&[name])),
            first_token_most: late.map(Span::from_millis),
            price_most: dear.map(Price::from_micros_per_hour),
            ..wish
        }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let state =
        prop_oneof![4 => Just(State::Ready), 1 => Just(State::Suspect), 1 => Just(State::Draining)];
    let row = (0_u128..5, state, 0_u32..4, proptest::option::of(0_u64..4));
    let step = prop_oneof![
        1 => proptest::collection::vec(row, 0..5).prop_map(Step::Update),
        6 => (wish(), proptest::collection::vec(0_u128..5, 0..2))
            .prop_map(|(wish, exclude)| Step::Send { wish, exclude }),
        4 => any::<usize>().prop_map(|which| Step::Spoke { which }),
        2 => (any::<usize>(), 0_u32..400)
            .prop_map(|(which, tokens)| Step::Found { which, tokens }),
        5 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Step::End { which, outcome }),
        2 => (0_u128..5, wish()).prop_map(|(lease, wish)| Step::Hold { lease, wish }),
        1 => (0_u128..5, outcome()).prop_map(|(lease, outcome)| Step::Stray { lease, outcome }),
        2 => (0_u64..3_000).prop_map(|millis| Step::Pass { millis }),
    ];
    proptest::collection::vec(step, 1..200)
}

/// Small, so that memory runs over.
fn policy() -> Policy {
    Policy {
        blocks_most: 5,
        sessions_most: 2,
        ..Policy::default()
    }
}

struct World {
    balancer: Balancer,
    now: Time,
    routes: Vec<Route>,
    flying: Vec<(LeaseId, RequestId)>,
    requests: u128,
    picks: Vec<Option<LeaseId>>,
}

impl World {
    fn new() -> Self {
        Self {
            balancer: Balancer::new(policy()),
            now: Time::EPOCH,
            routes: Vec::new(),
            flying: Vec::new(),
            requests: 0,
            picks: Vec::new(),
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Update(rows) => self.update(rows),
            Step::Send { wish, exclude } => {
                let exclude = exclude.iter().map(|&n| LeaseId::from_u128(n));
                self.send(wish, &exclude.collect::<Vec<_>>());
            }
            Step::Spoke { which } if !self.flying.is_empty() => {
                let (lease, request) = self.flying[which % self.flying.len()];
                self.balancer.spoke(lease, request);
            }
            Step::End { which, outcome } if !self.flying.is_empty() => {
                let (lease, request) = self.flying.swap_remove(which % self.flying.len());
                self.balancer.ended(lease, request, *outcome, self.now);
                // Once more is once too often, and does no harm.
                self.balancer.ended(lease, request, *outcome, self.now);
            }
            Step::Found { which, tokens } if !self.flying.is_empty() => {
                let (lease, request) = self.flying[which % self.flying.len()];
                self.balancer.found(lease, request, *tokens);
            }
            Step::Spoke { .. } | Step::Found { .. } | Step::End { .. } => {}
            Step::Hold { lease, wish } => {
                let lease = LeaseId::from_u128(*lease);
                self.balancer.holds(lease, &wish.prefix);
            }
            Step::Stray { lease, outcome } => self.stray(LeaseId::from_u128(*lease), *outcome),
            Step::Pass { millis } => self.now = self.now + Span::from_millis(*millis),
        }
    }

    fn stray(&mut self, lease: LeaseId, outcome: Outcome) {
        let nobody = RequestId::from_u128(u128::MAX);
        self.balancer.spoke(lease, nobody);
        self.balancer.found(lease, nobody, 0);
        self.balancer.ended(lease, nobody, outcome, self.now);
    }

    fn update(&mut self, rows: &[(u128, State, u32, Option<u64>)]) {
        self.routes = rows
            .iter()
            .map(|&(number, state, slots, price)| Route {
                lease: LeaseId::from_u128(number),
                node: NodeKey([0; 32]),
                state,
                slots,
                price: price.map(Price::from_micros_per_hour),
            })
            .collect();
        self.routes.reverse();
        self.routes.sort_by_key(|route| route.lease);
        self.routes.dedup_by_key(|route| route.lease);
        self.balancer.update(self.routes.iter().copied());
    }

    fn send(&mut self, wish: &Wish, exclude: &[LeaseId]) {
        let picked = self.balancer.pick(self.now, wish, exclude);
        let again = self.balancer.clone().pick(self.now, wish, exclude);
        assert_eq!(picked, again);
        self.picks.push(picked.ok());
        let Ok(lease) = picked else { return };
        self.check_picked(lease, wish, exclude);
        let request = RequestId::from_u128(self.requests);
        self.requests += 1;
        self.balancer.dispatched(lease, request, wish);
        self.flying.push((lease, request));
    }

    fn check_picked(&self, lease: LeaseId, wish: &Wish, exclude: &[LeaseId]) {
        let of = |lease| self.routes.iter().find(move |route| route.lease == lease);
        let route = of(lease).expect("a listed lease");
        assert_ne!(route.state, State::Draining);
        assert!(!exclude.contains(&lease));
        assert!(self.balancer.in_flight(lease) < route.slots.max(1));
        let cheap = |route: &&Route| {
            route
                .price
                .zip(wish.price_most)
                .is_none_or(|(is, most)| is <= most)
        };
        let others = self
            .routes
            .iter()
            .filter(|other| !exclude.contains(&other.lease));
        for other in others.filter(|other| other.lease != lease) {
            let only = [exclude, &self.all_but(other.lease)].concat();
            let could = self.balancer.pick(self.now, wish, &only).is_ok();
            let better_state = other.state == State::Ready && route.state == State::Suspect;
            let better_price = other.state == route.state && cheap(&other) && !cheap(&route);
            assert!(
                !(could && (better_state || better_price)),
                "{other:?} is better"
            );
        }
    }

    fn all_but(&self, lease: LeaseId) -> Vec<LeaseId> {
        let all = self.routes.iter().map(|route| route.lease);
        all.filter(|other| *other != lease).collect()
    }

    fn check(&self) {
        assert_eq!(check_balancer(&self.balancer), Ok(()));
        for lease in (0..5).map(LeaseId::from_u128) {
            let flying = self.flying.iter().filter(|(at, _)| *at == lease).count();
            assert_eq!(self.balancer.in_flight(lease) as usize, flying);
        }
    }

    /// Everything ends: nothing is left to be read anywhere.
    fn drain(&mut self) {
        for (lease, request) in std::mem::take(&mut self.flying) {
            self.balancer
                .ended(lease, request, Outcome::Released, self.now);
        }
        self.check();
        let nothing = Wish::default();
        for route in &self.routes {
            let idle = self.balancer.tokens_before_first(route.lease, &nothing);
            assert_eq!(idle, u64::from(policy().request_tokens));
        }
    }
}

proptest! {
    #[test]
    fn load_is_what_is_in_flight(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
            world.check();
        }
        world.drain();
    }

    /// Gateways with one history pick alike; what one of them saw before makes it no less sure.
    #[test]
    fn the_same_history_gives_the_same_picks(before in steps(), steps in steps()) {
        let run = |parts: &[&[Step]]| {
            let mut world = World::new();
            parts.iter().flat_map(|part| part.iter()).for_each(|step| world.apply(step));
            world.picks
        };
        prop_assert_eq!(run(&[&steps]), run(&[&steps]));
        prop_assert_eq!(run(&[&before, &steps]), run(&[&before, &steps]));
    }

    #[test]
    fn every_ejection_ends(failures in 3_usize..40) {
        let (lease, request) = (LeaseId::from_u128(1), RequestId::from_u128(1));
        let mut balancer = Balancer::new(Policy::default());
        let (state, node) = (State::Ready, NodeKey([0; 32]));
        balancer.update([Route { lease, node, state, slots: 1, price: None }]);
        let (mut now, wish) = (Time::EPOCH, Wish::default());
        for _ in 0..failures {
            now = now + Policy::default().eject_most;
            prop_assert_eq!(balancer.pick(now, &wish, &[]), Ok(lease));
            balancer.dispatched(lease, request, &wish);
            balancer.ended(lease, request, Outcome::Failed, now);
        }
        prop_assert_eq!(balancer.pick(now + Policy::default().eject_most, &wish, &[]), Ok(lease));
    }
}
