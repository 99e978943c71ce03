//! What control hears of its nodes.

use remuda_assignment::LeaseAt;
use remuda_network::Command;
use remuda_network::absence::{self, Gap, Testimony};
use remuda_network::command::ObservedPhase;
use remuda_network::state::Phase;
use remuda_types::{Capacity, NodeKey, Time};

use super::{Control, Standing};
use crate::run::message::{Message, Report, Seen};

/// A node that talks to control.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    boot: u64,
    /// The number of its last report.
    seq: u64,
    heard: Time,
}

impl Control {
    pub(crate) fn hear(&mut self, now: Time, message: Message) {
        if matches!(self.standing, Standing::Down(_)) {
            return;
        }
        let now = self.clock.at(now);
        match message {
            Message::Report(report) => self.report(now, &report),
            Message::Answer(probe) => {
                self.unheard.remove(&probe.node);
                let found = self.watch.answered(probe, now);
                self.follow(now, found);
            }
            Message::Assignment(..) | Message::Probe(_) => {}
        }
        self.tell();
    }

    /// A node that is well spoke just now, for the last time before something befalls it: it is
    /// watched from here on. As long as all is well, nodes are not.
    pub(crate) fn last_word(&mut self, node: NodeKey, now: Time) {
        let now = self.clock.at(now);
        let Some(session) = self.sessions.get_mut(&node) else {
            return;
        };
        session.heard = now;
        let found = if self.watch.verdict(&node).is_none() {
            self.watch.joined(node, now)
        } else {
            self.watch.report(node, now)
        };
        self.follow(now, found);
    }

    /// A node has said all there is to say: it need not be watched while all is well.
    pub(crate) fn hush(&mut self, node: NodeKey, now: Time) {
        let found = self.watch.left(node);
        self.follow(self.clock.at(now), found);
    }

    /// A connection was made anew, or goes on after a while.
    pub(crate) fn reconnected(&mut self, node: NodeKey) {
        if self.sessions.contains_key(&node) {
            self.changed.insert(node);
        }
    }

    /// Whether it holds all that a node is to run for ready, and has nothing left to tell it.
    pub(crate) fn is_content(&self, node: NodeKey) -> bool {
        let state = self.network.state();
        let leases = state
            .nodes
            .get(&node)
            .into_iter()
            .flat_map(|node| &node.leases);
        let mut leases = leases.filter_map(|id| state.leases.get(id));
        self.standing == Standing::Up
            && self.sessions.contains_key(&node)
            && !self.changed.contains(&node)
            && leases.all(|lease| lease.phase == Phase::Ready)
    }

    /// A session is a stream: what is older than the last that was read does not come up again.
    fn report(&mut self, now: Time, report: &Report) {
        let node = report.node;
        let before = self.sessions.get(&node).copied();
        let (boot, seq) = (report.boot, report.seq);
        if before.is_some_and(|last| (boot, seq) <= (last.boot, last.seq)) {
            return;
        }
        let heard = now;
        let session = Session { boot, seq, heard };
        let found = if before.is_none_or(|last| last.boot != boot) {
            if !self.begin(now, report, before) {
                return;
            }
            self.changed.insert(node);
            self.watch.joined(node, now)
        } else if self.watch.verdict(&node).is_none() {
            // It was well and not watched; now something is under way there.
            self.watch.joined(node, now)
        } else {
            self.watch.report(node, now)
        };
        self.sessions.insert(node, session);
        self.unheard.remove(&node);
        self.follow(now, found);
        for seen in &report.seen {
            self.observe(now, node, seen);
        }
    }

    /// A session begins. Whether control could write that down.
    fn begin(&mut self, now: Time, report: &Report, before: Option<Session>) -> bool {
        let node = report.node;
        // A machine that was restarted served nothing after its last report. Of one that is new to
        // a control which was away itself, the machine's own word is taken.
        let last_seen = match before {
            Some(before) => Some(before.heard),
            None => self.served_until(now, report),
        };
        if let Some(last_seen) = last_seen
            && !self.run(now, &Command::NodeSuspected { node, last_seen })
        {
            return false;
        }
        let capacity = report.capacity;
        self.run(now, &Command::NodeConnected { node, capacity })
    }

    /// The nodes of a network that begins are all connected.
    pub(crate) fn introduce(&mut self, now: Time, node: NodeKey, capacity: Capacity) -> bool {
        let (boot, seq, heard) = (1, 0, now);
        self.sessions.insert(node, Session { boot, seq, heard });
        self.run(now, &Command::NodeConnected { node, capacity })
    }

    fn served_until(&self, now: Time, report: &Report) -> Option<Time> {
        let away = Gap {
            from: self.recovered,
            to: now,
        };
        let seen = report.seen.iter();
        let ready = seen.filter(|seen| seen.phase == ObservedPhase::Ready);
        let told = Testimony {
            ready: ready.map(|seen| (seen.at.lease, seen.since)).collect(),
            pauses: report.pauses.iter().map(|gap| self.shown(*gap)).collect(),
        };
        absence::served_until(self.network.state(), report.node, away, &told)
    }

    /// A pause as control's clock has it.
    fn shown(&self, gap: Gap) -> Gap {
        Gap {
            from: self.clock.at(gap.from),
            to: self.clock.at(gap.to),
        }
    }

    fn observe(&mut self, now: Time, node: NodeKey, seen: &Seen) {
        if let Some(observed) = self.news(node, seen) {
            let LeaseAt { lease, epoch } = seen.at;
            let command = Command::ObserveReplica {
                node,
                lease,
                epoch,
                observed,
                since: seen.since,
            };
            self.run(now, &command);
        }
    }

    /// What a line of a report says that the state does not.
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
}
