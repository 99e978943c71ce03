//! A server with continuous batching.

use std::collections::VecDeque;

use super::cache::Cache;
use super::hardware::Hardware;
use super::scene::Job;

/// One replica at work.
#[derive(Debug)]
pub(super) struct Replica {
    hardware: Hardware,
    cache: Cache,
    waiting: VecDeque<usize>,
    running: Vec<Sequence>,
    /// When the step ends that it is in.
    pub(super) ends_ns: Option<u64>,
}

/// A request that has a slot.
#[derive(Debug)]
struct Sequence {
    job: usize,
    /// Tokens of the prompt that are not in the cache and not read; unknown until reading begins.
    unread: Option<u32>,
    unwritten: u32,
    /// Tokens of the prompt that were in the cache.
    found: u32,
    /// What this step reads of it.
    reads: u32,
    /// Whether this step writes a token of it.
    writes: bool,
}

/// What a step has come to.
#[derive(Debug, Default)]
pub(super) struct Stepped {
    /// Requests that got their first token.
    pub(super) spoke: Vec<usize>,
    /// Those that got their last, and how many of their tokens had been found in the cache.
    pub(super) ended: Vec<(usize, u32)>,
}

impl Replica {
    pub(super) fn new(hardware: Hardware) -> Self {
        Self {
            hardware,
            cache: Cache::new(hardware.cache_tokens),
            waiting: VecDeque::new(),
            running: Vec::new(),
            ends_ns: None,
        }
    }

    pub(super) fn take(&mut self, job: usize) {
        self.waiting.push_back(job);
    }

    /// Begins a step, if there is something to do and none is under way.
    pub(super) fn begin(&mut self, now_ns: u64, jobs: &[Job]) {
        if self.ends_ns.is_some() {
            return;
        }
        self.admit(jobs);
        if self.running.is_empty() {
            return;
        }
        let read = self.plan_reading(jobs);
        let written = self
            .running
            .iter()
            .filter(|sequence| sequence.writes)
            .count();
        let written = u32::try_from(written).unwrap_or(u32::MAX);
        self.ends_ns = Some(now_ns + self.hardware.step_takes(read, written));
    }

    fn admit(&mut self, jobs: &[Job]) {
        let free = (self.hardware.slots.max(1) as usize).saturating_sub(self.running.len());
        let admitted = self.waiting.drain(..free.min(self.waiting.len()));
        self.running.extend(admitted.map(|job| Sequence {
            job,
            unread: None,
            found: 0,
            unwritten: jobs[job].answer,
            reads: 0,
            writes: false,
        }));
    }

    /// Tokens that this step reads.
    fn plan_reading(&mut self, jobs: &[Job]) -> u32 {
        let chunk = self.hardware.chunk_tokens.max(1);
        let mut left = chunk;
        for sequence in &mut self.running {
            sequence.writes = sequence.unread == Some(0);
            if left > 0 && sequence.unread.is_none() {
                let job = &jobs[sequence.job];
                // The last token is always read: the first that is written comes of it.
                let cached = self.cache.found(job.prompt_chain()).min(job.prompt - 1);
                sequence.unread = Some(job.prompt - cached);
                sequence.found = cached;
            }
            sequence.reads = sequence.unread.unwrap_or(0).min(left);
            left -= sequence.reads;
        }
        chunk - left
    }

    /// The step is over.
    pub(super) fn end(&mut self, jobs: &[Job]) -> Stepped {
        self.ends_ns = None;
        let mut stepped = Stepped::default();
        for sequence in &mut self.running {
            let was_read = sequence.reads > 0 && sequence.unread == Some(sequence.reads);
            sequence.unread = sequence.unread.map(|unread| unread - sequence.reads);
            if was_read {
                self.cache.keep(jobs[sequence.job].prompt_chain());
                stepped.spoke.push(sequence.job);
            }
            sequence.unwritten -= u32::from(was_read || sequence.writes);
            if sequence.unwritten == 0 {
                self.cache.keep(&jobs[sequence.job].chain);
                stepped.ended.push((sequence.job, sequence.found));
            }
        }
        self.running.retain(|sequence| sequence.unwritten > 0);
        stepped
    }
}
