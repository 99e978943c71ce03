//! A node's reconciler: from what is assigned and what is there, to what to do.
//!
//! [`plan`] is level-triggered and idempotent: it looks at the whole of both sides every time, so a
//! lost, late or doubled message does no harm, and doing an action twice is doing it once.
//! [`Desired`] holds the newest assignment and refuses older ones; it outlives the daemon.
//!
//! **No workload stops because control is silent.** Nothing here takes an input about control: a
//! replica stops because a newer assignment says so, or because its lease's hard end passed. A node
//! that holds no assignment yet stops nothing that it found running.
//!
//! **A lease never runs twice at once.** A new epoch starts only after every older one has ended.
//!
//! What does not belong here: processes, containers, files, and what a replica is made of (the
//! spec is known by its digest alone).
#![forbid(unsafe_code)]

pub mod action;
pub mod desired;
pub mod invariant;
pub mod observed;
mod plan;
pub mod restart;
mod thresholds;

pub use action::{Action, StopReason};
pub use desired::{Accepted, Assigned, Assignment, Desired, Doubled, Stale, Stamp, Wanted};
pub use observed::{Exit, LeaseAt, Observed, Replica, State};
pub use plan::{next_deadline, plan};
pub use restart::RestartPolicy;
