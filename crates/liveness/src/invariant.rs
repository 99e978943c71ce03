//! What is always true of a detector; used by its property tests and by the simulator.

use remuda_types::NodeKey;

use crate::detector::Detector;
use crate::node::Node;

/// What is not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A node is not found by its key where it stands.
    #[error("the nodes and the index of their keys differ")]
    Roster,
    /// The timers' two views differ.
    #[error("the timers' queue and index differ")]
    Timers,
    /// A node that is watched has no timer, though verdicts are not held: it would never be judged.
    #[error("{0} is watched and has no timer")]
    Unwatched(NodeKey),
    /// A lost node still has a timer or a round.
    #[error("{0} is lost and still questioned")]
    Restless(NodeKey),
    /// The count of nodes that are not lost is wrong.
    #[error("{counted} nodes are watched, {held} are counted as such")]
    Count {
        /// What there is.
        counted: usize,
        /// What the detector believes.
        held: usize,
    },
    /// Verdicts are held in a network too small for that.
    #[error("verdicts are held with only {0} nodes watched")]
    Isolated(usize),
}

/// Checks the whole detector; O(n log n).
pub fn check(detector: &Detector) -> Result<(), Violation> {
    if !detector.nodes().agrees() {
        return Err(Violation::Roster);
    }
    if !detector.timers().agree() {
        return Err(Violation::Timers);
    }
    nodes(detector)?;
    count(detector)?;
    isolation(detector)
}

fn nodes(detector: &Detector) -> Result<(), Violation> {
    detector.nodes().iter().try_for_each(|(slot, node)| {
        let timed = detector.timers().deadline(slot).is_some();
        if node.is_lost() && (timed || node.in_round()) {
            return Err(Violation::Restless(node.key()));
        }
        if !node.is_lost() && !timed && !detector.is_isolated() {
            return Err(Violation::Unwatched(node.key()));
        }
        Ok(())
    })
}

fn count(detector: &Detector) -> Result<(), Violation> {
    let live = |(_, node): &(_, &Node)| !node.is_lost();
    let counted = detector.nodes().iter().filter(live).count();
    let held = detector.watched();
    if counted == held {
        Ok(())
    } else {
        Err(Violation::Count { counted, held })
    }
}

fn isolation(detector: &Detector) -> Result<(), Violation> {
    let least = detector.policy().settings().isolation_nodes;
    if detector.is_isolated() && detector.watched() < least {
        return Err(Violation::Isolated(detector.watched()));
    }
    Ok(())
}
