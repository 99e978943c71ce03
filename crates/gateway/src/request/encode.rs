//! From what a client sent to token ids. Templates and tokenisers take their time: off the threads
//! that serve streams, as many at once as there are cores, and never for a text that cannot fit.

mod constrain;

use std::sync::Arc;

use remuda_routing::Wish;
use remuda_tokens::tools::{Style, Tool};
use remuda_tokens::{Constraints, Conversation, Message, Special, prompt};
use remuda_types::{Constraint, Time};

use super::ask::{Form, Input, Toolbox};
use super::refusal::Refusal;
use crate::gateway::Gateway;
use crate::models::Model;

/// A request as a replica takes it.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    /// Token ids of what the client sent.
    pub(super) prompt: Vec<u32>,
    /// What the request wants of its replica.
    pub(super) wish: Wish,
    pub(super) constraint: Option<Constraint>,
    /// How calls are to be read from the output, where tools may be called.
    pub(super) style: Option<Style>,
}

/// What beside the input decides how it is prepared.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) toolbox: Option<Toolbox>,
    pub(super) form: Option<Form>,
}

/// Prepares what the client sent.
pub(super) async fn encode(
    gateway: &Gateway,
    model: &Arc<Model>,
    input: Input,
    terms: Terms,
    context: u32,
) -> Result<Prepared, Refusal> {
    fits(&input, model.longest_token, context)?;
    let (model, now) = (Arc::clone(model), gateway.clock.now());
    let constraints = Arc::clone(&gateway.constraints);
    let place = Arc::clone(&gateway.encoders).acquire_owned().await;
    let encoded = tokio::task::spawn_blocking(move || {
        let encoded = prepare(&model, &constraints, input, terms, now);
        // The client may have left meanwhile; the core was taken all the same.
        drop(place);
        encoded
    });
    encoded.await.unwrap_or(Err(Refusal::BrokeOff))
}

fn prepare(
    model: &Model,
    constraints: &Constraints,
    input: Input,
    terms: Terms,
    now: Time,
) -> Result<Prepared, Refusal> {
    let style = match (&terms.toolbox, &model.template) {
        (Some(_), Ok(template)) => Some(template.tool_style()),
        (Some(_), Err(_)) | (None, _) => None,
    };
    let constraint = constrain::constraint(constraints, style, &terms)?;
    let tools = terms.toolbox.map_or(Vec::new(), |toolbox| toolbox.tools);
    let prompt = match input {
        Input::Chat(messages) => chat(model, messages, tools, now)?,
        Input::Text(text) => plain(model, &text)?,
        Input::Tokens(ids) => known(model, ids)?,
    };
    Ok(Prepared {
        wish: Wish::of_prompt(&prompt),
        prompt,
        constraint,
        style,
    })
}

fn chat(
    model: &Model,
    messages: Vec<Message>,
    tools: Vec<Tool>,
    now: Time,
) -> Result<Vec<u32>, Refusal> {
    let conversation = Conversation {
        messages,
        tools,
        add_generation_prompt: true,
        now,
    };
    let template = model.template.as_ref().map_err(Refusal::from)?;
    Ok(prompt::prepare(template, &model.tokenizer, &conversation)?.ids)
}

fn plain(model: &Model, text: &str) -> Result<Vec<u32>, Refusal> {
    let ids = model.tokenizer.encode(text, Special::Plain);
    let mut ids = ids.map_err(|_| Refusal::Encode)?;
    ids.splice(0..0, model.tokenizer.prompt_start());
    Ok(ids)
}

fn known(model: &Model, ids: Vec<u32>) -> Result<Vec<u32>, Refusal> {
    let vocabulary = model.tokenizer.vocab_size();
    match ids.iter().find(|id| **id >= vocabulary) {
        Some(id) => Err(Refusal::UnknownToken(*id)),
        None => Ok(ids),
    }
}

/// Whether the text could fit if it were all made of the longest token.
fn fits(input: &Input, longest_token: usize, context: u32) -> Result<(), Refusal> {
    let bytes = match input {
        Input::Chat(messages) => messages.iter().map(|message| message.content.len()).sum(),
        Input::Text(text) => text.len(),
        Input::Tokens(_) => 0,
    };
    let most = longest_token.saturating_mul(context as usize);
    if bytes > most {
        return Err(Refusal::TextTooLong { bytes, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_cannot_fit_is_not_encoded() {
        let text = |bytes| Input::Text("x".repeat(bytes));
        assert!(fits(&text(40), 4, 10).is_ok());
        assert!(matches!(
            fits(&text(41), 4, 10),
            Err(Refusal::TextTooLong {
                bytes: 41,
                most: 40
            })
        ));
    }
}
