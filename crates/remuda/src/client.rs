//! Control's HTTP API, typed: one method for each thing it does.
//!
//! Every write carries an `Idempotency-Key`, and so is sent again when its answer got lost on the
//! way: it is done once. Methods lie in one file for each side of the market.

use std::time::Duration;

use remuda_link::https;
use remuda_wire::api::{Page, Problem};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock;
use crate::settings::{Key, Target};

mod demand;
mod error;
mod events;
mod money;
mod network;
mod supply;

pub(crate) use error::Error;
pub(crate) use events::Since;

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long an answer may take, where the call does not say otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Items asked for at once; lists are read to their end.
const PAGE_ITEMS: &str = "500";

/// How often a write whose answer was lost is sent.
const ATTEMPTS: u32 = 3;

/// A client of one control, with one key.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    key: Option<Key>,
}

/// What an empty body is read as.
const NOTHING: &[u8] = b"null";

/// What stands behind the question mark.
type Query<'q> = &'q [(&'q str, String)];

/// Asks for a page of what `query` asks for.
fn page(query: Query<'_>, cursor: Option<String>) -> Vec<(&str, String)> {
    let mut query = query.to_vec();
    query.push(("limit", PAGE_ITEMS.to_owned()));
    if let Some(cursor) = cursor {
        // The list may have begun with one.
        query.retain(|(name, _)| *name != "cursor");
        query.push(("cursor", cursor));
    }
    query
}

impl Client {
    /// A client of `target`. Nothing is sent yet.
    pub(crate) fn new(target: &Target) -> Result<Self, Error> {
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .user_agent(concat!("remuda/", env!("CARGO_PKG_VERSION")));
        let http = https::client(builder)?;
        Ok(Self {
            http,
            url: target.url.clone(),
            key: target.key.clone(),
        })
    }

    /// Where control is.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url.as_str().trim_end_matches('/'));
        let request = self.http.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key.reveal()),
            None => request,
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: Query<'_>) -> Result<T, Error> {
        let request = self
            .request(Method::GET, path)
            .query(query)
            .timeout(ANSWER_WITHIN);
        self.json(self.send(request).await?).await
    }

    /// All items of a list, over all its pages.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page: Page<T> = self.get(path, &page(query, cursor)).await?;
            items.extend(page.data);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Error> {
        let request = self
            .request(Method::POST, path)
            .json(body)
            .timeout(ANSWER_WITHIN);
        self.json(self.write(request).await?).await
    }

    async fn patch<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Error> {
        let request = self
            .request(Method::PATCH, path)
            .json(body)
            .timeout(ANSWER_WITHIN);
        self.json(self.write(request).await?).await
    }

    async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let request = self.request(Method::DELETE, path).timeout(ANSWER_WITHIN);
        self.json(self.write(request).await?).await
    }

    /// Sends a write until it has an answer: the key makes control do it once.
    async fn write(&self, request: RequestBuilder) -> Result<Response, Error> {
        let request = request.header("idempotency-key", clock::command_id().to_string());
        for _ in 1..ATTEMPTS {
            let Some(copy) = request.try_clone() else {
                break;
            };
            match self.send(copy).await {
                Err(Error::Lost { .. }) => tracing::debug!("the answer was lost; sending again"),
                sent => return sent,
            }
        }
        self.send(request).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|source| self.unsent(source))?;
        let status = response.status();
        tracing::debug!(%status, url = %response.url(), "answered");
        if status.is_success() {
            Ok(response)
        } else {
            Err(self.refusal(response).await)
        }
    }

    fn unsent(&self, source: reqwest::Error) -> Error {
        let url = self.url.clone();
        let source = source.without_url();
        if source.is_connect() {
            return Error::Unreachable { url, source };
        }
        if source.is_timeout() {
            return Error::TimedOut { url, source };
        }
        Error::Lost { url, source }
    }

    async fn refusal(&self, response: Response) -> Error {
        let status = response.status();
        let is_problem = |of: &HeaderValue| {
            of.to_str()
                .is_ok_and(|of| of.starts_with("application/problem+json"))
        };
        if !response.headers().get(CONTENT_TYPE).is_some_and(is_problem) {
            return self.unexpected(status, None);
        }
        let body = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Error::Problem(Box::new(problem)),
            Err(error) => self.unexpected(status, Some(error)),
        }
    }

    async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, Error> {
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|source| self.unsent(source))?;
        // An answer without a body says nothing more than its status.
        let body = if body.is_empty() { NOTHING } else { &body };
        serde_json::from_slice(body).map_err(|error| self.unexpected(status, Some(error)))
    }

    fn unexpected(&self, status: StatusCode, source: Option<serde_json::Error>) -> Error {
        Error::Unexpected {
            url: self.url.clone(),
            status,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn a_page_has_one_cursor() {
        let first = [("cursor", "given".to_owned())];
        let cursors = |cursor: Option<&str>| {
            let query = page(&first, cursor.map(str::to_owned));
            let cursors = query.into_iter().filter(|(name, _)| *name == "cursor");
            cursors.map(|(_, cursor)| cursor).collect::<Vec<_>>()
        };
        assert_eq!(cursors(None), ["given"]);
        assert_eq!(cursors(Some("next")), ["next"]);
    }
}
