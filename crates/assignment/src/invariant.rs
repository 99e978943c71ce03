//! What is always true of a node's replicas and of a plan; used by property tests and the simulator.

use std::collections::BTreeSet;

use remuda_types::LeaseId;

use crate::action::Action;
use crate::desired::Desired;
use crate::observed::{LeaseAt, Observed};

/// What is not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two epochs of a lease run at once.
    #[error("{0} runs twice at once")]
    RunsTwice(LeaseId),
    /// A plan has two actions for one replica.
    #[error("the plan has two actions for {0}")]
    TwoActions(LeaseAt),
    /// A plan begins what no assignment asks for.
    #[error("the plan begins {0}, which is not assigned")]
    Uncalled(LeaseAt),
}

/// Checks what is here: no lease runs twice at once.
pub fn check(observed: &Observed) -> Result<(), Violation> {
    let mut running = BTreeSet::new();
    let runs = observed.iter().filter(|(_, replica)| replica.state.runs());
    for (at, _) in runs {
        if !running.insert(at.lease) {
            return Err(Violation::RunsTwice(at.lease));
        }
    }
    Ok(())
}

/// Checks a plan against what it was made for.
pub fn check_plan(desired: &Desired, actions: &[Action]) -> Result<(), Violation> {
    let mut named = BTreeSet::new();
    for action in actions {
        if !named.insert(action.at()) {
            return Err(Violation::TwoActions(action.at()));
        }
        if begins(action) && !is_assigned(desired, action.at()) {
            return Err(Violation::Uncalled(action.at()));
        }
    }
    Ok(())
}

fn begins(action: &Action) -> bool {
    match action {
        Action::Prepare(_) | Action::Start(_) | Action::Restart(_) | Action::Undrain(_) => true,
        Action::Drain { .. }
        | Action::Stop { .. }
        | Action::FenceOff(_)
        | Action::Kill(_)
        | Action::Forget(_) => false,
    }
}

fn is_assigned(desired: &Desired, at: LeaseAt) -> bool {
    let assigned = desired
        .assignment()
        .and_then(|assignment| assignment.get(&at.lease));
    assigned.is_some_and(|assigned| assigned.at() == at)
}
