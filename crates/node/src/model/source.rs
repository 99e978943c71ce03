//! Where models come from: an HTTP server, or a file of this machine.

use std::io::SeekFrom;
use std::path::PathBuf;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use reqwest::header::RANGE;
use reqwest::{StatusCode, Url};
use tokio::io::AsyncSeekExt;

/// A place that a model can be fetched from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A server.
    Http(Url),
    /// A file of this machine.
    File(PathBuf),
}

/// Content from some offset.
pub(super) struct Content {
    /// Whether it begins where it was asked to; otherwise at the beginning.
    pub resumed: bool,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes, String>>,
}

/// Bytes read at once of a file.
const CHUNK_BYTES: usize = 1 << 20;

impl Source {
    /// The source that `url` names, if there can be one.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        match url.scheme() {
            "http" | "https" => Some(Self::Http(url)),
            "file" => url.to_file_path().ok().map(Self::File),
            _ => None,
        }
    }

    /// Its content from `offset` on; the error is for people and holds no URL.
    pub(super) async fn read(
        &self,
        http: &reqwest::Client,
        offset: u64,
    ) -> Result<Content, String> {
        match self {
            Self::Http(url) => request(http, url, offset).await,
            Self::File(path) => open(path, offset).await.map_err(|error| error.to_string()),
        }
    }
}

/// A URL without what may be secret: user, password, query.
pub(super) fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return "what was given".to_owned();
    };
    url.set_query(None);
    url.set_fragment(None);
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    // A URL without a host has no user either.
    cleared.unwrap_or_default();
    url.to_string()
}

async fn request(http: &reqwest::Client, url: &Url, offset: u64) -> Result<Content, String> {
    let mut request = http.get(url.clone());
    if offset > 0 {
        request = request.header(RANGE, format!("bytes={offset}-"));
    }
    let response = request.send().await.map_err(told)?;
    match response.status() {
        StatusCode::OK => Ok(streamed(response, false)),
        StatusCode::PARTIAL_CONTENT => Ok(streamed(response, true)),
        // The server has less than is here: what is here is not the beginning of what it has.
        StatusCode::RANGE_NOT_SATISFIABLE => Box::pin(request_whole(http, url)).await,
        status => Err(format!("the server answers {status}")),
    }
}

async fn request_whole(http: &reqwest::Client, url: &Url) -> Result<Content, String> {
    request(http, url, 0).await
}

fn streamed(response: reqwest::Response, resumed: bool) -> Content {
    let bytes = response.bytes_stream().map_err(told).boxed();
    Content { resumed, bytes }
}

/// A transport's error with its causes, without the URL.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

async fn open(path: &PathBuf, offset: u64) -> std::io::Result<Content> {
    let mut file = tokio::fs::File::open(path).await?;
    if !file.metadata().await?.is_file() {
        return Err(std::io::Error::other("it is not a plain file"));
    }
    file.seek(SeekFrom::Start(offset)).await?;
    let chunks = tokio_util::io::ReaderStream::with_capacity(file, CHUNK_BYTES);
    let bytes = chunks.map_err(|error| error.to_string()).boxed();
    Ok(Content {
        resumed: offset > 0,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let url = "https://user:word@models.example/a/b.gguf?signature=abc#part";
        assert_eq!(shown(url), "https://models.example/a/b.gguf");
        assert_eq!(shown("file:///m/b.gguf"), "file:///m/b.gguf");
        assert_eq!(shown("no url"), "what was given");
    }

    #[test]
    fn only_known_schemes_are_sources() {
        assert!(matches!(
            Source::parse("https://a/b"),
            Some(Source::Http(_))
        ));
        assert!(matches!(
            Source::parse("file:///a/b"),
            Some(Source::File(_))
        ));
        assert!(Source::parse("ftp://a/b").is_none());
        assert!(Source::parse("/a/b").is_none());
    }
}
