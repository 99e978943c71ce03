//! What tenants ask for, for when, and what it may cost.

use remuda_network::state::{Terms, TokenPrices};
use remuda_network::{Command, State};
use remuda_types::{CommandId, Price, ProjectId, Shape, Span, Tier, Time, WorkloadId};

use super::{Asked, Sort};
use crate::run::dice::Dice;
use crate::run::service::Kind;
use crate::run::wants::Wants;
use crate::run::weather::mean;
use crate::scenario;

/// Names of what is booked begin here: what is deployed never has as many.
const NAMES: u64 = 1 << 48;

/// Nothing is reserved for sooner, or for less.
const AHEAD_LEAST: Span = Span::from_secs(60);
const LENGTH_LEAST: Span = Span::from_secs(120);

/// What a tenant is ready to pay, beside the price that it saw, in thousandths.
const ORDER_PAYS: (usize, usize) = (600, 1_300);
const RESERVATION_PAYS: (usize, usize) = (900, 1_600);

/// So many nodes are looked at for a price.
const LOOKS: usize = 8;

/// Draws what is asked for.
#[derive(Debug)]
pub(crate) struct Wishes {
    pub(super) dice: Dice,
    wants: Wants,
    wanted: scenario::Demand,
    projects: Vec<ProjectId>,
}

impl Wishes {
    pub(crate) fn new(
        seed: u64,
        dice: Dice,
        wanted: scenario::Demand,
        projects: Vec<ProjectId>,
        tokens: Option<TokenPrices>,
    ) -> Self {
        Self {
            dice,
            wants: Wants::new(
                seed ^ 0x626f_6f6b,
                (tokens, wanted.max_share().unwrap_or_default()),
                NAMES,
            ),
            wanted,
            projects,
        }
    }

    /// Until the next of a sort, if there are any.
    pub(super) fn wait(&mut self, sort: Sort) -> Option<Span> {
        let per_day = match sort {
            Sort::Reservation => self.wanted.reservations_per_day,
            Sort::Order => self.wanted.orders_per_day,
            Sort::Scale => self.wanted.scales_per_day,
        };
        let day_ms = 86_400_000.0;
        let every = (per_day > 0.0).then(|| day_ms / per_day);
        every.and_then(mean).map(|mean| self.dice.wait(mean))
    }

    /// How long something is wanted.
    pub(super) fn lifetime(&mut self) -> Span {
        self.dice.wait(self.wanted.lifetime.0)
    }

    /// Capacity from a time on and before another.
    pub(super) fn reservation(&mut self, id: CommandId, now: Time, state: &State) -> Option<Asked> {
        let tiers = [Tier::Standard, Tier::Enterprise, Tier::MultiSite];
        let (kind, replicas, mut terms) = self.drawn(&tiers)?;
        if self.dice.falls(0.5) {
            terms.max_price = self.limit(&terms, RESERVATION_PAYS, state);
        }
        let policy = &state.policy;
        let ahead = self.lifetime().saturating_add(self.lifetime());
        let from =
            now + AHEAD_LEAST + ahead.min(policy.reserve_ahead_max.saturating_sub(Span::HOUR));
        let length = LENGTH_LEAST.saturating_add(self.lifetime());
        let command = Command::Reserve {
            project: self.project(),
            terms: Box::new(terms),
            replicas,
            from,
            to: from + length.min(policy.reserve_length_max),
        };
        Some(self.asked(Sort::Reservation, command, (id, kind)))
    }

    /// Capacity as soon as there is any, until `last` at most.
    pub(super) fn order(
        &mut self,
        id: CommandId,
        (now, last): (Time, Time),
        state: &State,
    ) -> Option<Asked> {
        let (kind, replicas, mut terms) = self.drawn(Tier::ALL)?;
        terms.max_price = self.limit(&terms, ORDER_PAYS, state);
        let stands = LENGTH_LEAST.saturating_add(self.lifetime());
        let stands = stands.min(state.policy.order_stands_max.saturating_sub(Span::HOUR));
        let until = (now + stands).min(last);
        let command = Command::PlaceOrder {
            project: self.project(),
            terms: Box::new(terms),
            replicas,
            until,
        };
        Some(self.asked(Sort::Order, command, (id, kind)))
    }

    /// One replica or two more of a workload, or less, but never less than `least` says it needs.
    pub(super) fn scale(
        &mut self,
        id: CommandId,
        state: &State,
        least: impl Fn(&WorkloadId) -> u32,
    ) -> Option<Asked> {
        let live = || state.workloads.iter().filter(|(_, of)| !of.stopping);
        let chosen = self.dice.below(live().count());
        let (workload, of) = live().nth(chosen)?;
        let have = u32::try_from(of.replicas.len()).unwrap_or(u32::MAX);
        let by = 1 + u32::from(self.dice.falls(0.5));
        let replicas = if self.dice.falls(0.5) {
            have.saturating_add(by).min(state.policy.max_replicas)
        } else {
            have.saturating_sub(by).max(least(workload))
        };
        let workload = *workload;
        let kind = Kind {
            tier: of.terms.tier,
            needed: 1,
        };
        let command = Command::Scale { workload, replicas };
        (replicas != have).then(|| self.asked(Sort::Scale, command, (id, kind)))
    }

    fn asked(&mut self, sort: Sort, command: Command, (id, kind): (CommandId, Kind)) -> Asked {
        Asked {
            sort,
            command,
            id,
            kind,
            lifetime: self.lifetime(),
        }
    }

    fn project(&mut self) -> ProjectId {
        self.projects[self.dice.below(self.projects.len())]
    }

    /// What it is sold as, how many replicas are wanted, and on what terms.
    fn drawn(&mut self, tiers: &[Tier]) -> Option<(Kind, u32, Terms)> {
        let tier = *tiers.get(self.dice.below(tiers.len()))?;
        if tier.spreads_owners() {
            let services = &self.wanted.services;
            let needed = services.get(self.dice.below(services.len()))?.needs;
            let mut terms = self.wants.terms(tier)?;
            let replicas = self.wanted.bought(needed, &mut terms);
            return Some((Kind { tier, needed }, replicas, terms));
        }
        let replicas = 1 + u32::from(self.dice.falls(0.4)) + u32::from(self.dice.falls(0.2));
        let terms = self.wants.terms(tier)?;
        Some((Kind { tier, needed: 1 }, replicas, terms))
    }

    /// The most that a replica may cost: about what a node that would do asks for its GPUs.
    fn limit(&mut self, terms: &Terms, pays: (usize, usize), state: &State) -> Option<Price> {
        let seen = (0..LOOKS).find_map(|_| self.seen(terms, state))?;
        let milli = pays.0 + self.dice.below(pays.1 - pays.0);
        Some(seen.scaled_milli(milli as u64))
    }

    /// What a node that is drawn asks for the GPUs, if it is of a class that will do.
    fn seen(&mut self, terms: &Terms, state: &State) -> Option<Price> {
        let (_, node) = state.nodes.iter().nth(self.dice.below(state.nodes.len()))?;
        let will_do = terms.classes.is_empty() || terms.classes.contains(&node.class);
        let gpus = u64::from(node.capacity.gpus);
        let Shape { gpu_milli, .. } = terms.shape;
        (will_do && gpus > 0).then(|| node.price.scaled_milli(gpu_milli / gpus))
    }
}
