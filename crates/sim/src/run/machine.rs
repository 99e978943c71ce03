//! A node without processes: the real reconciler plans, and nature takes its course.
//!
//! What befalls it is counted by kind, for faults overlap: it runs when nothing holds it down, does
//! something when nothing has frozen it, and is heard when nothing cuts it off.

use std::collections::BTreeMap;

use remuda_assignment::{
    Action, Assigned, Assignment, Desired, Exit, LeaseAt, Observed, Replica, RestartPolicy, State,
    invariant, next_deadline, plan,
};
use remuda_network::absence::Gap;
use remuda_network::command::ObservedPhase;
use remuda_network::state::EndReason;
use remuda_types::{Capacity, LeaseId, NodeKey, Span, Time};

use super::cause::Cause;
use super::clock::Clock;
use super::dice::Dice;
use super::message::{Report, Seen};

/// Between two reports.
const REPORT_INTERVAL: Span = Span::from_secs(1);

/// A machine that stood still for so long knows it by its clock.
const PAUSE: Span = Span::from_secs(1);

/// How long what drains takes to finish what it has.
const FINISHING: Span = Span::from_secs(5);

/// How long replicas take to come up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Fetching image and weights: half are faster.
    pub(crate) prepare: Span,
    /// How far fetching differs: the sigma of a log-normal.
    pub(crate) prepare_sigma: f64,
    /// From the start to the first probe served: half are faster.
    pub(crate) start: Span,
}

/// What keeps a machine from serving, and how much of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Afflictions {
    down: u16,
    frozen: u16,
    cut: u16,
}

/// What a fault does to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affliction {
    /// Nothing runs; what ran is lost.
    Down,
    /// Nothing is done and nothing heard.
    Frozen,
    /// All runs, and nothing passes between it and the rest.
    Cut,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) key: NodeKey,
    pub(crate) capacity: Capacity,
    pub(crate) boot: u64,
    afflictions: Afflictions,
    /// What keeps it from serving, or did last.
    pub(crate) cause: Cause,
    /// It left for good.
    pub(crate) gone: bool,
    /// It has said all that there is to say, and nothing is under way.
    pub(crate) quiet: bool,
    /// Something is about to befall it, so often: it has said its last word, and is watched.
    pub(crate) doomed: u16,
    /// When its next wake-up is planned.
    pub(crate) wakes: Option<Time>,
    /// What its daemon goes by.
    pub(crate) clock: Clock,
    desired: Desired,
    observed: Observed,
    /// When what is under way will be done.
    done_at: BTreeMap<LeaseAt, Time>,
    seq: u64,
    next_report: Time,
    /// Since when it stands still, if it does.
    frozen_since: Time,
    pauses: Vec<Gap>,
}

impl Machine {
    pub(crate) fn new(key: NodeKey, capacity: Capacity, now: Time) -> Self {
        Self {
            key,
            capacity,
            boot: 1,
            afflictions: Afflictions::default(),
            cause: Cause::Other,
            gone: false,
            quiet: true,
            doomed: 0,
            wakes: None,
            clock: Clock::new(now),
            desired: Desired::default(),
            observed: Observed::new(),
            done_at: BTreeMap::new(),
            seq: 0,
            next_report: now,
            frozen_since: now,
            pauses: Vec::new(),
        }
    }

    /// Whether it does something.
    pub(crate) const fn stirs(&self) -> bool {
        self.afflictions.down == 0 && self.afflictions.frozen == 0
    }

    /// Whether messages reach it and leave it.
    pub(crate) const fn is_reachable(&self) -> bool {
        self.stirs() && self.afflictions.cut == 0
    }

    /// Whether nothing cuts it off, whatever its state.
    pub(crate) const fn is_connected(&self) -> bool {
        self.afflictions.cut == 0
    }

    /// A fault strikes.
    pub(crate) fn suffer(&mut self, affliction: Affliction, cause: Cause, now: Time) {
        if self.is_reachable() {
            self.cause = cause;
        }
        if affliction == Affliction::Frozen && self.afflictions.frozen == 0 {
            self.frozen_since = now;
        }
        self.quiet = false;
        *self.count(affliction) += 1;
    }

    /// A fault is over.
    pub(crate) fn recover(&mut self, affliction: Affliction, now: Time) {
        let count = self.count(affliction);
        *count = count.saturating_sub(1);
        let over = *count == 0;
        match affliction {
            Affliction::Down if over => self.restart(now),
            Affliction::Frozen if over => self.notice_pause(now),
            Affliction::Down | Affliction::Frozen | Affliction::Cut => {}
        }
        self.quiet = false;
        self.next_report = now;
    }

    fn notice_pause(&mut self, now: Time) {
        let (from, to) = (self.frozen_since, now);
        if to.since(from) >= PAUSE {
            self.pauses.push(Gap { from, to });
        }
    }

    fn count(&mut self, affliction: Affliction) -> &mut u16 {
        match affliction {
            Affliction::Down => &mut self.afflictions.down,
            Affliction::Frozen => &mut self.afflictions.frozen,
            Affliction::Cut => &mut self.afflictions.cut,
        }
    }

    /// The daemon begins anew: it has its record and its assignment, but nothing runs.
    fn restart(&mut self, now: Time) {
        self.boot += 1;
        self.seq = 0;
        self.pauses.clear();
        self.done_at.clear();
        let clock = self.clock.at(now);
        for replica in self.observed.values_mut().filter(|r| !r.state.has_ended()) {
            replica.state = State::Ended(Exit::DaemonRestarted);
            replica.since = clock;
            replica.end_reported = false;
        }
    }

    /// Begins to talk again, at `at`: control has forgotten its session.
    pub(crate) fn reconnect(&mut self, at: Time) {
        self.quiet = false;
        self.next_report = at;
    }

    /// Takes an assignment, unless it holds a newer one.
    pub(crate) fn accept(&mut self, assignment: Assignment) {
        if self.desired.accept(assignment).is_err() {
            return;
        }
        self.quiet = false;
    }

    /// What it holds itself to.
    pub(crate) fn assigned(&self) -> impl Iterator<Item = &Assigned> {
        let held = self.desired.assignment().into_iter();
        held.flat_map(Assignment::replicas)
    }

    /// Does what is to be done now; a report if one is due.
    ///
    /// # Errors
    /// The reconciler's own promises, when it breaks one.
    pub(crate) fn wake(
        &mut self,
        now: Time,
        pace: &Pace,
        dice: &mut Dice,
    ) -> Result<Option<Report>, invariant::Violation> {
        if !self.stirs() {
            return Ok(None);
        }
        if self.settle(now, pace, dice)? {
            // What changed is told at once.
            self.next_report = now;
        }
        let due = !self.quiet && self.next_report <= now;
        Ok(due.then(|| self.report(now)))
    }

    /// Plans and does until there is nothing to do. Whether anything changed.
    fn settle(
        &mut self,
        now: Time,
        pace: &Pace,
        dice: &mut Dice,
    ) -> Result<bool, invariant::Violation> {
        let clock = self.clock.at(now);
        let mut changed = false;
        loop {
            changed |= self.flow(clock);
            let restarts = RestartPolicy::default();
            let actions = plan(&self.desired, &self.observed, &restarts, clock);
            invariant::check_plan(&self.desired, &actions)?;
            let before = self.observed.clone();
            for action in &actions {
                self.act(action, clock, pace, dice);
            }
            invariant::check(&self.observed)?;
            if self.observed == before {
                return Ok(changed);
            }
            changed = true;
        }
    }

    /// When it has to be woken next, if nothing else happens before.
    pub(crate) fn next_wake(&self, now: Time) -> Option<Time> {
        if !self.stirs() || self.quiet {
            return None;
        }
        let clock = self.clock.at(now);
        let restarts = RestartPolicy::default();
        let deadline = next_deadline(&self.desired, &self.observed, &restarts, clock);
        let done = self.done_at.values().copied().min();
        let local = deadline
            .into_iter()
            .chain(done)
            .map(|at| self.clock.when(at));
        local.chain([self.next_report]).min()
    }

    /// Whether nothing is under way.
    pub(crate) fn is_settled(&self) -> bool {
        self.done_at.is_empty() && self.observed.values().all(|r| r.state == State::Ready)
    }

    fn report(&mut self, now: Time) -> Report {
        self.next_report = now + REPORT_INTERVAL;
        self.note_ends();
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
        Report {
            node: self.key,
            boot: self.boot,
            seq: self.seq,
            capacity: self.capacity,
            seen: seen.collect(),
            pauses: self.pauses.clone(),
        }
    }

    /// Whatever has ended and control no longer names needs no more words.
    fn note_ends(&mut self) {
        let assigned = self.desired.assignment();
        for (at, replica) in &mut self.observed {
            let named = assigned.is_some_and(|held| held.get(&at.lease).is_some());
            replica.end_reported |= replica.state.has_ended() && !named;
        }
    }

    fn act(&mut self, action: &Action, clock: Time, pace: &Pace, dice: &mut Dice) {
        match action {
            Action::Prepare(at) => {
                self.prepare(*at, clock);
                self.await_for(*at, clock + dice.around(pace.prepare, pace.prepare_sigma));
            }
            Action::Start(at) => {
                self.turn(*at, State::Starting, clock);
                self.await_for(*at, clock + dice.around(pace.start, 0.2));
            }
            Action::Restart(at) => {
                self.turn(*at, State::Preparing, clock);
                self.observed.entry(*at).and_modify(|r| r.restarts += 1);
                // What was fetched is here.
                self.await_for(*at, clock);
            }
            Action::Drain { at, deadline } => {
                self.turn(*at, State::Draining, clock);
                self.await_for(*at, (clock + FINISHING).min(*deadline));
            }
            Action::Undrain(at) => self.turn(*at, State::Ready, clock),
            Action::Stop { at, .. } | Action::FenceOff(at) | Action::Kill(at) => {
                self.done_at.remove(at);
                self.turn(*at, State::Ended(Exit::Stopped), clock);
            }
            Action::Forget(at) => {
                self.observed.remove(at);
            }
        }
    }

    fn await_for(&mut self, at: LeaseAt, done: Time) {
        self.done_at.insert(at, done);
    }

    fn prepare(&mut self, at: LeaseAt, clock: Time) {
        let assigned = self.desired.assignment();
        let Some(assigned) = assigned.and_then(|held| held.get(&at.lease)) else {
            return;
        };
        let new = Replica {
            state: State::Preparing,
            since: clock,
            spec_digest: assigned.spec_digest,
            hard_end: assigned.hard_end,
            stop_grace: Span::from_secs(1),
            restarts: 0,
            end_reported: false,
        };
        self.observed.entry(at).or_insert(new);
    }

    fn turn(&mut self, at: LeaseAt, state: State, clock: Time) {
        if let Some(replica) = self.observed.get_mut(&at).filter(|r| r.state != state) {
            replica.state = state;
            replica.since = clock;
        }
    }

    /// Ends what was under way and is done by now. Whether anything was.
    fn flow(&mut self, clock: Time) -> bool {
        let done: Vec<_> = self.done_at.extract_if(.., |_, at| *at <= clock).collect();
        for (at, _) in &done {
            let Some(state) = self.observed.get(at).map(|replica| replica.state) else {
                continue;
            };
            let next = match state {
                State::Preparing => State::Prepared,
                State::Starting => State::Ready,
                State::Draining => State::Ended(Exit::Stopped),
                other => other,
            };
            self.turn(*at, next, clock);
        }
        !done.is_empty()
    }

    /// What runs here, if the machine does.
    pub(crate) fn running(&self) -> impl Iterator<Item = LeaseAt> {
        let up = self.afflictions.down == 0;
        let running = self
            .observed
            .iter()
            .filter(move |(_, r)| up && r.state.runs());
        running.map(|(at, _)| *at)
    }

    /// Whether a lease's replica only finishes what it has.
    pub(crate) fn is_draining(&self, lease: LeaseId) -> bool {
        let mut of_lease = self.observed.iter().filter(|(at, _)| at.lease == lease);
        of_lease.any(|(_, replica)| replica.state == State::Draining)
    }

    /// The leases whose replica serves whoever can reach it now.
    pub(crate) fn serving(&self) -> impl Iterator<Item = LeaseId> {
        let reachable = self.is_reachable();
        let serves = |state| matches!(state, State::Ready | State::Draining);
        let serving = self
            .observed
            .iter()
            .filter(move |(_, r)| reachable && serves(r.state));
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

const fn reason(exit: Exit) -> EndReason {
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
