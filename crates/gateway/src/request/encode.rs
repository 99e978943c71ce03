//! From what a client sent to token ids. Templates and tokenisers take their time: off the threads
//! that serve streams, as many at once as there are cores, and never for a text that cannot fit.

mod constrain;

use std::sync::Arc;

use remuda_routing::Wish;
use remuda_tokens::tools::{Style, Tool};
use remuda_tokens::{Conversation, Message, Special, prompt};
use remuda_types::{Constraint, Time};
use tokio::sync::Semaphore;

use super::ask::{Form, Input, Toolbox};
use super::refusal::Refusal;
use crate::gateway::Gateway;
use crate::models::Model;

/// An input as a replica takes it.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    /// Token ids of what the client sent.
    pub(super) prompt: Vec<u32>,
    /// What the request wants of its replica.
    pub(super) wish: Wish,
}

/// Prepares what the client sent.
pub(super) async fn encode(
    gateway: &Gateway,
    model: &Arc<Model>,
    input: Input,
    toolbox: Option<&Toolbox>,
    context: u32,
) -> Result<Prepared, Refusal> {
    let tools = toolbox.map_or(&[][..], |toolbox| &toolbox.tools);
    fits(&input, tools, model.longest_token, context)?;
    let (tools, now) = (tools.to_vec(), gateway.clock.now());
    let model = Arc::clone(model);
    let encoded = off_thread(&gateway.encoders, move || {
        prepare(&model, input, tools, now)
    });
    encoded.await
}

/// What the output of a request is held to, and how calls are to be read from it.
pub(super) async fn hold_to(
    gateway: &Gateway,
    model: &Model,
    toolbox: Option<&Toolbox>,
    form: Option<&Form>,
) -> Result<Held, Refusal> {
    let style = match (toolbox, &model.template) {
        (Some(_), Ok(template)) => Some(template.tool_style()),
        (Some(_), Err(_)) | (None, _) => None,
    };
    if style.is_none() && form.is_none() {
        return Ok(Held::default());
    }
    let (toolbox, form) = (toolbox.cloned(), form.cloned());
    let constraints = Arc::clone(&gateway.constraints);
    let compile = move || {
        let tools = toolbox.as_ref().zip(style);
        let constraint = constrain::constraint(&constraints, tools, form.as_ref())?;
        Ok(Held { constraint, style })
    };
    let compiled = off_thread(&gateway.compilers, compile);
    let within = gateway.config.limits.compile_within;
    let late = |_| Err(Refusal::CompilingLate);
    tokio::time::timeout(within, compiled)
        .await
        .unwrap_or_else(late)
}

/// What an output is held to.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) constraint: Option<Constraint>,
    /// How calls are to be read from the output, where tools may be called.
    pub(super) style: Option<Style>,
}

/// Runs what takes its time off the threads that serve streams, as many at once as there are places.
async fn off_thread<T: Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let place = Arc::clone(places).acquire_owned().await;
    let worked = tokio::task::spawn_blocking(move || {
        let worked = work();
        // The client may have left meanwhile; the core was taken all the same.
        drop(place);
        worked
    });
    worked.await.unwrap_or(Err(Refusal::BrokeOff))
}

fn prepare(model: &Model, input: Input, tools: Vec<Tool>, now: Time) -> Result<Prepared, Refusal> {
    let prompt = match input {
        Input::Chat(messages) => chat(model, messages, tools, now)?,
        Input::Text(text) => plain(model, &text)?,
        Input::Tokens(ids) => known(model, ids)?,
    };
    Ok(Prepared {
        wish: Wish::of_prompt(&prompt),
        prompt,
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
fn fits(input: &Input, tools: &[Tool], longest_token: usize, context: u32) -> Result<(), Refusal> {
    let bytes: usize = match input {
        Input::Chat(messages) => messages.iter().map(length).sum(),
        Input::Text(text) => text.len(),
        Input::Tokens(_) => 0,
    };
    let bytes = bytes + tools.iter().map(of_tool).sum::<usize>();
    let most = longest_token.saturating_mul(context as usize);
    if bytes > most {
        return Err(Refusal::TextTooLong { bytes, most });
    }
    Ok(())
}

fn length(message: &Message) -> usize {
    let calls = message.tool_calls.iter();
    let calls = calls.map(|call| call.name.len() + call.arguments.to_string().len());
    message.content.len() + calls.sum::<usize>()
}

fn of_tool(tool: &Tool) -> usize {
    let schema = tool.parameters.as_ref();
    let schema = schema.map_or(0, |schema| schema.to_string().len());
    tool.name.len() + tool.description.as_ref().map_or(0, String::len) + schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_cannot_fit_is_not_encoded() {
        let text = |bytes| Input::Text("x".repeat(bytes));
        assert!(fits(&text(40), &[], 4, 10).is_ok());
        assert!(matches!(
            fits(&text(41), &[], 4, 10),
            Err(Refusal::TextTooLong {
                bytes: 41,
                most: 40
            })
        ));
    }
}
