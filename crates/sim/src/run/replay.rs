//! A recorded history replayed: every fact applied to the real network, its invariants checked, and
//! the service levels counted as control believed them, for nobody else was there to see.

use remuda_network::{Event, Network, invariant};
use remuda_types::{CommandId, Time};

use super::error::Broken;
use super::outcome::Outcome;
use super::service::MONTH;
use super::truth::Truth;
use remuda_types::Span;

/// Checks look at the whole network: at most once in so many records.
const CHECK_EVERY: u64 = 1_000;

/// A history on its way.
#[derive(Debug)]
pub struct Replay {
    network: Network,
    truth: Truth,
    outcome: Outcome,
    started: Option<Time>,
    now: Time,
    records: u64,
    /// Days and months that were counted.
    days: u64,
}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

impl Replay {
    /// A network of nobody.
    pub fn new() -> Self {
        Self {
            network: Network::default(),
            truth: Truth::by_belief(),
            outcome: Outcome::default(),
            started: None,
            now: Time::EPOCH,
            records: 0,
            days: 0,
        }
    }

    /// Applies a record.
    pub fn feed(&mut self, at: Time, command: CommandId, events: &[Event]) -> Result<(), Broken> {
        let start = *self.started.get_or_insert(at);
        self.now = self.now.max(at);
        self.close_days(start);
        self.network.commit(at, command, events);
        for event in events {
            self.outcome.follow(event);
            self.truth.follow(event, self.now, |_| None);
        }
        self.records += 1;
        if self.records.is_multiple_of(CHECK_EVERY) {
            invariant::check(&self.network)?;
        }
        Ok(())
    }

    fn close_days(&mut self, start: Time) {
        let mut next = start + days(self.days + 1);
        while next <= self.now {
            self.days += 1;
            if days(self.days)
                .as_millis()
                .is_multiple_of(MONTH.as_millis())
            {
                self.truth.accrue(self.network.state(), next);
                self.truth.close_month(next);
            }
            let today = self.truth.close_day(next);
            self.outcome.note_day(self.days, today, self.ill());
            next = start + days(self.days + 1);
        }
    }

    /// How many nodes are not there.
    fn ill(&self) -> usize {
        let nodes = self.network.state().nodes.values();
        nodes.filter(|node| !node.presence.is_open()).count()
    }

    /// The end of the history: what came of it.
    pub fn finish(mut self, about: &str) -> Result<Outcome, Broken> {
        invariant::check(&self.network)?;
        let state = self.network.state();
        self.truth.finish(state, self.now);
        let length = self.now.since(self.started.unwrap_or(self.now));
        let nodes = state.nodes.values();
        self.outcome.gpus = nodes.map(|node| u64::from(node.capacity.gpus)).sum();
        (self.outcome.nodes, self.outcome.sites) = (state.nodes.len(), state.sites.len());
        about.clone_into(&mut self.outcome.about);
        self.outcome.days = length.as_millis().div_ceil(Span::DAY.as_millis());
        self.outcome.take(&self.truth, self.records, self.records);
        Ok(self.outcome)
    }
}

const fn days(count: u64) -> Span {
    Span::from_secs(count * 86_400)
}
