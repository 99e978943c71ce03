//! Between gateways and control: words, replies and tables, each late, lost or doubled as the wires
//! have it, and control's answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use remuda_network::state::{Lease, Phase, Tranche as Held, Workload};
use remuda_network::{Command, Event, Refusal, event};
use remuda_routing::Rate;
use remuda_routing::pick::{Route, State};
use remuda_routing::tranche::{Denial, Tranche};
use remuda_routing::usage::Post;
use remuda_types::{GatewayKey, LeaseId, ProjectId};

use super::{At, Gate, Reply, Simulation, Word, misspent};
use crate::run::control::{Answer, Control};
use crate::run::error::Broken;
use crate::run::gateway::{Model, Table};

/// Sequences that a replica runs at once.
const SLOTS: u32 = 8;

impl Simulation {
    /// A gateway says something to control; whoever hears no answer says it again.
    pub(super) fn say(&mut self, at: At, word: &Word) {
        for arrives in self.wires.carry_word(self.agenda.now()) {
            self.plan_gate(arrives, Gate::Say(at, word.clone()));
        }
    }

    pub(super) fn said(&mut self, at: At, word: Word) {
        let now = self.now();
        let gateway = self.gates.gateways[at.gateway].key;
        if let Some(reply) = self.control.answer_gateway(now, gateway, word) {
            for arrives in self.wires.carry_word(now) {
                self.plan_gate(arrives, Gate::Hear(at, reply));
            }
        }
    }

    /// Control's table goes to every gateway, as on a stream.
    pub(super) fn push(&mut self) {
        self.gates.pushing = false;
        if !self.control.is_there() {
            return;
        }
        let table = Arc::new(self.control.table());
        let now = self.now();
        for gateway in 0..self.gates.gateways.len() {
            let at = self.gates.at(gateway);
            for arrives in self.wires.carry_table(now) {
                self.plan_gate(arrives, Gate::Learn(at, Arc::clone(&table)));
            }
        }
    }

    /// Follows a fact at the doors.
    pub(in crate::run) fn follow_at_gates(&mut self, event: &Event) -> Result<(), Broken> {
        if self.gates.gateways.is_empty() {
            return Ok(());
        }
        if matches!(
            event,
            Event::LeasePhased { .. } | Event::LeaseEnded { .. } | Event::WorkloadStopping { .. }
        ) {
            self.plan_push();
        }
        self.gates.spending.follow(event).map_err(misspent)
    }
}

impl Control {
    /// What a gateway is told; nothing where nobody takes commands.
    pub(crate) fn answer_gateway(
        &mut self,
        now: remuda_types::Time,
        gateway: GatewayKey,
        word: Word,
    ) -> Option<Reply> {
        match word {
            Word::Open(project, ask) => {
                let command = Command::OpenTranche {
                    gateway,
                    tranche: ask.tranche,
                    project,
                    amount: ask.amount,
                };
                let denial = match self.submit(now, &command) {
                    Answer::Away => return None,
                    Answer::Taken(_) | Answer::Repeated => Denial::Void,
                    Answer::Refused(refusal) => self.denial(&refusal, gateway, project),
                };
                let open = self.network.state().tranches.get(&ask.tranche);
                Some(match open {
                    Some(held) if held.gateway == gateway => Reply::Given(
                        project,
                        Tranche {
                            id: ask.tranche,
                            amount: held.left,
                            deadline: held.deadline,
                        },
                    ),
                    Some(_) | None => Reply::Denied(project, ask.tranche, denial),
                })
            }
            Word::Post(post) => {
                let (tranche, seq) = (post.tranche, post.seq);
                match self.submit(now, &posted(gateway, post)) {
                    Answer::Away => None,
                    Answer::Taken(_) | Answer::Repeated => Some(Reply::Posted(tranche, seq)),
                    Answer::Refused(refusal) => Some(Reply::Refused(tranche, seq, refusal.code())),
                }
            }
            Word::Close(tranche) => {
                let closed = self.submit(now, &Command::CloseTranche { gateway, tranche });
                (!matches!(closed, Answer::Away)).then_some(Reply::Closed(tranche))
            }
        }
    }

    fn denial(&self, refusal: &Refusal, gateway: GatewayKey, project: ProjectId) -> Denial {
        let others = |held: &Held| {
            held.project == project && held.gateway != gateway && !held.left.is_zero()
        };
        match refusal {
            Refusal::BudgetExhausted { .. }
                if self.network.state().tranches.values().any(others) =>
            {
                Denial::Reserved
            }
            Refusal::BudgetExhausted { .. } => Denial::Exhausted,
            _ => Denial::Void,
        }
    }

    /// The whole table for gateways, under a new number.
    pub(crate) fn table(&mut self) -> Table {
        self.generation += 1;
        let number = (self.epoch, self.generation);
        let workloads = self.network.state().workloads.iter();
        let sold = workloads.filter(|(_, workload)| !workload.stopping);
        let models = sold.filter_map(|(id, workload)| Some((*id, self.model(workload)?)));
        Table {
            number,
            models: models.collect::<BTreeMap<_, _>>(),
        }
    }

    fn model(&self, workload: &Workload) -> Option<Model> {
        let prices = workload.terms.tokens?;
        let state = self.network.state();
        let replicas = workload.replicas.iter();
        let replicas = replicas.filter_map(|replica| state.replicas.get(replica));
        let leases =
            replicas.flat_map(|replica| replica.lease.into_iter().chain(replica.successor));
        let routes = leases.filter_map(|id| route(id, state.leases.get(&id)?));
        Some(Model {
            project: workload.project,
            rate: Rate {
                prompt_micros_per_million: prices.prompt_micros_per_million,
                completion_micros_per_million: prices.completion_micros_per_million,
            },
            routes: routes.collect(),
        })
    }
}

fn route(id: LeaseId, lease: &Lease) -> Option<Route> {
    let state = match lease.phase {
        Phase::Ready => State::Ready,
        Phase::Suspect => State::Suspect,
        Phase::Draining(_) => State::Draining,
        Phase::Placed | Phase::Preparing | Phase::Starting => return None,
    };
    Some(Route {
        lease: id,
        node: lease.node,
        state,
        slots: SLOTS,
        price: None,
    })
}

fn posted(gateway: GatewayKey, post: Post) -> Command {
    let total = |((lease, key), total): (_, remuda_routing::usage::Total)| event::UsageTotal {
        lease,
        key,
        requests: total.requests,
        prompt_tokens: total.tokens.prompt,
        completion_tokens: total.tokens.completion,
        amount: total.amount,
    };
    Command::PostUsage {
        gateway,
        tranche: post.tranche,
        seq: post.seq,
        totals: post.totals.into_iter().map(total).collect(),
        rows: post.rows,
    }
}
