//! Plain processes: for development networks only.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use remuda_assignment::LeaseAt;
use remuda_wire::spec::{HealthCheck, ProcessSpec};
use tokio::net::TcpStream;

use super::child::Child;
use super::{PrepareError, Runtime, Shared};
use crate::leftovers;
use crate::logs::Log;
use crate::view::Progress;

/// One plain process.
pub(crate) struct ProcessReplica {
    shared: Arc<Shared>,
    spec: ProcessSpec,
    health: Option<HealthCheck>,
    folder: PathBuf,
}

/// The working folder that was made.
pub(crate) struct Launch;

impl ProcessReplica {
    /// A run of `at`, in a folder of its own.
    pub(super) fn new(
        shared: &Arc<Shared>,
        spec: ProcessSpec,
        health: Option<HealthCheck>,
        at: LeaseAt,
        run: u64,
    ) -> Self {
        let folder = shared.work.join(format!("{}-{}-{run}", at.lease, at.epoch));
        Self {
            shared: Arc::clone(shared),
            spec,
            health,
            folder,
        }
    }

    fn command(&self) -> Command {
        let mut words = self.spec.command.iter();
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command
            .args(words)
            .env_clear()
            .envs(self.shared.config.path().map(|path| ("PATH", path)))
            .envs(&self.spec.env)
            .env(leftovers::MARK, self.shared.node.to_string())
            .current_dir(&self.folder);
        command
    }

    async fn answers(&self, port: u16, path: &str) -> bool {
        let url = format!(
            "http://{}:{port}/{}",
            Ipv4Addr::LOCALHOST,
            path.trim_start_matches('/')
        );
        match self.shared.http.get(url).send().await {
            Ok(response) => response.status().is_success(),
            Err(error) => {
                tracing::trace!(error = %error.without_url(), "the health check is not answered");
                false
            }
        }
    }
}

impl Runtime for ProcessReplica {
    type Launch = Launch;
    type Instance = Child;
    const COMPLETES: bool = true;

    async fn prepare(&self, _: &Progress) -> Result<Launch, PrepareError> {
        let made = tokio::fs::create_dir_all(&self.folder).await;
        made.map(|()| Launch)
            .map_err(|source| PrepareError::Folder {
                path: self.folder.clone(),
                source,
            })
    }

    async fn start(&self, _: &Launch, log: Log) -> io::Result<Child> {
        Child::spawn(self.command(), log).await
    }

    /// A process without a health check serves by running.
    async fn probe(&self, _: &Launch) -> bool {
        match &self.health {
            None => true,
            Some(HealthCheck {
                port,
                path: Some(path),
                ..
            }) => self.answers(*port, path).await,
            Some(HealthCheck {
                port, path: None, ..
            }) => TcpStream::connect((Ipv4Addr::LOCALHOST, *port))
                .await
                .is_ok(),
        }
    }
}

impl Drop for ProcessReplica {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::trace!(%error, "the process left no folder");
        }
    }
}
