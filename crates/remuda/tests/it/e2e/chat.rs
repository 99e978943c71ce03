//! A tenant's program: asks the gateway, reads streams.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use remuda_link::https;
use serde_json::{Value, json};

use super::network::MODEL;

#[derive(Clone)]
pub(crate) struct Door {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// A stream under way.
pub(crate) struct Stream {
    bytes: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    buffer: String,
    pub(crate) text: String,
    pub(crate) pieces: usize,
    pub(crate) finish: Option<String>,
    pub(crate) error: Option<Value>,
    pub(crate) usage: Option<Value>,
}

impl Door {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        let http = reqwest::Client::builder().read_timeout(Duration::from_secs(90));
        Self {
            http: https::client(http).unwrap(),
            url: url.to_owned(),
            key: key.to_owned(),
        }
    }

    /// A body; the same seed gives the same answer.
    pub(crate) fn body(seed: u64, max_tokens: u32, stream: bool) -> Value {
        let words = format!("Tell me story number {seed} of a rider and her horses.");
        let mut body = json!({
            "model": MODEL,
            "messages": [{ "role": "user", "content": words }],
            "seed": seed,
            "max_tokens": max_tokens,
            "temperature": 0.8,
            "stream": stream,
        });
        if stream {
            body["stream_options"] = json!({ "include_usage": true });
        }
        body
    }

    pub(crate) async fn post(&self, body: &Value) -> reqwest::Response {
        let url = format!("{}/v1/chat/completions", self.url);
        self.http
            .post(url)
            .bearer_auth(&self.key)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// The answer in one piece.
    pub(crate) async fn whole(&self, seed: u64, max_tokens: u32) -> Value {
        let response = self.post(&Self::body(seed, max_tokens, false)).await;
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        assert!(status.is_success(), "{status}: {answer}");
        answer
    }

    /// The answer as it streams.
    pub(crate) async fn stream(&self, seed: u64, max_tokens: u32) -> Stream {
        let response = self.post(&Self::body(seed, max_tokens, true)).await;
        assert!(
            response.status().is_success(),
            "{:?}",
            response.text().await
        );
        let bytes = response
            .bytes_stream()
            .map(|bytes| bytes.map(|bytes| bytes.to_vec()));
        Stream {
            bytes: bytes.boxed(),
            buffer: String::new(),
            text: String::new(),
            pieces: 0,
            finish: None,
            error: None,
            usage: None,
        }
    }
}

impl Stream {
    /// Reads on until there are so many pieces, or the end; says whether it goes on.
    pub(crate) async fn read_to(&mut self, pieces: usize) -> bool {
        while self.pieces < pieces {
            match self.bytes.next().await {
                Some(Ok(bytes)) => self.take(&String::from_utf8(bytes).unwrap()),
                Some(Err(_)) | None => return false,
            }
        }
        true
    }

    /// Reads to the end.
    pub(crate) async fn read(&mut self) {
        self.read_to(usize::MAX).await;
    }

    fn take(&mut self, bytes: &str) {
        self.buffer.push_str(bytes);
        while let Some(end) = self.buffer.find('\n') {
            let line: String = self.buffer.drain(..=end).collect();
            let data = line.trim_end().strip_prefix("data: ");
            if let Some(data) = data.filter(|data| *data != "[DONE]") {
                self.chunk(&serde_json::from_str(data).unwrap());
            }
        }
    }

    fn chunk(&mut self, chunk: &Value) {
        if !chunk["error"].is_null() {
            self.error = Some(chunk["error"].clone());
        }
        if !chunk["usage"].is_null() {
            self.usage = Some(chunk["usage"].clone());
        }
        let choice = &chunk["choices"][0];
        if let Some(text) = choice["delta"]["content"]
            .as_str()
            .filter(|text| !text.is_empty())
        {
            self.text.push_str(text);
            self.pieces += 1;
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.finish = Some(reason.to_owned());
        }
    }
}
