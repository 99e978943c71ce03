//! The model store: files named by the digest of their content, fetched once and checked.
//!
//! A file under its final name has been checked; it is never written again. What is fetched lies
//! beside it until it is whole, and a fetch that was cut goes on where it stopped. The store may be
//! shared by the daemons of a machine: one of them fetches a model, the others wait for it, and all
//! see what each other's fetches have yet to write.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remuda_link::{ClientError, https};
use remuda_types::Digest;

use crate::view::Progress;
use room::Held;

pub(crate) mod fetch;
pub(crate) mod room;
mod source;

/// How long a server may take to accept a connection, and to send the next byte.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const NEXT_BYTE_WITHIN: Duration = Duration::from_secs(30);

/// The HTTP client that the store fetches with.
pub(crate) fn client() -> Result<reqwest::Client, ClientError> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(NEXT_BYTE_WITHIN);
    https::client(builder)
}

/// What is to be fetched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model<'a> {
    /// BLAKE3 of the file.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// Where it is: `http:`, `https:` or `file:`.
    pub url: &'a str,
}

/// The store.
#[derive(Clone, Debug)]
pub(crate) struct Models {
    folder: PathBuf,
    http: reqwest::Client,
    retry: Retry,
}

/// When to try again what was cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    /// Tries in a row that brought nothing.
    pub tries: u32,
    /// Between tries.
    pub pause: Duration,
}

/// Why a model is not here. No text holds a URL's query: it may be a permission.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The URL is not one this store can fetch.
    #[error("`{shown}` is not a URL of http, https or file")]
    Url {
        /// Without its query.
        shown: String,
    },
    /// Nothing came, or not all of it.
    #[error("cannot fetch it from {shown}: {detail}")]
    NotReachable {
        /// Without its query.
        shown: String,
        /// What was answered.
        detail: String,
    },
    /// What came is something else.
    #[error("what {shown} holds is not the model: {detail}")]
    WrongContent {
        /// Without its query.
        shown: String,
        /// How it differs.
        detail: String,
    },
    /// There is no room for it.
    #[error("it needs {needed_mib} MiB on the disk of {}, where {free_mib} MiB are free", .folder.display())]
    DiskFull {
        /// The store.
        folder: PathBuf,
        /// What is lacking here.
        needed_mib: u64,
        /// What is free.
        free_mib: u64,
    },
    /// The store's own files cannot be used.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// How often a store that another daemon fetches into is looked at again.
const LOCK_POLL: Duration = Duration::from_millis(250);

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 5,
            pause: Duration::from_secs(1),
        }
    }
}

impl Models {
    /// A store in `folder`.
    pub(crate) fn new(folder: PathBuf, http: reqwest::Client, retry: Retry) -> Self {
        Self {
            folder,
            http,
            retry,
        }
    }

    /// The model's file, fetched if it is not here. It stays for as long as it is held.
    pub(crate) async fn fetch(
        &self,
        model: &Model<'_>,
        progress: &Progress,
    ) -> Result<Held, Error> {
        loop {
            let path = self.file(model, progress).await?;
            let held = Held::take(&path).map_err(file_error(&path))?;
            if let Some(held) = held {
                return Ok(held);
            }
        }
    }

    async fn file(&self, model: &Model<'_>, progress: &Progress) -> Result<PathBuf, Error> {
        progress.set(0, model.bytes);
        let path = self.folder.join(format!("{}.gguf", model.digest));
        if is_here(&path, model) {
            progress.set(model.bytes, model.bytes);
            return Ok(path);
        }
        let made = tokio::fs::create_dir_all(&self.folder).await;
        made.map_err(file_error(&self.folder))?;
        let lock = lock(&path.with_extension("lock")).await?;
        if !is_here(&path, model) {
            self.fetch_into(&path, &lock, model, progress).await?;
        }
        drop(lock);
        progress.set(model.bytes, model.bytes);
        Ok(path)
    }
}

fn is_here(path: &Path, model: &Model<'_>) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.len() == model.bytes)
}

/// Waits for the lock that one fetch at a time holds.
async fn lock(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    let file = options
        .create(true)
        .append(true)
        .open(path)
        .map_err(file_error(path))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
            Err(TryLockError::Error(source)) => return Err(file_error(path)(source)),
        }
    }
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File {
        path: path.clone(),
        source,
    }
}
