//! Tokens per second of the decode loop: one sequence, four together, and prompts by chunk size.
//!
//! `REMUDA_TEST_MODEL=… cargo bench -p remuda-engine [threads]`. Figures are per second of CPU time,
//! so that other work on the machine disturbs them little.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::error::Error;
use std::num::NonZeroU32;
use std::time::Instant;

use remuda_engine::choose::{Chooser, Draw, Occurrences, Penalties, Rule};
use remuda_engine::decoder::{Decoder, Sink, Ticket};
use remuda_engine::noise::Noise;
use remuda_engine::{Config, Model, Request};
use remuda_types::Digest;
use remuda_wire::infer::{End, Refused, Token};

const TOKENS: u32 = 96;

#[derive(Default)]
struct Tokens(u32);

impl Sink for Tokens {
    fn token(&mut self, _: Ticket, _: Token) {
        self.0 += 1;
    }
    fn end(&mut self, _: Ticket, _: End) {}
    fn refused(&mut self, _: Ticket, refused: Refused) {
        println!("refused: {}", refused.detail);
    }
}

fn request(prompt: Vec<u32>, rule: Rule, seed: u64, max_tokens: u32) -> Request {
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

/// Tokens per second while `sequences` run together, prompts not counted.
fn decode(
    model: &Model,
    config: &Config,
    sequences: u64,
    rule: Rule,
) -> Result<f64, Box<dyn Error>> {
    let mut decoder = Decoder::new(model, config)?;
    let mut sink = Tokens::default();
    for n in 0..sequences {
        let prompt = model.tokenize(&format!("Chapter {n}. It was a long day on the ranch, and"));
        decoder.admit(Ticket(n), request(prompt, rule, n, TOKENS), &mut sink);
    }
    while sink.0 < 4 * u32::try_from(sequences)? {
        decoder.step(&mut sink);
    }
    let (before, start) = (sink.0, cpu_seconds()?);
    while decoder.active() == usize::try_from(sequences)? {
        decoder.step(&mut sink);
    }
    Ok(f64::from(sink.0 - before) / (cpu_seconds()? - start))
}

/// Prompt tokens per second.
fn prefill(model: &Model, config: &Config) -> Result<f64, Box<dyn Error>> {
    let mut decoder = Decoder::new(model, config)?;
    let mut sink = Tokens::default();
    let mut prompt = model.tokenize(&"the rider takes a fresh horse and rides on ".repeat(40));
    prompt.truncate(256);
    let tokens = f64::from(u32::try_from(prompt.len())?);
    decoder.admit(Ticket(0), request(prompt, Rule::Greedy, 0, 1), &mut sink);
    let start = cpu_seconds()?;
    while decoder.active() > 0 {
        decoder.step(&mut sink);
    }
    Ok(tokens / (cpu_seconds()? - start))
}

/// CPU seconds of this process, from `/proc/self/stat`, in steps of 10 ms.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

/// Microseconds of one choice from a vocabulary of 49,152.
fn choice(rule: Rule) -> f64 {
    const CHOICES: u32 = 300;
    let logits: Vec<f32> = (0..49_152_u32)
        .map(|id| {
            let [a, b, c, ..] = Noise::at(1, 0).bits(id).0.to_le_bytes();
            (f32::from(a) + f32::from(b) + f32::from(c)) / 24.0 - 16.0
        })
        .collect();
    let (mut chooser, occurrences) = (Chooser::default(), Occurrences::default());
    let start = Instant::now();
    for position in 0..CHOICES {
        let mut draw = Draw {
            rule,
            penalties: Penalties::default(),
            occurrences: &occurrences,
            noise: Noise::at(2, u64::from(position)),
            constraint: None,
        };
        std::hint::black_box(chooser.choose(std::hint::black_box(&logits), &mut draw));
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(CHOICES)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark is told its model by the environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::var("REMUDA_TEST_MODEL")
        .map_err(|_| "set REMUDA_TEST_MODEL to a GGUF file (`make test` fetches one)")?;
    let threads = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1);
    let model = Model::load(path.as_ref())?;
    let mut config = Config::new(path.into(), Digest::default(), 512);
    config.threads = threads;
    let sampled = |top_k, top_p| Rule::Sampled {
        temperature: 0.9,
        top_k: NonZeroU32::new(top_k),
        top_p,
    };
    let rules = [
        ("greedy", Rule::Greedy),
        ("top-k 40, top-p 0.95", sampled(40, Some(0.95))),
        ("top-p 0.95", sampled(0, Some(0.95))),
        ("all", sampled(0, None)),
    ];
    for (name, rule) in rules {
        let micros = choice(rule);
        let one = decode(&model, &config, 1, rule)?;
        let four = decode(&model, &config, 4, rule)?;
        println!(
            "{name}: choice {micros:.0} us, 1 sequence {one:.1} tok/s, 4 sequences {four:.1} tok/s, {:.2}x",
            four / one
        );
    }
    for chunk in [8, 16, 32, 64, 256] {
        config.prefill_chunk = chunk;
        println!(
            "prefill, chunk {chunk}: {:.1} tok/s",
            prefill(&model, &config)?
        );
    }
    Ok(())
}
