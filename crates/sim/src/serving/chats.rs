//! Chats drawn from a seed: what a service for people sees.
//!
//! There are some apps, each with a prompt of its own that all its chats begin with; the more popular
//! the earlier. A quarter of the chats begins with a document. A chat has five turns on average; each
//! repeats all before it, what was written included, and comes after its writer has read the answer
//! and thought. Lengths are log-normal: half of the apps' prompts are longer than 600 tokens, of the
//! documents than 3,000, of the questions than 80, of the answers than 200. Prompts come to about
//! 3,000 tokens on average, between the 1,155 of Azure's published conversations and the 12,000 of
//! Mooncake's.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp, Geometric, LogNormal};
use remuda_types::Span;

use super::trace::{Piece, Trace, Turn};

/// What chats are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chats {
    /// The seed.
    pub seed: u64,
    /// How many chats.
    pub chats: u32,
    /// How many apps they belong to.
    pub apps: u32,
}

/// A length in tokens: half are longer than `median`, none than `most`.
struct Length {
    median: f64,
    spread: f64,
    most: u32,
}

const APP: Length = Length::new(600.0, 0.8, 6_000);
const DOCUMENT: Length = Length::new(3_000.0, 0.8, 30_000);
const QUESTION: Length = Length::new(80.0, 1.0, 4_000);
const ANSWER: Length = Length::new(200.0, 0.8, 2_000);
/// How many chats begin with a document.
const DOCUMENTS: f64 = 0.25;
/// Whether a turn is the last of its chat.
const LAST: f64 = 0.2;
const TURNS_MAX: u64 = 40;
/// How long people read and think, on average.
const THINK_S: f64 = 25.0;
/// How long an answer is written, for each token.
const WRITE_MS: u64 = 15;

impl Default for Chats {
    fn default() -> Self {
        Self {
            seed: 1,
            chats: 800,
            apps: 12,
        }
    }
}

impl Chats {
    /// The requests of all chats.
    pub fn draw(&self) -> Trace {
        let mut artist = Artist {
            rng: ChaCha8Rng::seed_from_u64(self.seed),
            names: 0,
        };
        let apps: Vec<Piece> = (0..self.apps.max(1)).map(|_| artist.piece(&APP)).collect();
        let mut turns = Vec::new();
        for _ in 0..self.chats {
            let app = artist.popular(&apps);
            let opens = artist.rng.random_range(0..u64::from(self.chats) * 1_000);
            artist.chat(app, Span::from_millis(opens), &mut turns);
        }
        Trace { turns }
    }
}

/// Who draws, and names what is new.
struct Artist {
    rng: ChaCha8Rng,
    names: u64,
}

impl Artist {
    fn chat(&mut self, app: Piece, opens: Span, turns: &mut Vec<Turn>) {
        let mut prompt = vec![app];
        if self.rng.random_bool(DOCUMENTS) {
            prompt.push(self.piece(&DOCUMENT));
        }
        let mut after = Span::ZERO;
        for _ in 0..self.turns() {
            prompt.push(self.piece(&QUESTION));
            let answer = self.piece(&ANSWER);
            turns.push(Turn {
                opens,
                after,
                prompt: prompt.clone(),
                answer,
            });
            prompt.push(answer);
            after = after.saturating_add(self.pause(answer));
        }
    }

    fn turns(&mut self) -> u64 {
        let more = Geometric::new(LAST).map_or(0, |turns| turns.sample(&mut self.rng));
        (more + 1).min(TURNS_MAX)
    }

    /// From a question to the next.
    fn pause(&mut self, answer: Piece) -> Span {
        let think = Exp::new(1.0 / THINK_S).map_or(THINK_S, |think| think.sample(&mut self.rng));
        let written = u64::from(answer.tokens) * WRITE_MS;
        Span::from_millis(whole(think * 1e3) + written)
    }

    fn piece(&mut self, length: &Length) -> Piece {
        self.names += 1;
        let tokens = length.draw(&mut self.rng);
        Piece {
            name: self.names,
            tokens,
        }
    }

    /// One of them, the n-th with a weight of 1/n.
    fn popular(&mut self, apps: &[Piece]) -> Piece {
        let weights = (1_u32..)
            .zip(apps)
            .map(|(rank, app)| (1.0 / f64::from(rank), *app));
        let all: f64 = weights.clone().map(|(weight, _)| weight).sum();
        let mut left = self.rng.random_range(0.0..all);
        let mut found = apps[0];
        for (weight, app) in weights {
            found = app;
            left -= weight;
            if left < 0.0 {
                break;
            }
        }
        found
    }
}

impl Length {
    const fn new(median: f64, spread: f64, most: u32) -> Self {
        Self {
            median,
            spread,
            most,
        }
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> u32 {
        let drawn = LogNormal::new(self.median.ln(), self.spread);
        let tokens = drawn.map_or(self.median, |drawn| drawn.sample(rng));
        u32::try_from(whole(tokens))
            .unwrap_or(self.most)
            .clamp(1, self.most)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "amounts that are not negative and far below 2^52"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
