//! A trace on so many replicas, at a load.

use remuda_routing::Prefix;

use super::cache;
use super::hardware::Hardware;
use super::outcome::Outcome;
use super::play;
use super::rule::Rule;
use super::trace::{Piece, Trace, Turn};

/// Nanoseconds in a millisecond.
pub(super) const MS: u64 = 1_000_000;

/// On what a trace is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Replicas of the model.
    pub replicas: u32,
    /// What each runs on.
    pub hardware: Hardware,
    /// The share of the replicas' time that the trace would take without caches, in percent.
    pub load_percent: u32,
}

/// A trace, ready to be played.
#[derive(Debug)]
pub struct Scene {
    pub(super) settings: Settings,
    /// In the order in which they come.
    pub(super) jobs: Vec<Job>,
}

/// A request with all that is to be known of it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) at_ns: u64,
    pub(super) prompt: u32,
    pub(super) answer: u32,
    /// The prompt, and it with the answer, as the gateway knows them.
    pub(super) prefix: Prefix,
    pub(super) whole: Prefix,
    /// Both as the replica's cache knows them.
    pub(super) chain: Vec<u64>,
}

impl Scene {
    /// The trace on these replicas.
    pub fn new(trace: &Trace, settings: Settings) -> Self {
        let lasts = trace.turns.iter().map(|turn| turn.opens.as_millis()).max();
        let lasts = u128::from(lasts.unwrap_or(0).max(1));
        let wanted = u128::from(wanted_ns(trace, settings));
        let mut jobs: Vec<Job> = Vec::new();
        for turn in &trace.turns {
            let opens = u128::from(turn.opens.as_millis()) * wanted / lasts;
            let opens = u64::try_from(opens).unwrap_or(u64::MAX);
            jobs.push(Job::new(
                turn,
                opens.saturating_add(turn.after.as_millis() * MS),
            ));
        }
        jobs.sort_by_key(|job| job.at_ns);
        Self { settings, jobs }
    }

    /// How many requests there are.
    pub fn requests(&self) -> usize {
        self.jobs.len()
    }

    /// What becomes of them when this rule says where they go.
    pub fn play(&self, rule: Rule) -> Outcome {
        play::play(self, rule)
    }
}

/// How long the trace is to last.
fn wanted_ns(trace: &Trace, settings: Settings) -> u64 {
    let of = |turn: &Turn| {
        settings
            .hardware
            .cold_ns(turn.prompt_tokens(), turn.answer.tokens)
    };
    let work = trace.turns.iter().map(of).fold(0, u64::saturating_add);
    let share = u64::from(settings.replicas.max(1)) * u64::from(settings.load_percent.max(1));
    work / share * 100
}

impl Job {
    fn new(turn: &Turn, at_ns: u64) -> Self {
        let prompt: Vec<u32> = turn
            .prompt
            .iter()
            .copied()
            .flat_map(Piece::content)
            .collect();
        let answer: Vec<u32> = turn.answer.content().collect();
        let prefix = Prefix::of(&prompt);
        Self {
            at_ns,
            prompt: turn.prompt_tokens(),
            answer: turn.answer.tokens,
            whole: prefix.then(&answer),
            prefix,
            chain: cache::chain(prompt.into_iter().chain(answer)),
        }
    }

    /// The blocks of the prompt alone.
    pub(super) fn prompt_chain(&self) -> &[u64] {
        &self.chain[..(self.prompt / cache::BLOCK) as usize]
    }
}
