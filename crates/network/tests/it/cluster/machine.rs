//! A machine without processes: the reconciler's plan is done, and nature takes its course.

use remuda_assignment::{
    Accepted, Action, Assignment, Desired, Exit, LeaseAt, Observed, Replica, RestartPolicy, State,
    invariant, plan,
};
use remuda_network::absence::Gap;
use remuda_network::command::ObservedPhase;
use remuda_network::state::EndReason;
use remuda_types::{LeaseId, NodeKey, ReplicaId, Span, Time};

use super::Message;
use crate::world::START;

const REPORT_INTERVAL: Span = Span::from_secs(1);
const PREPARING: Span = Span::from_millis(300);
const STARTING: Span = Span::from_millis(400);

/// A machine that stood still for so long knows it by its clock.
const PAUSE: Span = Span::from_secs(1);

/// One line of a report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) at: LeaseAt,
    pub(super) phase: ObservedPhase,
    pub(super) since: Time,
}

pub(super) struct Machine {
    key: NodeKey,
    pub(super) boot: u64,
    pub(super) alive: bool,
    /// When it comes back, if it is dead.
    pub(super) back: Option<Time>,
    pub(super) frozen_until: Time,
    pub(super) cut_until: Time,
    desired: Desired,
    observed: Observed,
    seq: u64,
    next_report: Time,
    /// When it did something last.
    stirred: Time,
    /// When it stood still, since it was started.
    pauses: Vec<Gap>,
}

impl Machine {
    pub(super) fn new(key: NodeKey) -> Self {
        Self {
            key,
            boot: 1,
            alive: true,
            back: None,
            frozen_until: Time::EPOCH,
            cut_until: Time::EPOCH,
            desired: Desired::default(),
            observed: Observed::new(),
            seq: 0,
            next_report: Time::EPOCH,
            stirred: START,
            pauses: Vec::new(),
        }
    }

    pub(super) fn kill(&mut self, back: Option<Time>) {
        self.alive = false;
        self.back = back;
    }

    /// The daemon begins anew: it has its record and its assignment, but nothing runs.
    pub(super) fn restart(&mut self, now: Time) {
        self.alive = true;
        self.back = None;
        self.boot += 1;
        self.seq = 0;
        self.next_report = now;
        self.stirred = now;
        self.pauses.clear();
        for replica in self.observed.values_mut().filter(|r| !r.state.has_ended()) {
            replica.state = State::Ended(Exit::DaemonRestarted);
            replica.since = now;
            replica.end_reported = false;
        }
    }

    pub(super) fn hears(&self, now: Time) -> bool {
        self.alive && self.frozen_until <= now
    }

    /// Takes an assignment, unless it holds a newer one.
    pub(super) fn accept(&mut self, assignment: Assignment) {
        let before = self.desired.clone();
        match self.desired.accept(assignment) {
            Ok(Accepted::Newer) => assert!(self.desired.stamp() > before.stamp()),
            Ok(Accepted::Same) | Err(_) => assert_eq!(self.desired, before),
        }
        // Whatever control no longer names it has taken note of.
        for (at, replica) in &mut self.observed {
            let assigned = self
                .desired
                .assignment()
                .and_then(|held| held.get(&at.lease));
            replica.end_reported |= replica.state.has_ended() && assigned.is_none();
        }
    }

    /// Does what is to be done now; a report if one is due.
    pub(super) fn step(&mut self, now: Time) -> Option<Message> {
        if self.back.is_some_and(|back| back <= now) {
            self.restart(now);
        }
        if !self.hears(now) {
            return None;
        }
        let from = std::mem::replace(&mut self.stirred, now);
        if now.since(from) >= PAUSE {
            self.pauses.push(Gap { from, to: now });
        }
        let actions = plan(
            &self.desired,
            &self.observed,
            &RestartPolicy::default(),
            now,
        );
        invariant::check_plan(&self.desired, &actions).unwrap();
        for action in &actions {
            self.act(action, now);
        }
        self.flow(now);
        invariant::check(&self.observed).unwrap();
        (self.next_report <= now).then(|| self.report(now))
    }

    fn report(&mut self, now: Time) -> Message {
        self.next_report = now + REPORT_INTERVAL;
        self.seq += 1;
        let seen = self.observed.iter().filter_map(|(at, replica)| {
            let phase = phase(replica.state)?;
            let since = replica.since;
            Some(Seen {
                at: *at,
                phase,
                since,
            })
        });
        Message::Report {
            node: self.key,
            boot: self.boot,
            seq: self.seq,
            seen: seen.collect(),
            pauses: self.pauses.clone(),
        }
    }

    fn act(&mut self, action: &Action, now: Time) {
        match action {
            Action::Prepare(at) => self.prepare(*at, now),
            Action::Start(at) => self.turn(*at, State::Starting, now),
            Action::Restart(at) => {
                self.turn(*at, State::Preparing, now);
                self.observed.entry(*at).and_modify(|r| r.restarts += 1);
            }
            Action::Drain { at, .. } => self.turn(*at, State::Draining, now),
            Action::Undrain(at) => self.turn(*at, State::Ready, now),
            Action::Stop { at, .. } | Action::FenceOff(at) | Action::Kill(at) => {
                self.turn(*at, State::Ended(Exit::Stopped), now);
            }
            Action::Forget(at) => {
                self.observed.remove(at);
            }
        }
    }

    fn prepare(&mut self, at: LeaseAt, now: Time) {
        let assigned = self
            .desired
            .assignment()
            .and_then(|held| held.get(&at.lease));
        let assigned = *assigned.expect("only what is assigned is prepared");
        let new = Replica {
            state: State::Preparing,
            since: now,
            spec_digest: assigned.spec_digest,
            hard_end: assigned.hard_end,
            stop_grace: Span::from_secs(1),
            restarts: 0,
            end_reported: false,
        };
        self.observed.entry(at).or_insert(new);
    }

    fn turn(&mut self, at: LeaseAt, state: State, now: Time) {
        if let Some(replica) = self.observed.get_mut(&at).filter(|r| r.state != state) {
            replica.state = state;
            replica.since = now;
        }
    }

    fn flow(&mut self, now: Time) {
        for replica in self.observed.values_mut() {
            let spent = now.since(replica.since);
            let next = match replica.state {
                State::Preparing if spent >= PREPARING => State::Prepared,
                State::Starting if spent >= STARTING => State::Ready,
                other => other,
            };
            if next != replica.state {
                replica.state = next;
                replica.since = now;
            }
        }
    }

    /// What it runs: nothing when it is dead.
    pub(super) fn running(&self) -> impl Iterator<Item = LeaseAt> {
        let alive = self.alive;
        let running = self
            .observed
            .iter()
            .filter(move |(_, r)| alive && r.state.runs());
        running.map(|(at, _)| *at)
    }

    /// Which replica it runs under a lease, as far as it is still assigned.
    pub(super) fn replica_of(&self, at: LeaseAt) -> Option<ReplicaId> {
        let assigned = self.desired.assignment()?.get(&at.lease)?;
        (assigned.at() == at).then_some(assigned.replica)
    }

    /// The leases whose replica serves now.
    pub(super) fn serving(&self, now: Time) -> impl Iterator<Item = LeaseId> {
        let hears = self.hears(now);
        let serves = |state| matches!(state, State::Ready | State::Draining);
        let serving = self
            .observed
            .iter()
            .filter(move |(_, r)| hears && serves(r.state));
        serving.map(|(at, _)| at.lease)
    }
}

fn phase(state: State) -> Option<ObservedPhase> {
    Some(match state {
        State::Preparing | State::Prepared => ObservedPhase::Preparing,
        State::Starting => ObservedPhase::Starting,
        State::Ready => ObservedPhase::Ready,
        State::Unhealthy => ObservedPhase::Unhealthy,
        State::Draining | State::Stopping => return None,
        State::Ended(exit) => ObservedPhase::Ended(reason(exit)),
    })
}

fn reason(exit: Exit) -> EndReason {
    match exit {
        Exit::Stopped => EndReason::Stopped,
        Exit::Completed => EndReason::Completed,
        Exit::Crashed => EndReason::Crashed,
        Exit::OutOfMemory => EndReason::OutOfMemory,
        Exit::PrepareFailed => EndReason::PrepareFailed,
        Exit::NeverReady => EndReason::NeverReady,
        Exit::LeaseEnded => EndReason::TermOver,
        Exit::RuntimeRefused => EndReason::RuntimeRefused,
        Exit::DaemonRestarted => EndReason::NodeRestarted,
    }
}
