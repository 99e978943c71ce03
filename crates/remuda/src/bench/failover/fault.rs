//! Faults, made and healed.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::topology::Topology;
use crate::up::Local;

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fault {
    /// `kill -9`.
    Kill,
    /// The daemon and all it runs are stopped, and say nothing more.
    Freeze,
    /// Packets are dropped both ways; nobody is told.
    Cut,
}

impl Fault {
    pub(super) const ALL: [Self; 3] = [Self::Kill, Self::Freeze, Self::Cut];

    /// Makes it happen to a seat's node.
    pub(super) fn make(
        self,
        local: &Local,
        topology: &Topology,
        seat: usize,
    ) -> anyhow::Result<()> {
        match self {
            Self::Kill => signal(local, seat, Signal::SIGKILL),
            Self::Freeze => signal_all(local, seat, Signal::SIGSTOP),
            Self::Cut => topology.cut(seat),
        }
    }

    /// Undoes it.
    pub(super) async fn heal(
        self,
        local: &mut Local,
        topology: &Topology,
        seat: usize,
    ) -> anyhow::Result<()> {
        match self {
            Self::Kill => {
                if let Some(node) = local.node(seat) {
                    node.ended().await;
                }
                local.revive().await.map(drop)
            }
            Self::Freeze => signal_all(local, seat, Signal::SIGCONT),
            Self::Cut => topology.join(seat),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Cut => "cut",
        })
    }
}

fn signal(local: &Local, seat: usize, signal: Signal) -> anyhow::Result<()> {
    let Some(node) = local.node(seat) else {
        anyhow::bail!("there is no node at seat {seat}");
    };
    node.signal(signal);
    Ok(())
}

/// To the daemon first, so that it does not see its engines stop.
fn signal_all(local: &Local, seat: usize, with: Signal) -> anyhow::Result<()> {
    signal(local, seat, with)?;
    let daemon = local.node(seat).map(|node| node.pid().as_raw());
    for pid in daemon.map(descendants).unwrap_or_default() {
        kill(Pid::from_raw(pid), with)?;
    }
    Ok(())
}

/// Children of a process, their children and so on.
fn descendants(ancestor: i32) -> BTreeSet<i32> {
    let parents = parents();
    let mut found = BTreeSet::from([ancestor]);
    loop {
        let known = found.len();
        let children = parents.iter().filter(|(_, parent)| found.contains(parent));
        let children: Vec<i32> = children.map(|(pid, _)| *pid).collect();
        found.extend(children);
        if found.len() == known {
            found.remove(&ancestor);
            return found;
        }
    }
}

/// Every process with its parent.
fn parents() -> Vec<(i32, i32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| Some((pid, parent(pid)?)))
        .collect()
}

/// The second field after the name, which stands in brackets and may hold anything.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(1)?.parse().ok()
}
