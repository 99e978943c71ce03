//! Who buys: a mix of tiers that keeps the network as full as the scenario says.

use std::collections::BTreeMap;

use remuda_network::Command;
use remuda_network::state::TokenPrices;
use remuda_types::{CommandId, ProjectId, Span, Tier};

use super::dice::Dice;
use super::service::Kind;
use super::wants::Wants;
use crate::scenario;

/// Something that a tenant wants run.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) kind: Kind,
    pub(crate) command: Command,
    /// Chosen when it is first tried; each further try has the same.
    pub(crate) id: Option<CommandId>,
    pub(crate) gpu_milli: u64,
    /// For how long it is wanted; nothing is to the end.
    pub(crate) lifetime: Option<Span>,
}

/// Draws what is wanted.
#[derive(Debug)]
pub(crate) struct Tenants {
    dice: Dice,
    wants: Wants,
    wanted: scenario::Demand,
    projects: Vec<ProjectId>,
    /// GPU-thousandths that are wanted now: by tier, and of `multi-site` by size of service.
    in_use: BTreeMap<Kind, u64>,
}

impl Tenants {
    pub(crate) fn new(
        seed: u64,
        dice: Dice,
        wanted: scenario::Demand,
        projects: Vec<ProjectId>,
        tokens: Option<TokenPrices>,
    ) -> Self {
        Self {
            dice,
            wants: Wants::new(seed, (tokens, wanted.max_share().unwrap_or_default()), 0),
            wanted,
            projects,
            in_use: BTreeMap::new(),
        }
    }

    /// What is wanted in a network of so many GPUs that is empty.
    pub(crate) fn first_orders(&mut self, gpus: u64) -> Vec<Order> {
        let enough = part(gpus * 1_000, self.wanted.load.0);
        let mut orders = Vec::new();
        let mut sum = 0;
        while sum < enough {
            let Some(order) = self.draw() else { break };
            sum += order.gpu_milli;
            *self.in_use.entry(order.kind).or_default() += order.gpu_milli;
            orders.push(order);
        }
        orders
    }

    /// One more order of the kind that lacks most.
    pub(crate) fn draw(&mut self) -> Option<Order> {
        let kind = self.lacking();
        let replicas = if kind.tier.spreads_owners() {
            kind.needed + self.wanted.spare
        } else {
            1
        };
        let mut terms = self.wants.terms(kind.tier)?;
        let gpu_milli = terms.shape.gpu_milli * u64::from(replicas);
        let project = self.projects[self.dice.below(self.projects.len())];
        let lifetime = match kind.tier {
            Tier::Standard | Tier::Spot => Some(self.dice.wait(self.wanted.lifetime.0)),
            Tier::Enterprise | Tier::MultiSite => None,
        };
        let bought = if kind.tier.spreads_owners() {
            self.wanted.bought(kind.needed, &mut terms)
        } else {
            replicas
        };
        let command = Command::Deploy {
            project,
            terms: Box::new(terms),
            replicas: bought,
        };
        Some(Order {
            kind,
            command,
            id: None,
            gpu_milli,
            lifetime,
        })
    }

    /// An order that is not wanted any more, or found no place.
    pub(crate) fn drop_order(&mut self, kind: Kind, gpu_milli: u64) {
        let used = self.in_use.entry(kind).or_default();
        *used = used.saturating_sub(gpu_milli);
    }

    /// Another in its place.
    pub(crate) fn replace(&mut self) -> Option<Order> {
        let order = self.draw()?;
        *self.in_use.entry(order.kind).or_default() += order.gpu_milli;
        Some(order)
    }

    /// The kind of which there is least beside its share.
    fn lacking(&self) -> Kind {
        let used = |kind: &Kind| self.in_use.get(kind).copied().unwrap_or_default();
        let fill = |(kind, share): &(Kind, f64)| as_float(used(kind)) / share;
        let shares = self.shares().into_iter().filter(|(_, share)| *share > 0.0);
        let least = shares.min_by(|a, b| fill(a).total_cmp(&fill(b)));
        least.map_or(kind(Tier::Spot, 1), |(kind, _)| kind)
    }

    fn shares(&self) -> Vec<(Kind, f64)> {
        let wanted = &self.wanted;
        let (standard, enterprise) = (wanted.standard.0, wanted.enterprise.0);
        let multi_site = wanted.multi_site.0;
        let sizes: f64 = wanted.services.iter().map(|mix| mix.share.0).sum();
        let mut shares = vec![
            (kind(Tier::Standard, 1), standard),
            (kind(Tier::Enterprise, 1), enterprise),
            (
                kind(Tier::Spot, 1),
                (1.0 - standard - enterprise - multi_site).max(0.0),
            ),
        ];
        shares.extend(wanted.services.iter().map(|mix| {
            let share = multi_site * mix.share.0 / sizes.max(f64::MIN_POSITIVE);
            (kind(Tier::MultiSite, mix.needs), share)
        }));
        shares
    }
}

const fn kind(tier: Tier, needed: u32) -> Kind {
    Kind { tier, needed }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "GPUs of one network, far below 2^52"
)]
const fn as_float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is not larger than the count"
)]
fn part(whole: u64, share: f64) -> u64 {
    (as_float(whole) * share) as u64
}
