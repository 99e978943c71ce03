//! A response in events, each with a number.

use std::sync::Arc;

use remuda_types::ProjectId;
use serde_json::{Value, json};

use super::composer::{Change, Composer};
use crate::door::sse::{self, Out};
use crate::gateway::Gateway;
use crate::request::{Finished, Part, Refusal};

/// What is said while the answer comes.
pub(super) struct Script {
    gateway: Arc<Gateway>,
    project: ProjectId,
    composer: Composer,
    said: u64,
}

impl Script {
    pub(super) fn new(gateway: Arc<Gateway>, project: ProjectId, composer: Composer) -> Self {
        Self {
            gateway,
            project,
            composer,
            said: 0,
        }
    }

    fn say(&mut self, (kind, mut fields): Change, out: &mut Out) {
        fields["type"] = kind.into();
        fields["sequence_number"] = self.said.into();
        self.said += 1;
        out.named(kind, &fields);
    }

    fn say_all(&mut self, changes: Vec<Change>, out: &mut Out) {
        for change in changes {
            self.say(change, out);
        }
    }

    /// Who has read the last event may go on from the response at once.
    fn keep(&self) {
        let Some(kept) = self.composer.kept() else {
            return;
        };
        let (responses, id) = (&self.gateway.responses, self.composer.id());
        let now = self.gateway.clock.now();
        let written = responses.keep_soon(self.project, id, kept, now);
        self.gateway.tasks.spawn(written);
    }
}

impl sse::Script for Script {
    fn begin(&mut self, out: &mut Out) {
        for kind in ["response.created", "response.in_progress"] {
            let object: Value = self.composer.object();
            self.say((kind, json!({"response": object})), out);
        }
    }

    fn part(&mut self, _: usize, part: Part, out: &mut Out) {
        let mut changes = Vec::new();
        self.composer.piece(part.piece, &mut changes);
        self.say_all(changes, out);
    }

    fn finished(&mut self, _: usize, finished: Finished, out: &mut Out) {
        let mut changes = Vec::new();
        self.composer.finish(finished, &mut changes);
        self.keep();
        self.say_all(changes, out);
    }

    fn end(&mut self, _: &mut Out) {}

    fn failed(&mut self, refusal: &Refusal, out: &mut Out) {
        let change = self.composer.fail(refusal);
        self.say(change, out);
    }
}
