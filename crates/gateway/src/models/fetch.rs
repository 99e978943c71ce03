//! The first bytes of a file over HTTP.

use std::time::Duration;

use remuda_link::ClientError;
use reqwest::header::RANGE;
use reqwest::{Client, Response, StatusCode};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(10);

/// Why bytes could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the store cannot be reached")]
    Http(#[from] reqwest::Error),
    #[error("the store answered {0}")]
    Status(StatusCode),
}

/// An HTTP client for model stores.
#[derive(Debug)]
pub(super) struct Fetcher(Client);

impl Fetcher {
    pub(super) fn new() -> Result<Self, ClientError> {
        let client = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(SILENCE);
        remuda_link::https::client(client).map(Self)
    }

    /// Grows `head` to `want` bytes, or to the end of the file.
    pub(super) async fn fetch(
        &self,
        url: &str,
        head: &mut Vec<u8>,
        want: u64,
    ) -> Result<(), FetchError> {
        let range = format!("bytes={}-{}", head.len(), want.saturating_sub(1));
        let response = self.0.get(url).header(RANGE, range).send().await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => read(response, head, want).await,
            // A store that knows no ranges: read what is wanted of the whole, then hang up.
            StatusCode::OK => {
                head.clear();
                read(response, head, want).await
            }
            // The file ends before the range begins.
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(()),
            status => Err(FetchError::Status(status)),
        }
    }
}

async fn read(mut response: Response, head: &mut Vec<u8>, want: u64) -> Result<(), FetchError> {
    while (head.len() as u64) < want
        && let Some(chunk) = response.chunk().await?
    {
        head.extend_from_slice(&chunk);
    }
    Ok(())
}
