//! Answers that are sent as they are made: server-sent events, whatever an API says with them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::http::HeaderValue;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Serialize;

use super::answers::Answers;
use crate::gateway::Gateway;
use crate::request::{Event, Finished, Part, Refusal};

/// What an API says while an answer comes.
pub(super) trait Script: Send + 'static {
    /// Before anything has come.
    fn begin(&mut self, out: &mut Out);
    /// More of an answer, which is named by its place.
    fn part(&mut self, answer: usize, part: Part, out: &mut Out);
    /// An answer is complete.
    fn finished(&mut self, answer: usize, finished: Finished, out: &mut Out);
    /// All are.
    fn end(&mut self, out: &mut Out);
    /// None more will be; nothing follows.
    fn failed(&mut self, refusal: &Refusal, out: &mut Out);
    /// What is said when there is nothing to say, so that nobody hangs up.
    fn pulse(&self) -> sse::Event {
        sse::Event::default().comment("waiting")
    }
}

/// Events that are made and not yet sent.
#[derive(Debug, Default)]
pub(super) struct Out(VecDeque<sse::Event>);

impl Out {
    /// A JSON object.
    pub(super) fn data(&mut self, data: &impl Serialize) {
        self.push(sse::Event::default(), data);
    }

    /// A JSON object under a name.
    pub(super) fn named(&mut self, name: &str, data: &impl Serialize) {
        self.push(sse::Event::default().event(name), data);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.0.push_back(sse::Event::default().data(text));
    }

    fn push(&mut self, event: sse::Event, data: &impl Serialize) {
        // Objects of strings and numbers always encode.
        if let Ok(event) = event.json_data(data) {
            self.0.push_back(event);
        }
    }
}

/// A body being written.
struct Writer<S> {
    answers: Answers,
    script: S,
    out: Out,
    over: bool,
}

/// Waits for the first token, for a failure before it still has an HTTP status; then streams. A
/// first token that takes very long is waited for with the stream open.
pub(super) async fn respond(
    gateway: &Arc<Gateway>,
    mut answers: Answers,
    script: impl Script,
) -> Result<Response, Refusal> {
    let limits = gateway.config.limits;
    if let Some(refusal) = answers.fails_early(limits.head_wait).await {
        return Err(refusal);
    }
    let pulse = KeepAlive::new().interval(limits.keep_alive);
    let pulse = pulse.event(script.pulse());
    let mut writer = Writer {
        answers,
        script,
        out: Out::default(),
        over: false,
    };
    writer.script.begin(&mut writer.out);
    let events = stream::unfold(writer, |mut writer| async move {
        let event = writer.next().await?;
        Some((Ok::<_, Infallible>(event), writer))
    });
    let mut response = Sse::new(events).keep_alive(pulse).into_response();
    // Proxies that gather a response before they pass it on would take the streaming away.
    let unbuffered = HeaderValue::from_static("no");
    response
        .headers_mut()
        .insert("x-accel-buffering", unbuffered);
    Ok(response)
}

impl<S: Script> Writer<S> {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.out.0.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            let (script, out) = (&mut self.script, &mut self.out);
            match self.answers.next().await {
                Some((answer, Event::Part(part))) => script.part(answer, part, out),
                Some((answer, Event::Finished(finished))) => script.finished(answer, finished, out),
                Some((_, Event::Failed(refusal))) => {
                    script.failed(&refusal, out);
                    self.over = true;
                }
                None => {
                    script.end(out);
                    self.over = true;
                }
            }
        }
    }
}
