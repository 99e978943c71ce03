//! Which replica a request goes to.
//!
//! A [`Balancer`] knows one model's replicas: what control says of them ([`Route`]) and what this
//! gateway has seen itself. It picks the replica whose first token should come soonest, reckoned in
//! tokens: those that it has to read before this prompt, those of this prompt that are not in its
//! cache, and what its running requests hold up. What is in a cache is what this gateway sent there
//! and what came back ([`crate::prefix`]); where nothing is, that is plain least load. Then the one
//! with the least in its cache, so that new chats spread over all caches; then the quickest, then the
//! lowest lease id.
//!
//! One number weighs cache against load, so neither can be forgotten for the other: a chat stays
//! where its past is until others wait there for longer than reading that past again would take, and
//! a prompt that no cache knows goes where the load is least. Load counts from dispatch, not from the
//! first token, so that a burst spreads.
//!
//! Three failures in a row eject a replica for a time that doubles each time, and what its cache held
//! is forgotten; then one request tries it (half open), and only its first token lets others follow.
//! Suspect replicas are for when no ready one is left; draining ones take nothing.
//!
//! Every lease that is dispatched to must be [`Balancer::ended`]; `stream` says when.

mod breaker;
mod load;
mod lru;
mod memory;
mod replica;
mod survey;
mod wish;

use std::collections::BTreeMap;

use remuda_types::{LeaseId, NodeKey, Price, RequestId, Span, Time};

use crate::prefix::Prefix;
pub(crate) use replica::Replica;
use survey::Surveys;
pub use wish::{Session, Wish};

/// When replicas are ejected and for how long, and what load and memory weigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Failures in a row that eject.
    pub failures_to_eject: u32,
    /// The first ejection; each further one doubles.
    pub eject_least: Span,
    /// The longest ejection.
    pub eject_most: Span,
    /// How long a replica that said it is full is left alone.
    pub busy_pause: Span,
    /// What a replica whose slots are all taken delays the first token, as tokens to be read; one
    /// with fewer taken delays it by so much less.
    pub full_tokens: u32,
    /// What every request delays those behind it, whatever its prompt, as tokens to be read.
    pub request_tokens: u32,
    /// Blocks of 64 tokens that are remembered of each replica's cache at most: as many as the largest
    /// holds. With fewer, chats are sent away from where they are still known; that a cache holds less
    /// is learned ([`Balancer::found`]).
    pub blocks_most: usize,
    /// Sessions that are remembered of each replica at most.
    pub sessions_most: usize,
    /// A measured time to the first token that is older than this holds nobody off.
    pub measured_within: Span,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failures_to_eject: 3,
            eject_least: Span::from_secs(1),
            eject_most: Span::from_secs(60),
            busy_pause: Span::from_millis(100),
            full_tokens: 1_024,
            request_tokens: 64,
            blocks_most: 8_192,
            sessions_most: 1_024,
            measured_within: Span::from_secs(60),
        }
    }
}

/// What control says of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Serves.
    Ready,
    /// Its node is silent.
    Suspect,
    /// Takes nothing new.
    Draining,
}

/// One line of control's route table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The replica's lease.
    pub lease: LeaseId,
    /// The node it runs on.
    pub node: NodeKey,
    /// What control thinks of it.
    pub state: State,
    /// Sequences it runs at once.
    pub slots: u32,
    /// What it costs, where control says so.
    pub price: Option<Price>,
}

/// How a dispatched request ended, as far as the replica's health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It served.
    Served {
        /// From dispatch to the first token; none when there was none to wait for.
        first_token: Option<Span>,
    },
    /// It failed, and is to blame.
    Failed,
    /// It said that it is full.
    Declined,
    /// Cut short before it could show anything, and not by its fault.
    Released,
}

/// Why there is no replica to send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReplica {
    /// The route table has none that takes requests.
    #[error("no replica serves this model now")]
    Nowhere,
    /// Those that take requests have been tried.
    #[error("every replica of this model has been tried")]
    AllTried,
    /// All are full: wait in the queue.
    #[error("every replica of this model is full")]
    Busy {
        /// When to look again at the latest; a request that ends makes room sooner.
        retry_after: Span,
    },
    /// All failed lately.
    #[error("every replica of this model failed lately; the next try is in {retry_after}")]
    Ejected {
        /// When the first is tried again.
        retry_after: Span,
    },
}

/// The replicas of one model.
#[derive(Clone, Debug)]
pub struct Balancer {
    policy: Policy,
    pub(crate) replicas: BTreeMap<LeaseId, Replica>,
}

impl Balancer {
    /// Knows no replica yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            replicas: BTreeMap::new(),
        }
    }

    /// Takes control's table of this model. Leases that remain keep their counters; leases that are
    /// gone take nothing new, and are forgotten when their last request has ended.
    pub fn update(&mut self, routes: impl IntoIterator<Item = Route>) {
        self.replicas
            .values_mut()
            .for_each(|replica| replica.listed = false);
        routes.into_iter().for_each(|route| self.list(route));
        self.replicas
            .retain(|_, replica| replica.listed || replica.in_flight() > 0);
    }

    fn list(&mut self, route: Route) {
        let policy = &self.policy;
        let replica = self
            .replicas
            .entry(route.lease)
            .or_insert_with(|| Replica::new(route, policy));
        replica.route = route;
        replica.listed = true;
    }

    /// The replica to send to now, none of `exclude`. Changes nothing: say [`Balancer::dispatched`].
    pub fn pick(&self, now: Time, wish: &Wish, exclude: &[LeaseId]) -> Result<LeaseId, NoReplica> {
        let mut surveys = Surveys::default();
        self.takers()
            .filter(|replica| !exclude.contains(&replica.route.lease))
            .for_each(|replica| surveys.add(replica, wish, now, &self.policy));
        surveys.decided().unwrap_or_else(|ejected| {
            Err(match ejected {
                Some(retry_after) => NoReplica::Ejected { retry_after },
                None if self.takers().next().is_some() => NoReplica::AllTried,
                None => NoReplica::Nowhere,
            })
        })
    }

    fn takers(&self) -> impl Iterator<Item = &Replica> {
        self.replicas
            .values()
            .filter(|replica| replica.listed && replica.route.state != State::Draining)
    }

    /// The request has been sent to the lease; it counts as load from now. A request is at a lease
    /// once at most: what was said of it there before is over.
    pub fn dispatched(&mut self, lease: LeaseId, request: RequestId, wish: &Wish) {
        if let Some(replica) = self.replicas.get_mut(&lease) {
            replica.sent(request, wish, &self.policy);
        }
    }

    /// A dispatched request has got its first token from the lease.
    pub fn spoke(&mut self, lease: LeaseId, request: RequestId) {
        if let Some(replica) = self.replicas.get_mut(&lease) {
            replica.spoke(request);
        }
    }

    /// The lease says that it found so many tokens of a dispatched request's prompt in its cache. From
    /// that it is learned how much its cache holds; where it is never said, the policy's word stands.
    pub fn found(&mut self, lease: LeaseId, request: RequestId, cached_tokens: u32) {
        if let Some(replica) = self.replicas.get_mut(&lease) {
            replica.found(request, cached_tokens);
        }
    }

    /// The lease has all of this in its cache: what a request that it served began with, and what it
    /// wrote after it. The next turn of a chat begins with the same.
    pub fn holds(&mut self, lease: LeaseId, prefix: &Prefix) {
        if let Some(replica) = self.replicas.get_mut(&lease) {
            replica.holds(prefix);
        }
    }

    /// What a request got from the lease, and that had ended, has been shown to be wrong.
    pub fn blame(&mut self, lease: LeaseId, now: Time) {
        if let Some(replica) = self.replicas.get_mut(&lease) {
            replica.learned(Outcome::Failed, now, &self.policy);
        }
    }

    /// A dispatched request has ended at the lease. Said of one that is not there it changes nothing.
    pub fn ended(&mut self, lease: LeaseId, request: RequestId, outcome: Outcome, now: Time) {
        let Some(replica) = self.replicas.get_mut(&lease) else {
            return;
        };
        replica.ended(request, outcome, now, &self.policy);
        if !replica.listed && replica.in_flight() == 0 {
            self.replicas.remove(&lease);
        }
    }

    /// Requests in flight at the lease.
    pub fn in_flight(&self, lease: LeaseId) -> u32 {
        self.replicas.get(&lease).map_or(0, Replica::in_flight)
    }

    /// Tokens that the lease would have to read before the first token of such a request: what it
    /// has yet to read, and what of the prompt is not in its cache.
    pub fn tokens_before_first(&self, lease: LeaseId, wish: &Wish) -> u64 {
        self.replicas
            .get(&lease)
            .map_or(0, |replica| replica.tokens_before_first(wish, &self.policy))
    }

    /// What control says of the lease.
    pub fn state(&self, lease: LeaseId) -> Option<State> {
        let listed = self.replicas.get(&lease).filter(|replica| replica.listed);
        listed.map(|replica| replica.route.state)
    }

    /// The node of a lease.
    pub fn node(&self, lease: LeaseId) -> Option<NodeKey> {
        self.replicas.get(&lease).map(|replica| replica.route.node)
    }
}

#[cfg(test)]
mod tests;
