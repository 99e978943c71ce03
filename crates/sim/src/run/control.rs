//! Control without sockets: the real network behind a disk that may fail, verdicts and reports as
//! commands, the state as assignments. It can crash; then only what the disk has is left.

mod due;
mod session;

use std::collections::{BTreeMap, BTreeSet};

use remuda_assignment::{Assigned, Assignment, Stamp, Wanted};
use remuda_liveness::Verdict;
use remuda_network::network::Decision;
use remuda_network::repack::Rounds;
use remuda_network::state::{Phase, Presence};
use remuda_network::{Command, Event, Network, Refusal, invariant};
use remuda_types::{CommandId, Digest, Entropy, NodeKey, Span, Time};

use super::clock::Clock;
use super::disk::{Append, Disk};
use super::error::Broken;
use super::message::Message;
use super::planning::Planning;
use super::watch::{Finding, Watch};
use session::Session;

/// How long nodes have to come back after control did, and by when all that did not are judged.
const ADOPT_WITHIN: Span = Span::from_secs(10);
const VERDICTS_WITHIN: Span = Span::from_secs(5);

/// How long control serves reads only after an append failed.
const READ_ONLY: Span = Span::from_secs(1);

/// What the clock brings about is done together for so long.
const TICK_EVERY: Span = Span::from_secs(1);

/// Whether control takes commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Up,
    /// An append failed: nothing is taken until the network is that of the journal again.
    ReadOnly(Time),
    /// It is not there, until a true time.
    Down(Time),
}

/// What became of a command.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Taken(Vec<Event>),
    /// It was taken before, under this id.
    Repeated,
    Refused(Box<Refusal>),
    /// Nobody takes commands now.
    Away,
}

/// The control plane.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) network: Network,
    pub(crate) planning: Planning,
    /// What it goes by: what it is told happens at a true time, what it does at its own.
    pub(crate) clock: Clock,
    disk: Disk,
    watch: Watch,
    detection: super::watch::Detection,
    standing: Standing,
    /// An append failed since this was last asked.
    pub(crate) went_read_only: bool,
    /// Whether nodes are told every change, later hard ends included.
    pub(crate) tells_all: bool,
    pub(super) epoch: u64,
    /// Of the last assignment or table that was told.
    pub(super) generation: u64,
    pub(crate) commands: u64,
    sessions: BTreeMap<NodeKey, Session>,
    /// Nodes whose assignment is another than they were told.
    changed: BTreeSet<NodeKey>,
    /// Verdicts that could not be written down, the newest of each node.
    verdicts: BTreeMap<NodeKey, Command>,
    /// Nodes that were not heard since control came back.
    unheard: BTreeSet<NodeKey>,
    /// The last that the journal knew of when control came back.
    recovered: Time,
    adopt_at: Option<Time>,
    settle_at: Time,
    /// Since when the journal takes what is appended.
    writes_since: Time,
    tick_at: Time,
    repacking: Rounds,
    /// A batch that is on the disk although the disk said no.
    unclear: Option<(Time, CommandId, Vec<Event>)>,
    /// The first invariant that a batch broke, until somebody asks.
    pub(crate) broke: Option<invariant::Violation>,
    /// Messages to send.
    pub(crate) outbox: Vec<Message>,
    /// What was committed, for those who follow.
    pub(crate) facts: Vec<Event>,
}

impl Control {
    pub(crate) fn new(detection: super::watch::Detection, disk: Disk, now: Time) -> Self {
        Self {
            network: Network::default(),
            planning: Planning::default(),
            clock: Clock::new(now),
            disk,
            watch: Watch::new(detection),
            detection,
            standing: Standing::Up,
            went_read_only: false,
            tells_all: false,
            epoch: 1,
            generation: 0,
            commands: 0,
            sessions: BTreeMap::new(),
            changed: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            unheard: BTreeSet::new(),
            recovered: now,
            adopt_at: None,
            settle_at: now,
            writes_since: now,
            tick_at: now,
            repacking: Rounds::default(),
            unclear: None,
            broke: None,
            outbox: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// From now on so many appends fail.
    pub(crate) fn disk_fails(&mut self, failing: f64) {
        self.disk.fails(failing);
    }

    /// Whether a batch of this id is on the disk although the disk said no.
    pub(crate) fn is_unclear(&self, id: CommandId) -> bool {
        self.unclear.as_ref().is_some_and(|(_, of, _)| *of == id)
    }

    pub(crate) fn command_id(&mut self, now: Time) -> CommandId {
        self.commands += 1;
        let mut entropy = [0; 10];
        entropy[2..].copy_from_slice(&self.commands.to_be_bytes());
        CommandId::new(now, Entropy(entropy))
    }

    /// Decides, appends, commits; then, and only then, answers.
    pub(crate) fn submit(&mut self, now: Time, command: &Command) -> Answer {
        let id = self.command_id(now);
        self.submit_as(now, id, command)
    }

    /// The same under an id that was chosen before.
    pub(crate) fn submit_as(&mut self, now: Time, id: CommandId, command: &Command) -> Answer {
        self.put(self.clock.at(now), id, command)
    }

    /// The same at a time of control's clock.
    fn put(&mut self, now: Time, id: CommandId, command: &Command) -> Answer {
        if self.standing != Standing::Up {
            return Answer::Away;
        }
        self.network.spare_spot(now < self.settle_at);
        let events = match self.network.decide(now, id, command) {
            Ok(Decision::New(events)) => events,
            Ok(Decision::Repeat) => return Answer::Repeated,
            Err(refusal) => return Answer::Refused(Box::new(refusal)),
        };
        if events.is_empty() {
            return Answer::Taken(events);
        }
        match self.disk.append(now, id, &events) {
            Append::Kept => {
                self.commit(now, id, &events);
                return Answer::Taken(events);
            }
            Append::Lost => {}
            Append::Unclear => self.unclear = Some((now, id, events)),
        }
        self.standing = Standing::ReadOnly(now + READ_ONLY);
        self.went_read_only = true;
        Answer::Away
    }

    fn commit(&mut self, now: Time, id: CommandId, events: &[Event]) {
        for event in events {
            self.note_change(event);
        }
        self.network.commit(now, id, events);
        let checked = invariant::check_batch(self.network.state(), events);
        self.broke = self.broke.take().or(checked.err());
        self.facts.extend(events.iter().cloned());
    }

    /// Which nodes are to be told something else. Of nodes that are not simulated second by second
    /// a later hard end is known to have been told.
    fn note_change(&mut self, event: &Event) {
        let node = match event {
            Event::LeaseGranted { node, .. } => Some(*node),
            Event::LeaseEnded { lease, .. }
            | Event::LeasePhased {
                lease,
                phase: Phase::Draining(_),
                ..
            } => self.node_of(lease),
            Event::LeaseSettled { lease, .. } if self.tells_all => self.node_of(lease),
            _ => None,
        };
        self.changed.extend(node);
    }

    fn node_of(&self, lease: &remuda_types::LeaseId) -> Option<NodeKey> {
        let lease = self.network.state().leases.get(lease);
        lease.map(|lease| lease.node)
    }

    /// A command of control's own: a refusal is an answer like any other, for what was seen may be
    /// of an older epoch. Whether it was written down.
    fn run(&mut self, now: Time, command: &Command) -> bool {
        let id = self.command_id(now);
        match self.put(now, id, command) {
            Answer::Taken(_) | Answer::Repeated | Answer::Refused(_) => true,
            Answer::Away => false,
        }
    }

    /// Control dies; another has the journal at `back`.
    pub(crate) fn crash(&mut self, back: Time) {
        self.standing = Standing::Down(back);
        self.outbox.clear();
    }

    /// Whether control is there.
    pub(crate) const fn is_there(&self) -> bool {
        !matches!(self.standing, Standing::Down(_))
    }

    /// Whether control is there and has heard its nodes since it came.
    pub(crate) fn knows_its_nodes(&self, now: Time) -> bool {
        self.is_there() && self.settle_at <= self.clock.at(now)
    }

    /// Since when control has taken commands and known its nodes, if it does.
    pub(crate) fn well_since(&self) -> Option<Time> {
        (self.standing == Standing::Up).then(|| self.settle_at.max(self.writes_since))
    }

    /// The next control: it knows what the journal knows.
    fn take_over(&mut self, now: Time) -> Result<(), Broken> {
        self.reread()?;
        self.epoch += 1;
        self.generation = 0;
        self.recovered = self.network.state().clock;
        self.watch = Watch::new(self.detection);
        self.sessions.clear();
        self.changed.clear();
        self.verdicts.clear();
        self.adopt_at = Some(now + ADOPT_WITHIN);
        self.settle_at = now + ADOPT_WITHIN + VERDICTS_WITHIN;
        self.unheard = self.network.state().nodes.keys().copied().collect();
        Ok(())
    }

    /// Takes the network from the journal.
    fn reread(&mut self) -> Result<(), Broken> {
        if let Some((at, id, events)) = self.unclear.take() {
            self.commit(at, id, &events);
        }
        if let Some(replayed) = self.disk.replayed()? {
            if replayed.state() != self.network.state() {
                return Err(Broken::Journal);
            }
            self.network = replayed;
        }
        self.standing = Standing::Up;
        Ok(())
    }

    /// Does what is due. `witness` is a node that is heard right now, if any is. Whether another
    /// control has taken over: all nodes then connect anew.
    pub(crate) fn wake(&mut self, now: Time, witness: Option<NodeKey>) -> Result<bool, Broken> {
        let mut took_over = false;
        let (true_time, now) = (now, self.clock.at(now));
        match self.standing {
            Standing::Down(back) if back <= true_time => {
                self.take_over(now)?;
                took_over = true;
            }
            Standing::Down(_) => return Ok(false),
            Standing::ReadOnly(until) if until <= now => {
                self.reread()?;
                self.writes_since = now;
            }
            Standing::ReadOnly(_) | Standing::Up => {}
        }
        if self.adopt_at.take_if(|at| *at <= now).is_some() {
            self.adopt(now);
        }
        self.judge(now, witness);
        self.tick(now);
        self.plan(now)?;
        self.repack(now);
        self.tell();
        Ok(took_over)
    }

    fn judge(&mut self, now: Time, witness: Option<NodeKey>) {
        for (node, command) in std::mem::take(&mut self.verdicts) {
            if !self.run(now, &command) {
                self.verdicts.insert(node, command);
            }
        }
        if self.watch.next_deadline().is_none_or(|due| due > now) {
            return;
        }
        // Of all the nodes that are well, one speaks for the rest.
        let witness = witness.filter(|node| self.watch.verdict(node).is_none());
        let mut found: Vec<_> = Vec::new();
        found.extend(
            witness
                .into_iter()
                .flat_map(|node| self.watch.joined(node, now)),
        );
        found.extend(self.watch.tick(now));
        found.extend(witness.into_iter().flat_map(|node| self.watch.left(node)));
        self.follow(now, found);
    }

    fn follow(&mut self, now: Time, found: Vec<Finding>) {
        for finding in found {
            match finding {
                Finding::Probe(probe) => self.outbox.push(Message::Probe(probe)),
                Finding::Verdict {
                    node,
                    to,
                    last_seen,
                } => self.pass(now, node, to, last_seen),
                Finding::InDoubt => {}
            }
        }
    }

    fn pass(&mut self, now: Time, node: NodeKey, to: Verdict, last_seen: Time) {
        // What was never heard since control came back was last heard before it went.
        let last_seen = if self.unheard.contains(&node) {
            self.recovered
        } else {
            last_seen
        };
        let command = match to {
            Verdict::Alive => Command::NodeCleared { node },
            Verdict::Suspect => Command::NodeSuspected { node, last_seen },
            Verdict::Lost => {
                self.sessions.remove(&node);
                Command::NodeLost { node, last_seen }
            }
        };
        if !self.run(now, &command) {
            self.verdicts.insert(node, command);
        }
    }

    /// Watches nodes that should be there and did not come back.
    fn adopt(&mut self, now: Time) {
        let nodes = self.network.state().nodes.iter();
        let believed = nodes.filter(|(id, node)| match node.presence {
            Presence::Up(_) | Presence::Suspect(_) | Presence::Draining(_) => {
                !self.sessions.contains_key(*id)
            }
            Presence::Away(_) | Presence::Lost(_) | Presence::Left(_) => false,
        });
        for node in believed.map(|(id, _)| *id).collect::<Vec<_>>() {
            let found = self.watch.joined(node, now);
            self.follow(now, found);
        }
    }

    /// Tells nodes what they are to run, where that changed and they are connected.
    fn tell(&mut self) {
        for node in std::mem::take(&mut self.changed) {
            if self.sessions.contains_key(&node) {
                let assignment = self.assignment(node);
                self.outbox
                    .extend(assignment.map(|told| Message::Assignment(node, told)));
            }
        }
    }

    /// All that a node is to run, under a new stamp.
    pub(crate) fn assignment(&mut self, node: NodeKey) -> Option<Assignment> {
        self.generation += 1;
        let stamp = Stamp {
            epoch: self.epoch,
            generation: self.generation,
        };
        Assignment::new(stamp, self.assigned(node)).ok()
    }

    pub(crate) fn assigned(&self, node: NodeKey) -> Vec<Assigned> {
        let state = self.network.state();
        let leases = state
            .nodes
            .get(&node)
            .into_iter()
            .flat_map(|node| &node.leases);
        let leases = leases.filter_map(|id| Some((*id, state.leases.get(id)?)));
        let assigned = leases.map(|(id, lease)| Assigned {
            lease: id,
            lease_epoch: lease.epoch,
            replica: lease.replica,
            workload: lease.workload,
            hard_end: lease.hard_end,
            wanted: match lease.phase {
                Phase::Draining(deadline) => Wanted::Drain { deadline },
                Phase::Placed
                | Phase::Preparing
                | Phase::Starting
                | Phase::Ready
                | Phase::Suspect => Wanted::Run,
            },
            spec_digest: Digest::default(),
        });
        assigned.collect()
    }
}
