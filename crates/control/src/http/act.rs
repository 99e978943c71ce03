//! One request that changes something: one command, the rows that go with it, one answer.

use axum::http::StatusCode;
use axum::response::Response;
use remuda_journal::Side;
use remuda_network::Command;
use remuda_types::{CommandId, Label};

use super::Api;
use super::once::Once;
use super::problem::Problem;
use super::thing::{Thing, respond};
use crate::sequencer::SubmitError;
use crate::vault::{Held, Owner};

/// A request on its way to become durable.
pub(super) struct Act {
    api: Api,
    once: Once,
    id: CommandId,
    sides: Vec<Side>,
    texts: Vec<Held>,
}

impl Act {
    pub(super) fn new(api: &Api, once: Once) -> Self {
        let id = api.app.core.clock().command_id();
        Self {
            api: api.clone(),
            once,
            id,
            sides: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// The command's id, from which the ids of what it makes derive.
    pub(super) const fn id(&self) -> CommandId {
        self.id
    }

    pub(super) const fn once(&self) -> &Once {
        &self.once
    }

    /// Seals a text; its rows go with the command.
    pub(super) fn seal(&mut self, owner: Owner, domain: &str, text: &str) -> Label {
        let vault = self.api.app.core.vault();
        let sealing = vault.seal(owner, domain, text);
        // Before the command, since whoever sees its events may read the text at once.
        self.texts.push(vault.hold(sealing.label, sealing.text()));
        self.sides.extend(sealing.sides);
        sealing.label
    }

    /// Has the command done; returns when every later read shows it. A client that goes away stops
    /// neither the command nor what is done with its texts after it.
    pub(super) async fn commit(
        self,
        command: Command,
        status: StatusCode,
        thing: &Thing,
    ) -> Result<(), Problem> {
        let Self {
            api,
            once,
            id,
            mut sides,
            texts,
        } = self;
        let core = api.app.core.clone();
        sides.extend(once.side(core.clock().now(), status, thing));
        let done = api.tasks.spawn(async move {
            let receipt = core.submit(id, command, sides).await?;
            texts.into_iter().for_each(Held::keep);
            Ok::<_, SubmitError>(receipt)
        });
        done.await.map_err(|error| Problem::internal(&error))??;
        Ok(())
    }

    /// Has the command done and answers with what it changed.
    pub(super) async fn answer(
        self,
        command: Command,
        status: StatusCode,
        thing: Thing,
    ) -> Result<Response, Problem> {
        let (api, once) = (self.api.clone(), self.once.clone());
        self.commit(command, status, &thing).await?;
        // What was changed may be over already; then there is nothing to show but its status.
        let view = thing.view(&api, once.promise()).unwrap_or_default();
        Ok(respond(status, view))
    }
}
