//! Who says where a request goes.

use std::collections::VecDeque;

use remuda_routing::pick::{Outcome, Policy, Route, State};
use remuda_routing::{Balancer, Wish};
use remuda_types::{LeaseId, NodeKey, RequestId, Time};

use super::scene::{Job, MS, Scene};

/// A rule by which replicas are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The network's own balancer.
    Prefix(Policy),
    /// Each in turn.
    RoundRobin,
    /// The one with the fewest requests in flight, each in turn among equals.
    LeastLoad,
}

/// A rule at work. A request that came is handed out when there is a replica for it.
pub(super) trait Router {
    /// A request came.
    fn came(&mut self, job: usize);
    /// The next request that is sent on, and where.
    fn next(&mut self, jobs: &[Job], now_ns: u64) -> Option<(usize, usize)>;
    /// A request got its first token.
    fn spoke(&mut self, job: usize, replica: usize);
    /// A request got its last token; so many of its own had been found in the cache.
    fn ended(&mut self, ended: (usize, u32), replica: usize, jobs: &[Job], now_ns: u64);
}

impl Rule {
    /// All of them, the network's own with its usual policy; those that it is held against first.
    pub fn all() -> [Self; 3] {
        [
            Self::RoundRobin,
            Self::LeastLoad,
            Self::Prefix(Policy::default()),
        ]
    }

    /// How it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prefix(_) => "prefix",
            Self::RoundRobin => "round-robin",
            Self::LeastLoad => "least-load",
        }
    }

    pub(super) fn router(self, scene: &Scene) -> Box<dyn Router> {
        match self {
            Self::Prefix(policy) => Box::new(Ours::new(scene, policy)),
            Self::RoundRobin => Box::new(Theirs::new(scene, false)),
            Self::LeastLoad => Box::new(Theirs::new(scene, true)),
        }
    }
}

/// The balancer, and a queue for when all replicas are full.
struct Ours {
    balancer: Balancer,
    queue: VecDeque<usize>,
}

impl Ours {
    fn new(scene: &Scene, policy: Policy) -> Self {
        let mut balancer = Balancer::new(policy);
        balancer.update((0..scene.settings.replicas).map(|replica| Route {
            lease: LeaseId::from_u128(u128::from(replica)),
            node: NodeKey([0; 32]),
            state: State::Ready,
            slots: scene.settings.hardware.slots,
            price: None,
        }));
        Self {
            balancer,
            queue: VecDeque::new(),
        }
    }
}

fn lease(replica: usize) -> LeaseId {
    LeaseId::from_u128(replica as u128)
}

fn request(job: usize) -> RequestId {
    RequestId::from_u128(job as u128)
}

const fn time(ns: u64) -> Time {
    Time::from_millis(ns / MS)
}

impl Router for Ours {
    fn came(&mut self, job: usize) {
        self.queue.push_back(job);
    }

    fn next(&mut self, jobs: &[Job], now_ns: u64) -> Option<(usize, usize)> {
        let job = *self.queue.front()?;
        let wish = Wish {
            prefix: jobs[job].prefix.clone(),
            prompt_tokens: jobs[job].prompt,
            ..Wish::default()
        };
        let lease = self.balancer.pick(time(now_ns), &wish, &[]).ok()?;
        self.queue.pop_front();
        self.balancer.dispatched(lease, request(job), &wish);
        Some((job, usize::try_from(lease.as_u128()).ok()?))
    }

    fn spoke(&mut self, job: usize, replica: usize) {
        self.balancer.spoke(lease(replica), request(job));
    }

    fn ended(&mut self, (job, found): (usize, u32), replica: usize, jobs: &[Job], now_ns: u64) {
        let served = Outcome::Served { first_token: None };
        let (lease, now) = (lease(replica), time(now_ns));
        self.balancer.found(lease, request(job), found);
        self.balancer.ended(lease, request(job), served, now);
        self.balancer.holds(lease, &jobs[job].whole);
    }
}

/// What others do.
struct Theirs {
    by_load: bool,
    in_flight: Vec<u32>,
    turn: usize,
    came: VecDeque<usize>,
}

impl Theirs {
    fn new(scene: &Scene, by_load: bool) -> Self {
        Self {
            by_load,
            in_flight: vec![0; scene.settings.replicas.max(1) as usize],
            turn: 0,
            came: VecDeque::new(),
        }
    }

    /// The first of the best from the one on whose turn it is.
    fn choose(&mut self) -> usize {
        let count = self.in_flight.len();
        let load = |replica: &usize| {
            if self.by_load {
                self.in_flight[*replica]
            } else {
                0
            }
        };
        let in_turn = (0..count).map(|by| (self.turn + by) % count);
        let chosen = in_turn.min_by_key(load).unwrap_or(0);
        self.turn = (chosen + 1) % count;
        chosen
    }
}

impl Router for Theirs {
    fn came(&mut self, job: usize) {
        self.came.push_back(job);
    }

    fn next(&mut self, _: &[Job], _: u64) -> Option<(usize, usize)> {
        let job = self.came.pop_front()?;
        let replica = self.choose();
        self.in_flight[replica] += 1;
        Some((job, replica))
    }

    fn spoke(&mut self, _: usize, _: usize) {}

    fn ended(&mut self, _: (usize, u32), replica: usize, _: &[Job], _: u64) {
        self.in_flight[replica] -= 1;
    }
}
