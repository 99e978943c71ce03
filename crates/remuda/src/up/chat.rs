//! A client of the gateway's OpenAI-compatible door, as a tenant's program would be.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use remuda_link::https;
use remuda_types::Time;
use reqwest::Response;
use serde_json::{Value, json};

use crate::clock;
use crate::error::Failure;
use crate::exit::Exit;
use crate::settings::Key;

/// How long the first byte of an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// How long a stream may be silent.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// A gateway, and a key to it.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    http: reqwest::Client,
    url: String,
    key: Key,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    /// The model's name.
    pub(crate) model: &'a str,
    /// The user's words.
    pub(crate) text: &'a str,
    /// The sampler's seed: the same seed, the same answer.
    pub(crate) seed: u64,
    /// The most tokens.
    pub(crate) max_tokens: u32,
}

/// An answer under way.
pub(crate) struct Answer {
    bytes: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    buffer: Vec<u8>,
}

/// What comes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text, and when it arrived.
    Text(String, Time),
    /// The end, and why.
    End(String),
}

impl Door {
    /// A door that is known by its address.
    pub(crate) fn new(url: &str, key: Key) -> anyhow::Result<Self> {
        let http = https::client(reqwest::Client::builder().read_timeout(SILENCE_MAX))?;
        Ok(Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            key,
        })
    }

    /// Asks; the answer streams.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> anyhow::Result<Answer> {
        let body = json!({
            "model": question.model,
            "messages": [{ "role": "user", "content": question.text }],
            "seed": question.seed,
            "max_tokens": question.max_tokens,
            "temperature": 0.8,
            "stream": true,
        });
        let url = format!("{}/v1/chat/completions", self.url);
        let request = self
            .http
            .post(url)
            .bearer_auth(self.key.reveal())
            .json(&body);
        let response = tokio::time::timeout(ANSWER_WITHIN, request.send()).await??;
        if !response.status().is_success() {
            return Err(refused(response).await.into());
        }
        let bytes = response
            .bytes_stream()
            .map(|bytes| bytes.map(|bytes| bytes.to_vec()))
            .boxed();
        Ok(Answer {
            bytes,
            buffer: Vec::new(),
        })
    }
}

async fn refused(response: Response) -> Failure {
    let status = response.status();
    let body: Value = response.json().await.unwrap_or_default();
    let said = body["error"]["message"]
        .as_str()
        .unwrap_or("nothing more")
        .to_owned();
    let message = format!("the gateway answered {status}: {said}");
    Failure::new(Exit::Refused, message, "look into the gateway's log")
}

impl Answer {
    /// The next piece; nothing when the stream broke off.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Piece>> {
        loop {
            while let Some(line) = self.line() {
                if let Some(piece) = piece(&line)? {
                    return Ok(Some(piece));
                }
            }
            match self.bytes.next().await {
                Some(bytes) => self.buffer.extend(bytes?),
                None => return Ok(None),
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// What a line of the stream says; comments and role chunks say nothing.
fn piece(line: &str) -> anyhow::Result<Option<Piece>> {
    let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]") else {
        return Ok(None);
    };
    let chunk: Value = serde_json::from_str(data)?;
    if let Some(error) = chunk.get("error") {
        anyhow::bail!("the stream ended with an error: {error}");
    }
    let choice = &chunk["choices"][0];
    if let Some(reason) = choice["finish_reason"].as_str() {
        return Ok(Some(Piece::End(reason.to_owned())));
    }
    let text = choice["delta"]["content"]
        .as_str()
        .filter(|text| !text.is_empty());
    Ok(text.map(|text| Piece::Text(text.to_owned(), clock::now())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_stream_are_told_apart() {
        let silent = [
            "",
            ": keep-alive",
            "data: [DONE]",
            "event: x",
            r#"data: {"choices":[]}"#,
        ];
        for line in silent {
            assert_eq!(piece(line).unwrap(), None, "{line}");
        }
        let text = r#"data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}"#;
        assert!(matches!(piece(text).unwrap(), Some(Piece::Text(text, _)) if text == "Hi"));
        let end = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
        assert_eq!(piece(end).unwrap(), Some(Piece::End("stop".to_owned())));
        assert!(piece(r#"data: {"error":{"message":"no"}}"#).is_err());
    }
}
