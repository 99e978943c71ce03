//! What the tests share: the model, prompts, requests, and a decoder that records.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::OnceLock;

use remuda_engine::choose::{Penalties, Rule};
use remuda_engine::decoder::{Decoder, Sink, Ticket};
use remuda_engine::{Config, Model, Request};
use remuda_types::Digest;
use remuda_wire::infer::{End, Refused, Token};

pub(crate) const DIGEST: Digest = Digest([7; 32]);

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told its model by the environment"
)]
pub(crate) fn model_path() -> PathBuf {
    std::env::var_os("REMUDA_TEST_MODEL").map(PathBuf::from).expect(
        "REMUDA_TEST_MODEL must name a GGUF file: run `make test`, which fetches one and sets it",
    )
}

pub(crate) fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| Model::load(&model_path()).expect("the test model loads"))
}

pub(crate) fn config() -> Config {
    Config::new(model_path(), DIGEST, 512)
}

const PROMPTS: [&str; 4] = [
    "The horses stood by the river while the riders",
    "<|im_start|>user\nName three cities in Korea and say one sentence about each.<|im_end|>\n\
     <|im_start|>assistant\n",
    "fn main() {\n    let numbers = vec![1, 2, 3];\n    for number in",
    "Once upon a time, in a village at the foot of a very high mountain, there lived an old man \
     who had never in his life seen the sea. Every evening he sat before his house, looked to the \
     west where the sun went down, and asked those who came by on the road what it was like.",
];

pub(crate) fn prompt(n: usize) -> Vec<u32> {
    model().tokenize(PROMPTS[n % PROMPTS.len()])
}

pub(crate) const SAMPLED: Rule = Rule::Sampled {
    temperature: 0.8,
    top_k: NonZeroU32::new(40),
    top_p: Some(0.95),
};

pub(crate) fn request(prompt: Vec<u32>, rule: Rule, seed: u64, max_tokens: u32) -> Request {
    Request {
        prompt,
        generated: Vec::new(),
        rule,
        penalties: Penalties::default(),
        seed,
        max_tokens,
        constraint: None,
        top_logprobs: 0,
    }
}

/// The same request as another replica gets it after `generated` tokens.
pub(crate) fn resumed(request: &Request, generated: &[u32]) -> Request {
    Request {
        generated: generated.to_vec(),
        ..request.clone()
    }
}

/// Tokens, logits and end of every ticket.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) tokens: BTreeMap<Ticket, Vec<u32>>,
    pub(crate) logits: BTreeMap<(Ticket, u32), Vec<u32>>,
    pub(crate) ends: BTreeMap<Ticket, End>,
    pub(crate) refused: BTreeMap<Ticket, Refused>,
}

impl Sink for Record {
    fn logits(&mut self, ticket: Ticket, index: u32, logits: &[f32]) {
        let bits = logits.iter().map(|logit| logit.to_bits()).collect();
        self.logits.insert((ticket, index), bits);
    }
    fn token(&mut self, ticket: Ticket, token: Token) {
        let tokens = self.tokens.entry(ticket).or_default();
        tokens.push(token.id);
    }
    fn end(&mut self, ticket: Ticket, end: End) {
        self.ends.insert(ticket, end);
    }
    fn refused(&mut self, ticket: Ticket, refused: Refused) {
        self.refused.insert(ticket, refused);
    }
}

impl Record {
    pub(crate) fn of(&self, ticket: Ticket) -> &[u32] {
        self.tokens.get(&ticket).map_or(&[], Vec::as_slice)
    }
}

pub(crate) fn decoder(config: &Config) -> Decoder<'static> {
    // llama.cpp may not make two contexts of one model at once.
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let model = model();
    let _alone = ONE_AT_A_TIME
        .lock()
        .expect("no test panics while it makes a context");
    Decoder::new(model, config).expect("the context is made")
}

/// Runs everything admitted to its end.
pub(crate) fn run(decoder: &mut Decoder<'_>, record: &mut Record) {
    while decoder.active() > 0 {
        decoder.step(record);
    }
    assert!(record.refused.is_empty(), "{:?}", record.refused);
}
