//! The feed of events: a page, or a stream that goes on (SSE).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::stream;
use remuda_journal::Seq;
use remuda_network::state::{KeyOwner, Scope};
use remuda_wire::api::event::Event;
use remuda_wire::api::{Page, PageQuery};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::body::Params;
use super::limit::{STREAMS_MAX, Streaming};
use super::page::Window;
use super::problem::Problem;
use super::{Api, Stopping};
use crate::projection::Projections;
use crate::projection::statement::{Audience, FeedEvent};

/// Events read at once for a stream.
const STREAM_READ: u32 = 500;

/// What happens within this time of a first event is read with it.
const STREAM_PAUSE: Duration = Duration::from_millis(20);

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(events))
}

/// A place in the journal: `seq.ordinal`. What comes after it is still to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    seq: i64,
    ordinal: i64,
}

impl Position {
    pub(super) const fn new(seq: i64, ordinal: i64) -> Self {
        Self { seq, ordinal }
    }

    pub(super) const fn pair(self) -> (i64, i64) {
        (self.seq, self.ordinal)
    }

    /// After everything that record `seq` caused.
    fn after(seq: Seq) -> Self {
        Self {
            seq: i64::try_from(seq.0).unwrap_or(i64::MAX),
            ordinal: i64::MAX,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seq, self.ordinal)
    }
}

impl FromStr for Position {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse().ok().filter(|number: &i64| *number >= 0);
        let parsed = text.split_once('.').and_then(|(seq, ordinal)| {
            Some(Self {
                seq: number(seq)?,
                ordinal: number(ordinal)?,
            })
        });
        parsed.ok_or("an event's id is two numbers with a dot between them")
    }
}

fn audience(caller: &Caller) -> Audience {
    match caller.owner {
        KeyOwner::Operator => Audience::Operator,
        KeyOwner::Project(project) => Audience::Project(project),
        KeyOwner::Provider(provider) => Audience::Provider(provider),
    }
}

fn event(row: FeedEvent) -> Event {
    Event {
        id: Position::new(row.seq, row.ordinal).to_string(),
        seq: row.seq.unsigned_abs(),
        ordinal: row.ordinal.unsigned_abs(),
        at_ms: row.at_ms.unsigned_abs(),
        kind: row.kind,
        data: serde_json::from_str(&row.body).unwrap_or_default(),
    }
}

async fn read(
    projections: &Projections,
    audience: Audience,
    after: Position,
    limit: u32,
) -> Result<Vec<FeedEvent>, Problem> {
    let projections = projections.clone();
    let query = move || projections.events(audience, after.pair(), limit);
    let rows = tokio::task::spawn_blocking(query).await;
    rows.map_err(|error| Problem::internal(&error))?
        .map_err(|error| Problem::internal(&error))
}

/// What happened, oldest first: a page from the first event, or with `accept: text/event-stream`
/// a stream of what happens from now, or from after `last-event-id`. Scope `read`.
#[utoipa::path(get, path = "/v1/events", tag = "events", security(("key" = [])),
    params(PageQuery,
        ("last-event-id" = Option<String>, Header, description = "Resume a stream after this event")),
    responses((status = 200, content(
        (Page<Event> = "application/json"), (String = "text/event-stream")))))]
async fn events(
    State(api): State<Api>,
    caller: Caller,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
    Params(query): Params<PageQuery>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::<Position>::of(&query)?;
    if wants_stream(&headers) {
        let after = resume_from(&headers)?.or(window.after);
        let stop = stopping
            .map(|Extension(Stopping(stop))| stop)
            .unwrap_or_default();
        let open = api.streams.open(caller.owner).ok_or_else(too_many)?;
        return Ok(follow(api, (caller, open), after, stop));
    }
    let after = window.after.unwrap_or_default();
    let limit = u32::try_from(window.limit + 1).unwrap_or(u32::MAX);
    // An id is never 0.0: records count from 1.
    let rows = read(&api.app.projections, audience(&caller), after, limit).await?;
    let at = |row: &FeedEvent| Position::new(row.seq, row.ordinal);
    let page = window.fill(rows.into_iter().map(|row| (at(&row), event(row))));
    Ok(Json(page).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

fn resume_from(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let parsed = value.to_str().unwrap_or_default().parse();
    parsed
        .map(Some)
        .map_err(|error| Problem::invalid(format!("last-event-id: {error}")))
}

/// A stream on its way.
struct Following {
    api: Api,
    caller: Caller,
    _open: Streaming,
    after: Position,
    changes: watch::Receiver<Seq>,
    ready: VecDeque<FeedEvent>,
    stop: CancellationToken,
}

fn too_many() -> Problem {
    let detail = format!(
        "all keys of this owner together have {STREAMS_MAX} streams open: close one, or read pages"
    );
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", detail).retry_after(5)
}

fn follow(
    api: Api,
    (caller, open): (Caller, Streaming),
    after: Option<Position>,
    stop: CancellationToken,
) -> Response {
    let changes = api.app.core.projected();
    let now = Position::after(*changes.borrow());
    let after = after.unwrap_or(now);
    let ready = VecDeque::new();
    let following = Following {
        api,
        caller,
        _open: open,
        after,
        changes,
        ready,
        stop,
    };
    let events = stream::unfold(following, |following| async {
        let (row, following) = following.next().await?;
        Some((Ok::<_, Infallible>(frame(row)), following))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

fn frame(row: FeedEvent) -> sse::Event {
    let event = event(row);
    let data = serde_json::to_string(&event).unwrap_or_default();
    sse::Event::default()
        .id(event.id)
        .event(event.kind)
        .data(data)
}

impl Following {
    /// The next event; none when control stops, the key ends or the events cannot be read. The
    /// client then resumes.
    async fn next(mut self) -> Option<(FeedEvent, Self)> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                self.after = Position::new(row.seq, row.ordinal);
                return Some((row, self));
            }
            if !self.caller.is_valid(&self.api) {
                return None;
            }
            // Seen before the rows are read, so that what comes meanwhile is not slept over.
            self.changes.borrow_and_update();
            let (projections, audience) = (&self.api.app.projections, audience(&self.caller));
            self.ready = read(projections, audience, self.after, STREAM_READ)
                .await
                .ok()?
                .into();
            if self.ready.is_empty() {
                tokio::select! {
                    changed = self.changes.changed() => changed.ok()?,
                    () = self.stop.cancelled() => return None,
                }
                tokio::time::sleep(STREAM_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_round_trip(seq in 0_i64.., ordinal in 0_i64..) {
            let position = Position::new(seq, ordinal);
            prop_assert_eq!(position.to_string().parse(), Ok(position));
        }

        #[test]
        fn any_text_is_a_position_or_an_error(text in "[0-9.+-]{0,8}") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert!(position >= Position::default());
            }
        }
    }
}
