//! `Idempotency-Key`: the same request again is answered again, and done once.
//!
//! The rule: beside the command's events, in the same transaction, goes a row that says with which
//! status the request was answered and which [`Thing`] the answer is about. A repeat gets the same
//! status and the same thing, read anew: what was made is the same, how far it is may have moved
//! on. So nothing has to be known before the commit, and no name or secret lies in the row. A
//! request that was refused left no row and is tried again. Rows are found by the digest of the API
//! key's id and the client's key, and last a day.
//!
//! Repeats that come while the first is under way wait for it. A client that goes away does not
//! stop its request: it would not know whether it was done.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use remuda_journal::{IdempotencyRow, OpenError, ReadError, Reader, Side};
use remuda_types::{Digest, Span, Time};
use serde::{Deserialize, Serialize};
use tracing::Instrument;

use super::auth::{Caller, bearer};
use super::body::in_time;
use super::problem::Problem;
use super::thing::Thing;
use super::{Api, BODY_BYTES_MAX, thing};

const HEADER: &str = "idempotency-key";

/// The longest key that a client may choose.
const KEY_CHARS_MAX: usize = 255;

/// How long an answer is kept.
const KEPT: Span = Span::DAY;

/// Answers that were given, and requests that are under way.
#[derive(Debug)]
pub(super) struct Answers {
    dir: PathBuf,
    /// Opened when it is first needed.
    reader: Arc<Mutex<Option<Reader>>>,
    under_way: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

/// What a handler needs to have its request done once; empty when the client did not ask for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Once(Option<Promise>);

/// A request under a client's key.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    key: Digest,
    request: Digest,
    /// Known to whoever holds the API key and the client's key, and kept nowhere.
    seed: [u8; 32],
}

/// What the row holds.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    status: u16,
    thing: Thing,
}

#[derive(Debug, thiserror::Error)]
enum FindError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Answers a repeat, or lets the request go on.
pub(super) async fn repeat(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = match client_key(request.headers())? {
        Some(key) if !request.method().is_safe() => key,
        _ => return Ok(next.run(request).await),
    };
    let (mut parts, body) = request.into_parts();
    let body = in_time(to_bytes(body, BODY_BYTES_MAX)).await?;
    let body = body.map_err(|_| Problem::too_large())?;
    let promise = Promise::of(&caller, &key, &parts, &body);
    parts.extensions.insert(Once(Some(promise.clone())));
    let request = Request::from_parts(parts, Body::from(body));
    let done = api
        .tasks
        .spawn(once(api.clone(), promise, request, next).in_current_span());
    done.await.map_err(|error| Problem::internal(&error))
}

async fn once(api: Api, promise: Promise, request: Request, next: Next) -> Response {
    let turn = api.answers.turn(promise.key);
    let guard = turn.lock().await;
    let response = match api
        .answers
        .find(promise.key, api.app.core.clock().now())
        .await
    {
        Ok(None) => next.run(request).await,
        Ok(Some(row)) => again(&api, &promise, &row).into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    };
    drop(guard);
    api.answers.end(promise.key, &turn);
    response
}

/// The first answer's thing, read anew.
fn again(api: &Api, promise: &Promise, row: &IdempotencyRow) -> Result<Response, Problem> {
    if row.request != promise.request {
        let detail = "this Idempotency-Key was used for another request: choose a new one";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Problem::new(status, "idempotency-key-reused", detail));
    }
    let answer: Answer =
        serde_json::from_slice(&row.response).map_err(|error| Problem::internal(&error))?;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let gone = || {
        let detail = format!(
            "this request was done: it made {}, which is over since",
            answer.thing
        );
        Problem::new(StatusCode::GONE, "gone", detail)
    };
    let view = answer.thing.view(api, Some(promise)).ok_or_else(gone)?;
    let mut response = thing::respond(status, view);
    response
        .headers_mut()
        .insert("idempotent-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

fn client_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    if (1..=KEY_CHARS_MAX).contains(&text.len()) {
        return Ok(Some(text.to_owned()));
    }
    let detail = format!("Idempotency-Key: 1 to {KEY_CHARS_MAX} visible characters are expected");
    Err(Problem::invalid(detail))
}

impl Promise {
    fn of(caller: &Caller, key: &str, parts: &Parts, body: &[u8]) -> Self {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = [parts.method.as_str().as_bytes(), path.as_bytes(), body];
        let seed = [bearer(&parts.headers).unwrap_or_default(), key].join("\0");
        Self {
            key: digest([caller.key.to_string().as_bytes(), key.as_bytes()]),
            request: digest(request),
            seed: blake3::derive_key("remuda idempotency seed v1", seed.as_bytes()),
        }
    }

    /// A secret that only a holder of both keys can make again.
    pub(super) const fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
}

/// The digest of parts; their lengths keep them apart.
fn digest<const N: usize>(parts: [&[u8]; N]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher
            .update(&(part.len() as u64).to_be_bytes())
            .update(part);
    }
    Digest(*hasher.finalize().as_bytes())
}

impl Once {
    pub(super) const fn promise(&self) -> Option<&Promise> {
        self.0.as_ref()
    }

    /// The row for the command's own batch.
    pub(super) fn side(&self, now: Time, status: StatusCode, thing: &Thing) -> Option<Side> {
        let Promise { key, request, .. } = self.promise()?;
        let answer = Answer {
            status: status.as_u16(),
            thing: thing.clone(),
        };
        let response = serde_json::to_vec(&answer).unwrap_or_default();
        let row = IdempotencyRow {
            key: *key,
            request: *request,
            response,
            expires: now + KEPT,
        };
        Some(Side::Idempotency(row))
    }
}

impl<S: Sync> FromRequestParts<S> for Once {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl Answers {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            reader: Arc::default(),
            under_way: Mutex::default(),
        }
    }

    fn turn(&self, key: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(under_way.entry(key).or_default())
    }

    /// Forgets a turn that nobody else waits for.
    fn end(&self, key: Digest, turn: &Arc<tokio::sync::Mutex<()>>) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Ours and the map's; others can be had only through the map, which is locked.
        if Arc::strong_count(turn) <= 2 {
            under_way.remove(&key);
        }
    }

    async fn find(&self, key: Digest, now: Time) -> Result<Option<IdempotencyRow>, Unreadable> {
        let (dir, reader) = (self.dir.clone(), Arc::clone(&self.reader));
        let found = tokio::task::spawn_blocking(move || {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            let opened = match reader.take() {
                Some(opened) => opened,
                None => Reader::open(&dir)?,
            };
            let row = opened.idempotency(key)?;
            *reader = Some(opened);
            Ok::<_, FindError>(row)
        });
        let row = found.await.map_err(Unreadable::Task)??;
        Ok(row.filter(|row| row.expires > now))
    }
}

/// Why it cannot be known whether a request was done. Then it is not done.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("the reading thread failed")]
    Task(#[source] tokio::task::JoinError),
    #[error("the answers of earlier requests cannot be read")]
    Find(#[from] FindError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(digest([b"ab", b"c"]), digest([b"a", b"bc"]));
        assert_eq!(digest([b"ab", b"c"]), digest([b"ab", b"c"]));
    }

    #[test]
    fn turns_that_nobody_waits_for_are_forgotten() {
        let answers = Answers::new(PathBuf::new());
        let (key, first) = (Digest([1; 32]), answers.turn(Digest([1; 32])));
        let second = answers.turn(key);
        assert!(Arc::ptr_eq(&first, &second));
        answers.end(key, &first);
        assert_eq!(answers.under_way.lock().unwrap().len(), 1);
        drop(first);
        answers.end(key, &second);
        assert!(answers.under_way.lock().unwrap().is_empty());
    }

    #[test]
    fn client_keys_are_checked() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(value).unwrap());
            client_key(&headers)
        };
        assert_eq!(client_key(&HeaderMap::new()), Ok(None));
        assert_eq!(with("a"), Ok(Some("a".to_owned())));
        assert!(with("").is_err() && with(&"x".repeat(256)).is_err());
    }
}
