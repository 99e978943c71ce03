//! What is always true of a detector; used by its property tests and by the simulator.

use remuda_types::NodeKey;

use crate::detector::Detector;

/// What is not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
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
    if !detector.timers().agree() {
        return Err(Violation::Timers);
    }
    nodes(detector)?;
    count(detector)?;
    isolation(detector)
}

fn nodes(detector: &Detector) -> Result<(), Violation> {
    detector.nodes().try_for_each(|(key, node)| {
        let timed = detector.timers().deadline(key).is_some();
        if node.is_lost() && (timed || node.in_round()) {
            return Err(Violation::Restless(*key));
        }
        if !node.is_lost() && !timed && !detector.is_isolated() {
            return Err(Violation::Unwatched(*key));
        }
        Ok(())
    })
}

fn count(detector: &Detector) -> Result<(), Violation> {
    let counted = detector.nodes().filter(|(_, node)| !node.is_lost()).count();
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
