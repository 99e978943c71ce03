//! Many nodes in one process, each with a session of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt, stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use remuda_link::{Endpoint, StreamError};
use tokio::task::JoinSet;

use super::node::{self, Control, Node};

/// Nodes that join at once.
const JOINING: usize = 16;

/// The nodes and their sessions.
#[derive(Default)]
pub(super) struct Herd {
    endpoints: Vec<Endpoint>,
    sessions: JoinSet<StreamError>,
    reports: Arc<AtomicU64>,
}

impl Herd {
    /// Joins so many nodes; their reports are spread over the interval.
    pub(super) async fn gather(&mut self, control: &Control, nodes: u32) -> anyhow::Result<()> {
        allow_sockets()?;
        for _ in 0..nodes {
            self.endpoints.push(node::bind().await?);
        }
        let joining = (0..nodes)
            .zip(&self.endpoints)
            .map(async |(number, endpoint)| {
                let phase = f64::from(number) / f64::from(nodes);
                let joined = Node::join(endpoint, control).await;
                joined.map(|node| (phase, node))
            });
        let mut joining = stream::iter(joining).buffer_unordered(JOINING);
        while let Some((phase, node)) = joining.try_next().await? {
            let reports = Arc::clone(&self.reports);
            self.sessions.spawn(node.serve(phase, reports));
        }
        Ok(())
    }

    /// Reports sent so far.
    pub(super) fn reports(&self) -> u64 {
        self.reports.load(Ordering::Relaxed)
    }

    /// Why a session ended, if one did.
    pub(super) fn broken(&mut self) -> Option<anyhow::Error> {
        let ended = self.sessions.try_join_next()?;
        Some(ended.map_or_else(anyhow::Error::from, anyhow::Error::from))
    }

    /// Lets all nodes go.
    pub(super) async fn scatter(mut self) {
        self.sessions.shutdown().await;
        join_all(self.endpoints.iter().map(Endpoint::close)).await;
    }
}

/// Every node has sockets of its own: as many as the system lets this process have.
fn allow_sockets() -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}
