//! A client that reads answers as the SDKs do.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

/// An HTTP client.
pub(crate) fn client() -> Client {
    remuda_link::https::client(Client::builder().no_proxy()).unwrap()
}

/// A stream of server-sent events.
#[derive(Debug)]
pub(crate) struct Events {
    response: Response,
    buffer: String,
    /// Comments that came between events.
    pub(crate) comments: usize,
}

impl Events {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self {
            response,
            buffer: String::new(),
            comments: 0,
        }
    }

    /// The next event's data; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                match block.strip_prefix("data: ") {
                    Some(data) => return Some(data.to_owned()),
                    None => self.comments += 1,
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_mins(1), self.response.chunk());
            let chunk = chunk.await.expect("the stream says something").unwrap()?;
            self.buffer
                .push_str(std::str::from_utf8(&chunk).expect("whole characters"));
        }
    }

    /// All that is still to come.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(data) = self.next().await {
            all.push(data);
        }
        all
    }

    /// Reads until so many characters of content have come.
    pub(crate) async fn content(&mut self, characters: usize) -> String {
        let mut text = String::new();
        while text.chars().count() < characters {
            let data = self.next().await.expect("more content");
            text.push_str(content(&json(&data)));
        }
        text
    }
}

pub(crate) fn json(data: &str) -> Value {
    serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))
}

/// The content of a chunk.
pub(crate) fn content(chunk: &Value) -> &str {
    let choice = &chunk["choices"][0];
    choice["delta"]["content"]
        .as_str()
        .or_else(|| choice["text"].as_str())
        .unwrap_or_default()
}

/// The content of all chunks.
pub(crate) fn text(events: &[String]) -> String {
    let chunks = events
        .iter()
        .filter(|data| *data != "[DONE]")
        .map(|data| json(data));
    chunks.map(|chunk| content(&chunk).to_owned()).collect()
}
