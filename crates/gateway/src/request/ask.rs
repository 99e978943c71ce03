//! What a client asks for, in no API's words.

use remuda_tokens::Message;
use remuda_tokens::tools::{Choice, Tool};
use remuda_types::Constraint;
use remuda_wire::infer::Sampler;

/// The most answers that one request may ask for.
pub(crate) const MAX_ANSWERS: usize = 32;

/// Generations that are wished for: `each` answers to each of `inputs`.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The model's name, in the project of the key.
    pub(crate) model: String,
    /// Never empty, and with `each` at most [`MAX_ANSWERS`] answers.
    pub(crate) inputs: Vec<Input>,
    /// At least one.
    pub(crate) each: usize,
    /// Tools that the model may or must call.
    pub(crate) toolbox: Option<Toolbox>,
    /// What the text of an answer is held to.
    pub(crate) form: Option<Form>,
    pub(crate) sampler: Sampler,
    /// Chosen at random when absent.
    pub(crate) seed: Option<u64>,
    /// What fits (and the policy allows) when absent.
    pub(crate) max_tokens: Option<u32>,
    pub(crate) stops: Vec<String>,
    /// How many of the likeliest tokens to report with each token; none reports no probabilities.
    pub(crate) top_logprobs: Option<u8>,
    /// Whether the client takes the answer as it is made.
    pub(crate) streamed: bool,
}

/// What the model is to go on from.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A conversation, for the model's chat template.
    Chat(Vec<Message>),
    /// Plain text; no part of it becomes a control token.
    Text(String),
    /// Token ids of the model's own vocabulary.
    Tokens(Vec<u32>),
}

/// Tools, and what is to be done with them.
#[derive(Clone, Debug)]
pub(crate) struct Toolbox {
    /// Never empty; names differ.
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    /// Whether more than one may be called in one answer.
    pub(crate) parallel: bool,
    /// The parameter of a tool's schema.
    pub(crate) schema_path: fn(usize) -> String,
}

/// What text is held to, and the parameter that said so.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) constraint: Constraint,
    pub(crate) parameter: &'static str,
}
