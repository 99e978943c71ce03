//! Control without sockets: the detector's verdicts and the nodes' reports become commands, the
//! state becomes assignments. It can crash; then only its journal is left.

use std::collections::{BTreeMap, BTreeSet};

use remuda_assignment::{Assigned, Assignment, LeaseAt, Stamp, Wanted};
use remuda_liveness::{Detector, Output, Transition, Verdict};
use remuda_network::absence::{self, Gap, Testimony};
use remuda_network::command::ObservedPhase;
use remuda_network::state::{Phase, Presence, Terms};
use remuda_network::{Command, Event, Network, Policy};
use remuda_types::{Digest, LeaseId, NodeKey, Span, Time, WorkloadId};

use super::Message;
use super::machine::Seen;
use crate::world::{Record, START, World, capacity, lax};

/// How long machines have to come back after control did.
const GRACE: Span = Span::from_secs(2);

/// By then all that did not come back is judged.
const VERDICTS_WITHIN: Span = Span::from_secs(5);

/// Assignments are told when they change, and again this often: one may be lost.
const TELL_AGAIN: Span = Span::from_secs(1);

pub(super) struct Control {
    pub(super) network: Network,
    journal: Vec<Record>,
    epoch: u64,
    commands: u64,
    detector: Detector,
    sessions: BTreeMap<NodeKey, Session>,
    told: BTreeMap<NodeKey, (Time, Vec<Assigned>)>,
    down_until: Option<Time>,
    adopt_at: Option<Time>,
    /// Until then, after it came back, its clock brings about placements only.
    settle_at: Time,
    /// Machines that were not heard since control came back.
    unheard: BTreeSet<NodeKey>,
    /// The last that the journal knew of when control came back.
    recovered: Time,
    /// It could not tell lately whether it or the machines were silent.
    pub(super) suspends_judgement: bool,
}

/// What control knows of a machine that talks to it.
#[derive(Clone, Copy)]
struct Session {
    boot: u64,
    /// The number of its last report.
    seq: u64,
    heard: Time,
}

/// Slices longer than it takes to miss a machine; one micro-dollar a millisecond.
fn policy() -> Policy {
    Policy {
        slice: Span::from_secs(6),
        slice_min: Span::from_secs(1),
        lease_term: Span::from_secs(60),
        drain_grace: Span::from_secs(3),
        replace_backoff_max: Span::from_secs(4),
        ..lax()
    }
}

impl Control {
    pub(super) fn new(machines: u8) -> Self {
        let mut world = World::new(policy());
        for n in 1..=machines {
            world.node(n, "7.20");
        }
        Self {
            network: world.network,
            journal: world.journal,
            epoch: 1,
            commands: 1_000,
            detector: Detector::default(),
            sessions: BTreeMap::new(),
            told: BTreeMap::new(),
            down_until: None,
            adopt_at: None,
            settle_at: START,
            unheard: BTreeSet::new(),
            recovered: START,
            suspends_judgement: false,
        }
    }

    pub(super) fn deploy(&mut self, terms: &Terms, replicas: u32, nodes: &[NodeKey]) -> WorkloadId {
        let mut world = World::resume(&self.journal);
        let (_, project) = world.project(1, "100.00");
        let workload = world.deploy(project, terms, replicas);
        self.network = world.network;
        self.journal = world.journal;
        for node in nodes {
            drop(self.detector.joined(*node, START));
        }
        workload
    }

    fn run(&mut self, now: Time, command: &Command) {
        self.commands += 1;
        let mut world = World::taken(&mut self.network, &mut self.journal, now);
        // A refusal is an answer like any other: what was seen may be of an older epoch.
        let _taken = world
            .send(crate::world::command_id(now, self.commands), command)
            .is_ok();
        (self.network, self.journal) = (world.network, world.journal);
    }

    pub(super) fn crash(&mut self, back: Time) {
        self.down_until = Some(back);
    }

    fn recover(&mut self, now: Time) {
        self.network = World::resume(&self.journal).network;
        self.recovered = self.network.state().clock;
        self.epoch += 1;
        self.detector = Detector::default();
        self.sessions.clear();
        self.told.clear();
        self.down_until = None;
        self.adopt_at = Some(now + GRACE);
        self.settle_at = now + GRACE + VERDICTS_WITHIN;
        self.unheard = self.network.state().nodes.keys().copied().collect();
    }

    /// Does what is due; the messages to send.
    pub(super) fn step(&mut self, now: Time) -> Vec<Message> {
        if let Some(back) = self.down_until {
            if now < back {
                return Vec::new();
            }
            self.recover(now);
        }
        if self.adopt_at.is_some_and(|at| at <= now) {
            self.adopt_at = None;
            self.adopt(now);
        }
        let outputs = self.detector.tick(now);
        let mut messages = self.follow(now, outputs);
        while self
            .network
            .index()
            .next_due()
            .is_some_and(|due| due <= now)
        {
            let adopting = now < self.settle_at;
            self.run(now, &Command::Tick { adopting });
            if adopting {
                // What is held stays due.
                break;
            }
        }
        messages.extend(self.tell(now));
        messages
    }

    /// Watches machines that should be there and did not come back.
    fn adopt(&mut self, now: Time) {
        let nodes = self.network.state().nodes.iter();
        let believed = nodes.filter(|(_, node)| match node.presence {
            Presence::Up(_) | Presence::Suspect(_) | Presence::Draining(_) => true,
            Presence::Away(_) | Presence::Lost(_) | Presence::Left(_) => false,
        });
        for node in believed.map(|(id, _)| *id).collect::<Vec<_>>() {
            if self.detector.verdict(&node).is_none() {
                drop(self.detector.joined(node, now));
            }
        }
    }

    fn follow(&mut self, now: Time, outputs: Vec<Output>) -> Vec<Message> {
        let mut messages = Vec::new();
        for output in outputs {
            match output {
                Output::Probe(probe) => {
                    assert_eq!(probe.vantage, super::VANTAGE);
                    messages.push(Message::Probe(probe));
                }
                Output::Verdict(transition) => self.judge(now, &transition),
                Output::Isolated { .. } | Output::Reached { .. } | Output::Paused { .. } => {
                    self.suspends_judgement = true;
                }
            }
        }
        messages
    }

    fn judge(&mut self, now: Time, transition: &Transition) {
        let node = transition.node;
        // What was never heard since control came back was last heard before it went.
        let last_seen = if self.unheard.contains(&node) {
            self.recovered
        } else {
            transition.last_seen
        };
        let command = match transition.to {
            Verdict::Alive => Command::NodeCleared { node },
            Verdict::Suspect => Command::NodeSuspected { node, last_seen },
            Verdict::Lost => {
                self.sessions.remove(&node);
                self.told.remove(&node);
                Command::NodeLost { node, last_seen }
            }
        };
        self.run(now, &command);
    }

    pub(super) fn hear(&mut self, now: Time, message: Message) {
        if self.down_until.is_some() {
            return;
        }
        match message {
            Message::Report {
                node,
                boot,
                seq,
                seen,
                pauses,
            } => self.report(now, node, (boot, seq), (&seen, &pauses)),
            Message::Broken { node, boot } => {
                if self
                    .sessions
                    .get(&node)
                    .is_some_and(|session| session.boot == boot)
                {
                    let outputs = self.detector.connection_broken(node, now);
                    drop(self.follow(now, outputs));
                }
            }
            Message::Answer(probe) => {
                self.unheard.remove(&probe.node);
                let outputs = self.detector.probe_answered(probe, now);
                drop(self.follow(now, outputs));
            }
            Message::Assignment(..) | Message::Probe(_) => {}
        }
    }

    /// A session is a stream: what is older than the last that was read does not come up again.
    fn report(
        &mut self,
        now: Time,
        node: NodeKey,
        (boot, seq): (u64, u64),
        (seen, pauses): (&[Seen], &[Gap]),
    ) {
        let before = self.sessions.get(&node).copied();
        if before.is_some_and(|last| (boot, seq) <= (last.boot, last.seq)) {
            return;
        }
        let heard = now;
        self.sessions.insert(node, Session { boot, seq, heard });
        self.unheard.remove(&node);
        let outputs = if before.is_none_or(|last| last.boot != boot) {
            self.told.remove(&node);
            let told = (seen, pauses);
            self.settle_restart(now, node, before, told);
            let capacity = capacity();
            self.run(now, &Command::NodeConnected { node, capacity });
            self.detector.joined(node, now)
        } else {
            self.detector.report(node, now)
        };
        drop(self.follow(now, outputs));
        for seen in seen {
            if let Some(observed) = self.news(node, seen) {
                let LeaseAt { lease, epoch } = seen.at;
                let command = Command::ObserveReplica {
                    node,
                    lease,
                    epoch,
                    observed,
                };
                self.run(now, &command);
            }
        }
    }

    /// A machine that was restarted served nothing after its last report. Of one that is new to a
    /// control which was away itself, the machine's own word is taken.
    fn settle_restart(
        &mut self,
        now: Time,
        node: NodeKey,
        before: Option<Session>,
        told: (&[Seen], &[Gap]),
    ) {
        let last_seen = match before {
            Some(before) => Some(before.heard),
            None => self.served_until(now, node, told),
        };
        if let Some(last_seen) = last_seen {
            self.run(now, &Command::NodeSuspected { node, last_seen });
        }
    }

    fn served_until(
        &self,
        now: Time,
        node: NodeKey,
        (seen, pauses): (&[Seen], &[Gap]),
    ) -> Option<Time> {
        let away = Gap {
            from: self.recovered,
            to: now,
        };
        let ready = seen.iter().filter(|s| s.phase == ObservedPhase::Ready);
        let told = Testimony {
            ready: ready.map(|seen| (seen.at.lease, seen.since)).collect(),
            pauses: pauses.to_vec(),
        };
        absence::served_until(self.network.state(), node, away, &told)
    }

    fn news(&self, node: NodeKey, seen: &Seen) -> Option<ObservedPhase> {
        let lease = self.network.state().leases.get(&seen.at.lease)?;
        let ours = lease.node == node && lease.epoch == seen.at.epoch;
        let known = match (seen.phase, lease.phase) {
            (ObservedPhase::Ended(_), _) => false,
            (ObservedPhase::Preparing, Phase::Preparing)
            | (ObservedPhase::Starting, Phase::Starting)
            | (ObservedPhase::Ready, Phase::Ready)
            | (ObservedPhase::Unhealthy, Phase::Suspect)
            | (_, Phase::Draining(_)) => true,
            (
                ObservedPhase::Preparing
                | ObservedPhase::Starting
                | ObservedPhase::Ready
                | ObservedPhase::Unhealthy,
                _,
            ) => false,
        };
        (ours && !known).then_some(seen.phase)
    }

    fn tell(&mut self, now: Time) -> Vec<Message> {
        let mut messages = Vec::new();
        for node in self.sessions.keys().copied().collect::<Vec<_>>() {
            let assigned = self.assigned(node);
            let stale =
                |(at, told): &(Time, Vec<Assigned>)| *at + TELL_AGAIN <= now || *told != assigned;
            if self.told.get(&node).is_none_or(stale) {
                let stamp = Stamp {
                    epoch: self.epoch,
                    generation: self.journal.len() as u64,
                };
                self.told.insert(node, (now, assigned.clone()));
                let assignment = Assignment::new(stamp, assigned).unwrap();
                messages.push(Message::Assignment(node, assignment));
            }
        }
        messages
    }

    fn assigned(&self, node: NodeKey) -> Vec<Assigned> {
        let state = self.network.state();
        let leases = state.nodes[&node].leases.iter();
        leases
            .map(|id| {
                let lease = &state.leases[id];
                Assigned {
                    lease: *id,
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
                }
            })
            .collect()
    }

    /// Whether a lease is charged for as things stand.
    pub(super) fn believes_in(&self, lease: LeaseId) -> bool {
        let lease = self.network.state().leases.get(&lease);
        lease.is_some_and(|lease| lease.phase.is_charged())
    }

    pub(super) fn leases_on(&self, node: NodeKey) -> Vec<LeaseId> {
        self.network.state().nodes[&node]
            .leases
            .iter()
            .copied()
            .collect()
    }

    pub(super) fn leases(&self) -> Vec<LeaseId> {
        self.network.state().leases.keys().copied().collect()
    }

    /// What each lease was charged in all, in micro-dollars and so in milliseconds; of one that
    /// lives, also what its slice has come to.
    pub(super) fn charged(&self, now: Time) -> BTreeMap<LeaseId, i64> {
        let live = self.network.state().leases.iter();
        let accrued = live.map(|(id, lease)| {
            let ready = lease.meter.accrue(lease.phase, now).ready;
            (*id, i64::try_from(ready.as_millis()).unwrap())
        });
        let mut charged: BTreeMap<_, _> = accrued.collect();
        for record in &self.journal {
            for event in minicbor::decode::<Vec<Event>>(&record.body).unwrap() {
                if let Event::LeaseSettled { lease, charge, .. } = event {
                    *charged.entry(lease).or_default() += charge.amount.as_micros();
                }
            }
        }
        charged
    }
}
