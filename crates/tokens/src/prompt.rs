//! From a conversation to the ids of its prompt, so that no user can write a control token.
//!
//! A template writes `<|im_start|>` as text, and so could a user; after rendering nobody can tell who
//! did. llama-server parses both. Here a *guard*, a Unicode noncharacter that appears nowhere in the
//! conversation or template, is put behind the first character of what looks like a control token in a message.
//! Control tokens are then looked for with the guards in place, and the guards dropped before the rest
//! is split and merged. So text without control tokens gives the ids that llama-server gives.
//!
//! A template could still join two halves of a token by deleting what lies between. Therefore a prompt
//! with such characters is rendered twice: *light*, with guards only in whole control tokens, so that
//! the template sees the rest as it is; and *full*, with a guard behind every character that could begin
//! one. If both hold the same control tokens the light one is used, else the full one.

use crate::template::{self, ChatTemplate, Conversation};
use crate::tokenizer::{EncodeError, Special, Tokenizer};

/// Why a conversation did not become a prompt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template failed.
    #[error("the chat template cannot render this conversation")]
    Template(#[from] template::Error),
    /// The rendered text could not be encoded.
    #[error("the rendered conversation cannot be encoded")]
    Encode(#[from] EncodeError),
    /// The messages use all the noncharacters that could be a guard.
    #[error("the messages contain every Unicode noncharacter: remove one")]
    NoGuard,
}

/// A rendered conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What the model reads, as text.
    pub text: String,
    /// What the model reads, as token ids; begins with BOS exactly once where the model wants one.
    pub ids: Vec<u32>,
}

/// Renders and encodes a conversation.
pub fn prepare(
    template: &ChatTemplate,
    tokenizer: &Tokenizer,
    conversation: &Conversation,
) -> Result<Prompt, Error> {
    let begins = |c| tokenizer.specials().starts_control(c);
    let conversation = &*template.fitting(conversation);
    let texts = texts(conversation);
    if !texts.iter().any(|text| text.contains(begins)) {
        let text = template.render(conversation)?;
        return encode(tokenizer, text, None);
    }
    let guard = pick_guard(template, &texts).ok_or(Error::NoGuard)?;
    let light = template.render(&guarded(conversation, |text, at, _| {
        tokenizer.specials().control_at(text, at).then_some(guard)
    }))?;
    let full = template.render(&guarded(conversation, |_, _, c| begins(c).then_some(guard)))?;
    let controls = |text| tokenizer.specials().controls(text);
    let safe = if controls(&light) == controls(&full) {
        light
    } else {
        full
    };
    encode(tokenizer, safe, Some(guard))
}

fn encode(tokenizer: &Tokenizer, text: String, guard: Option<char>) -> Result<Prompt, Error> {
    let mut ids = tokenizer.encode_guarded(&text, Special::Parse, guard)?;
    let start = tokenizer
        .prompt_start()
        .filter(|start| ids.first() != Some(start));
    ids.splice(0..0, start);
    let text = match guard {
        Some(guard) => text.replace(guard, ""),
        None => text,
    };
    Ok(Prompt { text, ids })
}

/// All that the conversation's author wrote.
fn texts(conversation: &Conversation) -> Vec<String> {
    let mut texts = Vec::new();
    let mut seen = conversation.clone();
    seen.map_texts(&mut |text| texts.push(std::mem::take(text)));
    texts
}

/// A noncharacter of the block U+FDD0..=U+FDEF that neither template nor texts contain.
fn pick_guard(template: &ChatTemplate, texts: &[String]) -> Option<char> {
    let used = |guard: char| {
        template.source().contains(guard) || texts.iter().any(|text| text.contains(guard))
    };
    ('\u{fdd0}'..='\u{fdef}').find(|guard| !used(*guard))
}

/// The conversation with a guard behind each character for which `after(text, at, character)` gives one.
fn guarded(
    conversation: &Conversation,
    after: impl Fn(&str, usize, char) -> Option<char>,
) -> Conversation {
    let mut guarded = conversation.clone();
    guarded.map_texts(&mut |text| {
        let each = text
            .char_indices()
            .flat_map(|(at, c)| [Some(c), after(text, at, c)]);
        *text = each.flatten().collect();
    });
    guarded
}
