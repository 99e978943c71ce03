//! Which replica a request goes to.
//!
//! A [`Balancer`] knows one model's replicas: what control says of them ([`Route`]) and what this
//! gateway has seen itself. It picks the least loaded relative to its slots, then the quickest,
//! then the lowest lease id. Load counts from dispatch, not from the first token, so that a burst
//! spreads. Three failures in a row eject a replica for a time that doubles each time; then one
//! request tries it (half open), and only its first token lets others follow. Suspect replicas are for
//! when no ready one is left; draining ones take nothing.
//!
//! Every lease that is dispatched to must be [`Balancer::ended`] exactly once; `stream` says when.

mod breaker;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use remuda_types::{LeaseId, NodeKey, Span, Time};

use breaker::Breaker;

/// When replicas are ejected and for how long.
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
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failures_to_eject: 3,
            eject_least: Span::from_secs(1),
            eject_most: Span::from_secs(60),
            busy_pause: Span::from_millis(100),
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

/// What this gateway knows of a replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) route: Route,
    /// In control's latest table; kept otherwise only while requests are in flight.
    pub(crate) listed: bool,
    pub(crate) in_flight: u32,
    breaker: Breaker,
    busy_until: Time,
    /// From dispatch to first token, smoothed, in microseconds; 0 until measured.
    latency_us: u64,
}

/// Whether a replica may be sent to now.
#[derive(Clone, Copy)]
enum Standing {
    Free,
    Full(Span),
    Ejected(Span),
}

impl Replica {
    fn new(route: Route) -> Self {
        Self {
            route,
            listed: true,
            in_flight: 0,
            breaker: Breaker::default(),
            busy_until: Time::EPOCH,
            latency_us: 0,
        }
    }

    fn slots(&self) -> u32 {
        self.route.slots.max(1)
    }

    fn standing(&self, now: Time, policy: &Policy) -> Standing {
        if let Some(wait) = self.breaker.closed_for(now, policy) {
            Standing::Ejected(wait)
        } else if self.busy_until > now {
            Standing::Full(self.busy_until.since(now))
        } else if self.in_flight >= self.slots() {
            Standing::Full(policy.busy_pause)
        } else {
            Standing::Free
        }
    }

    /// Less is better: load relative to slots, then latency, then lease id. Later terms (prefix
    /// scores, price) go here.
    fn rank(&self, other: &Self) -> Ordering {
        let load = u64::from(self.in_flight) * u64::from(other.slots());
        let their_load = u64::from(other.in_flight) * u64::from(self.slots());
        load.cmp(&their_load)
            .then(self.latency_us.cmp(&other.latency_us))
            .then(self.route.lease.cmp(&other.route.lease))
    }

    fn measured(&mut self, first_token: Span) {
        let sample = first_token.as_millis().saturating_mul(1_000).max(1);
        self.latency_us = match self.latency_us {
            0 => sample,
            smoothed => (smoothed - smoothed / 8).saturating_add(sample / 8),
        };
    }
}

/// What the replicas of one state have to offer.
#[derive(Default)]
struct Survey<'a> {
    best: Option<&'a Replica>,
    full: Option<Span>,
    ejected: Option<Span>,
}

impl<'a> Survey<'a> {
    fn add(&mut self, replica: &'a Replica, standing: Standing) {
        match standing {
            Standing::Free => self.offer(replica),
            Standing::Full(wait) => self.full = sooner(self.full, Some(wait)),
            Standing::Ejected(wait) => self.ejected = sooner(self.ejected, Some(wait)),
        }
    }

    fn offer(&mut self, replica: &'a Replica) {
        if self.best.is_none_or(|best| replica.rank(best).is_lt()) {
            self.best = Some(replica);
        }
    }

    /// A replica, or the advice to wait for one; none when neither is to be had.
    fn decided(&self) -> Option<Result<LeaseId, NoReplica>> {
        let best = self.best.map(|replica| Ok(replica.route.lease));
        best.or(self
            .full
            .map(|retry_after| Err(NoReplica::Busy { retry_after })))
    }
}

fn sooner(a: Option<Span>, b: Option<Span>) -> Option<Span> {
    a.into_iter().chain(b).min()
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
            .retain(|_, replica| replica.listed || replica.in_flight > 0);
    }

    fn list(&mut self, route: Route) {
        let replica = self
            .replicas
            .entry(route.lease)
            .or_insert_with(|| Replica::new(route));
        replica.route = route;
        replica.listed = true;
    }

    /// The replica to send to now, none of `exclude`. Changes nothing: say [`Balancer::dispatched`].
    pub fn pick(&self, now: Time, exclude: &[LeaseId]) -> Result<LeaseId, NoReplica> {
        let ready = self.survey(State::Ready, now, exclude);
        // Full is not gone: waiting for a ready replica beats trusting a silent node.
        if let Some(decided) = ready.decided() {
            return decided;
        }
        let suspect = self.survey(State::Suspect, now, exclude);
        if let Some(decided) = suspect.decided() {
            return decided;
        }
        Err(match sooner(ready.ejected, suspect.ejected) {
            Some(retry_after) => NoReplica::Ejected { retry_after },
            None if self.takers().next().is_some() => NoReplica::AllTried,
            None => NoReplica::Nowhere,
        })
    }

    fn survey(&self, state: State, now: Time, exclude: &[LeaseId]) -> Survey<'_> {
        let mut survey = Survey::default();
        self.takers()
            .filter(|replica| replica.route.state == state)
            .filter(|replica| !exclude.contains(&replica.route.lease))
            .for_each(|replica| survey.add(replica, replica.standing(now, &self.policy)));
        survey
    }

    fn takers(&self) -> impl Iterator<Item = &Replica> {
        self.replicas
            .values()
            .filter(|replica| replica.listed && replica.route.state != State::Draining)
    }

    /// A request has been sent to the lease; it counts as load from now.
    pub fn dispatched(&mut self, lease: LeaseId) {
        if let Some(replica) = self.replicas.get_mut(&lease) {
            replica.in_flight = replica.in_flight.saturating_add(1);
            replica.breaker.tried();
        }
    }

    /// A dispatched request has got its first token from the lease.
    pub fn spoke(&mut self, lease: LeaseId) {
        if let Some(replica) = self.replicas.get_mut(&lease) {
            replica.breaker.spoke();
        }
    }

    /// What a request got from the lease, and that had ended, has been shown to be wrong.
    pub fn blame(&mut self, lease: LeaseId, now: Time) {
        if let Some(replica) = self.replicas.get_mut(&lease) {
            replica.breaker.learned(Outcome::Failed, now, &self.policy);
        }
    }

    /// A dispatched request has ended at the lease.
    pub fn ended(&mut self, lease: LeaseId, outcome: Outcome, now: Time) {
        let Some(replica) = self.replicas.get_mut(&lease) else {
            return;
        };
        replica.in_flight = replica.in_flight.saturating_sub(1);
        replica.breaker.learned(outcome, now, &self.policy);
        match outcome {
            Outcome::Served {
                first_token: Some(span),
            } => replica.measured(span),
            Outcome::Declined => replica.busy_until = now + self.policy.busy_pause,
            Outcome::Served { first_token: None } | Outcome::Failed | Outcome::Released => {}
        }
        if !replica.listed && replica.in_flight == 0 {
            self.replicas.remove(&lease);
        }
    }

    /// Requests in flight at the lease.
    pub fn in_flight(&self, lease: LeaseId) -> u32 {
        self.replicas
            .get(&lease)
            .map_or(0, |replica| replica.in_flight)
    }

    /// The node of a lease.
    pub fn node(&self, lease: LeaseId) -> Option<NodeKey> {
        self.replicas.get(&lease).map(|replica| replica.route.node)
    }

    pub(crate) fn trials(&self) -> impl Iterator<Item = (LeaseId, bool, u32)> {
        self.replicas
            .iter()
            .map(|(&lease, r)| (lease, r.breaker.is_in_trial(), r.in_flight))
    }
}

#[cfg(test)]
mod tests;
