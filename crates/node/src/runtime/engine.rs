//! The built-in engine, as a child process behind a unix socket.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use remuda_types::Digest;
use remuda_wire::frame::Frames;
use remuda_wire::infer::{Ask, Reply};
use remuda_wire::spec::EngineSpec;
use tokio::net::UnixStream;
use tokio_util::codec::Framed;

use super::child::Child;
use super::{PrepareError, Runtime, Shared};
use crate::leftovers;
use crate::logs::Log;
use crate::model::Model;
use crate::model::room::Held;
use crate::view::Progress;

/// One model on the engine.
pub(crate) struct EngineReplica {
    shared: Arc<Shared>,
    spec: EngineSpec,
    socket: PathBuf,
}

/// The model's file.
pub(crate) struct Launch {
    model: Held,
}

impl EngineReplica {
    /// A model that is served on `socket`.
    pub(super) fn new(shared: &Arc<Shared>, spec: EngineSpec, socket: PathBuf) -> Self {
        Self {
            shared: Arc::clone(shared),
            spec,
            socket,
        }
    }

    fn command(&self, launch: &Launch) -> Command {
        let mut words = self.shared.config.engine.iter();
        let mut command = Command::new(words.next().cloned().unwrap_or_default());
        let environment = &self.shared.config.environment;
        command
            .args(words)
            .args(arguments(&self.spec, launch, &self.socket))
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env(leftovers::MARK, self.shared.node.to_string());
        command
    }
}

fn arguments(spec: &EngineSpec, launch: &Launch, socket: &Path) -> [OsString; 12] {
    [
        "--model".into(),
        launch.model.path().into(),
        "--digest".into(),
        spec.model.to_string().into(),
        "--context-tokens".into(),
        spec.context_tokens.to_string().into(),
        "--slots".into(),
        spec.slots.to_string().into(),
        "--threads".into(),
        spec.threads.to_string().into(),
        "--socket".into(),
        socket.into(),
    ]
}

impl Runtime for EngineReplica {
    type Launch = Launch;
    type Instance = Child;
    const COMPLETES: bool = false;

    async fn prepare(&self, progress: &Progress) -> Result<Launch, PrepareError> {
        let model = Model {
            digest: self.spec.model,
            bytes: self.spec.model_bytes,
            url: &self.spec.url,
        };
        let model = self.shared.models.fetch(&model, progress).await?;
        Ok(Launch { model })
    }

    async fn start(&self, launch: &Launch, log: Log) -> io::Result<Child> {
        Child::spawn(self.command(launch), log).await
    }

    async fn probe(&self, _: &Launch) -> bool {
        match ask(&self.socket).await {
            Ok(digest) if digest == Some(self.spec.model) => true,
            Ok(digest) => {
                tracing::debug!(?digest, "the engine does not serve its model");
                false
            }
            Err(error) => {
                tracing::trace!(%error, "the engine's socket does not answer");
                false
            }
        }
    }
}

impl Drop for EngineReplica {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::trace!(%error, "the engine left no socket");
        }
    }
}

/// Which model the engine says it serves.
async fn ask(socket: &Path) -> io::Result<Option<Digest>> {
    let stream = UnixStream::connect(socket).await?;
    let mut frames = Framed::new(stream, Frames::<Reply, Ask>::default());
    frames.send(Ask::Probe).await.map_err(io::Error::other)?;
    match frames.next().await.transpose().map_err(io::Error::other)? {
        Some(Reply::Ready(ready)) => Ok(Some(ready.model)),
        Some(Reply::Refused(_) | Reply::Token(_) | Reply::End(_)) | None => Ok(None),
    }
}
