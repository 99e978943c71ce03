//! The policy of a network on one machine: every window short enough to be seen passing.

use super::layout::{self, Layout};
use crate::error::Failure;

/// Windows that are days and hours elsewhere are seconds here. Bonds and early-exit fees are those
/// of a real network. Plain processes may run, for all of it is one user's machine.
const POLICY: &str = "\
# Written by `remuda up` at every start.
[network]
slice = \"10s\"
slice_min = \"1s\"
holdback = \"60s\"
holdback_bucket = \"10s\"
drain_grace = \"5s\"
replace_backoff = \"250ms\"
replace_backoff_max = \"5s\"
drain_retry = \"1s\"
notice = \"60s\"
processes_allowed = true";

/// Writes it.
pub(super) fn write(layout: &Layout) -> Result<(), Failure> {
    layout::write(&layout.policy(), POLICY)
}
