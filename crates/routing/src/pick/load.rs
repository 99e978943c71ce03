//! What a replica has to do: the requests sent there, by id, and the tokens of their prompts that it
//! has yet to read. Counted from dispatch; a request that is ended twice, or was never sent, changes
//! nothing, so the load is always that of the requests that are there.

use std::collections::BTreeMap;

use remuda_types::RequestId;

use super::memory::Belief;

/// The requests at one replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    flights: BTreeMap<RequestId, Flight>,
    unread_tokens: u64,
}

/// One request at a replica.
#[derive(Clone, Debug)]
struct Flight {
    /// Tokens of its prompt that were believed to be in the cache.
    believed: u32,
    /// None once its first token has come.
    reading: Option<Reading>,
}

/// A prompt that is being read.
#[derive(Clone, Debug)]
struct Reading {
    tokens: u64,
    belief: Belief,
}

impl Load {
    pub(super) fn sent(&mut self, request: RequestId, tokens: u64, belief: Belief) {
        self.end(request);
        self.unread_tokens = self.unread_tokens.saturating_add(tokens);
        let flight = Flight {
            believed: belief.cached_tokens(),
            reading: Some(Reading { tokens, belief }),
        };
        self.flights.insert(request, flight);
    }

    /// Its first token has come, so its prompt has been read.
    pub(super) fn spoke(&mut self, request: RequestId) {
        let flight = self.flights.get_mut(&request);
        if let Some(read) = flight.and_then(|flight| flight.reading.take()) {
            self.read(&read);
        }
    }

    /// It is gone; what the replica never read of it.
    pub(super) fn end(&mut self, request: RequestId) -> Option<Belief> {
        let reading = self.flights.remove(&request)?.reading?;
        self.read(&reading);
        Some(reading.belief)
    }

    fn read(&mut self, reading: &Reading) {
        self.unread_tokens = self.unread_tokens.saturating_sub(reading.tokens);
    }

    pub(super) fn has(&self, request: RequestId) -> bool {
        self.flights.contains_key(&request)
    }

    /// Tokens of its prompt that were believed to be in the cache.
    pub(super) fn believed(&self, request: RequestId) -> Option<u32> {
        self.flights.get(&request).map(|flight| flight.believed)
    }

    pub(crate) fn in_flight(&self) -> u32 {
        u32::try_from(self.flights.len()).unwrap_or(u32::MAX)
    }

    /// Tokens that are to be read before the next request's.
    pub(crate) const fn unread_tokens(&self) -> u64 {
        self.unread_tokens
    }

    /// The same, added up anew.
    pub(crate) fn recounted_tokens(&self) -> u64 {
        let reading = self.flights.values().filter_map(|of| of.reading.as_ref());
        reading
            .map(|reading| reading.tokens)
            .fold(0, u64::saturating_add)
    }
}
