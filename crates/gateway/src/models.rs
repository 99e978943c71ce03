//! Models as far as the gateway needs them: a tokeniser and a chat template for each digest.
//!
//! They come from the first bytes of the model's file: from the cache folder, where a node on the
//! same machine may have put the whole file, else over HTTP from where control says. The digest of
//! a file cannot be checked by its head alone: a blob store that lies about the head gives wrong
//! prompts and counts, never other weights (nodes check the whole file). The operator's blob store
//! is trusted that far.

mod fetch;
mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use remuda_link::ClientError;
use remuda_tokens::{ChatTemplate, Tokenizer, template};
use remuda_types::Digest;
use remuda_wire::gateway::ModelRoute;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use tokio::time::Instant;

pub(crate) use load::LoadError;

use fetch::Fetcher;

/// A model file that could not be loaded is not tried again for so long.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// What the gateway knows of a model's file.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) tokenizer: Tokenizer,
    /// Bytes of the longest token.
    pub(crate) longest_token: usize,
    /// Models without a template have the completions door only.
    pub(crate) template: Result<ChatTemplate, template::Error>,
}

/// All models that have been asked for.
#[derive(Debug)]
pub(crate) struct Models {
    cache: PathBuf,
    fetcher: Fetcher,
    files: Mutex<BTreeMap<Digest, Arc<File>>>,
}

#[derive(Debug, Default)]
struct File {
    model: OnceCell<Arc<Model>>,
    /// The last failure. The lock is held while loading, so that many requests load once.
    failed: AsyncMutex<Option<(Instant, LoadError)>>,
}

/// Why there is no model now.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NoModel {
    #[error("the model's vocabulary is still being loaded: try again in a moment")]
    Loading,
    #[error(transparent)]
    Failed(#[from] LoadError),
}

impl Models {
    pub(crate) fn new(cache: PathBuf) -> Result<Self, ClientError> {
        Ok(Self {
            cache,
            fetcher: Fetcher::new()?,
            files: Mutex::default(),
        })
    }

    /// The model behind a route, loaded at its first use.
    pub(crate) async fn get(
        self: &Arc<Self>,
        route: &ModelRoute,
        wait: Duration,
    ) -> Result<Arc<Model>, NoModel> {
        let file = self.file(route.model);
        if let Some(model) = file.model.get() {
            return Ok(Arc::clone(model));
        }
        let (models, route) = (Arc::clone(self), route.clone());
        // On its own, so that a client who does not wait does not end it for the others.
        let loading = tokio::spawn(async move { models.load_once(&file, &route).await });
        match tokio::time::timeout(wait, loading).await {
            Ok(Ok(loaded)) => Ok(loaded?),
            Ok(Err(_)) | Err(_) => Err(NoModel::Loading),
        }
    }

    /// Forgets the models that the table no longer has.
    pub(crate) fn retain(&self, digests: &BTreeSet<Digest>) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|digest, _| digests.contains(digest));
    }

    fn file(&self, digest: Digest) -> Arc<File> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(files.entry(digest).or_default())
    }

    async fn load_once(&self, file: &File, route: &ModelRoute) -> Result<Arc<Model>, LoadError> {
        let mut failed = file.failed.lock().await;
        if let Some((at, error)) = &*failed
            && at.elapsed() < AFTER_FAILURE
        {
            return Err(error.clone());
        }
        let loaded = file
            .model
            .get_or_try_init(|| load::load(&self.cache, &self.fetcher, route));
        let loaded = loaded.await.cloned();
        if let Err(error) = &loaded {
            tracing::warn!(digest = %route.model, %error, "a model's vocabulary cannot be loaded");
            *failed = Some((Instant::now(), error.clone()));
        }
        loaded
    }
}
