//! From what a client sent to token ids. Templates and tokenisers take their time: off the threads
//! that serve streams, as many at once as there are cores, and never for a text that cannot fit.

use std::sync::Arc;

use remuda_tokens::{Conversation, Special, prompt};
use remuda_types::Time;

use super::ask::Input;
use super::refusal::Refusal;
use crate::gateway::Gateway;
use crate::models::Model;

/// Token ids of what the client sent.
pub(super) async fn encode(
    gateway: &Gateway,
    model: &Arc<Model>,
    input: Input,
    context: u32,
) -> Result<Vec<u32>, Refusal> {
    fits(&input, model.longest_token, context)?;
    let (model, now) = (Arc::clone(model), gateway.clock.now());
    let place = Arc::clone(&gateway.encoders).acquire_owned().await;
    let encoded = tokio::task::spawn_blocking(move || {
        let encoded = ids(&model, input, now);
        // The client may have left meanwhile; the core was taken all the same.
        drop(place);
        encoded
    });
    encoded.await.unwrap_or(Err(Refusal::BrokeOff))
}

fn ids(model: &Model, input: Input, now: Time) -> Result<Vec<u32>, Refusal> {
    match input {
        Input::Chat(messages) => {
            let conversation = Conversation {
                messages,
                tools: Vec::new(),
                add_generation_prompt: true,
                now,
            };
            let template = model.template.as_ref().map_err(Refusal::from)?;
            Ok(prompt::prepare(template, &model.tokenizer, &conversation)?.ids)
        }
        Input::Text(text) => {
            let ids = model.tokenizer.encode(&text, Special::Plain);
            let mut ids = ids.map_err(|_| Refusal::Encode)?;
            ids.splice(0..0, model.tokenizer.prompt_start());
            Ok(ids)
        }
        Input::Tokens(ids) => {
            let known = model.tokenizer.vocab_size();
            match ids.iter().find(|id| **id >= known) {
                Some(id) => Err(Refusal::UnknownToken(*id)),
                None => Ok(ids),
            }
        }
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
