//! Gateway to node to engine: one stream per request (DESIGN section 7).
//!
//! The gateway sends `Open` (which the node checks) and then one `Ask::Start`; the replica answers
//! `Reply::Token`s in order of index and one `Reply::End`. Closing the stream cancels the request.
//! The node passes frames between gateway and engine as they are.

use minicbor::{Decode, Encode};
use remuda_types::{Constraint, Digest, LeaseId, RequestId};

use crate::grant::SignedGrant;

/// The first frame from a gateway: which replica, and by what right. The node consumes it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Open {
    /// The lease whose replica is asked.
    #[n(0)]
    pub lease: LeaseId,
    /// Control's permission, bound to lease, epoch and gateway.
    #[n(1)]
    pub grant: SignedGrant,
    /// For tracing from gateway to node.
    #[n(2)]
    pub request: RequestId,
}

/// What the gateway asks of a replica.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Ask {
    /// Generate.
    #[n(0)]
    Start(#[n(0)] Box<Start>),
    /// Is the engine itself serving? Answered with `Reply::Ready`.
    #[n(1)]
    Probe,
}

/// One generation.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Start {
    /// For tracing.
    #[n(0)]
    pub request: RequestId,
    /// The model's content digest; a replica with other weights refuses.
    #[n(1)]
    pub model: Digest,
    /// The prompt in the model's own token ids, never empty.
    #[n(2)]
    pub prompt: Vec<u32>,
    /// Tokens that an earlier replica already generated for this request. They are prefilled, not
    /// sent again; the first token sent has index `generated.len()`.
    #[n(3)]
    pub generated: Vec<u32>,
    /// How the next token is chosen.
    #[n(4)]
    pub sampler: Sampler,
    /// Seeds the sampler's noise; same seed, position and token give the same noise everywhere.
    #[n(5)]
    pub seed: u64,
    /// How many tokens in all, those in `generated` counted.
    #[n(6)]
    pub max_tokens: u32,
    /// How many of the likeliest tokens to report with each token (at most 20).
    #[n(8)]
    pub top_logprobs: u8,
    /// What the text of the output must follow, that of `generated` included.
    #[n(9)]
    pub constraint: Option<Constraint>,
}

/// The sampler: temperature zero is greedy; otherwise Gumbel-max over the top `top_k` whose mass
/// is within `top_p`, noise keyed by (seed, position, token).
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Sampler {
    /// 0 is greedy.
    #[n(0)]
    pub temperature: f32,
    /// 1 keeps all.
    #[n(1)]
    pub top_p: f32,
    /// 0 keeps all.
    #[n(2)]
    pub top_k: u32,
    /// OpenAI's `frequency_penalty`: subtracted once for each earlier occurrence.
    #[n(3)]
    pub frequency_penalty: f32,
    /// OpenAI's `presence_penalty`: subtracted once if the token occurred.
    #[n(4)]
    pub presence_penalty: f32,
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
        }
    }
}

/// What a replica answers.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Reply {
    /// One generated token, in order of index.
    #[n(0)]
    Token(#[n(0)] Token),
    /// The generation is over.
    #[n(1)]
    End(#[n(0)] End),
    /// The replica does not serve this request.
    #[n(2)]
    Refused(#[n(0)] Refused),
    /// The answer to `Ask::Probe`.
    #[n(3)]
    Ready(#[n(0)] Ready),
}

/// One token.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Token {
    /// Position in the output, from 0; a resumed stream goes on where the last one stopped.
    #[n(0)]
    pub index: u32,
    /// The token's id in the model's vocabulary.
    #[n(1)]
    pub id: u32,
    /// Natural log of its probability before temperature; absent unless logprobs were asked for.
    #[n(2)]
    pub logprob: Option<f32>,
    /// The likeliest tokens with their log-probabilities, likeliest first.
    #[n(3)]
    pub top: Vec<Candidate>,
}

/// A candidate of a token's position.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Candidate {
    /// Token id.
    #[n(0)]
    pub id: u32,
    /// Natural log of its probability.
    #[n(1)]
    pub logprob: f32,
}

/// How a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct End {
    /// Why.
    #[n(0)]
    pub reason: EndReason,
    /// Prompt tokens that were found in the replica's cache.
    #[n(1)]
    pub cached_tokens: u32,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum EndReason {
    /// The model ended its turn.
    #[n(0)]
    Stop,
    /// `max_tokens` or the context's end.
    #[n(1)]
    Length,
    /// The replica is draining: go on elsewhere.
    #[n(2)]
    Draining,
}

/// Why a replica does not serve a request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Refused {
    /// The kind.
    #[n(0)]
    pub reason: RefusedReason,
    /// For people; carries no content of the request.
    #[n(1)]
    pub detail: String,
}

/// Kinds of refusal, and so whether another replica may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RefusedReason {
    /// The request can be served nowhere (too long, a constraint that cannot be followed).
    #[n(0)]
    Invalid,
    /// This replica is full or not ready; another may serve.
    #[n(1)]
    Busy,
    /// The grant is missing, forged, too old or for another replica.
    #[n(2)]
    NotGranted,
    /// The replica has other weights.
    #[n(3)]
    WrongModel,
    /// The engine failed; another replica may serve.
    #[n(4)]
    Broken,
}

/// What an engine says when it is asked whether it serves.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ready {
    /// The weights it has loaded.
    #[n(0)]
    pub model: Digest,
    /// Sequences in flight.
    #[n(1)]
    pub active: u32,
    /// Sequences it runs at once.
    #[n(2)]
    pub slots: u32,
    /// Tokens of context for each sequence.
    #[n(3)]
    pub context_tokens: u32,
    /// Tokens generated since it started.
    #[n(4)]
    pub generated_tokens: u64,
}
