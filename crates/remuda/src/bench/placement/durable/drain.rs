//! A site of the mean size whose nodes drain all at once: how long the command takes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use remuda_control::network::network::Decision;
use remuda_control::network::state::State;
use remuda_control::network::{Command, Event, Network};
use remuda_types::{CommandId, SiteId};

use crate::clock;

/// A site that was drained.
pub(super) struct Drained {
    /// What it took to decide and commit.
    pub(super) span: Duration,
    /// So many replicas it had.
    pub(super) replicas: usize,
    /// For so many of them there was a place elsewhere.
    pub(super) moved: usize,
}

pub(super) fn mean_site(network: &mut Network, id: CommandId) -> anyhow::Result<Drained> {
    let (site, replicas) = mean(network.state()).context("nothing runs")?;
    let (now, command) = (clock::now(), Command::DrainSite { site });
    let start = Instant::now();
    let Decision::New(events) = network.decide(now, id, &command)? else {
        anyhow::bail!("an id was given twice");
    };
    network.commit(now, id, &events);
    let span = start.elapsed();
    let granted = events
        .iter()
        .filter(|event| matches!(event, Event::LeaseGranted { .. }));
    Ok(Drained {
        span,
        replicas,
        moved: granted.count(),
    })
}

/// The site whose replicas are nearest to the mean in number, and how many they are.
fn mean(state: &State) -> Option<(SiteId, usize)> {
    let mut replicas: BTreeMap<SiteId, usize> = BTreeMap::new();
    for lease in state.leases.values() {
        *replicas.entry(lease.site).or_default() += 1;
    }
    let mean = state.leases.len().checked_div(replicas.len())?;
    let sites = replicas.into_iter();
    sites.min_by_key(|(_, count)| count.abs_diff(mean))
}
