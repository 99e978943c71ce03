//! A message in events.

use axum::response::sse::Event;
use remuda_tokens::tools::Piece;
use remuda_types::RequestId;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::error;
use super::message::{About, Block, begun, call_id, reason, usage};
use crate::door::sse::{self, Out};
use crate::request::{Finished, Part, Refusal};

/// What is said while the answer comes.
pub(super) struct Script {
    about: About,
    request: RequestId,
    /// The block that is open.
    open: Option<Open>,
    /// Blocks that have begun.
    blocks: usize,
    calls: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Call,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    TextDelta { text: String },
    InputJsonDelta { partial_json: String },
}

impl Script {
    pub(super) fn new(about: About, request: RequestId) -> Self {
        Self {
            about,
            request,
            open: None,
            blocks: 0,
            calls: 0,
        }
    }

    fn open(&mut self, open: Open, block: &Block, out: &mut Out) {
        self.shut(out);
        let event = json!({
            "type": "content_block_start", "index": self.blocks, "content_block": block,
        });
        out.named("content_block_start", &event);
        self.open = Some(open);
        self.blocks += 1;
    }

    fn shut(&mut self, out: &mut Out) {
        if self.open.take().is_some() {
            let event = json!({"type": "content_block_stop", "index": self.blocks - 1});
            out.named("content_block_stop", &event);
        }
    }

    fn delta(&self, delta: &Delta, out: &mut Out) {
        let index = self.blocks.saturating_sub(1);
        let event = json!({"type": "content_block_delta", "index": index, "delta": delta});
        out.named("content_block_delta", &event);
    }
}

impl sse::Script for Script {
    fn begin(&mut self, out: &mut Out) {
        let event = json!({"type": "message_start", "message": begun(&self.about)});
        out.named("message_start", &event);
    }

    fn part(&mut self, _: usize, part: Part, out: &mut Out) {
        match part.piece {
            Piece::Text(text) => {
                if self.open != Some(Open::Text) {
                    let text = String::new();
                    self.open(Open::Text, &Block::Text { text }, out);
                }
                self.delta(&Delta::TextDelta { text }, out);
            }
            Piece::Call { name } => {
                let block = Block::ToolUse {
                    id: call_id(&self.about, self.calls),
                    name,
                    input: Value::Object(Map::new()),
                };
                self.calls += 1;
                self.open(Open::Call, &block, out);
            }
            Piece::Arguments(partial_json) => {
                self.delta(&Delta::InputJsonDelta { partial_json }, out);
            }
        }
    }

    fn finished(&mut self, _: usize, finished: Finished, out: &mut Out) {
        self.shut(out);
        let event = json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason(&finished), "stop_sequence": finished.stopped_by},
            "usage": usage(&finished),
        });
        out.named("message_delta", &event);
    }

    fn end(&mut self, out: &mut Out) {
        out.named("message_stop", &json!({"type": "message_stop"}));
    }

    fn failed(&mut self, refusal: &Refusal, out: &mut Out) {
        out.named("error", &error::body(refusal, self.request));
    }

    fn pulse(&self) -> Event {
        Event::default().event("ping").data(r#"{"type": "ping"}"#)
    }
}
