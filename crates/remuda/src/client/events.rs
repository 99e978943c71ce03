//! The feed of events: pages of what happened, and a stream that is resumed where it broke.

use std::collections::VecDeque;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use remuda_wire::api::event::Event;
use reqwest::header::ACCEPT;
use reqwest::{Method, Response};

use super::{Client, Error};

/// Before a stream that broke is asked for again.
const RESUME_AFTER: Duration = Duration::from_secs(1);

/// The longest line of a stream that is kept.
const LINE_BYTES_MAX: usize = 4 << 20;

/// Where the feed begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Since {
    /// After this event; without it, what happened begins at the first, what happens with the next.
    pub(crate) after: Option<String>,
}

/// Events as they come.
#[derive(Debug)]
pub(crate) struct Events {
    client: Client,
    since: Since,
    response: Option<Response>,
    was_open: bool,
    lines: Lines,
    ready: VecDeque<Event>,
}

/// Whole lines out of pieces.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Client {
    /// Events that happened.
    pub(crate) async fn events(&self, since: &Since) -> Result<Vec<Event>, Error> {
        let cursor = since
            .after
            .as_ref()
            .map(|after| BASE64URL_NOPAD.encode(after.as_bytes()));
        let query: Vec<_> = cursor
            .map(|cursor| ("cursor", cursor))
            .into_iter()
            .collect();
        self.list("/v1/events", &query).await
    }

    /// Events that happen.
    pub(crate) fn follow(&self, since: Since) -> Events {
        Events {
            client: self.clone(),
            since,
            response: None,
            was_open: false,
            lines: Lines::default(),
            ready: VecDeque::new(),
        }
    }
}

impl Events {
    /// The next event, however long it takes.
    pub(crate) async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.since.after = Some(event.id.clone());
                return Ok(event);
            }
            let Some(mut response) = self.connected().await? else {
                continue;
            };
            if let Ok(Some(piece)) = response.chunk().await {
                self.ready.extend(
                    self.lines
                        .push(&piece)
                        .iter()
                        .filter_map(|line| event(line)),
                );
                self.response = Some(response);
            } else {
                tracing::debug!("the stream of events broke; it is resumed");
                self.lines = Lines::default();
                tokio::time::sleep(RESUME_AFTER).await;
            }
        }
    }

    /// The stream that is open, or a new one; none where control is away and was there before.
    async fn connected(&mut self) -> Result<Option<Response>, Error> {
        if let Some(response) = self.response.take() {
            return Ok(Some(response));
        }
        match self.open().await {
            Err(Error::Unreachable { .. } | Error::Lost { .. }) if self.was_open => {
                tokio::time::sleep(RESUME_AFTER).await;
                Ok(None)
            }
            opened => {
                self.was_open |= opened.is_ok();
                opened.map(Some)
            }
        }
    }

    async fn open(&self) -> Result<Response, Error> {
        let request = self.client.request(Method::GET, "/v1/events");
        let request = request.header(ACCEPT, "text/event-stream");
        let request = match &self.since.after {
            Some(after) => request.header("last-event-id", after),
            None => request,
        };
        self.client.send(request).await
    }
}

/// The event of a line of the stream; other lines repeat what it holds, or keep the stream alive.
fn event(line: &str) -> Option<Event> {
    serde_json::from_str(line.strip_prefix("data:")?).ok()
}

impl Lines {
    fn push(&mut self, piece: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(piece);
        let mut lines = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        if self.rest.len() > LINE_BYTES_MAX {
            self.rest.clear();
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_were_cut(text in "[a-z\\n]{0,60}", cuts in proptest::collection::vec(0_usize..60, 0..5)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let (mut whole, mut pieces) = (Lines::default(), Lines::default());
            let cut: Vec<String> = cuts
                .windows(2)
                .flat_map(|ends| pieces.push(&text.as_bytes()[ends[0]..ends[1]]))
                .collect();
            prop_assert_eq!(cut, whole.push(text.as_bytes()));
        }
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut lines = Lines::default();
        assert!(lines.push(b"data: {\"a\"").is_empty());
        assert_eq!(lines.push(b": 1}\r\n\r\nda"), ["data: {\"a\": 1}", ""]);
        assert_eq!(lines.push(b"ta: 2\n"), ["data: 2"]);
    }

    #[test]
    fn comments_and_ids_are_no_events() {
        assert_eq!(event(": keep-alive"), None);
        assert_eq!(event("id: 4.0"), None);
        let line = r#"data: {"id":"4.0","seq":4,"ordinal":0,"at_ms":1,"type":"tick","data":{}}"#;
        assert_eq!(event(line).map(|event| event.id), Some("4.0".to_owned()));
    }
}
