//! What came of a run.

use std::collections::BTreeMap;

use remuda_network::Event;
use remuda_network::state::{EndReason as End, Presence};
use remuda_types::{Money, Span, Tier};

use super::bookings::Bookings;
use super::ground::Ground;
use super::machine::Machine;
use super::planning::Gaps;
use super::service::{Delivered, Kind};
use super::truth::Truth;
use super::uptime::Tally;
use super::weather::{Farewell, Fault};
use crate::scenario::Scenario;

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The seed that brings it back.
    pub seed: u64,
    /// What the scenario is about.
    pub about: String,
    /// Simulated days.
    pub days: u64,
    /// How long half of the replicas take at most to fetch what they need, and then to start.
    pub pace: (Span, Span),
    /// GPUs at the start.
    pub gpus: u64,
    /// Nodes at the start.
    pub nodes: usize,
    /// Sites at the start.
    pub sites: usize,
    /// Tenants' orders that found no place.
    pub refused: u64,
    /// Orders that were taken although it had seemed that they were not, and that were made again.
    pub repeats: u64,
    /// What was delivered, by what was sold.
    pub delivered: BTreeMap<Kind, Delivered>,
    /// What providers forfeited.
    pub forfeited: Money,
    /// How often one did.
    pub forfeits: u64,
    /// Faults of nodes, each node counted.
    pub node_faults: u64,
    /// Nodes judged lost.
    pub nodes_lost: u64,
    /// Nodes that fell under suspicion.
    pub nodes_suspected: u64,
    /// Providers that left without telling anybody.
    pub silent_exits: u64,
    /// Control was replaced.
    pub control_faults: u64,
    /// Commands that the network decided.
    pub commands: u64,
    /// Facts that were committed.
    pub facts: u64,
    /// Things that happened, messages and wake-ups included.
    pub happenings: u64,
    /// Plans of the whole network, and how far it was from the cheapest.
    pub gaps: Gaps,
    /// What came of requests to `multi-site` services.
    pub requests: Requests,
    /// What came of reservations, standing orders and scaling.
    pub bookings: Bookings,
    /// Each day.
    pub by_day: Vec<Day>,
    /// Of the day so far.
    leases_lost: u64,
}

/// What came of the requests that came to gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Requests that came.
    pub came: u64,
    /// Their answers are complete.
    pub served: u64,
    /// Times that one went on at another replica.
    pub moves: u64,
    /// They failed, and at some time since a second before they came no replica of their service served.
    pub failed: u64,
    /// They failed although at all times one did.
    pub failed_though_served: u64,
    /// They were sent nowhere, since every replica of their service had its slots full for as long as
    /// a request waits.
    pub overloaded: u64,
    /// The money for them did not come in time.
    pub unfunded: u64,
    /// Their gateway had not heard of the service yet.
    pub unknown: u64,
    /// Their gateway died.
    pub cut_off: u64,
    /// No gateway was there.
    pub no_gateway: u64,
    /// They outlasted the tranche that paid for them.
    pub lapsed: u64,
    /// Gateways died.
    pub gateway_faults: u64,
    /// What control took for them.
    pub posted: Money,
    /// What was billed and came too late.
    pub lost: Money,
}

/// One day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Day {
    /// From 1.
    pub day: u64,
    /// What was delivered, by tier.
    pub delivered: BTreeMap<Tier, Tally>,
    /// Nodes that are not well as the day ends.
    pub nodes_ill: usize,
    /// Leases ended by the loss of their node or provider.
    pub leases_lost: u64,
}

impl Outcome {
    pub(crate) fn new(seed: u64, scenario: &Scenario, ground: &Ground) -> Self {
        Self {
            seed,
            about: scenario.about.clone(),
            days: scenario.days,
            pace: (scenario.pace.prepare.0, scenario.pace.start.0),
            gpus: ground.gpus,
            nodes: ground.machines.len(),
            sites: ground.sites.len(),
            ..Self::default()
        }
    }

    pub(crate) fn follow(&mut self, event: &Event) {
        self.facts += 1;
        match event {
            Event::NodePresent { presence, .. } => match presence {
                Presence::Lost(_) => self.nodes_lost += 1,
                Presence::Suspect(_) => self.nodes_suspected += 1,
                Presence::Away(_) | Presence::Up(_) | Presence::Draining(_) | Presence::Left(_) => {
                }
            },
            Event::LeaseEnded { reason, .. } => {
                let lost = matches!(
                    reason,
                    End::NodeLost | End::NodeRestarted | End::ProviderLeft
                );
                self.leases_lost += u64::from(lost);
            }
            _ => {}
        }
    }

    pub(crate) fn count_fault(&mut self, fault: &Fault) {
        match fault {
            Fault::Nodes { whom, .. } => self.node_faults += whom.len() as u64,
            Fault::Control(_) => self.control_faults += 1,
            Fault::Exit { manner, .. } => {
                self.silent_exits += u64::from(*manner == Farewell::Silent);
            }
            Fault::Clock { .. } | Fault::ControlClock => {}
        }
    }

    pub(crate) fn close_day(
        &mut self,
        day: u64,
        delivered: BTreeMap<Tier, Tally>,
        ground: &Ground,
    ) {
        let ill = |machine: &&Machine| machine.gone || !machine.is_reachable();
        self.note_day(day, delivered, ground.machines.iter().filter(ill).count());
    }

    pub(crate) fn note_day(
        &mut self,
        day: u64,
        delivered: BTreeMap<Tier, Tally>,
        nodes_ill: usize,
    ) {
        self.by_day.push(Day {
            day,
            delivered,
            nodes_ill,
            leases_lost: std::mem::take(&mut self.leases_lost),
        });
    }

    pub(crate) fn take(&mut self, truth: &Truth, commands: u64, happenings: u64) {
        self.delivered.clone_from(&truth.delivered);
        (self.forfeited, self.forfeits) = (truth.forfeited, truth.forfeits);
        (self.commands, self.happenings) = (commands, happenings);
    }

    /// What was delivered of a tier, all its kinds together.
    pub fn of(&self, tier: Tier) -> Delivered {
        let mut sum = Delivered::default();
        let kinds = self.delivered.iter().filter(|(kind, _)| kind.tier == tier);
        for (_, delivered) in kinds {
            sum.add(delivered);
        }
        sum
    }
}
