//! What this gateway knows of one replica, and how good it is for a request.

use remuda_types::{LeaseId, RequestId, Span, Time};

use super::breaker::Breaker;
use super::load::Load;
use super::memory::{Belief, Memory};
use super::wish::Wish;
use super::{Outcome, Policy, Route};
use crate::prefix::Prefix;

/// Parts of a token in which costs are reckoned, so that a part of the slots counts.
const PARTS: u64 = 1_024;

/// What this gateway knows of a replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) route: Route,
    /// In control's latest table; kept otherwise only while requests are in flight.
    pub(crate) listed: bool,
    pub(crate) load: Load,
    memory: Memory,
    breaker: Breaker,
    busy_until: Time,
    /// From dispatch to first token, smoothed, in microseconds; 0 until measured.
    latency_us: u64,
    measured_at: Time,
}

/// Whether a replica may be sent to now.
#[derive(Clone, Copy)]
pub(super) enum Standing {
    Free,
    Full(Span),
    Ejected(Span),
}

/// How good a replica is for a request: less is better, the first difference decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Its first tokens come later than the request can wait.
    late: bool,
    /// What comes before the first token, in parts of a token to be read.
    cost: u64,
    /// Blocks in its cache.
    held: usize,
    latency_us: u64,
    pub(super) lease: LeaseId,
}

impl Replica {
    pub(super) fn new(route: Route, policy: &Policy) -> Self {
        Self {
            route,
            listed: true,
            load: Load::default(),
            memory: Memory::new(policy.blocks_most, policy.sessions_most),
            breaker: Breaker::default(),
            busy_until: Time::EPOCH,
            latency_us: 0,
            measured_at: Time::EPOCH,
        }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.load.in_flight()
    }

    pub(crate) const fn is_in_trial(&self) -> bool {
        self.breaker.is_in_trial()
    }

    pub(crate) fn is_memory_bounded(&self) -> bool {
        self.memory.is_bounded()
    }

    fn slots(&self) -> u32 {
        self.route.slots.max(1)
    }

    pub(super) fn standing(&self, now: Time, policy: &Policy) -> Standing {
        if let Some(wait) = self.breaker.closed_for(now, policy) {
            Standing::Ejected(wait)
        } else if self.busy_until > now {
            Standing::Full(self.busy_until.since(now))
        } else if self.in_flight() >= self.slots() {
            Standing::Full(policy.busy_pause)
        } else {
            Standing::Free
        }
    }

    /// Whether it costs more than the request would pay.
    pub(super) fn is_dear(&self, wish: &Wish) -> bool {
        let prices = self.route.price.zip(wish.price_most);
        prices.is_some_and(|(price, most)| price > most)
    }

    pub(super) fn rank(&self, wish: &Wish, now: Time, policy: &Policy) -> Rank {
        Rank {
            late: self.is_late(wish, now, policy),
            cost: self.cost(wish, policy),
            held: self.memory.len(),
            latency_us: self.latency_us,
            lease: self.route.lease,
        }
    }

    fn is_late(&self, wish: &Wish, now: Time, policy: &Policy) -> bool {
        let Some(most) = wish.first_token_most else {
            return false;
        };
        let fresh = now.since(self.measured_at) <= policy.measured_within;
        fresh && self.latency_us > micros(most)
    }

    fn cost(&self, wish: &Wish, policy: &Policy) -> u64 {
        let read = self.tokens_before_first(wish, policy).saturating_mul(PARTS);
        let running = u64::from(self.in_flight()) * u64::from(policy.full_tokens);
        let running = running.saturating_mul(PARTS) / u64::from(self.slots());
        read.saturating_add(running)
    }

    pub(super) fn tokens_before_first(&self, wish: &Wish, policy: &Policy) -> u64 {
        let own = self.tokens_to_read(wish, policy);
        self.load.unread_tokens().saturating_add(own)
    }

    /// What the request itself makes it read.
    fn tokens_to_read(&self, wish: &Wish, policy: &Policy) -> u64 {
        let cached = self.memory.cached_tokens(wish);
        let uncached = wish.prompt_tokens.saturating_sub(cached);
        u64::from(uncached) + u64::from(policy.request_tokens)
    }

    pub(super) fn sent(&mut self, request: RequestId, wish: &Wish, policy: &Policy) {
        let tokens = self.tokens_to_read(wish, policy);
        let belief = self.memory.sent(wish);
        self.load.sent(request, tokens, belief);
        self.breaker.tried();
    }

    pub(super) fn spoke(&mut self, request: RequestId) {
        if self.load.has(request) {
            self.load.spoke(request);
            self.breaker.spoke();
        }
    }

    pub(super) fn found(&mut self, request: RequestId, cached_tokens: u32) {
        if let Some(believed) = self.load.believed(request) {
            self.memory.found(believed, cached_tokens);
        }
    }

    pub(super) fn holds(&mut self, prefix: &Prefix) {
        self.memory.holds(prefix.blocks());
    }

    pub(super) fn ended(
        &mut self,
        request: RequestId,
        outcome: Outcome,
        now: Time,
        policy: &Policy,
    ) {
        if !self.load.has(request) {
            return;
        }
        let unread = self.load.end(request);
        match outcome {
            Outcome::Served { first_token } => self.measured(first_token, now),
            Outcome::Declined => {
                self.never_read(unread);
                self.busy_until = now + policy.busy_pause;
            }
            Outcome::Failed | Outcome::Released => self.never_read(unread),
        }
        self.learned(outcome, now, policy);
    }

    /// Who is ejected may have restarted: nothing is believed to be in its cache.
    pub(super) fn learned(&mut self, outcome: Outcome, now: Time, policy: &Policy) {
        self.breaker.learned(outcome, now, policy);
        if outcome == Outcome::Failed && self.breaker.is_open() {
            self.memory.clear();
        }
    }

    fn never_read(&mut self, unread: Option<Belief>) {
        if let Some(belief) = unread {
            self.memory.take_back(&belief);
        }
    }

    fn measured(&mut self, first_token: Option<Span>, now: Time) {
        let Some(first_token) = first_token else {
            return;
        };
        let sample = micros(first_token).max(1);
        self.latency_us = match self.latency_us {
            0 => sample,
            smoothed => (smoothed - smoothed / 8).saturating_add(sample / 8),
        };
        self.measured_at = now;
    }
}

const fn micros(span: Span) -> u64 {
    span.as_millis().saturating_mul(1_000)
}
