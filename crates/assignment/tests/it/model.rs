//! A node without processes: it does what a plan says, and nature takes its course.

use proptest::prelude::*;
use remuda_assignment::{
    Action, Assigned, Assignment, Desired, Exit, LeaseAt, Observed, Replica, RestartPolicy, Stamp,
    State, Wanted, invariant, next_deadline, plan,
};
use remuda_types::{Digest, LeaseId, ReplicaId, Span, Time, WorkloadId};

pub const START: Time = Time::from_millis(1_000_000);

pub fn lease(n: u8) -> LeaseId {
    LeaseId::from_u128(u128::from(n))
}

pub fn lease_at(n: u8, epoch: u64) -> LeaseAt {
    LeaseAt {
        lease: lease(n),
        epoch,
    }
}

pub fn spec(n: u8) -> Digest {
    Digest([n; 32])
}

pub fn assigned(n: u8) -> Assigned {
    Assigned {
        lease: lease(n),
        lease_epoch: 1,
        replica: ReplicaId::from_u128(1),
        workload: WorkloadId::from_u128(1),
        hard_end: START + Span::HOUR,
        wanted: Wanted::Run,
        spec_digest: spec(0),
    }
}

pub fn replica(state: State) -> Replica {
    Replica {
        state,
        since: START,
        spec_digest: spec(0),
        hard_end: START + Span::HOUR,
        stop_grace: Span::from_secs(10),
        restarts: 0,
        end_reported: false,
    }
}

pub fn desired(replicas: impl IntoIterator<Item = Assigned>) -> Desired {
    let mut desired = Desired::default();
    let stamp = Stamp {
        epoch: 1,
        generation: 1,
    };
    desired
        .accept(Assignment::new(stamp, replicas).unwrap())
        .unwrap();
    desired
}

pub struct Model {
    pub desired: Desired,
    pub observed: Observed,
    pub now: Time,
}

impl Model {
    pub fn plan(&self) -> Vec<Action> {
        let actions = plan(
            &self.desired,
            &self.observed,
            &RestartPolicy::default(),
            self.now,
        );
        invariant::check_plan(&self.desired, &actions).unwrap();
        actions
    }

    pub fn plan_at(&self, now: Time) -> Vec<Action> {
        plan(
            &self.desired,
            &self.observed,
            &RestartPolicy::default(),
            now,
        )
    }

    pub fn deadline(&self) -> Option<Time> {
        next_deadline(
            &self.desired,
            &self.observed,
            &RestartPolicy::default(),
            self.now,
        )
    }

    pub fn apply(&mut self, action: &Action) {
        match action {
            Action::Prepare(at) => self.prepare(*at),
            Action::Start(at) => self.turn(*at, State::Starting),
            Action::Restart(at) => self.restart(*at),
            Action::Drain { at, .. } => self.turn(*at, State::Draining),
            Action::Undrain(at) => self.turn(*at, State::Ready),
            Action::Stop { at, .. } | Action::FenceOff(at) => self.stop(*at),
            Action::Kill(at) => self.turn(*at, State::Ended(Exit::Stopped)),
            Action::Forget(at) => drop(self.observed.remove(at)),
        }
        invariant::check(&self.observed).unwrap();
    }

    pub fn turn(&mut self, at: LeaseAt, state: State) {
        let now = self.now;
        if let Some(replica) = self.observed.get_mut(&at).filter(|r| r.state != state) {
            replica.state = state;
            replica.since = now;
        }
    }

    /// What does not run yet is over at once.
    fn stop(&mut self, at: LeaseAt) {
        let runs = self
            .observed
            .get(&at)
            .is_some_and(|replica| replica.state.runs());
        self.turn(
            at,
            if runs {
                State::Stopping
            } else {
                State::Ended(Exit::Stopped)
            },
        );
    }

    fn prepare(&mut self, at: LeaseAt) {
        let assigned = *self.desired.assignment().unwrap().get(&at.lease).unwrap();
        let new = Replica {
            since: self.now,
            spec_digest: assigned.spec_digest,
            hard_end: assigned.hard_end,
            ..replica(State::Preparing)
        };
        self.observed.entry(at).or_insert(new);
    }

    fn restart(&mut self, at: LeaseAt) {
        self.turn(at, State::Preparing);
        self.observed.entry(at).and_modify(|r| {
            r.restarts += 1;
            r.end_reported = false;
        });
    }

    /// One step of a world in which nothing fails. Whether anything moved.
    pub fn flow(&mut self) -> bool {
        let before = self.observed.clone();
        for at in before.keys() {
            self.turn(*at, onward(before[at].state));
            self.observed
                .entry(*at)
                .and_modify(|r| r.end_reported |= r.state.has_ended());
        }
        before != self.observed
    }
}

/// What comes next if nothing fails. Draining and stopping take their time: deadlines end them.
fn onward(state: State) -> State {
    match state {
        State::Preparing => State::Prepared,
        State::Starting | State::Unhealthy => State::Ready,
        State::Prepared | State::Ready | State::Draining | State::Stopping | State::Ended(_) => {
            state
        }
    }
}

pub fn states() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Preparing),
        Just(State::Prepared),
        Just(State::Starting),
        Just(State::Ready),
        Just(State::Unhealthy),
        Just(State::Draining),
        Just(State::Stopping),
        exits().prop_map(State::Ended),
    ]
}

pub fn exits() -> impl Strategy<Value = Exit> {
    prop::sample::select(vec![
        Exit::Stopped,
        Exit::Completed,
        Exit::Crashed,
        Exit::OutOfMemory,
        Exit::PrepareFailed,
        Exit::NeverReady,
        Exit::LeaseEnded,
        Exit::RuntimeRefused,
        Exit::DaemonRestarted,
    ])
}

/// Instants round the start: past, near, far, never.
fn instants() -> impl Strategy<Value = Time> {
    prop_oneof![
        (900_000_u64..1_200_000).prop_map(Time::from_millis),
        Just(START + Span::DAY),
        Just(Time::FOREVER),
    ]
}

pub fn assignments(stamp: Stamp) -> impl Strategy<Value = Assignment> {
    let one = (
        1_u64..4,
        0_u8..3,
        instants(),
        prop::option::weighted(0.3, instants()),
    );
    prop::collection::btree_map(0_u8..5, one, 0..5).prop_map(move |replicas| {
        let replicas = replicas
            .into_iter()
            .map(|(n, (lease_epoch, digest, hard_end, drain))| {
                let wanted = drain.map_or(Wanted::Run, |deadline| Wanted::Drain { deadline });
                Assigned {
                    lease_epoch,
                    hard_end,
                    wanted,
                    spec_digest: spec(digest),
                    ..assigned(n)
                }
            });
        Assignment::new(stamp, replicas).unwrap()
    })
}

/// Local replicas as a node may find them: of each lease at most one epoch runs.
pub fn observations() -> impl Strategy<Value = Observed> {
    let one = (states(), 0_u8..3, instants(), 0_u32..4, any::<bool>());
    prop::collection::btree_map((0_u8..5, 0_u64..5), one, 0..8).prop_map(|replicas| {
        let mut observed = Observed::new();
        for ((n, epoch), (state, digest, hard_end, restarts, reported)) in replicas {
            let new = Replica {
                spec_digest: spec(digest),
                hard_end,
                restarts,
                end_reported: reported && state.has_ended(),
                ..replica(state)
            };
            observed.insert(lease_at(n, epoch), new);
            if invariant::check(&observed).is_err() {
                observed.remove(&lease_at(n, epoch));
            }
        }
        observed
    })
}
