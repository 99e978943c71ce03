//! Requests that wait for a replica of one model: bounded in number and in time.
//!
//! Streams that lost their replica in the middle go before new requests, and are not turned away
//! for a full queue: they hold a client's attention and money already, and there are never more of
//! them than there were slots. Fairness between keys will become a part of the [`Turn`].

use std::collections::BTreeMap;

use remuda_types::{RequestId, Span, Time};

/// The bounds of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// New requests that may wait.
    pub most_waiting: usize,
    /// How long a new request may wait.
    pub most_wait: Span,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            most_waiting: 256,
            most_wait: Span::from_secs(10),
        }
    }
}

/// Which of the waiting goes first; within one turn, who came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// A stream that goes on elsewhere. Its own deadline, not the queue's, ends its wait.
    Resumed,
    /// A request that nobody has served yet.
    New,
}

/// Why a request does not wait (any longer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many wait already.
    #[error("too many requests wait for this model: try again in {retry_after}")]
    Full {
        /// When to come back.
        retry_after: Span,
    },
    /// It has waited too long.
    #[error("every replica of this model stayed full: try again in {retry_after}")]
    TooLong {
        /// When to come back.
        retry_after: Span,
    },
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    request: RequestId,
    since: Time,
}

/// The queue of one model.
#[derive(Clone, Debug)]
pub struct Queue {
    policy: Policy,
    waiting: BTreeMap<(Turn, u64), Waiting>,
    entered: u64,
}

impl Queue {
    /// An empty queue.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            waiting: BTreeMap::new(),
            entered: 0,
        }
    }

    /// Lets a request wait.
    pub fn enter(&mut self, request: RequestId, turn: Turn, now: Time) -> Result<(), Refusal> {
        if turn == Turn::New && self.new_ones().count() >= self.policy.most_waiting {
            return Err(Refusal::Full {
                retry_after: self.policy.most_wait,
            });
        }
        self.entered += 1;
        self.waiting.insert(
            (turn, self.entered),
            Waiting {
                request,
                since: now,
            },
        );
        Ok(())
    }

    /// A replica has room: whose turn it is. The request no longer waits.
    pub fn call_next(&mut self) -> Option<RequestId> {
        self.waiting.pop_first().map(|(_, waiting)| waiting.request)
    }

    /// The request no longer wants to wait (its client left, or its stream gave up).
    pub fn leave(&mut self, request: RequestId) {
        self.waiting.retain(|_, waiting| waiting.request != request);
    }

    /// Takes out one request that has waited too long; call until there is none.
    pub fn expired(&mut self, now: Time) -> Option<(RequestId, Refusal)> {
        let (&place, _) = self
            .new_ones()
            .next()
            .filter(|(_, first)| now >= self.limit(first))?;
        let gone = self.waiting.remove(&place)?;
        Some((
            gone.request,
            Refusal::TooLong {
                retry_after: self.policy.most_wait,
            },
        ))
    }

    /// When [`Queue::expired`] will next have something.
    pub fn next_deadline(&self) -> Option<Time> {
        self.new_ones().next().map(|(_, first)| self.limit(first))
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn new_ones(&self) -> impl Iterator<Item = (&(Turn, u64), &Waiting)> {
        self.waiting.range((Turn::New, 0)..)
    }

    fn limit(&self, waiting: &Waiting) -> Time {
        waiting.since + self.policy.most_wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u128) -> RequestId {
        RequestId::from_u128(number)
    }

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn queue() -> Queue {
        Queue::new(Policy {
            most_waiting: 2,
            most_wait: Span::from_millis(100),
        })
    }

    #[test]
    fn first_come_first_served_and_broken_streams_before_all() {
        let mut queue = queue();
        for (number, turn) in [(1, Turn::New), (2, Turn::New), (3, Turn::Resumed)] {
            queue.enter(request(number), turn, at(0)).unwrap();
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.call_next()).collect();
        assert_eq!(order, [request(3), request(1), request(2)]);
    }

    #[test]
    fn a_full_queue_turns_new_requests_away_but_no_broken_stream() {
        let mut queue = queue();
        queue.enter(request(1), Turn::New, at(0)).unwrap();
        queue.enter(request(2), Turn::New, at(0)).unwrap();
        assert!(matches!(
            queue.enter(request(3), Turn::New, at(0)),
            Err(Refusal::Full { .. })
        ));
        assert!(queue.enter(request(4), Turn::Resumed, at(0)).is_ok());
        queue.leave(request(1));
        assert!(queue.enter(request(3), Turn::New, at(0)).is_ok());
    }

    #[test]
    fn nobody_waits_longer_than_the_limit() {
        let mut queue = queue();
        queue.enter(request(9), Turn::Resumed, at(0)).unwrap();
        queue.enter(request(1), Turn::New, at(10)).unwrap();
        queue.enter(request(2), Turn::New, at(20)).unwrap();
        assert_eq!(queue.next_deadline(), Some(at(110)));
        assert_eq!(queue.expired(at(109)), None);
        assert_eq!(queue.expired(at(110)).map(|(who, _)| who), Some(request(1)));
        assert_eq!(queue.expired(at(110)), None);
        assert_eq!(queue.len(), 2);
    }
}
