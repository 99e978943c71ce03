//! Makes the items of a response out of what comes, and says what changed.

use remuda_tokens::tools::Piece;
use serde_json::{Value, json};

use super::object::{Frame, Status};
use crate::door::answers::{Called, Said, Whole};
use crate::kept::Kept;
use crate::request::{Finished, Refusal};

/// What is to be remembered of a response, if it is to be kept.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) kept: bool,
    /// Items of the requests before.
    pub(super) history: Vec<Value>,
    /// Items of this one.
    pub(super) input: Vec<Value>,
}

/// A response that is being made.
#[derive(Clone, Debug)]
pub(super) struct Composer {
    frame: Frame,
    record: Record,
    status: Status,
    output: Vec<Value>,
    finished: Option<Finished>,
}

/// What changed: an event's type and its fields, without the number that orders them.
pub(super) type Change = (&'static str, Value);

impl Composer {
    pub(super) fn new(frame: Frame, record: Record) -> Self {
        Self {
            frame,
            record,
            status: Status::InProgress,
            output: Vec::new(),
            finished: None,
        }
    }

    pub(super) fn is_background(&self) -> bool {
        self.frame.is_background()
    }

    pub(super) fn id(&self) -> String {
        self.frame.id()
    }

    pub(super) fn object(&self) -> Value {
        self.frame
            .object(&self.status, &self.output, self.finished.as_ref())
    }

    /// What to keep, if anything.
    pub(super) fn kept(&self) -> Option<Kept> {
        let Record {
            kept,
            history,
            input,
        } = &self.record;
        let all = history.iter().chain(input).chain(&self.output);
        kept.then(|| Kept {
            object: self.object().to_string(),
            input: Value::from(input.clone()).to_string(),
            history: all.cloned().collect::<Value>().to_string(),
        })
    }

    pub(super) fn failed(mut self, refusal: &Refusal) -> Self {
        self.fail(refusal);
        self
    }

    pub(super) fn cancelled(self) -> Self {
        Self {
            status: Status::Cancelled,
            ..self
        }
    }

    /// The whole answer at once.
    pub(super) fn whole(&mut self, whole: Whole) {
        let mut changes = Vec::new();
        for part in whole.parts {
            match part {
                Said::Text(text) => self.piece(Piece::Text(text), &mut changes),
                Said::Call(Called { name, arguments }) => {
                    self.piece(Piece::Call { name }, &mut changes);
                    self.piece(Piece::Arguments(arguments), &mut changes);
                }
            }
        }
        self.finish(whole.finished, &mut changes);
    }

    /// More of the answer.
    pub(super) fn piece(&mut self, piece: Piece, changes: &mut Vec<Change>) {
        match piece {
            Piece::Text(text) => {
                if !self.is_open("message") {
                    self.shut(changes);
                    self.open_message(changes);
                }
                self.add_text(&text, changes);
            }
            Piece::Call { name } => {
                self.shut(changes);
                self.open_call(&name, changes);
            }
            Piece::Arguments(text) => self.add_arguments(&text, changes),
        }
    }

    pub(super) fn finish(&mut self, finished: Finished, changes: &mut Vec<Change>) {
        self.status = Status::of(&finished);
        self.shut(changes);
        self.finished = Some(finished);
        let kind = match self.status {
            Status::Incomplete => "response.incomplete",
            Status::InProgress | Status::Completed | Status::Failed(_) | Status::Cancelled => {
                "response.completed"
            }
        };
        changes.push((kind, json!({"response": self.object()})));
    }

    pub(super) fn fail(&mut self, refusal: &Refusal) -> Change {
        self.status = Status::Failed(refusal.to_string());
        ("response.failed", json!({"response": self.object()}))
    }

    /// Whether the last item is of this type and not complete.
    fn is_open(&self, kind: &str) -> bool {
        let open = |item: &Value| item["status"] == "in_progress" && item["type"] == kind;
        self.output.last().is_some_and(open)
    }

    fn open_message(&mut self, changes: &mut Vec<Change>) {
        let id = self.frame.id_of("msg", self.output.len());
        let item = json!({
            "type": "message", "id": id, "status": "in_progress", "role": "assistant", "content": [],
        });
        self.open(item, changes);
        let part = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
        let added = self.of_part(json!({"part": part}));
        changes.push(("response.content_part.added", added));
        if let Some(item) = self.output.last_mut() {
            item["content"] = json!([part]);
        }
    }

    fn open_call(&mut self, name: &str, changes: &mut Vec<Change>) {
        let nth = self.output.len();
        let item = json!({
            "type": "function_call", "id": self.frame.id_of("fc", nth), "status": "in_progress",
            "call_id": self.frame.id_of("call", nth), "name": name, "arguments": "",
        });
        self.open(item, changes);
    }

    fn open(&mut self, item: Value, changes: &mut Vec<Change>) {
        let added = json!({"output_index": self.output.len(), "item": item});
        changes.push(("response.output_item.added", added));
        self.output.push(item);
    }

    fn add_text(&mut self, text: &str, changes: &mut Vec<Change>) {
        if let Some(item) = self.output.last_mut() {
            append(&mut item["content"][0]["text"], text);
        }
        let delta = self.of_part(json!({"delta": text, "logprobs": []}));
        changes.push(("response.output_text.delta", delta));
    }

    fn add_arguments(&mut self, text: &str, changes: &mut Vec<Change>) {
        if !self.is_open("function_call") {
            return; // Arguments follow a call.
        }
        if let Some(item) = self.output.last_mut() {
            append(&mut item["arguments"], text);
        }
        let delta = self.of_item(json!({"delta": text}));
        changes.push(("response.function_call_arguments.delta", delta));
    }

    /// Completes the last item, unless it is.
    fn shut(&mut self, changes: &mut Vec<Change>) {
        let cut_short = matches!(self.status, Status::Incomplete);
        let Some(item) = self
            .output
            .last_mut()
            .filter(|item| item["status"] == "in_progress")
        else {
            return;
        };
        item["status"] = if cut_short { "incomplete" } else { "completed" }.into();
        let item = item.clone();
        if item["type"] == "message" {
            let part = &item["content"][0];
            let text = self.of_part(json!({"text": part["text"], "logprobs": []}));
            changes.push(("response.output_text.done", text));
            let part = self.of_part(json!({"part": part}));
            changes.push(("response.content_part.done", part));
        } else {
            let done = json!({"name": item["name"], "arguments": item["arguments"]});
            let done = self.of_item(done);
            changes.push(("response.function_call_arguments.done", done));
        }
        let done = json!({"output_index": self.output.len() - 1, "item": item});
        changes.push(("response.output_item.done", done));
    }

    /// Fields of an event of the last item.
    fn of_item(&self, mut fields: Value) -> Value {
        let last = self.output.last();
        fields["item_id"] = last.map_or(Value::Null, |item| item["id"].clone());
        fields["output_index"] = self.output.len().saturating_sub(1).into();
        fields
    }

    /// Fields of an event of the last item's text.
    fn of_part(&self, fields: Value) -> Value {
        let mut fields = self.of_item(fields);
        fields["content_index"] = 0.into();
        fields
    }
}

fn append(to: &mut Value, text: &str) {
    if let Value::String(whole) = to {
        whole.push_str(text);
    }
}
