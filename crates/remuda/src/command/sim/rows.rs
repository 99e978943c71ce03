//! What came of a run, as rows: a tier and a size of service each, and the run itself.

use std::collections::BTreeMap;

use remuda_sim::run::{Cause, Delivered, Kind, Outcome};
use remuda_sim::scenario::Redundancy;
use remuda_types::Tier;
use remuda_wire::api::Usd;
use serde::Serialize;

use super::parts::{Asked, Booked, Planned};
use crate::table::{Table, details};

/// Services of at least so many replicas are what redundancy is meant to be cheap for.
const LARGE: u32 = 12;

/// What came of the same with less redundancy.
pub(super) type Bare = (Redundancy, Outcome);

/// The run itself.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    sim: &'static str,
    pub(super) scenario: String,
    pub(super) about: String,
    pub(super) seed: u64,
    pub(super) days: u64,
    prepare_ms: u64,
    start_ms: u64,
    gpus: u64,
    nodes: usize,
    sites: usize,
    node_faults: u64,
    nodes_suspected: u64,
    nodes_lost: u64,
    control_faults: u64,
    silent_exits: u64,
    forfeits: u64,
    forfeited_usd: Usd,
    orders_refused: u64,
    /// Orders made again under the same id that had been taken.
    orders_repeated: u64,
    /// What came of requests at gateways, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Asked>,
    /// What came of reservations, standing orders and scaling, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    bookings: Option<Booked>,
    /// How far what was held was from the cheapest, where plans were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    plans: Option<Planned>,
    commands: u64,
    facts: u64,
    happenings: u64,
}

/// What was delivered of a tier.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    sim: &'static str,
    seed: u64,
    tier: &'static str,
    /// The share of a month that is promised; nothing for `spot`.
    promised: Option<f64>,
    #[serde(flatten)]
    service: Service,
    /// Services that need at least twelve replicas, together.
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas_12_up: Option<Service>,
    /// By how many replicas a service needs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    by_replicas: BTreeMap<u32, Service>,
}

/// What was delivered of some services.
#[derive(Debug, Serialize)]
struct Service {
    /// Nothing where nothing ever was: there is no share of nothing.
    delivered: Option<f64>,
    cost_ratio: Option<f64>,
    /// What it cost beside the same with less redundancy, where that was simulated too.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cost_against: BTreeMap<&'static str, f64>,
    units: u64,
    /// Units that were asked for, those without a place included.
    units_wanted: u64,
    months: u64,
    missed_months: u64,
    down_s: BTreeMap<&'static str, f64>,
    silent_s: f64,
    paid_usd: Usd,
    credits_usd: Usd,
    failovers: u64,
    moves: u64,
}

impl Run {
    pub(super) fn of(outcome: &Outcome, scenario: &str) -> Self {
        Self {
            sim: "run",
            scenario: scenario.to_owned(),
            about: outcome.about.clone(),
            seed: outcome.seed,
            days: outcome.days,
            prepare_ms: outcome.pace.0.as_millis(),
            start_ms: outcome.pace.1.as_millis(),
            gpus: outcome.gpus,
            nodes: outcome.nodes,
            sites: outcome.sites,
            node_faults: outcome.node_faults,
            nodes_suspected: outcome.nodes_suspected,
            nodes_lost: outcome.nodes_lost,
            control_faults: outcome.control_faults,
            silent_exits: outcome.silent_exits,
            forfeits: outcome.forfeits,
            forfeited_usd: Usd(outcome.forfeited),
            orders_refused: outcome.refused,
            orders_repeated: outcome.repeats,
            requests: Asked::of(&outcome.requests),
            bookings: Booked::of(&outcome.bookings),
            plans: Planned::of(&outcome.gaps),
            commands: outcome.commands,
            facts: outcome.facts,
            happenings: outcome.happenings,
        }
    }

    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = self.of_network();
        if let Some(requests) = &self.requests {
            facts.push(("requests, failed, crowded out, cut off", requests.text()));
        }
        facts.extend(self.bookings.iter().flat_map(Booked::texts));
        if let Some(plans) = &self.plans {
            facts.push(("dearer than the cheapest, mean and last", plans.text()));
        }
        facts.push((
            "commands, facts",
            format!("{}, {}", self.commands, self.facts),
        ));
        facts
    }

    fn of_network(&self) -> Vec<(&'static str, String)> {
        vec![
            ("scenario", format!("{}: {}", self.scenario, self.about)),
            ("seed", self.seed.to_string()),
            ("days", self.days.to_string()),
            (
                "GPUs, nodes, sites",
                format!("{}, {}, {}", self.gpus, self.nodes, self.sites),
            ),
            (
                "nodes struck, suspected, lost",
                format!(
                    "{}, {}, {}",
                    self.node_faults, self.nodes_suspected, self.nodes_lost
                ),
            ),
            (
                "half of the replicas come up in",
                format!(
                    "{} ms to fetch, {} ms to start",
                    self.prepare_ms, self.start_ms
                ),
            ),
            ("control replaced", self.control_faults.to_string()),
            (
                "providers that left and told nobody",
                self.silent_exits.to_string(),
            ),
            (
                "forfeited by providers",
                format!("{} USD by {}", self.forfeited_usd.0, self.forfeits),
            ),
            ("orders without a place", self.orders_refused.to_string()),
        ]
    }

    pub(super) fn text(&self) -> String {
        details(&self.facts())
    }
}

/// A row for each tier, also for one of which nothing was delivered.
pub(super) fn tiers(outcome: &Outcome, against: &[Bare]) -> Vec<Row> {
    let tiers = Tier::ALL.iter().rev().copied();
    tiers
        .map(|tier| Row::of((outcome, against), tier))
        .collect()
}

/// What services of some kinds cost beside the same with less redundancy.
fn against((outcome, against): (&Outcome, &[Bare]), kinds: &[Kind]) -> BTreeMap<&'static str, f64> {
    let delivered = |kind: &Kind| outcome.delivered.get(kind).is_some_and(|of| of.units > 0);
    let kinds: Vec<_> = kinds.iter().copied().filter(delivered).collect();
    let beside = against.iter().filter_map(|(redundancy, bare)| {
        let ratio = outcome.cost_beside(bare, kinds.iter().copied())?;
        Some((redundancy.as_str(), four_digits(ratio)))
    });
    beside.collect()
}

fn four_digits(ratio: f64) -> f64 {
    (ratio * 1e4).round() / 1e4
}

impl Row {
    fn of(run: (&Outcome, &[Bare]), tier: Tier) -> Self {
        let (outcome, _) = run;
        let kinds = outcome.delivered.keys().copied();
        let kinds: Vec<_> = kinds.filter(|kind| kind.tier == tier).collect();
        let service = |kinds: &[Kind]| {
            let mut together = Delivered::default();
            let delivered = kinds.iter().filter_map(|kind| outcome.delivered.get(kind));
            delivered.for_each(|of| together.add(of));
            (together.wanted > 0).then(|| Service {
                // What others pay for it is no cost of theirs.
                cost_against: if tier.spreads_owners() {
                    against(run, kinds)
                } else {
                    BTreeMap::new()
                },
                ..Service::of(&together)
            })
        };
        let sized = if tier.spreads_owners() {
            &kinds[..]
        } else {
            &[]
        };
        let large = sized.iter().copied().filter(|kind| kind.needed >= LARGE);
        let sizes = sized
            .iter()
            .filter_map(|kind| Some((kind.needed, service(&[*kind])?)));
        Self {
            sim: "tier",
            seed: outcome.seed,
            tier: tier.as_str(),
            promised: tier.promised_ppm().map(|ppm| f64::from(ppm) / 1e6),
            replicas_12_up: service(&large.collect::<Vec<_>>()),
            by_replicas: sizes.collect(),
            service: service(&kinds).unwrap_or_else(|| Service::of(&Delivered::default())),
        }
    }

    /// What redundancy costs, where that was asked.
    pub(super) fn redundancy(tiers: &[Self]) -> Option<Table> {
        let sized = tiers.iter().flat_map(|tier| {
            let sizes = tier.by_replicas.iter();
            let sizes = sizes.map(|(needs, service)| (needs.to_string(), service));
            let large = tier.replicas_12_up.iter();
            sizes.chain(large.map(|large| (format!("{LARGE}+"), large)))
        });
        let rows = sized.flat_map(|(needs, service)| {
            let against = service.cost_against.iter();
            against.map(move |(what, ratio)| {
                [needs.clone(), (*what).to_owned(), format!("{ratio:.3}")]
            })
        });
        let rows: Vec<_> = rows.collect();
        (!rows.is_empty()).then(|| Table::new(["NEEDS", "AGAINST", "COST"]).rows(rows))
    }

    pub(super) fn table(tiers: &[Self]) -> Table {
        let columns = [
            "TIER",
            "NEEDS",
            "PROMISED",
            "DELIVERED",
            "COST",
            "UNITS",
            "MONTHS MISSED",
            "CREDITS",
            "FAILOVERS",
            "MOVES",
        ];
        Table::new(columns).rows(tiers.iter().flat_map(Self::rows))
    }

    fn rows(&self) -> Vec<[String; 10]> {
        let promised = self.promised.map_or("-".to_owned(), percent);
        let row = |needs: String, service: &Service| service.row(self.tier, needs, &promised);
        if self.by_replicas.is_empty() {
            return vec![row("1".to_owned(), &self.service)];
        }
        let sizes = self.by_replicas.iter();
        let sizes = sizes.map(|(needs, service)| row(needs.to_string(), service));
        let large = self
            .replicas_12_up
            .iter()
            .map(|large| row(format!("{LARGE}+"), large));
        sizes.chain(large).collect()
    }
}

impl Service {
    fn of(delivered: &Delivered) -> Self {
        let down = delivered.tally.down_ms.iter();
        Self {
            delivered: (delivered.units > 0).then(|| delivered.tally.availability()),
            cost_ratio: delivered.cost_ratio().map(four_digits),
            cost_against: BTreeMap::new(),
            units: delivered.units,
            units_wanted: delivered.wanted,
            months: delivered.months,
            missed_months: delivered.missed_months,
            down_s: down
                .map(|(cause, ms)| (cause.as_str(), seconds(*ms)))
                .collect(),
            silent_s: seconds(delivered.silent_ms),
            paid_usd: Usd(delivered.paid),
            credits_usd: Usd(delivered.credits),
            failovers: delivered.failovers,
            moves: delivered.moves,
        }
    }

    fn row(&self, tier: &str, needs: String, promised: &str) -> [String; 10] {
        [
            tier.to_owned(),
            needs,
            promised.to_owned(),
            self.delivered.map_or("-".to_owned(), percent),
            self.cost_ratio
                .map_or("-".to_owned(), |ratio| format!("{ratio:.3}")),
            format!("{} of {}", self.units, self.units_wanted),
            format!("{} of {}", self.missed_months, self.months),
            self.credits_usd.0.to_string(),
            self.failovers.to_string(),
            self.moves.to_string(),
        ]
    }
}

/// Downtime by cause, in hours over all units, a column for each tier.
pub(super) fn causes(outcome: &Outcome) -> Table {
    let down = |tier, cause| {
        let tally = outcome.of(tier).tally;
        tally.down_ms.get(&cause).copied().unwrap_or_default()
    };
    let columns = [
        Tier::MultiSite,
        Tier::Enterprise,
        Tier::Standard,
        Tier::Spot,
    ];
    let row = |cause: Cause| {
        let hours = columns.map(|tier| down(tier, cause));
        let [multi_site, enterprise, standard, spot] =
            hours.map(|ms| format!("{:.2}", seconds(ms) / 3_600.0));
        let any = hours.iter().any(|ms| *ms > 0);
        any.then(|| [cause.to_string(), multi_site, enterprise, standard, spot])
    };
    let nothing = columns.iter().all(|tier| outcome.of(*tier).units == 0);
    Table::new([
        "DOWN FOR, HOURS",
        "MULTI-SITE",
        "ENTERPRISE",
        "STANDARD",
        "SPOT",
    ])
    .when_empty(if nothing {
        "nothing was delivered that could be down"
    } else {
        "nothing was down"
    })
    .rows(Cause::ALL.into_iter().filter_map(row))
}

/// As many nines as there are.
fn percent(share: f64) -> String {
    format!("{:.5} %", share * 100.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of years, far below 2^52"
)]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}
