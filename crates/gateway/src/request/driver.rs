//! Runs one request's stream machine: says to it what happens, does what it wants done.
//!
//! The machine's time stands still while the client is slow to read: a replica that is not read is
//! not silent. So a slow client holds its slot, and never makes a good replica look dead.

mod conclude;
mod deliver;
mod probe;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use remuda_routing::admission::queue::Turn;
use remuda_routing::pick::{NoReplica, Outcome};
use remuda_routing::stream::{Action, Broken, Facts, Failure, Refused as Kind, ReplicaEnd};
use remuda_routing::{Denied, Stream, Wish};
use remuda_tokens::StopMatcher;
use remuda_tokens::tools::{Reader, Style};
use remuda_types::{Constraint, Digest, LeaseId, RequestId, Span, Time, WorkloadId};
use remuda_wire::infer::{Ask, EndReason, RefusedReason, Reply, Sampler, Start, Token};
use tokio::time::Instant;

use self::probe::Probe;
use super::leg::{Came, Leg, Place};
use super::outbox::{Likely, Outbox, Score};
use super::progress::Progress;
use super::refusal::Refusal;
use super::text::Text;
use crate::fleet::Lane;
use crate::gateway::Gateway;
use crate::models::Model;
use crate::money::Held;
use crate::node_link::{Lost, Probed};

/// What a request is told when the last replica that was asked had no room.
const FULL: Denied = Denied::Replica(NoReplica::Busy {
    retry_after: Span::from_secs(1),
});

/// An admitted request.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: RequestId,
    pub(super) workload: WorkloadId,
    pub(super) digest: Digest,
    pub(super) lane: Arc<Lane>,
    pub(super) model: Arc<Model>,
    pub(super) prompt: Vec<u32>,
    pub(super) wish: Wish,
    pub(super) sampler: Sampler,
    pub(super) seed: u64,
    pub(super) max_tokens: NonZeroU32,
    pub(super) stops: StopMatcher,
    /// The stop sequences as they were sent.
    pub(super) stop_texts: Vec<String>,
    pub(super) constraint: Option<Constraint>,
    /// How calls are read from the output, where tools may be called.
    pub(super) style: Option<Style>,
    pub(super) top_logprobs: Option<u8>,
    pub(super) streamed: bool,
    /// Of several answers to one prompt the first is billed for it.
    pub(super) billed_prompt: u32,
    pub(super) held: Held,
}

/// One request at work.
pub(super) struct Driver {
    gateway: Arc<Gateway>,
    job: Job,
    stream: Stream,
    leg: Leg,
    probe: Option<Probe>,
    /// What the next replica is told was generated already.
    generated: Vec<u32>,
    /// None once the answer is complete.
    text: Option<Text>,
    /// Tokens forwarded whose text is held back.
    silent_tokens: u32,
    /// Their probabilities.
    scores: Vec<Score>,
    /// Of the token that the stream was told of last.
    score: Option<Score>,
    outbox: Outbox,
    progress: Arc<Progress>,
    /// How long the client has kept us waiting.
    paused: Span,
    began: Instant,
    last_token: Option<Instant>,
    cached_tokens: u32,
    /// Why no replica could be had, when the queue, the balancer or the last replica said so.
    denied: Option<Denied>,
    cut: Option<Cut>,
}

/// Why a request is cut off, apart from its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Stopping,
    Lapsed,
    NotDurable,
}

/// What a driver waits for.
#[expect(
    clippy::large_enum_variant,
    reason = "one for each request, never many beside each other"
)]
enum Heard {
    Came(Came),
    Probed(Place, Probed),
    ClientLeft,
    Cut(Cut),
    Time,
}

impl Driver {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        job: Job,
        outbox: Outbox,
        progress: Arc<Progress>,
    ) -> Self {
        let facts = Facts {
            prompt_tokens: u32::try_from(job.prompt.len()).unwrap_or(u32::MAX),
            max_tokens: job.max_tokens,
            may_resume: true,
        };
        let policy = gateway.config.policies.stream;
        let stream = Stream::new(facts, policy, job.lane.pace(), gateway.clock.now());
        gateway.open.begin(job.request, Arc::clone(&progress));
        Self {
            text: Some(Text::new(job.stops.clone(), job.style.map(Reader::new))),
            gateway,
            job,
            stream,
            leg: Leg::Idle,
            probe: None,
            generated: Vec::new(),
            silent_tokens: 0,
            scores: Vec::new(),
            score: None,
            outbox,
            progress,
            paused: Span::ZERO,
            began: Instant::now(),
            last_token: None,
            cached_tokens: 0,
            denied: None,
            cut: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            while let Some(action) = self.stream.poll() {
                self.act(action).await;
            }
            if self.stream.ended().is_some() {
                break;
            }
            let heard = self.listen().await;
            self.hear(heard);
        }
        self.leg = Leg::Idle;
        self.conclude().await;
    }

    /// The machine's time.
    fn now(&self) -> Time {
        self.gateway.clock.now() - self.paused
    }

    async fn listen(&mut self) -> Heard {
        let now = self.now();
        let due = self
            .stream
            .next_deadline()
            .map_or(Span::HOUR, |due| due.since(now));
        let lapse = self.until_lapse();
        let Self {
            leg,
            probe,
            outbox,
            gateway,
            ..
        } = self;
        // Frames first: what a replica has said already counts before the time it took.
        tokio::select! {
            biased;
            came = leg.next() => Heard::Came(came),
            (at, probed) = probe::outcome(probe) => Heard::Probed(at, probed),
            () = outbox.closed() => Heard::ClientLeft,
            () = gateway.cut.cancelled() => Heard::Cut(Cut::Stopping),
            () = tokio::time::sleep(lapse) => Heard::Cut(Cut::Lapsed),
            () = tokio::time::sleep(Duration::from_millis(due.as_millis())) => Heard::Time,
        }
    }

    /// Until what is delivered can no longer be posted.
    fn until_lapse(&self) -> Duration {
        let left = self.job.held.deadline().since(self.gateway.clock.now());
        Duration::from_millis(left.min(Span::DAY).as_millis())
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Came(Came::Turn(turn)) => self.turn(turn),
            Heard::Came(Came::Opened(at, Ok(channel))) => self.leg = Leg::Open { at, channel },
            Heard::Came(Came::Opened(at, Err(lost)) | Came::Reply(at, Err(lost))) => {
                self.lost(at, &lost);
            }
            Heard::Came(Came::Reply(at, Ok(reply))) => self.reply(at.lease, reply),
            Heard::Probed(at, probed) => self.probed(at, probed),
            Heard::ClientLeft => self.stream.abandoned(),
            Heard::Cut(cut) => self.cut_off(cut),
            Heard::Time => self.stream.tick(self.now()),
        }
    }

    fn turn(&mut self, turn: Result<LeaseId, Denied>) {
        self.leg = Leg::Idle;
        let lease = match turn {
            Ok(lease) => lease,
            Err(denied) => {
                self.denied = Some(denied);
                return self.stream.no_replica();
            }
        };
        let Some(node) = self.job.lane.node(lease) else {
            return self.stream.no_replica();
        };
        let now = self.now();
        self.stream.dispatched(lease, node, now);
        if self.stream.lease() != Some(lease) {
            return; // The stream had no use for it, and says so in its actions.
        }
        match self.gateway.table.view().replica(lease) {
            Some(route) => {
                let ask = Ask::Start(Box::new(self.start()));
                self.leg = Leg::dial(&self.gateway, route, self.job.request, ask);
            }
            // The table changed just now.
            None => self.stream.broken(lease, Broken::Unreachable, now),
        }
    }

    fn start(&self) -> Start {
        Start {
            request: self.job.request,
            model: self.job.digest,
            prompt: self.job.prompt.clone(),
            generated: self.generated.clone(),
            sampler: self.job.sampler,
            seed: self.job.seed,
            max_tokens: self.job.max_tokens.get(),
            constraint: self.job.constraint.clone(),
            // The chosen token's own probability comes with those of the likeliest.
            top_logprobs: self.job.top_logprobs.map_or(0, |top| top.max(1)),
        }
    }

    fn lost(&mut self, at: Place, lost: &Lost) {
        tracing::debug!(lease = %at.lease, node = %at.node, error = %lost, how = ?lost.how, "a replica is lost");
        match lost.how {
            Broken::Unreachable | Broken::ConnectionLost => self.gateway.sight(at.node, false),
            Broken::StreamReset | Broken::Malformed => {}
        }
        self.stream.broken(at.lease, lost.how, self.now());
    }

    fn reply(&mut self, lease: LeaseId, reply: Reply) {
        let now = self.now();
        match reply {
            Reply::Token(token) => self.token(lease, &token, now),
            Reply::End(end) => {
                self.cached_tokens = end.cached_tokens;
                let (lane, request) = (&self.job.lane, self.job.request);
                lane.found(lease, request, end.cached_tokens);
                self.stream.end(lease, replica_end(end.reason), now);
            }
            Reply::Refused(refused) => {
                tracing::debug!(%lease, reason = ?refused.reason, "a replica refuses");
                self.denied = (refused.reason == RefusedReason::Busy).then_some(FULL);
                self.stream.refused(lease, kind(refused.reason), now);
            }
            Reply::Ready(_) => self.stream.broken(lease, Broken::Malformed, now),
        }
    }

    fn token(&mut self, lease: LeaseId, token: &Token, now: Time) {
        if self.job.model.tokenizer.token_bytes(token.id).is_none() {
            return self.stream.broken(lease, Broken::Malformed, now);
        }
        let at = Instant::now();
        match self.last_token.replace(at) {
            None => self
                .job
                .lane
                .spoke(lease, self.job.request, self.gateway.clock.now()),
            Some(last) => {
                let gap = at.duration_since(last);
                self.job.lane.token_came(lease, gap);
                self.gateway.metrics.gap(self.job.workload, gap);
            }
        }
        self.denied = None;
        self.score = self.score(token);
        self.stream.token(lease, token.index, token.id, now);
    }

    /// How likely the token was, when that is asked for.
    fn score(&self, token: &Token) -> Option<Score> {
        let top = usize::from(self.job.top_logprobs?);
        let likely = |id, logprob| Likely {
            bytes: self.job.model.tokenizer.spelling(id).to_vec(),
            logprob,
        };
        let best = token.top.iter().take(top);
        Some(Score {
            token: likely(token.id, token.logprob.unwrap_or(f32::NEG_INFINITY)),
            top: best.map(|best| likely(best.id, best.logprob)).collect(),
        })
    }

    fn cut_off(&mut self, cut: Cut) {
        self.cut = Some(cut);
        self.stream.abandoned();
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Forward { id, .. } => self.forward(id).await,
            Action::Dispatch {
                exclude,
                generated,
                turn,
            } => self.dispatch(exclude, generated, turn),
            Action::Cancel { lease } => self.leave(lease),
            Action::Probe { lease } => self.ask_whether_alive(lease),
            Action::Done { lease, outcome } => self.done(lease, outcome),
            Action::Blame { lease } => self.job.lane.blame(lease, self.gateway.clock.now()),
            Action::Finish { reason, tokens } => self.finish(reason, tokens).await,
            Action::Fail { why } => {
                let known = self.denied.take().filter(|_| why == Failure::NoReplicaLeft);
                let denied = known.unwrap_or_else(|| why.into());
                self.fail(Refusal::Denied(denied)).await;
            }
        }
    }

    fn dispatch(&mut self, exclude: Vec<LeaseId>, generated: Vec<u32>, turn: Turn) {
        self.generated = generated;
        self.last_token = None;
        // A place in the queue that is held already is given back before another is taken.
        self.leg = Leg::Idle;
        let (wish, now) = (self.wish(), self.gateway.clock.now());
        let asked = (self.job.lane).ask(self.job.request, wish, exclude, turn, now);
        match asked {
            Ok(ticket) => self.leg = Leg::Waiting(ticket),
            Err(denied) => {
                self.denied = Some(denied);
                self.stream.no_replica();
            }
        }
    }

    /// What is wanted of the next replica: after a move it reads what was generated, too.
    fn wish(&self) -> Wish {
        let generated = u32::try_from(self.generated.len()).unwrap_or(u32::MAX);
        let wish = &self.job.wish;
        if generated == 0 {
            return wish.clone();
        }
        Wish {
            prefix: wish.prefix.then(&self.generated),
            prompt_tokens: wish.prompt_tokens.saturating_add(generated),
            ..wish.clone()
        }
    }

    /// The lease has done its part; what it served is in its cache now.
    fn done(&mut self, lease: LeaseId, outcome: Outcome) {
        self.leave(lease);
        let (lane, now) = (&self.job.lane, self.gateway.clock.now());
        lane.ended(lease, self.job.request, outcome, now);
        if matches!(outcome, Outcome::Served { .. }) {
            let held = self.job.wish.prefix.then(self.stream.generated());
            lane.holds(lease, &held);
        }
    }

    /// Breaks off what leads to the lease.
    fn leave(&mut self, lease: LeaseId) {
        if self.leg.lease() == Some(lease) {
            self.leg = Leg::Idle;
        }
        self.probe.take_if(|probe| probe.at.lease == lease);
    }
}

const fn replica_end(reason: EndReason) -> ReplicaEnd {
    match reason {
        EndReason::Stop => ReplicaEnd::Stop,
        EndReason::Length => ReplicaEnd::Length,
        EndReason::Draining => ReplicaEnd::Draining,
    }
}

const fn kind(reason: RefusedReason) -> Kind {
    match reason {
        RefusedReason::Invalid => Kind::Invalid,
        RefusedReason::Busy => Kind::Busy,
        RefusedReason::NotGranted => Kind::NotGranted,
        RefusedReason::WrongModel => Kind::WrongModel,
        RefusedReason::Broken => Kind::Broken,
    }
}
