//! The engine as its users see it: requests in, streams of frames out, from any task.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use remuda_tokens::Constraints;
use remuda_wire::infer::{Ready, Refused, RefusedReason, Reply, Start};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::config::Config;
use crate::decoder::{Decoder, Tally};
use crate::load;
use crate::model::Model;
use crate::request::{Facts, Request};
use crate::worker::{Client, Command, Job, Worker};

/// llama.cpp's own code is not frugal with it.
const STACK_BYTES: usize = 16 << 20;

/// A running engine. Dropping it ends its thread, and with it every stream.
#[derive(Debug)]
pub struct Engine {
    commands: Sender<Command>,
    /// Slots and places in the queue.
    places: Arc<Semaphore>,
    facts: Facts,
    constraints: Arc<Constraints>,
    gauges: Arc<Gauges>,
    /// Closed when the decode thread has ended.
    alive: watch::Receiver<()>,
}

/// Frames of one generation; ends after `End` or `Refused`. Dropping it cancels the generation
/// before the next step.
#[derive(Debug)]
pub struct Frames(UnboundedReceiver<Reply>);

impl futures::Stream for Frames {
    type Item = Reply;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Reply>> {
        self.0.poll_recv(context)
    }
}

/// What an engine has done and does, for whoever exports metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Tokens generated since it started.
    pub generated_tokens: u64,
    /// Tokens of prompts evaluated.
    pub prefilled_tokens: u64,
    /// Tokens of prompts found in a cache.
    pub cached_tokens: u64,
    /// Generations in slots.
    pub active: usize,
    /// Requests that wait for a slot.
    pub waiting: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Gauges {
    generated: AtomicU64,
    prefilled: AtomicU64,
    cached: AtomicU64,
    active: AtomicUsize,
    waiting: AtomicUsize,
}

impl Gauges {
    pub(crate) fn publish(&self, tally: Tally, active: usize, waiting: usize) {
        self.generated.store(tally.generated, Ordering::Relaxed);
        self.prefilled.store(tally.prefilled, Ordering::Relaxed);
        self.cached.store(tally.cached, Ordering::Relaxed);
        self.active.store(active, Ordering::Relaxed);
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Counters {
        Counters {
            generated_tokens: self.generated.load(Ordering::Relaxed),
            prefilled_tokens: self.prefilled.load(Ordering::Relaxed),
            cached_tokens: self.cached.load(Ordering::Relaxed),
            active: self.active.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }
}

impl Engine {
    /// Loads the model on a thread of its own and answers when it can serve.
    pub async fn load(config: Config) -> Result<Self, load::Error> {
        config.check()?;
        let places = Arc::new(Semaphore::new((config.slots + config.queue) as usize));
        let gauges = Arc::new(Gauges::default());
        let (commands, inbox) = channel();
        let (loaded, facts) = oneshot::channel();
        let (alive_guard, alive) = watch::channel(());
        let thread_gauges = Arc::clone(&gauges);
        std::thread::Builder::new()
            .name("decode".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let _alive = alive_guard;
                decode_thread(&config, inbox, loaded, thread_gauges);
            })
            .map_err(load::Error::Thread)?;
        let (facts, constraints) = facts.await.map_err(|_| load::Error::Died)??;
        Ok(Self {
            commands,
            places,
            facts,
            constraints,
            gauges,
            alive,
        })
    }

    /// Begins a generation, or says why not. Busy means that slots and queue are full.
    pub async fn start(&self, start: Start) -> Result<Frames, Refused> {
        let permit = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Refused {
                reason: RefusedReason::Busy,
                detail: "all slots and places in the queue are taken".to_owned(),
            })?;
        let request = self.check(start).await?;
        let (replies, frames) = unbounded_channel();
        let job = Job {
            request,
            client: Client {
                replies,
                _permit: permit,
            },
        };
        self.commands
            .send(Command::Start(Box::new(job)))
            .map_err(|_| stopped())?;
        Ok(Frames(frames))
    }

    /// Constraints are compiled on a thread where nobody waits for anything else.
    async fn check(&self, start: Start) -> Result<Request, Refused> {
        let (facts, constraints) = (self.facts, Arc::clone(&self.constraints));
        if start.constraint.is_none() {
            return Ok(Request::check(start, &facts, &constraints)?);
        }
        let check = move || Request::check(start, &facts, &constraints);
        match tokio::task::spawn_blocking(check).await {
            Ok(checked) => Ok(checked?),
            Err(_) => Err(stopped()),
        }
    }

    /// Asks the decode thread itself whether it serves. Waits as long as a step takes; whoever asks
    /// sets the deadline.
    pub async fn ready(&self) -> Result<Ready, Refused> {
        let (answer, ready) = oneshot::channel();
        self.commands
            .send(Command::Probe(answer))
            .map_err(|_| stopped())?;
        ready.await.map_err(|_| stopped())
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.gauges.snapshot()
    }

    /// Takes nothing new, sends what waits elsewhere, lets what runs go on for `grace`, ends the
    /// rest as draining, and stops.
    pub async fn drain(&self, grace: Duration) {
        if self
            .commands
            .send(Command::Drain(Instant::now() + grace))
            .is_ok()
        {
            self.stopped().await;
        }
    }

    /// Waits until the decode thread has ended.
    pub async fn stopped(&self) {
        let mut alive = self.alive.clone();
        while alive.changed().await.is_ok() {}
    }
}

pub(crate) fn stopped() -> Refused {
    Refused {
        reason: RefusedReason::Broken,
        detail: "the engine has stopped".to_owned(),
    }
}

fn decode_thread(
    config: &Config,
    inbox: Receiver<Command>,
    loaded: oneshot::Sender<Result<(Facts, Arc<Constraints>), load::Error>>,
    gauges: Arc<Gauges>,
) {
    let model = match Model::load(&config.model) {
        Ok(model) => model,
        Err(error) => return drop(loaded.send(Err(error))),
    };
    let decoder = match Decoder::new(&model, config) {
        Ok(decoder) => decoder,
        Err(error) => return drop(loaded.send(Err(error))),
    };
    let facts = Facts {
        model: config.digest,
        vocabulary: model.vocabulary(),
        context_tokens: config.context_tokens,
    };
    let constraints = Arc::clone(model.constraints());
    if loaded.send(Ok((facts, constraints))).is_ok() {
        Worker::new(decoder, inbox, facts, config.slots, gauges).run();
    }
}
