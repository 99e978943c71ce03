//! From reports, broken connections and probes to verdicts: alive, suspect, lost.
//!
//! A [`Detector`] watches many nodes. Its inputs are what control hears, each with the time at
//! which it was heard; its outputs are probes to send and transitions of verdicts. It never waits:
//! [`Detector::next_deadline`] says when it wants its next [`Detector::tick`].
//!
//! The rules:
//! - Silence or a broken connection only raises suspicion. Suspicion starts a round of probes from
//!   two vantage points; any one sign of life clears it; a round without an answer is a loss.
//! - A lost node is alive again only by `joined`: a new session, in which control tells it its whole
//!   assignment. A late report of the old session changes nothing, for its leases were re-placed.
//! - Nobody is condemned for control's own trouble. When control itself was paused (a late tick),
//!   all get a fresh window; when no node at all is heard, verdicts are held ([`Output::Isolated`]).
//!   There is then no node left that a replica could be moved to, so holding costs nothing.
//!
//! The figures behind the default policy are in [`policy`]. What does not belong here: sockets,
//! clocks, and what follows from a verdict (`network` decides that; a verdict stops no workload).
#![forbid(unsafe_code)]

mod detector;
pub mod evidence;
pub mod invariant;
mod node;
pub mod output;
pub mod policy;
mod roster;
mod round;
mod timers;

pub use detector::Detector;
pub use evidence::{Cause, Doubt, Evidence, Sign, Tally};
pub use output::{Output, Probe, Transition, Vantage, Vantages, Verdict};
pub use policy::{Policy, Settings};
