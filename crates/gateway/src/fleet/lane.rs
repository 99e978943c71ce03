//! One model's replicas, and the requests that wait for one of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remuda_routing::admission::queue::Turn;
use remuda_routing::pick::{NoReplica, Outcome, Route};
use remuda_routing::prefix::Prefix;
use remuda_routing::stream::Pace;
use remuda_routing::{Balancer, Denied, Queue, Wish};
use remuda_types::{LeaseId, NodeKey, RequestId, Span, Time};
use tokio::sync::oneshot;

use super::pacer::Pacer;
use crate::config::Policies;

/// One model's lane.
#[derive(Debug)]
pub(crate) struct Lane {
    state: Mutex<State>,
    pacer: Mutex<Pacer>,
}

#[derive(Debug)]
struct State {
    balancer: Balancer,
    queue: Queue,
    waiting: BTreeMap<RequestId, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    wish: Wish,
    exclude: Vec<LeaseId>,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<LeaseId, Denied>;

/// A place in the queue; dropping it gives the place back, and the replica if one was won.
#[derive(Debug)]
pub(crate) struct Ticket {
    lane: Arc<Lane>,
    request: RequestId,
    answer: oneshot::Receiver<Answer>,
}

impl Lane {
    pub(super) fn new(policies: &Policies) -> Arc<Self> {
        let state = State {
            balancer: Balancer::new(policies.balancer),
            queue: Queue::new(policies.queue),
            waiting: BTreeMap::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            pacer: Mutex::new(Pacer::new()),
        })
    }

    /// Asks for a replica that is none of `exclude`. Who lost one waits until there is another; who
    /// is new waits only for one that is full.
    pub(crate) fn ask(
        self: &Arc<Self>,
        request: RequestId,
        wish: Wish,
        exclude: Vec<LeaseId>,
        turn: Turn,
        now: Time,
    ) -> Result<Ticket, Denied> {
        let (answer, ticket) = oneshot::channel();
        let mut state = self.state();
        match state.balancer.pick(now, &wish, &exclude) {
            Ok(lease) if state.queue.is_empty() || turn == Turn::Resumed => {
                state.balancer.dispatched(lease, request, &wish);
                // The receiver is in this very function.
                answer.send(Ok(lease)).unwrap_or_default();
                return Ok(self.ticket(request, ticket));
            }
            Ok(_) | Err(NoReplica::Busy { .. }) => {}
            Err(none) if turn == Turn::New => return Err(none.into()),
            Err(NoReplica::Nowhere | NoReplica::AllTried | NoReplica::Ejected { .. }) => {}
        }
        state.queue.enter(request, turn, now)?;
        let waiting = Waiting {
            wish,
            exclude,
            answer,
        };
        state.waiting.insert(request, waiting);
        state.call(now);
        drop(state);
        Ok(self.ticket(request, ticket))
    }

    fn ticket(self: &Arc<Self>, request: RequestId, answer: oneshot::Receiver<Answer>) -> Ticket {
        Ticket {
            lane: Arc::clone(self),
            request,
            answer,
        }
    }

    /// A dispatched request has ended at the lease.
    pub(crate) fn ended(&self, lease: LeaseId, request: RequestId, outcome: Outcome, now: Time) {
        let mut state = self.state();
        state.balancer.ended(lease, request, outcome, now);
        state.call(now);
    }

    /// The lease found so many tokens of a dispatched request's prompt in its cache.
    pub(crate) fn found(&self, lease: LeaseId, request: RequestId, cached_tokens: u32) {
        self.state().balancer.found(lease, request, cached_tokens);
    }

    /// The lease has all of this in its cache.
    pub(crate) fn holds(&self, lease: LeaseId, prefix: &Prefix) {
        self.state().balancer.holds(lease, prefix);
    }

    /// Whether another replica could take over now.
    pub(crate) fn has_other(&self, exclude: &[LeaseId], now: Time) -> bool {
        self.state()
            .balancer
            .pick(now, &Wish::default(), exclude)
            .is_ok()
    }

    /// How fast this model's tokens have been coming.
    pub(crate) fn pace(&self) -> Pace {
        self.pacer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pace()
    }

    /// A request has got its first token from the lease.
    pub(crate) fn spoke(&self, lease: LeaseId, request: RequestId, now: Time) {
        let mut state = self.state();
        state.balancer.spoke(lease, request);
        state.call(now);
    }

    /// What the lease said to a request that went on elsewhere was wrong.
    pub(crate) fn blame(&self, lease: LeaseId, now: Time) {
        self.state().balancer.blame(lease, now);
    }

    /// A token of the lease came this long after the one before.
    pub(crate) fn token_came(&self, lease: LeaseId, gap: Duration) {
        self.pacer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(lease, gap);
    }

    /// The longest time between two tokens of the lease, of late.
    pub(crate) fn longest_gap(&self, lease: LeaseId) -> Option<Span> {
        self.pacer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .longest(lease)
    }

    /// The node of a lease.
    pub(crate) fn node(&self, lease: LeaseId) -> Option<NodeKey> {
        self.state().balancer.node(lease)
    }

    pub(super) fn update(&self, routes: Vec<Route>, now: Time) {
        self.pacer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|lease| routes.iter().any(|route| route.lease == lease));
        let mut state = self.state();
        state.balancer.update(routes);
        state.call(now);
    }

    pub(super) fn tick(&self, now: Time) {
        let mut state = self.state();
        while let Some((request, refusal)) = state.queue.expired(now) {
            if let Some(waiting) = state.waiting.remove(&request) {
                // Who does not listen any longer has left.
                waiting.answer.send(Err(refusal.into())).unwrap_or_default();
            }
        }
        state.call(now);
    }

    pub(super) fn waiting(&self) -> usize {
        self.state().queue.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(
        &mut self,
        request: RequestId,
        waiting: &Waiting,
        now: Time,
    ) -> Result<LeaseId, NoReplica> {
        let lease = self.balancer.pick(now, &waiting.wish, &waiting.exclude)?;
        self.balancer.dispatched(lease, request, &waiting.wish);
        Ok(lease)
    }

    /// Serves those who wait as long as there is room.
    fn call(&mut self, now: Time) {
        let mut unserved = Vec::new();
        let anybody = Wish::default();
        while !self.queue.is_empty() && self.balancer.pick(now, &anybody, &[]).is_ok() {
            let Some(request) = self.queue.call_next() else {
                break;
            };
            let Some(waiting) = self.waiting.remove(&request) else {
                continue;
            };
            match self.take(request, &waiting, now) {
                Ok(lease) => self.hand_out(lease, request, waiting, now),
                Err(_) => unserved.push((request, waiting)),
            }
        }
        for (request, waiting) in unserved {
            // Only who excludes something is unserved, and those are never turned away.
            if self.queue.enter(request, Turn::Resumed, now).is_ok() {
                self.waiting.insert(request, waiting);
            }
        }
    }

    fn hand_out(&mut self, lease: LeaseId, request: RequestId, waiting: Waiting, now: Time) {
        if waiting.answer.send(Ok(lease)).is_err() {
            self.balancer.ended(lease, request, Outcome::Released, now);
        }
    }
}

impl Ticket {
    /// The replica, when it is this request's turn. May be called anew when it was cut off.
    pub(crate) async fn wait(&mut self) -> Answer {
        match (&mut self.answer).await {
            Ok(answer) => answer,
            Err(_) => Err(NoReplica::Nowhere.into()),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.answer.close();
        let mut state = self.lane.state();
        state.queue.leave(self.request);
        state.waiting.remove(&self.request);
        if let Ok(Ok(lease)) = self.answer.try_recv() {
            // A release teaches nothing, so the time does not matter.
            state
                .balancer
                .ended(lease, self.request, Outcome::Released, Time::EPOCH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use remuda_routing::pick::State as Standing;

    const NOW: Time = Time::from_millis(1_000);

    fn lease(n: u128) -> LeaseId {
        LeaseId::from_u128(n)
    }

    fn request(n: u128) -> RequestId {
        RequestId::from_u128(n)
    }

    fn lane(leases: &[u128]) -> Arc<Lane> {
        let lane = Lane::new(&Policies::default());
        lane.update(leases.iter().map(|n| route(*n)).collect(), NOW);
        lane
    }

    fn route(n: u128) -> Route {
        Route {
            lease: lease(n),
            node: NodeKey([7; 32]),
            state: Standing::Ready,
            slots: 1,
            price: None,
        }
    }

    fn served() -> Outcome {
        Outcome::Served { first_token: None }
    }

    #[tokio::test]
    async fn a_freed_slot_goes_to_who_waits() {
        let lane = lane(&[1]);
        let mut first = lane
            .ask(request(1), Wish::default(), vec![], Turn::New, NOW)
            .unwrap();
        assert_eq!(first.wait().await, Ok(lease(1)));
        let mut second = lane
            .ask(request(2), Wish::default(), vec![], Turn::New, NOW)
            .unwrap();
        assert_eq!(lane.waiting(), 1);
        lane.ended(lease(1), request(1), served(), NOW);
        assert_eq!(second.wait().await, Ok(lease(1)));
    }

    #[tokio::test]
    async fn a_ticket_that_won_and_was_dropped_gives_the_slot_back() {
        let lane = lane(&[1]);
        let mut first = lane
            .ask(request(1), Wish::default(), vec![], Turn::New, NOW)
            .unwrap();
        first.wait().await.unwrap();
        let second = lane
            .ask(request(2), Wish::default(), vec![], Turn::New, NOW)
            .unwrap();
        lane.ended(lease(1), request(1), served(), NOW);
        drop(second);
        assert!(lane.has_other(&[], NOW));
        assert_eq!(lane.waiting(), 0);
    }

    #[tokio::test]
    async fn who_excludes_every_replica_waits_and_holds_nobody_up() {
        let lane = lane(&[1]);
        let mut moved = lane
            .ask(
                request(1),
                Wish::default(),
                vec![lease(1)],
                Turn::Resumed,
                NOW,
            )
            .unwrap();
        let mut fresh = lane
            .ask(request(2), Wish::default(), vec![], Turn::New, NOW)
            .unwrap();
        lane.tick(NOW);
        assert_eq!(fresh.wait().await, Ok(lease(1)));
        lane.update(vec![route(1), route(2)], NOW);
        assert_eq!(moved.wait().await, Ok(lease(2)));
    }

    #[test]
    fn who_is_new_does_not_wait_for_what_is_not_there() {
        let refused = lane(&[])
            .ask(request(1), Wish::default(), vec![], Turn::New, NOW)
            .unwrap_err();
        assert_eq!(refused, Denied::Replica(NoReplica::Nowhere));
    }

    #[test]
    fn who_asks_for_a_second_opinion_does_not_wait_for_a_second_replica() {
        let refused = lane(&[1])
            .ask(request(1), Wish::default(), vec![lease(1)], Turn::New, NOW)
            .unwrap_err();
        assert_eq!(refused, Denied::Replica(NoReplica::AllTried));
    }

    #[tokio::test]
    async fn the_first_token_of_a_trial_lets_the_others_follow() {
        let lane = lane(&[1]);
        for n in 0..3 {
            let mut ticket = lane
                .ask(request(n), Wish::default(), vec![], Turn::New, NOW)
                .unwrap();
            ticket.wait().await.unwrap();
            lane.ended(lease(1), request(n), Outcome::Failed, NOW);
        }
        let later = NOW + Span::from_secs(1);
        lane.update(
            vec![Route {
                slots: 2,
                ..route(1)
            }],
            later,
        );
        let mut trial = lane
            .ask(request(4), Wish::default(), vec![], Turn::Resumed, later)
            .unwrap();
        trial.wait().await.unwrap();
        let mut next = lane
            .ask(request(5), Wish::default(), vec![], Turn::Resumed, later)
            .unwrap();
        assert_eq!(lane.waiting(), 1);
        lane.spoke(lease(1), request(4), later);
        assert_eq!(next.wait().await, Ok(lease(1)));
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told() {
        let lane = lane(&[1]);
        let _first = lane
            .ask(request(1), Wish::default(), vec![], Turn::New, NOW)
            .unwrap();
        let mut second = lane
            .ask(request(2), Wish::default(), vec![], Turn::New, NOW)
            .unwrap();
        lane.tick(NOW + Policies::default().queue.most_wait);
        assert!(matches!(second.wait().await, Err(Denied::Queue(_))));
    }
}
