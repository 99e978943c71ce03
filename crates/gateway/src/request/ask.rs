//! What a client asks for, in no API's words.

use remuda_tokens::Message;
use remuda_wire::infer::Sampler;

/// A generation that is wished for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The model's name, in the project of the key.
    pub(crate) model: String,
    pub(crate) input: Input,
    pub(crate) sampler: Sampler,
    /// Chosen at random when absent.
    pub(crate) seed: Option<u64>,
    /// What fits (and the policy allows) when absent.
    pub(crate) max_tokens: Option<u32>,
    pub(crate) stops: Vec<String>,
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
