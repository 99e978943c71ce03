//! An answer that is sent as it is made: server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Serialize;

use super::body::{About, Door, Usage, reason};
use super::chat::{ChunkChoice, Delta};
use super::{completions, error};
use crate::gateway::Gateway;
use crate::request::{Event, Finished, Inbox, Refusal};

/// A body being written.
struct Writer {
    about: About,
    inbox: Inbox,
    include_usage: bool,
    /// Events that are made and not yet sent.
    ready: VecDeque<sse::Event>,
    over: bool,
}

/// Waits for the first token, for a failure before it still has an HTTP status; then streams. A
/// first token that takes very long is waited for with the stream open.
pub(super) async fn respond(
    gateway: &Arc<Gateway>,
    about: About,
    mut inbox: Inbox,
    include_usage: bool,
) -> Result<Response, Refusal> {
    let limits = gateway.config.limits;
    if let Some(refusal) = inbox.fails_early(limits.head_wait).await {
        return Err(refusal);
    }
    let mut writer = Writer {
        about,
        inbox,
        include_usage,
        ready: VecDeque::new(),
        over: false,
    };
    writer.begin();
    let events = stream::unfold(writer, |mut writer| async move {
        writer
            .next()
            .await
            .map(|event| (Ok::<_, Infallible>(event), writer))
    });
    let comments = KeepAlive::new().interval(limits.keep_alive).text("waiting");
    let mut response = Sse::new(events).keep_alive(comments).into_response();
    // Proxies that gather a response before they pass it on would take the streaming away.
    let unbuffered = axum::http::HeaderValue::from_static("no");
    response
        .headers_mut()
        .insert("x-accel-buffering", unbuffered);
    Ok(response)
}

impl Writer {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            match self.inbox.deliver().await {
                Event::Text { text, .. } => self.text(text, None),
                Event::Finished(finished) => self.finish(finished),
                Event::Failed(refusal) => self.fail(&refusal),
            }
        }
    }

    /// Chat says first who speaks.
    fn begin(&mut self) {
        match self.about.door {
            Door::Chat => {
                let delta = Delta {
                    role: Some("assistant"),
                    content: Some(String::new()),
                };
                self.chunk(
                    vec![ChunkChoice {
                        delta,
                        ..ChunkChoice::default()
                    }],
                    None,
                );
            }
            Door::Completions => {}
        }
    }

    fn text(&mut self, text: String, finish_reason: Option<&'static str>) {
        match self.about.door {
            Door::Chat => {
                let content = finish_reason.is_none().then_some(text);
                let delta = Delta {
                    role: None,
                    content,
                };
                self.chunk(
                    vec![ChunkChoice {
                        delta,
                        finish_reason,
                        ..Default::default()
                    }],
                    None,
                );
            }
            Door::Completions => {
                let choice = completions::Choice {
                    text,
                    finish_reason,
                    ..Default::default()
                };
                self.chunk(vec![choice], None);
            }
        }
    }

    fn finish(&mut self, finished: Finished) {
        self.text(String::new(), Some(reason(finished.reason)));
        if self.include_usage {
            self.chunk(Vec::<ChunkChoice>::new(), Some(finished.into()));
        }
        self.ready.push_back(sse::Event::default().data("[DONE]"));
        self.over = true;
    }

    /// SDKs raise an error for this object; there is no `[DONE]` after it.
    fn fail(&mut self, refusal: &Refusal) {
        let body = error::body(refusal, self.about.door);
        self.push(&body);
        self.over = true;
    }

    fn chunk<C: Serialize>(&mut self, choices: Vec<C>, usage: Option<Usage>) {
        let object = match self.about.door {
            Door::Chat => "chat.completion.chunk",
            Door::Completions => "text_completion",
        };
        let usage = self.include_usage.then_some(usage);
        let data = self.about.object(object, choices, usage);
        // Objects of strings and numbers always encode.
        if let Ok(event) = sse::Event::default().json_data(&data) {
            self.ready.push_back(event);
        }
    }

    fn push(&mut self, data: &impl Serialize) {
        if let Ok(event) = sse::Event::default().json_data(data) {
            self.ready.push_back(event);
        }
    }
}
