//! From the first bytes of a file to a tokeniser and a template.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use remuda_tokens::gguf::{self, Metadata};
use remuda_tokens::{ChatTemplate, Tokenizer, tokenizer};
use remuda_wire::gateway::ModelRoute;

use super::Model;
use super::fetch::{FetchError, Fetcher};
use crate::files::{self, FileError};

/// How many bytes are read first; the vocabularies of small models fit.
const FIRST_BYTES: u64 = 2 << 20;

/// Why a model cannot be used. Cheap to clone, for it is told to many requests.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("the model's file cannot be fetched: {0}")]
    Fetch(Arc<FetchError>),
    #[error("the model's file is not usable: {0}")]
    Gguf(#[from] gguf::Error),
    #[error("the model's vocabulary is not usable: {0}")]
    Tokenizer(Arc<tokenizer::Error>),
    #[error("the model cache cannot be used")]
    Cache(#[source] Arc<FileError>),
    #[error("loading the model broke off")]
    BrokeOff,
}

impl LoadError {
    /// Whether the same file may load later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Fetch(_) | Self::Cache(_) | Self::BrokeOff => true,
            Self::Gguf(_) | Self::Tokenizer(_) => false,
        }
    }
}

pub(super) async fn load(
    cache: &Path,
    fetcher: &Fetcher,
    route: &ModelRoute,
) -> Result<Arc<Model>, LoadError> {
    let metadata = match cached(cache, route).await? {
        Some(metadata) => metadata,
        None => fetch(cache, fetcher, route).await?,
    };
    off_thread(move || build(&metadata)).await
}

fn build(metadata: &Metadata) -> Result<Arc<Model>, LoadError> {
    let tokenizer = Tokenizer::from_gguf(metadata);
    let tokenizer = tokenizer.map_err(|error| LoadError::Tokenizer(Arc::new(error)))?;
    Ok(Arc::new(Model {
        longest_token: longest(&tokenizer),
        tokenizer,
        template: ChatTemplate::from_gguf(metadata),
    }))
}

/// Bytes of the longest token.
fn longest(tokenizer: &Tokenizer) -> usize {
    let lengths = (0..tokenizer.vocab_size()).filter_map(|id| tokenizer.token_bytes(id));
    lengths.map(<[u8]>::len).max().unwrap_or(1)
}

/// What the cache folder has: a head that was fetched before, or the whole file.
async fn cached(cache: &Path, route: &ModelRoute) -> Result<Option<Metadata>, LoadError> {
    let paths = ["head", "gguf"].map(|kind| cache.join(format!("{}.{kind}", route.model)));
    off_thread(move || Ok(paths.iter().find_map(read_head))).await
}

/// The metadata in a file; none when it is not there or not whole, for then it is fetched.
fn read_head(path: &PathBuf) -> Option<Metadata> {
    let mut file = File::open(path).ok()?;
    let mut head = Vec::new();
    let mut want = FIRST_BYTES;
    loop {
        let missing = want.saturating_sub(head.len() as u64);
        let read = file.by_ref().take(missing).read_to_end(&mut head).ok()?;
        match Metadata::parse(&head) {
            Ok(metadata) => return Some(metadata),
            Err(gguf::Error::Truncated { needed_at_least }) if read > 0 => {
                want = more(head.len() as u64, needed_at_least)?;
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a cached model head is not usable");
                return None;
            }
        }
    }
}

async fn fetch(cache: &Path, fetcher: &Fetcher, route: &ModelRoute) -> Result<Metadata, LoadError> {
    let fetched = |error| LoadError::Fetch(Arc::new(error));
    let mut head = Vec::new();
    let mut want = FIRST_BYTES;
    loop {
        let had = head.len();
        fetcher
            .fetch(&route.url, &mut head, want)
            .await
            .map_err(fetched)?;
        let grew = head.len() > had;
        let (bytes, parsed) = off_thread(move || {
            let parsed = Metadata::parse(&head);
            Ok((head, parsed))
        })
        .await?;
        head = bytes;
        match parsed {
            Ok(metadata) => {
                keep(cache.join(format!("{}.head", route.model)), head).await?;
                return Ok(metadata);
            }
            Err(gguf::Error::Truncated { needed_at_least }) if grew => {
                let next = more(head.len() as u64, needed_at_least);
                want = next.ok_or(gguf::Error::Truncated { needed_at_least })?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn keep(path: PathBuf, head: Vec<u8>) -> Result<(), LoadError> {
    let kept = move || files::replace(&path, &head);
    off_thread(move || kept().map_err(|error| LoadError::Cache(Arc::new(error)))).await
}

/// How many bytes to have next; none when that is more than any model needs.
fn more(have: u64, needed: u64) -> Option<u64> {
    let next = have
        .saturating_mul(2)
        .max(needed)
        .min(gguf::MAX_TOTAL_BYTES);
    (next > have).then_some(next)
}

/// Reading and parsing take their time; the threads that serve streams are not for that.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(LoadError::BrokeOff))
}
