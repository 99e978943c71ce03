//! What an earlier daemon of this node left running, though it died with its replicas: descendants
//! that had left their process group's leader.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use remuda_types::NodeKey;

/// The variable that marks every process of a replica with the node that runs it.
pub(crate) const MARK: &str = "REMUDA_NODE";

/// Kills every process that carries this node's mark. The state folder's lock says that no other
/// daemon of this node lives; so none of these is anybody's.
pub(crate) fn kill_all(node: NodeKey) {
    let mark = format!("{MARK}={node}");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for pid in pids.filter(|pid| carries(*pid, mark.as_bytes())) {
        tracing::warn!(pid, "an earlier daemon left this process; it is killed");
        if let Err(error) = kill(Pid::from_raw(pid), Signal::SIGKILL) {
            tracing::debug!(pid, %error, "it was gone already");
        }
    }
}

fn carries(pid: i32, mark: &[u8]) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == mark)
}
