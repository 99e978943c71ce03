//! The promises, checked from outside: the network's own invariants, epochs over all machines, and
//! that nobody is charged for what was not served.

use std::collections::BTreeMap;

use remuda_network::invariant;
use remuda_types::{LeaseId, NodeKey, ReplicaId};

use super::Simulation;
use super::error::Broken;
use super::machine::Machine;

impl Simulation {
    /// Checks everything; linear in the network.
    pub(super) fn check(&mut self) -> Result<(), Broken> {
        invariant::check(&self.control.network)?;
        check_epochs(&self.ground.machines)?;
        self.check_charges()
    }

    fn check_charges(&mut self) -> Result<(), Broken> {
        let now = self.now();
        let (audit, state) = (&mut self.truth.audit, self.control.network.state());
        for id in audit.leases() {
            let Some(lease) = state.leases.get(&id) else {
                continue;
            };
            let accrued = lease.meter.accrue(lease.phase, now).ready;
            audit.check(id, lease.price, accrued, self.wires.latency(), now)?;
        }
        Ok(())
    }
}

/// At no time do two machines run one epoch of one replica.
fn check_epochs(machines: &[Machine]) -> Result<(), Broken> {
    let mut running: BTreeMap<(ReplicaId, u64), (NodeKey, LeaseId)> = BTreeMap::new();
    for machine in machines {
        let replicas: BTreeMap<_, _> = machine.assigned().map(|of| (of.at(), of.replica)).collect();
        for at in machine.running() {
            let Some(replica) = replicas.get(&at).copied() else {
                continue;
            };
            let node = machine.key;
            if running
                .insert((replica, at.epoch), (node, at.lease))
                .is_some()
            {
                let epoch = at.epoch;
                return Err(Broken::RunsTwice {
                    replica,
                    epoch,
                    node,
                });
            }
        }
    }
    Ok(())
}
