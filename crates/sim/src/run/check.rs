//! The promises, checked from outside: the network's own invariants, epochs over all machines, and
//! that nobody is charged for what was not served.

use std::collections::BTreeMap;

use remuda_network::invariant;
use remuda_network::state::{Lease, Phase};
use remuda_types::{LeaseId, NodeKey, ReplicaId, Span, Time};

use super::Simulation;
use super::audit::Tolerance;
use super::error::Broken;
use super::ground::Ground;
use super::machine::Machine;

/// Control does what is due, however often, within so much time.
const WELL: Span = Span::from_secs(10);

impl Simulation {
    /// Checks everything; linear in the network.
    pub(super) fn check(&mut self) -> Result<(), Broken> {
        self.control.broke.take().map_or(Ok(()), Err)?;
        invariant::check(&self.control.network)?;
        self.check_gates()?;
        self.book
            .check(self.due_by_now(), self.control.network.state())?;
        self.check_charges()
    }

    /// What was due before this has been done; nothing where control was away just now. Others are so
    /// many that not all that is due is done at once.
    fn due_by_now(&self) -> Option<Time> {
        let since = self.control.well_since().filter(|_| self.small)?;
        let now = self.control.clock.at(self.now());
        let well = now.since(since) > WELL;
        well.then(|| now - WELL)
    }

    /// After a calm every replica that has a lease serves, by control's word and in truth.
    pub(super) fn check_recovered(&self) -> Result<(), Broken> {
        if self.scenario.calm.0 == Span::ZERO {
            return Ok(());
        }
        let state = self.control.network.state();
        let shown = self.control.clock.at(self.now());
        let overdue = |at: Time| at + Span::from_secs(5) < shown;
        for (id, replica) in &state.replicas {
            // What has no lease waits for a node, and no longer than it said.
            if replica.lease.is_none() && replica.retry.is_some_and(overdue) {
                return Err(Broken::Waiting(*id));
            }
        }
        let wanted = state.replicas.values().filter_map(|replica| replica.lease);
        for id in wanted {
            let ready = state
                .leases
                .get(&id)
                .filter(|lease| lease.phase == Phase::Ready);
            let serves = |lease: &Lease| {
                let machine = &self.ground.machines[Ground::number(&lease.node)];
                machine.serving().any(|serving| serving == id)
            };
            if !ready.is_some_and(serves) {
                return Err(Broken::Unrecovered(id));
            }
        }
        self.check_gates_recovered()
    }

    fn check_charges(&mut self) -> Result<(), Broken> {
        let now = self.now();
        let shown = self.control.clock.at(now);
        let state = self.control.network.state();
        // A control that is away, or has not heard its nodes again, accrues nothing by itself.
        let knows = self.control.knows_its_nodes(now);
        let accrued = |id: &LeaseId| {
            let lease = state.leases.get(id).filter(|_| knows);
            lease.map_or(Span::ZERO, |lease| {
                lease.meter.accrue(lease.phase, shown).ready
            })
        };
        let tolerance = Tolerance {
            latency: self.wires.latency(),
            unnoticed: self.scenario.detection.unnoticed(),
            step: self.scenario.clocks.control_step(),
            skew: self.scenario.clocks.skew(self.scenario.length()),
        };
        self.truth.audit.check(accrued, tolerance, now)
    }
}

/// What runs where: at no time do two machines run one epoch of one replica.
#[derive(Debug, Default)]
pub(super) struct Epochs {
    running: BTreeMap<(ReplicaId, u64), NodeKey>,
    on: BTreeMap<NodeKey, Vec<(ReplicaId, u64)>>,
}

impl Epochs {
    /// Takes note of what a machine runs now.
    pub(super) fn note(&mut self, machine: &Machine) -> Result<(), Broken> {
        let node = machine.key;
        for known in self.on.remove(&node).unwrap_or_default() {
            self.running.remove(&known);
        }
        let replicas: BTreeMap<_, _> = machine.assigned().map(|of| (of.at(), of.replica)).collect();
        let running = machine.running();
        let running = running.filter_map(|at| Some((*replicas.get(&at)?, at.epoch)));
        for (replica, epoch) in running {
            if self.running.insert((replica, epoch), node).is_some() {
                return Err(Broken::RunsTwice {
                    replica,
                    epoch,
                    node,
                });
            }
            self.on.entry(node).or_default().push((replica, epoch));
        }
        Ok(())
    }
}
