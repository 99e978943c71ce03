//! Streams against replicas and networks that do anything in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use proptest::prelude::*;
use remuda_routing::Stream;
use remuda_routing::invariant::check_stream;
use remuda_routing::stream::{
    Action, Broken, Ended, Facts, Finish, Pace, Policy, Refused, ReplicaEnd,
};
use remuda_types::{LeaseId, NodeKey, Span, Time};

/// The token that every replica of the model generates at `index`: as with a seeded sampler, it
/// depends on nothing but the position.
fn truth(index: u32) -> u32 {
    index.wrapping_mul(2_654_435_761) >> 7
}

/// Two leases stand on each node.
fn node(lease: LeaseId) -> NodeKey {
    let byte = u8::try_from(lease.as_u128() / 2 % 256).expect("a byte");
    NodeKey([byte; 32])
}

#[derive(Clone, Debug)]
enum Step {
    /// A lease says its next token, or one shifted by so many indexes.
    Token {
        lease: u128,
        shift: i8,
    },
    End {
        lease: u128,
        reason: ReplicaEnd,
    },
    Refused {
        lease: u128,
        kind: Refused,
    },
    Broken {
        lease: u128,
        kind: Broken,
    },
    Probed {
        lease: u128,
        alive: bool,
    },
    Pass {
        millis: u64,
    },
    /// A lease is dispatched to, whether it is asked for or not.
    Dispatched {
        lease: u128,
    },
    NoReplica,
    Stop,
    Abandon,
}

const LEASES: u128 = 7;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lease = || 0..LEASES;
    let reason = prop_oneof![
        Just(ReplicaEnd::Stop),
        Just(ReplicaEnd::Length),
        Just(ReplicaEnd::Draining)
    ];
    let kind = prop_oneof![
        Just(Refused::Invalid),
        Just(Refused::Busy),
        Just(Refused::Busy),
        Just(Refused::NotGranted),
        Just(Refused::WrongModel),
        Just(Refused::Broken),
    ];
    let broken = prop_oneof![
        Just(Broken::Unreachable),
        Just(Broken::ConnectionLost),
        Just(Broken::StreamReset),
        Just(Broken::Malformed),
    ];
    let step = prop_oneof![
        400 => lease().prop_map(|lease| Step::Token { lease, shift: 0 }),
        20 => (lease(), -3_i8..3).prop_map(|(lease, shift)| Step::Token { lease, shift }),
        8 => (lease(), reason).prop_map(|(lease, reason)| Step::End { lease, reason }),
        20 => (lease(), kind).prop_map(|(lease, kind)| Step::Refused { lease, kind }),
        20 => (lease(), broken).prop_map(|(lease, kind)| Step::Broken { lease, kind }),
        20 => (lease(), any::<bool>()).prop_map(|(lease, alive)| Step::Probed { lease, alive }),
        40 => (0_u64..800).prop_map(|millis| Step::Pass { millis }),
        60 => lease().prop_map(|lease| Step::Dispatched { lease }),
        1 => Just(Step::NoReplica),
        1 => Just(Step::Stop),
        1 => Just(Step::Abandon),
    ];
    proptest::collection::vec(step, 1..250)
}

struct World {
    stream: Stream,
    now: Time,
    /// The index each lease says next: it was told what had been generated when it was asked.
    cursors: BTreeMap<LeaseId, u32>,
    forwarded: Vec<u32>,
    /// Dispatches less Dones, by lease.
    open: BTreeMap<LeaseId, i64>,
    cancelled: BTreeSet<LeaseId>,
    wanted: Option<(Vec<LeaseId>, u32)>,
    /// Finish and Fail seen.
    verdicts: usize,
}

impl World {
    fn new(max_tokens: u32, may_resume: bool) -> Self {
        let max_tokens = NonZeroU32::new(max_tokens).expect("not zero");
        let facts = Facts {
            prompt_tokens: 10,
            max_tokens,
            may_resume,
        };
        let mut world = Self {
            stream: Stream::new(facts, Policy::default(), Pace::default(), Time::EPOCH),
            now: Time::EPOCH,
            cursors: BTreeMap::new(),
            forwarded: Vec::new(),
            open: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            wanted: None,
            verdicts: 0,
        };
        world.act();
        world
    }

    fn apply(&mut self, step: &Step) {
        let (now, id) = (self.now, LeaseId::from_u128);
        match *step {
            Step::Token { lease, shift } => return self.say(id(lease), shift),
            Step::Dispatched { lease } => return self.dispatch(id(lease)),
            Step::End { lease, reason } => self.stream.end(id(lease), reason, now),
            Step::Refused { lease, kind } => self.stream.refused(id(lease), kind, now),
            Step::Broken { lease, kind } => self.stream.broken(id(lease), kind, now),
            Step::Probed { lease, alive: true } => self.stream.probe_answered(id(lease), now),
            Step::Probed {
                lease,
                alive: false,
            } => self.stream.probe_failed(id(lease), lease % 2 == 0, now),
            Step::Pass { millis } => {
                self.now = now + Span::from_millis(millis);
                self.stream.tick(self.now);
            }
            Step::NoReplica => self.stream.no_replica(),
            Step::Stop => self.stream.stop(),
            Step::Abandon => self.stream.abandoned(),
        }
        self.act();
    }

    fn say(&mut self, lease: LeaseId, shift: i8) {
        let Some(cursor) = self.cursors.get_mut(&lease) else {
            return;
        };
        let index = cursor.saturating_add_signed(shift.into());
        *cursor = index + 1;
        let before = (self.forwarded.len(), self.stream.lease());
        self.stream.token(lease, index, truth(index), self.now);
        self.act();
        // Only the lease that is listened to moves the client's stream on.
        assert!(self.forwarded.len() == before.0 || before.1 == Some(lease));
    }

    fn dispatch(&mut self, lease: LeaseId) {
        let generated = u32::try_from(self.stream.generated().len()).expect("few tokens");
        self.cursors.insert(lease, generated);
        *self.open.entry(lease).or_default() += 1;
        self.stream.dispatched(lease, node(lease), self.now);
        self.act();
    }

    fn act(&mut self) {
        while let Some(action) = self.stream.poll() {
            // After the end, only a dispatch that came too late is taken back.
            let taken_back = matches!(action, Action::Cancel { .. } | Action::Done { .. });
            assert!(self.verdicts == 0 || taken_back, "{action:?} after the end");
            match action {
                Action::Forward { index, id } => {
                    assert_eq!(index as usize, self.forwarded.len());
                    self.forwarded.push(id);
                }
                Action::Dispatch {
                    exclude, generated, ..
                } => {
                    assert_eq!(generated, self.forwarded);
                    let resume_from = u32::try_from(generated.len()).expect("few tokens");
                    self.wanted = Some((exclude, resume_from));
                }
                Action::Done { lease, .. } => {
                    let open = self.open.entry(lease).or_default();
                    *open -= 1;
                    assert!(*open >= 0, "done twice");
                }
                Action::Blame { lease } => assert_ne!(self.stream.lease(), Some(lease)),
                Action::Cancel { lease } => {
                    self.cancelled.insert(lease);
                }
                Action::Probe { lease } => assert_eq!(self.stream.lease(), Some(lease)),
                Action::Finish { tokens, .. } => {
                    assert_eq!(tokens as usize, self.forwarded.len());
                    self.verdicts += 1;
                }
                Action::Fail { .. } => self.verdicts += 1,
            }
        }
        self.check();
    }

    fn check(&self) {
        assert_eq!(check_stream(&self.stream), Ok(()));
        let expected: Vec<u32> = (0..).map(truth).take(self.forwarded.len()).collect();
        assert_eq!(self.forwarded, expected);
        // What is open is exactly what is listened to.
        let open: Vec<_> = self
            .open
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(&l, _)| l)
            .collect();
        assert_eq!(open, self.stream.lease().into_iter().collect::<Vec<_>>());
    }

    /// Every further replica is silent; only time passes. Returns the ticks until the end.
    fn run_out(&mut self) -> usize {
        let mut fresh = 1_000;
        for ticks in 0..10_000 {
            let Some(deadline) = self.stream.next_deadline() else {
                return ticks;
            };
            assert!(
                deadline > self.now || ticks == 0,
                "a deadline that does not move"
            );
            self.now = self.now.max(deadline);
            self.stream.tick(self.now);
            self.act();
            if self.wanted.take().is_some() && self.stream.ended().is_none() {
                fresh += 1;
                self.dispatch(LeaseId::from_u128(fresh));
            }
        }
        panic!("the stream does not end");
    }
}

proptest! {
    #[test]
    fn nothing_is_doubled_lost_or_leaked_in_any_order(
        steps in steps(), max_tokens in 1_u32..60, may_resume: bool,
    ) {
        let mut world = World::new(max_tokens, may_resume);
        for step in &steps {
            world.apply(step);
        }
        world.run_out();
        prop_assert!(world.stream.ended().is_some());
        prop_assert!(world.open.values().all(|&open| open == 0));
    }
}

/// How a replica is lost.
#[derive(Clone, Copy, Debug)]
enum Kill {
    Reset,
    Silence,
    Skip,
    Drain,
    Probe,
}

fn kills() -> impl Strategy<Value = Vec<(u32, Kill)>> {
    let kill = prop_oneof![
        Just(Kill::Reset),
        Just(Kill::Silence),
        Just(Kill::Skip),
        Just(Kill::Drain),
        Just(Kill::Probe),
    ];
    proptest::collection::vec((0_u32..40, kill), 0..=3)
}

impl World {
    /// Runs honest replicas, each lost after the given number of tokens; the last is not.
    fn serve(&mut self, answer: u32, kills: &[(u32, Kill)]) {
        for number in 0..=kills.len() {
            let lease = LeaseId::from_u128(number as u128);
            let (exclude, _) = self.wanted.take().expect("a replica is asked for");
            assert!(!exclude.contains(&lease));
            self.dispatch(lease);
            let tokens = kills.get(number).map_or(u32::MAX, |&(tokens, _)| tokens);
            if self.generate(lease, answer, tokens) {
                return;
            }
            self.lose(lease, kills[number].1);
        }
    }

    /// True when the answer was ended.
    fn generate(&mut self, lease: LeaseId, answer: u32, tokens: u32) -> bool {
        for _ in 0..tokens {
            if self.forwarded.len() == answer as usize {
                self.stream.end(lease, ReplicaEnd::Stop, self.now);
                self.act();
                return true;
            }
            self.now = self.now + Span::from_millis(20);
            self.say(lease, 0);
        }
        false
    }

    fn wait(&mut self) {
        self.now = self.stream.next_deadline().expect("it goes on");
        self.stream.tick(self.now);
        self.act();
    }

    fn lose(&mut self, lease: LeaseId, kill: Kill) {
        match kill {
            Kill::Reset => self.stream.broken(lease, Broken::ConnectionLost, self.now),
            Kill::Drain => self.stream.end(lease, ReplicaEnd::Draining, self.now),
            Kill::Skip => return self.say(lease, 1),
            Kill::Silence => {
                while self.stream.lease() == Some(lease) {
                    self.wait();
                }
            }
            Kill::Probe => {
                self.wait();
                self.stream.probe_failed(lease, true, self.now);
            }
        }
        self.act();
    }
}

proptest! {
    #[test]
    fn the_answer_is_the_same_whatever_dies(answer in 1_u32..100, kills in kills()) {
        let mut world = World::new(1_000, true);
        world.serve(answer, &kills);
        prop_assert_eq!(world.stream.ended(), Some(Ended::Finished(Finish::Stop)));
        let untouched: Vec<u32> = (0..answer).map(truth).collect();
        prop_assert_eq!(&world.forwarded, &untouched);
        prop_assert!(world.stream.moves().iter().all(|m| m.index <= answer));
        let delivery = world.stream.delivery();
        let paid: u32 = delivery.delivered.iter().map(|part| part.tokens).sum();
        prop_assert_eq!(paid, answer);
    }
}
