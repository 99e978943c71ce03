//! After any history of changes and searches, a search finds what a scan over all nodes finds.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use remuda_types::{Capacity, Class, NodeKey, Place, Price, ProviderId, Shape, SiteId};

use super::*;
use crate::congestion::{self, Congestion};
use crate::fleet::{Node, NodeOffer};
use crate::free::GpuSet;
use crate::invariant;
use crate::place::find;
use crate::plan::{Expected, Plan};
use crate::pool::{Common, Offering};
use crate::quote::quote_of;
use crate::request::{Avoid, Near};
use crate::view::admits;

/// What happens to a fleet.
#[derive(Clone, Debug)]
enum Step {
    Offer(NodeOffer),
    Remove(u8),
    Open(u8, bool),
    Plan(Vec<(Shape, u64)>, u32),
    /// What came about is no longer told to those who come late.
    Forget,
    /// Places by one of the history's few requests, so that what is remembered is used.
    Place(usize),
    /// Releases one of what was placed.
    Release(usize),
}

pub(crate) fn key(node: u8) -> NodeKey {
    NodeKey([node; 32])
}

fn class(index: u8) -> Class {
    ["cpu", "h100-sxm-80", "rtx4090-24"][usize::from(index) % 3]
        .parse()
        .unwrap()
}

fn place(degrees: u8) -> Place {
    Place::from_degrees(0.0, f64::from(degrees)).unwrap()
}

pub(crate) fn offers() -> impl Strategy<Value = NodeOffer> {
    let capacity = (0_u32..4, 1_u64..5, 1_u64..4).prop_map(|(gpus, cpu, memory)| Capacity {
        gpus,
        gpu_memory_mib: 40_960,
        cpu_milli: cpu * 2_000,
        memory_mib: memory * 4_096,
        disk_mib: 10_240,
    });
    let micros = (0_u64..3, 0_u64..3).prop_map(|(dollars, more)| dollars * 1_000_000 + more * 700);
    (0_u8..8, 0_u8..4, 0_u8..3, capacity, micros).prop_map(
        |(node, site, of_class, capacity, micros)| NodeOffer {
            node: key(node),
            provider: ProviderId::from_u128(u128::from(site % 2)),
            site: SiteId::from_u128(u128::from(site)),
            country: ["DE", "KR"][usize::from(site % 2)].parse().unwrap(),
            place: place(site * 10),
            class: class(of_class),
            capacity,
            price: Price::from_micros_per_hour(micros),
        },
    )
}

fn shapes() -> impl Strategy<Value = Shape> {
    let gpu_milli = prop_oneof![Just(0_u64), Just(300), Just(500), Just(1_000), Just(2_000)];
    (gpu_milli, 1_u64..4, 0_u64..3).prop_map(|(gpu_milli, cpu, memory)| Shape {
        gpu_milli,
        cpu_milli: cpu * 1_000,
        memory_mib: memory * 2_048,
        ..Shape::default()
    })
}

pub(crate) fn requests() -> impl Strategy<Value = Request> {
    let limits = (
        proptest::option::weighted(0.3, 0_u8..3),
        proptest::option::weighted(0.3, 0_u8..2),
        proptest::option::weighted(0.3, 0_u64..3),
        proptest::option::weighted(0.2, 0_u8..40),
    );
    let avoid = (
        proptest::option::weighted(0.2, 0_u8..8),
        proptest::option::weighted(0.2, 0_u8..4),
    );
    let shun = proptest::collection::btree_set(0_u8..4, 0..3);
    (shapes(), limits, avoid, shun).prop_map(
        |(shape, (of_class, country, dollars, east), (node, site), shun)| {
            let mut request = Request::new(shape).unwrap();
            request.classes = of_class.map(class).into_iter().collect();
            let country = country.map(|at| ["DE", "KR"][usize::from(at)].parse().unwrap());
            request.countries = country.into_iter().collect();
            request.max_price =
                dollars.map(|dollars| Price::from_micros_per_hour(dollars * 1_000_000));
            request.near = east.map(|east| Near {
                place: place(east),
                max_distance_km: 1_200,
            });
            request.avoid = Avoid {
                nodes: node.map(key).into_iter().collect(),
                sites: site
                    .map(|site| SiteId::from_u128(u128::from(site)))
                    .into_iter()
                    .collect(),
                ..Avoid::default()
            };
            let sites = shun.into_iter().map(u128::from);
            request.shun = sites.map(SiteId::from_u128).collect();
            request
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => offers().prop_map(Step::Offer),
        1 => (0_u8..8).prop_map(Step::Remove),
        1 => (0_u8..8, any::<bool>()).prop_map(|(node, open)| Step::Open(node, open)),
        1 => (vec((shapes(), 1_u64..9), 0..5), 0_u32..2_000).prop_map(|(mix, scale)| Step::Plan(mix, scale)),
        1 => Just(Step::Forget),
        8 => (0_usize..3).prop_map(Step::Place),
        4 => (0_usize..64).prop_map(Step::Release),
    ];
    vec(step, 1..80)
}

/// The fleet, and what was placed on it.
#[derive(Default)]
struct World {
    fleet: Fleet,
    requests: Vec<Request>,
    held: Vec<(NodeKey, Shape, GpuSet)>,
}

impl World {
    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Offer(offer) => drop(self.fleet.upsert(&offer)),
            Step::Remove(node) => drop(self.fleet.remove(key(node))),
            Step::Open(node, open) => drop(self.fleet.set_open(key(node), open)),
            Step::Plan(mix, scale) => self.plan(&mix, scale),
            Step::Forget => self.fleet.stock.forget_news(),
            Step::Place(which) => {
                let request = self.requests[which].clone();
                self.place(&request)?;
            }
            Step::Release(which) if !self.held.is_empty() => {
                let (node, shape, gpus) = self.held.swap_remove(which % self.held.len());
                prop_assert_eq!(self.fleet.release_on(node, &shape, gpus), Ok(()));
            }
            Step::Release(_) => {}
        }
        Ok(())
    }

    fn plan(&mut self, mix: &[(Shape, u64)], scale_milli: u32) {
        let mix: BTreeMap<_, _> = mix
            .iter()
            .map(|(shape, count)| (Expected::new(*shape, vec![]).unwrap(), *count))
            .collect();
        let congestion = Congestion::new(scale_milli, 4_000);
        let plan = Plan::new(
            &self.fleet,
            mix.iter().map(|(task, count)| (task, *count)),
            congestion,
        );
        self.fleet.set_plan(plan);
    }

    fn place(&mut self, request: &Request) -> Result<(), TestCaseError> {
        let expected = scan(&self.fleet, request).map(|rank| rank.node);
        for few in [0, usize::MAX] {
            let taken = Taken::default();
            let of = Sought {
                few,
                ..Sought::one_more(request, &taken, Where::Anywhere)
            };
            let found = of.best(&mut self.fleet).map(|rank| rank.node);
            prop_assert_eq!(found, expected);
        }
        let placed = find(&mut self.fleet, request);
        prop_assert_eq!(placed.as_ref().map(|placed| placed.node), expected);
        if let Some(placed) = placed {
            let held = self
                .fleet
                .hold_on(placed.node, request.shape(), placed.gpus);
            prop_assert_eq!(held, Ok(()));
            self.held.push((placed.node, *request.shape(), placed.gpus));
        }
        Ok(())
    }
}

/// The best of all nodes, each looked at by itself.
pub(crate) fn scan(fleet: &Fleet, request: &Request) -> Option<Rank> {
    let nodes = fleet.offers().zip(fleet.nodes());
    let ranks = nodes.filter_map(|(offer, (_, node))| {
        let rank = rank(fleet, request, &offer, node)?;
        Some((request.shun.contains(&offer.site), rank))
    });
    ranks.min().map(|(_, rank)| rank)
}

pub(crate) fn rank(
    fleet: &Fleet,
    request: &Request,
    offer: &NodeOffer,
    node: &Node,
) -> Option<Rank> {
    let (common, avoid) = (Common::of(offer), &request.avoid);
    let avoided = avoid.nodes.contains(&offer.node) || avoid.sites.contains(&offer.site);
    let will_do = admits(request, &common) && suits(request, &Offering::of(offer));
    if avoided || !node.open || !will_do || !node.free.has_room(&request.ask) {
        return None;
    }
    let plan = fleet.stock.plan();
    let effective = plan
        .congestion()
        .effective(offer.price, load(fleet, &common));
    let outlook = plan.outlook(offer.class, offer.capacity.gpu_memory_mib);
    let free = node.free.sorted();
    Some(Rank {
        cost: quote_of(effective, &offer.capacity, request.shape()).micros_per_hour(),
        loss: outlook.loss(outlook.value(&free), &free, &request.ask),
        slack: node.free.slack(),
        free,
        node: offer.node,
    })
}

/// How full the nodes of this class are at this site.
fn load(fleet: &Fleet, common: &Common) -> u8 {
    let there = fleet.offers().zip(fleet.nodes());
    let there = there.filter(|(offer, _)| (offer.site, offer.class) == (common.site, common.class));
    let (mut used, mut total) = (0_u128, 0_u128);
    for (offer, (_, node)) in there {
        let gpus = u64::from(offer.capacity.gpus) * 1_000;
        let (all, free) = match gpus {
            0 => (offer.capacity.cpu_milli, node.free.cpu_milli()),
            gpus => (gpus, node.free.gpu_milli()),
        };
        used += u128::from(all - free);
        total += u128::from(all);
    }
    congestion::step(used, total)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_search_finds_what_a_scan_finds(steps in steps(), requests in vec(requests(), 3)) {
        let mut world = World { requests, ..World::default() };
        for step in steps {
            world.take(step)?;
            prop_assert_eq!(invariant::check(&world.fleet), Ok(()));
        }
    }
}
