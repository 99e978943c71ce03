//! The doors of a run: gateways, what reaches and leaves them, and the requests that come. What a
//! gateway decides is the `routing` crate's; here it is only carried.

mod control;
mod replica;
mod serve;

use std::sync::Arc;

use remuda_routing::tranche::{self, Denial, Tranche};
use remuda_routing::usage::Post;
use remuda_types::{Entropy, GatewayKey, ProjectId, RequestId, Span, Time, TrancheId};

use super::dice::Dice;
use super::error::Broken;
use super::gateway::{Billed, Gateway, Note, Table};
use super::outcome::Requests;
use super::spending::{Misspent, Spending};
use super::{Simulation, What};
use crate::scenario;

/// Between two rounds of a gateway: it posts, asks and closes.
const ROUND: Span = Span::from_secs(1);

/// A note is durable within so much time.
const FLUSH: Span = Span::from_millis(10);

/// What changes in control's table is told together for so long.
const TABLES: Span = Span::from_millis(10);

/// What a gateway says to control.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    Open(ProjectId, tranche::Ask),
    Post(Post),
    Close(TrancheId),
}

/// What control answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Given(ProjectId, Tranche),
    Denied(ProjectId, TrancheId, Denial),
    Posted(TrancheId, u64),
    /// Of a post.
    Refused(TrancheId, u64, &'static str),
    Closed(TrancheId),
}

/// A gateway, as it was started for so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) gateway: usize,
    pub(crate) boot: u64,
}

/// A request's dispatch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    pub(crate) at: At,
    pub(crate) request: RequestId,
    pub(crate) attempt: u64,
}

/// Something that happens at the doors.
#[derive(Debug)]
pub(crate) enum Gate {
    /// A request comes.
    Arrival,
    /// Control tells its table.
    Push,
    Learn(At, Arc<Table>),
    Round(At),
    /// What was to be durable before it is said, is.
    Send(At, Word),
    /// A word reaches control.
    Say(At, Word),
    /// A reply reaches its gateway.
    Hear(At, Reply),
    /// A request's stream, or what it waits for, is due.
    Wake(At, RequestId),
    /// A request reaches its replica.
    Dialled(Leg),
    /// The replica could not be reached.
    Undialled(Leg),
    /// Tokens come.
    Burst(Leg),
    /// A probe reaches the replica's engine.
    Probed(Leg),
    /// The probe was not answered.
    Unanswered(Leg),
    Crash(usize),
    Restart(usize),
}

/// All gateways of a run.
#[derive(Debug)]
pub(crate) struct Gates {
    pub(super) gateways: Vec<Gateway>,
    pub(super) dice: Dice,
    pub(super) wanted: scenario::Gateways,
    /// Whether control's table is about to be told.
    pushing: bool,
    ids: u64,
    pub(crate) spending: Spending,
    pub(crate) tally: Requests,
}

impl Gates {
    pub(crate) fn new(dice: Dice, wanted: scenario::Gateways) -> Self {
        Self {
            gateways: keys(&wanted).map(Gateway::new).collect(),
            dice,
            wanted,
            pushing: false,
            ids: 0,
            spending: Spending::default(),
            tally: Requests::default(),
        }
    }

    /// The gateway, unless it was started anew since.
    fn live(&mut self, at: At) -> Option<&mut Gateway> {
        let gateway = &mut self.gateways[at.gateway];
        (gateway.up && gateway.boot == at.boot).then_some(gateway)
    }

    fn at(&self, gateway: usize) -> At {
        let boot = self.gateways[gateway].boot;
        At { gateway, boot }
    }

    /// Hands a note in; when it is durable.
    pub(super) fn note(&mut self, at: At, note: Note, now: Time) -> Time {
        let written = now + self.dice.up_to(FLUSH);
        self.gateways[at.gateway].spool.note(note, written)
    }

    /// Takes note of bills that are durable.
    fn billed(&mut self, billed: Vec<Billed>) -> Result<(), Broken> {
        let mut billed = billed.into_iter();
        billed
            .try_for_each(|bill| self.spending.bill(bill))
            .map_err(misspent)
    }
}

/// Entropy that nothing else has: the next number.
pub(super) fn entropy(ids: &mut u64) -> Entropy {
    *ids += 1;
    let mut entropy = [0; 10];
    entropy[2..].copy_from_slice(&ids.to_be_bytes());
    Entropy(entropy)
}

/// The keys of a scenario's gateways.
pub(crate) fn keys(wanted: &scenario::Gateways) -> impl Iterator<Item = GatewayKey> + use<> {
    (1..=wanted.count).map(|number| {
        let mut key = [0xff; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        GatewayKey(key)
    })
}

pub(super) fn misspent((tranche, misspent): (TrancheId, Misspent)) -> Broken {
    Broken::Misspent { tranche, misspent }
}

impl Simulation {
    fn plan_gate(&mut self, at: Time, gate: Gate) {
        self.agenda.plan(at, What::Gate(Box::new(gate)));
    }

    /// The gateways begin.
    pub(super) fn open_gates(&mut self) {
        let now = self.now();
        for gateway in 0..self.gates.gateways.len() {
            self.start_gateway(gateway);
            self.plan_crash(gateway);
        }
        if self.gates.wanted.count > 0 {
            self.plan_push();
            self.plan_arrival(now);
        }
    }

    fn start_gateway(&mut self, gateway: usize) {
        let at = self.gates.at(gateway);
        let first = self.now() + self.gates.dice.up_to(ROUND);
        self.plan_gate(first, Gate::Round(at));
    }

    fn plan_crash(&mut self, gateway: usize) {
        let Some(mean) = super::weather::mean(super::weather::every(self.gates.wanted.per_year))
        else {
            return;
        };
        let at = self.now() + self.gates.dice.wait(mean);
        if at < self.calm_at() {
            self.plan_gate(at, Gate::Crash(gateway));
        }
    }

    /// Control's table is told in a moment.
    pub(super) fn plan_push(&mut self) {
        if !self.gates.gateways.is_empty() && !std::mem::replace(&mut self.gates.pushing, true) {
            let at = self.now() + TABLES;
            self.plan_gate(at, Gate::Push);
        }
    }

    pub(super) fn gate(&mut self, gate: Gate) -> Result<(), Broken> {
        let now = self.now();
        match gate {
            Gate::Arrival => self.arrive()?,
            Gate::Push => self.push(),
            Gate::Learn(at, table) => {
                if let Some(gateway) = self.gates.live(at) {
                    gateway.learn(table);
                    self.wake_waiting(at)?;
                }
            }
            Gate::Round(at) => self.round(at)?,
            Gate::Send(at, word) => {
                if self.gates.live(at).is_some() {
                    self.flush(at)?;
                    self.say(at, &word);
                }
            }
            Gate::Say(at, word) => self.said(at, word),
            Gate::Hear(at, reply) => {
                if self.gates.live(at).is_some() {
                    self.hear_reply(at, reply)?;
                }
            }
            Gate::Wake(at, request) => self.wake_request(at, request)?,
            Gate::Dialled(leg) => self.dialled(leg)?,
            Gate::Undialled(leg) => self.undialled(leg)?,
            Gate::Burst(leg) => self.burst(leg)?,
            Gate::Probed(leg) => self.probed(leg)?,
            Gate::Unanswered(leg) => self.unanswered(leg)?,
            Gate::Crash(gateway) => self.crash_gateway(gateway)?,
            Gate::Restart(gateway) => {
                let billed = self.gates.gateways[gateway].restart(now);
                self.gates.billed(billed)?;
                self.start_gateway(gateway);
                self.plan_push();
                self.plan_crash(gateway);
            }
        }
        Ok(())
    }

    fn crash_gateway(&mut self, gateway: usize) -> Result<(), Broken> {
        let now = self.now();
        let (billed, cut_off) = self.gates.gateways[gateway].crash(now);
        self.gates.tally.gateway_faults += 1;
        self.gates.tally.cut_off += cut_off.len() as u64;
        for (request, forwarded) in cut_off {
            self.gates.spending.delivered(request, forwarded);
        }
        self.gates.billed(billed)?;
        let down = self.gates.dice.around(self.gates.wanted.down.0, 0.5);
        let back = (now + down).min(self.calm_at().max(now));
        self.plan_gate(back, Gate::Restart(gateway));
        Ok(())
    }

    /// What is durable at a gateway by now.
    fn flush(&mut self, at: At) -> Result<(), Broken> {
        let now = self.now();
        let billed = self.gates.gateways[at.gateway].spool.flush(now);
        self.gates.billed(billed)
    }

    /// A gateway posts what was used, closes what has served and asks for what it lacks.
    fn round(&mut self, at: At) -> Result<(), Broken> {
        let now = self.now();
        if self.gates.live(at).is_none() {
            return Ok(());
        }
        self.flush(at)?;
        self.checkpoint(at);
        for (post, is_new) in self.gates.gateways[at.gateway].money.posts() {
            let word = Word::Post(post.clone());
            if !is_new {
                self.say(at, &word);
                continue;
            }
            // Control may only see what a restart would send again.
            let bills = post.totals.values().map(|total| total.requests).sum();
            let written = self
                .gates
                .note(at, Note::Posting(Box::new(post), bills), now);
            self.plan_gate(written, Gate::Send(at, word));
        }
        for tranche in self.gates.gateways[at.gateway].money.closable(now) {
            self.say(at, &Word::Close(tranche));
        }
        self.ask(at);
        self.plan_gate(now + ROUND, Gate::Round(at));
        Ok(())
    }

    /// Asks control for the money that is lacking.
    fn ask(&mut self, at: At) {
        let now = self.now();
        let Gates { gateways, ids, .. } = &mut self.gates;
        let money = &mut gateways[at.gateway].money;
        let asks = money.wanted(now, || TrancheId::new(now, entropy(ids)));
        for (project, ask) in asks {
            let tranche::Ask { tranche, amount } = ask;
            let note = Note::Asked {
                tranche,
                project,
                amount,
            };
            let written = self.gates.note(at, note, now);
            self.plan_gate(written, Gate::Send(at, Word::Open(project, ask)));
        }
    }

    fn hear_reply(&mut self, at: At, reply: Reply) -> Result<(), Broken> {
        let now = self.now();
        match reply {
            Reply::Given(project, open) => {
                let Tranche {
                    id,
                    amount,
                    deadline,
                } = open;
                let granted = Note::Granted {
                    tranche: id,
                    amount,
                    deadline,
                };
                self.gates.note(at, granted, now);
                let money = &mut self.gates.gateways[at.gateway].money;
                if money.granted(project, open, now) {
                    self.wake_unfunded(at, project)?;
                }
            }
            Reply::Denied(project, tranche, denial) => {
                let money = &mut self.gates.gateways[at.gateway].money;
                if money.denied(project, tranche, denial, now) {
                    self.gates.note(at, Note::Closed(tranche), now);
                    self.wake_unfunded(at, project)?;
                }
            }
            Reply::Posted(tranche, seq) => self.acknowledged(at, tranche, seq),
            Reply::Refused(tranche, seq, code) => {
                let money = &mut self.gates.gateways[at.gateway].money;
                if money.is_hopeless(tranche, seq, now) {
                    self.acknowledged(at, tranche, seq);
                } else if code != "not-found" {
                    let refused = Misspent::Refused { seq, code };
                    return Err(misspent((tranche, refused)));
                }
            }
            Reply::Closed(tranche) => {
                self.gates.gateways[at.gateway].money.closed(tranche);
                self.gates.note(at, Note::Closed(tranche), now);
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self, at: At, tranche: TrancheId, seq: u64) {
        let now = self.now();
        let money = &mut self.gates.gateways[at.gateway].money;
        if money.acknowledged(tranche, seq) {
            self.gates.note(at, Note::Acknowledged(tranche, seq), now);
        }
    }

    /// The gateways' part of the checks.
    pub(super) fn check_gates(&self) -> Result<(), Broken> {
        let gateways = self.gates.gateways.iter();
        gateways
            .map(Gateway::check)
            .try_for_each(|checked| Ok(checked?))
    }

    /// After a calm no request hangs, and all that was billed has been posted.
    pub(super) fn check_gates_recovered(&self) -> Result<(), Broken> {
        let open: usize = self.gates.gateways.iter().map(|of| of.open.len()).sum();
        if open > 0 {
            return Err(Broken::Hanging(open));
        }
        self.gates.spending.check_posted().map_err(misspent)
    }

    /// What came of the requests.
    pub(super) fn tally_requests(&mut self) {
        let tally = &mut self.gates.tally;
        tally.posted = self.gates.spending.posted;
        tally.lost = self.gates.spending.lost;
        self.outcome.requests = tally.clone();
    }
}
