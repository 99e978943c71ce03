//! The decode thread: commands in, frames out, one step after another.
//!
//! Everything that reads or changes the context happens here. A probe is answered here too, so that
//! an engine whose loop hangs does not look ready.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

use remuda_wire::infer::{End, EndReason, Ready, Refused, RefusedReason, Reply, Token};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::decoder::{Decoder, Sink, Ticket};
use crate::engine::Gauges;
use crate::request::{Facts, Request};

/// What the decode thread is asked.
#[derive(Debug)]
pub(crate) enum Command {
    Start(Box<Job>),
    Probe(oneshot::Sender<Ready>),
    /// Take nothing new; end what still runs at this instant; then stop.
    Drain(Instant),
}

/// A request, where its frames go, and its place in the engine.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) client: Client,
}

/// Where a generation's frames go. The channel is unbounded, its content is not: a generation has
/// no more tokens than the context.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) replies: UnboundedSender<Reply>,
    /// Its place in the engine, given back when the client is dropped, which is when its slot is free.
    pub(crate) _permit: OwnedSemaphorePermit,
}

#[derive(Debug, Default)]
struct Clients(BTreeMap<Ticket, Client>);

impl Clients {
    /// A reader that has gone is noticed by `Worker::drop_cancelled`, so a failed send is nothing.
    fn close(&mut self, ticket: Ticket, last: Reply) {
        if let Some(client) = self.0.remove(&ticket) {
            client.replies.send(last).ok();
        }
    }
}

impl Sink for Clients {
    fn token(&mut self, ticket: Ticket, token: Token) {
        if let Some(client) = self.0.get(&ticket) {
            client.replies.send(Reply::Token(token)).ok();
        }
    }

    fn end(&mut self, ticket: Ticket, end: End) {
        self.close(ticket, Reply::End(end));
    }

    fn refused(&mut self, ticket: Ticket, refused: Refused) {
        self.close(ticket, Reply::Refused(refused));
    }
}

pub(crate) struct Worker<'m> {
    decoder: Decoder<'m>,
    commands: Receiver<Command>,
    waiting: VecDeque<Box<Job>>,
    clients: Clients,
    drain_by: Option<Instant>,
    next_ticket: u64,
    facts: Facts,
    slots: u32,
    gauges: Arc<Gauges>,
}

impl<'m> Worker<'m> {
    pub(crate) fn new(
        decoder: Decoder<'m>,
        commands: Receiver<Command>,
        facts: Facts,
        slots: u32,
        gauges: Arc<Gauges>,
    ) -> Self {
        Self {
            decoder,
            commands,
            waiting: VecDeque::new(),
            clients: Clients::default(),
            drain_by: None,
            next_ticket: 0,
            facts,
            slots,
            gauges,
        }
    }

    /// Runs until drained or until nobody can command any more.
    pub(crate) fn run(mut self) {
        while self.take_commands() {
            self.drop_cancelled();
            self.admit_waiting();
            self.end_overdue();
            self.decoder.step(&mut self.clients);
            self.publish();
        }
    }

    /// Takes what is there; waits only if there is nothing to decode. False when it is over.
    fn take_commands(&mut self) -> bool {
        if self.idle() {
            if self.drain_by.is_some() {
                return false;
            }
            match self.commands.recv() {
                Ok(command) => self.obey(command),
                Err(_) => return false,
            }
        }
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn idle(&self) -> bool {
        self.waiting.is_empty() && self.decoder.active() == 0
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start(job) if self.drain_by.is_some() => {
                job.client.replies.send(Reply::Refused(draining())).ok();
            }
            Command::Start(job) => self.waiting.push_back(job),
            Command::Probe(answer) => {
                answer.send(self.ready()).ok();
            }
            Command::Drain(by) => self.drain(by),
        }
    }

    fn ready(&self) -> Ready {
        Ready {
            model: self.facts.model,
            active: u32::try_from(self.decoder.active()).unwrap_or(u32::MAX),
            slots: self.slots,
            context_tokens: self.facts.context_tokens,
            generated_tokens: self.decoder.tally().generated,
        }
    }

    fn drain(&mut self, by: Instant) {
        self.drain_by = Some(by);
        for job in self.waiting.drain(..) {
            let end = End {
                reason: EndReason::Draining,
                cached_tokens: 0,
            };
            job.client.replies.send(Reply::End(end)).ok();
        }
    }

    fn drop_cancelled(&mut self) {
        self.waiting.retain(|job| !job.client.replies.is_closed());
        let decoder = &mut self.decoder;
        self.clients.0.retain(|ticket, client| {
            let gone = client.replies.is_closed();
            if gone {
                decoder.cancel(*ticket);
            }
            !gone
        });
    }

    fn admit_waiting(&mut self) {
        while self.decoder.has_room()
            && let Some(job) = self.waiting.pop_front()
        {
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            self.clients.0.insert(ticket, job.client);
            self.decoder.admit(ticket, job.request, &mut self.clients);
        }
    }

    fn end_overdue(&mut self) {
        if self.drain_by.is_some_and(|by| Instant::now() >= by) {
            self.decoder.end_all(EndReason::Draining, &mut self.clients);
        }
    }

    fn publish(&self) {
        self.gauges.publish(
            self.decoder.tally(),
            self.decoder.active(),
            self.waiting.len(),
        );
    }
}

pub(crate) fn draining() -> Refused {
    Refused {
        reason: RefusedReason::Busy,
        detail: "the engine is draining".to_owned(),
    }
}
