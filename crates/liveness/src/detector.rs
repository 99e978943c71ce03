//! The detector: all the nodes, their timers, and control's own health.

use remuda_types::{NodeKey, Time};

use crate::evidence::{Cause, Sign};
use crate::node::{Context, Fate, Node};
use crate::output::{Output, Probe, Vantages, Verdict};
use crate::policy::Policy;
use crate::roster::{Roster, Slot};
use crate::timers::Timers;

/// Watches many nodes. A report costs one look-up by hash; every other input O(log n), but for the
/// end of control's own trouble, which touches every node once.
///
/// Times are those of arrival, by one clock. A time before an earlier input's counts as that one.
/// Inputs about nodes that are not watched, or were lost, change nothing (but for `joined`).
#[derive(Clone, Debug, Default)]
pub struct Detector {
    policy: Policy,
    vantages: Vantages,
    nodes: Roster,
    /// A sign of life leaves its node's timer alone: the timer fires early and is set again.
    timers: Timers,
    /// Nodes that are not lost.
    watched: usize,
    now: Time,
    /// The last sign of life of any node.
    last_heard: Time,
    isolated: bool,
}

impl Detector {
    /// A detector that watches nobody yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// From where probes can be sent from now on.
    pub fn set_vantages(&mut self, vantages: Vantages) {
        self.vantages = vantages;
    }

    /// A node began a session: it is watched from now on. The only way back from lost. A node seen
    /// for the first time is alive without a word.
    pub fn joined(&mut self, node: NodeKey, at: Time) -> Vec<Output> {
        let at = self.advance_clock(at);
        let known = self.nodes.find(&node);
        let slot = known.unwrap_or_else(|| self.nodes.insert(Node::new(node, at)));
        let was_lost = self.nodes.get(slot).is_some_and(Node::is_lost);
        if known.is_none() || was_lost {
            self.watched += 1;
        }
        let out = self.hear(slot, Sign::Joined, at);
        if self.timers.deadline(slot).is_none() {
            self.timers.arm(slot, at + self.policy.settings().silence);
        }
        out
    }

    /// A report came in the node's session.
    pub fn report(&mut self, node: NodeKey, at: Time) -> Vec<Output> {
        self.sign(node, Sign::Report, at)
    }

    /// The connection of the node's newest session broke. Tell no break of a session that a newer
    /// one has replaced: it would be suspected, though a probe would clear it.
    pub fn connection_broken(&mut self, node: NodeKey, at: Time) -> Vec<Output> {
        self.doubt(node, Cause::ConnectionBroken, at)
    }

    /// A probe was answered. Counts only while its round runs; an answer that comes later, or
    /// twice, is no news.
    pub fn probe_answered(&mut self, probe: Probe, at: Time) -> Vec<Output> {
        if self.asked(&probe).is_none() {
            return Vec::new();
        }
        self.sign(probe.node, Sign::Answer(probe.vantage), at)
    }

    /// A probe failed before its timeout. A round of failures ends as soon as all are told.
    pub fn probe_failed(&mut self, probe: Probe, at: Time) -> Vec<Output> {
        let at = self.advance_clock(at);
        let mut out = Vec::new();
        if let Some(slot) = self.asked(&probe) {
            if let Some(node) = self.nodes.get_mut(slot) {
                node.fail(&probe);
            }
            self.look(slot, at, &mut out);
        }
        out
    }

    /// A gateway's own request was served by the node, or was not. One that was served is a sign of
    /// life; one that was not only has the node questioned.
    pub fn sighting(&mut self, node: NodeKey, answered: bool, at: Time) -> Vec<Output> {
        if answered {
            return self.sign(node, Sign::Sighting, at);
        }
        let live = self.nodes.of(&node).filter(|node| !node.is_lost());
        if live.is_some_and(Node::in_round) {
            return Vec::new();
        }
        self.doubt(node, Cause::Sighting, at)
    }

    /// Does whatever is due at `at`, and nothing else.
    pub fn tick(&mut self, at: Time) -> Vec<Output> {
        let at = self.advance_clock(at);
        let mut out = Vec::new();
        let late = self
            .timers
            .first()
            .map(|due| at.since(due))
            .unwrap_or_default();
        if late > self.policy.settings().lateness {
            self.restart(at);
            out.push(Output::Paused { at, late });
            return out;
        }
        while let Some(mut due) = self.timers.pop(at) {
            let key = |slot: &Slot| self.nodes.get(*slot).map(Node::key);
            due.sort_unstable_by_key(key);
            for slot in due {
                self.look(slot, at, &mut out);
            }
        }
        out
    }

    /// A node left in order: it is not watched any more, and nothing is said.
    pub fn left(&mut self, node: NodeKey) -> Vec<Output> {
        if let Some(slot) = self.nodes.find(&node) {
            self.timers.disarm(slot);
        }
        if self.nodes.remove(&node).is_some_and(|node| !node.is_lost()) {
            self.watched -= 1;
        }
        let mut out = Vec::new();
        if self.isolated && self.watched < self.policy.settings().isolation_nodes {
            self.end_isolation(self.now, &mut out);
        }
        out
    }

    /// When [`Detector::tick`] is needed next; never while there is nothing to wait for.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.first()
    }

    /// What is held of a node; nothing when it never joined or has left.
    pub fn verdict(&self, node: &NodeKey) -> Option<Verdict> {
        self.nodes.of(node).map(Node::verdict)
    }

    /// When a node last gave a sign of life.
    pub fn last_seen(&self, node: &NodeKey) -> Option<Time> {
        self.nodes.of(node).map(Node::last_seen)
    }

    /// Whether verdicts are held because no node is heard.
    pub fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// The policy it judges by.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn nodes(&self) -> &Roster {
        &self.nodes
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(crate) fn watched(&self) -> usize {
        self.watched
    }

    /// Where a node stands that is watched and not lost.
    fn live(&self, node: &NodeKey) -> Option<Slot> {
        let slot = self.nodes.find(node)?;
        let live = !self.nodes.get(slot)?.is_lost();
        live.then_some(slot)
    }

    /// Where the node stands whose answer to `probe` is still of interest.
    fn asked(&self, probe: &Probe) -> Option<Slot> {
        let slot = self.live(&probe.node)?;
        let asked = self.nodes.get(slot)?.asked(probe);
        asked.then_some(slot)
    }

    fn advance_clock(&mut self, at: Time) -> Time {
        self.now = self.now.max(at);
        self.now
    }

    /// A sign of life of a node that is watched.
    fn sign(&mut self, node: NodeKey, sign: Sign, at: Time) -> Vec<Output> {
        let at = self.advance_clock(at);
        let live = self.live(&node);
        live.map_or_else(Vec::new, |slot| self.hear(slot, sign, at))
    }

    fn hear(&mut self, slot: Slot, sign: Sign, at: Time) -> Vec<Output> {
        let mut out = Vec::new();
        self.last_heard = at;
        if self.isolated {
            self.end_isolation(at, &mut out);
        }
        if let Some(node) = self.nodes.get_mut(slot) {
            node.heard(at, sign, &mut out);
        }
        out
    }

    fn doubt(&mut self, key: NodeKey, cause: Cause, at: Time) -> Vec<Output> {
        let at = self.advance_clock(at);
        let mut out = Vec::new();
        if let Some(slot) = self.live(&key) {
            if let Some(node) = self.nodes.get_mut(slot) {
                node.doubt(cause, at, &mut out);
            }
            self.look(slot, at, &mut out);
        }
        out
    }

    /// Does what is due for one node, and sets its timer.
    fn look(&mut self, slot: Slot, at: Time, out: &mut Vec<Output>) {
        let context = Context {
            at,
            settings: self.policy.settings(),
            vantages: self.vantages,
            deaf: self.is_deaf(at),
        };
        let Some(node) = self.nodes.get_mut(slot) else {
            return;
        };
        match node.advance(context, out) {
            Fate::Watched(deadline) => self.timers.arm(slot, deadline),
            Fate::Held => self.hold(slot, at, out),
            Fate::Lost => {
                self.timers.disarm(slot);
                self.watched -= 1;
            }
        }
    }

    /// Whether nobody is heard where somebody should be.
    fn is_deaf(&self, at: Time) -> bool {
        let settings = self.policy.settings();
        self.watched >= settings.isolation_nodes
            && at.since(self.last_heard) > settings.isolation_silence
    }

    /// Leaves a node as it is until somebody is heard.
    fn hold(&mut self, slot: Slot, at: Time, out: &mut Vec<Output>) {
        self.timers.disarm(slot);
        if !std::mem::replace(&mut self.isolated, true) {
            out.push(Output::Isolated {
                at,
                last_heard: self.last_heard,
            });
        }
    }

    fn end_isolation(&mut self, at: Time, out: &mut Vec<Output>) {
        self.isolated = false;
        self.restart(at);
        out.push(Output::Reached { at });
    }

    /// Gives every node a fresh window.
    fn restart(&mut self, at: Time) {
        let due = at + self.policy.settings().silence;
        for (slot, node) in self.nodes.iter_mut().filter(|(_, node)| !node.is_lost()) {
            node.restart(at);
            self.timers.arm(slot, due);
        }
    }
}
