//! With quotas too, a search finds what a scan over all nodes finds.

use proptest::collection::vec;
use proptest::prelude::*;
use remuda_types::{Capacity, Place, ProviderId, Shape};

use super::*;
use crate::congestion::Congestion;
use crate::fleet::NodeOffer;
use crate::place::{find, place_group};
use crate::plan::Plan;
use crate::request::Replicas;
use crate::search::tests::{key, offers, rank, requests};

fn cell(offer: &NodeOffer) -> Cell {
    Cell {
        site: offer.site,
        class: offer.class,
    }
}

/// The best of all nodes, each looked at by itself: what is not shunned first, then most quota, then
/// as ever.
fn scan(fleet: &Fleet, request: &Request) -> Option<NodeKey> {
    let nodes = fleet.offers().zip(fleet.nodes());
    let ranks = nodes.filter_map(|(offer, (_, node))| {
        let left = fleet.quotas().left(request, cell(&offer));
        let shunned = request.shun.contains(&offer.site);
        Some((shunned, Reverse(left), rank(fleet, request, &offer, node)?))
    });
    ranks.min().map(|(_, _, rank)| rank.node)
}

/// What happens: quotas are set, a replica comes by one of a few requests, one leaves, or a draft
/// is made and given up.
#[derive(Clone, Debug)]
enum Step {
    Quotas(Vec<(usize, usize, u64)>),
    Place(usize),
    Leave(usize),
    Draft(usize, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let amount = prop_oneof![Just(0_u64), Just(300), Just(1_000), 1_u64..5_000];
    let rows = vec((0_usize..3, 0_usize..8, amount), 0..12);
    let step = prop_oneof![
        1 => rows.prop_map(Step::Quotas),
        8 => (0_usize..3).prop_map(Step::Place),
        3 => (0_usize..64).prop_map(Step::Leave),
        1 => (0_usize..3, 1_u32..5).prop_map(|(which, replicas)| Step::Draft(which, replicas)),
    ];
    vec(step, 1..60)
}

type Replica = (NodeKey, Request, crate::free::GpuSet);

#[derive(Default)]
struct World {
    fleet: Fleet,
    requests: Vec<Request>,
    replicas: Vec<Replica>,
}

impl World {
    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Quotas(rows) => self.set(&rows),
            Step::Place(which) => {
                let request = self.requests[which].clone();
                let expected = scan(&self.fleet, &request);
                let placed = find(&mut self.fleet, &request);
                prop_assert_eq!(placed.as_ref().map(|placed| placed.node), expected);
                self.replicas
                    .extend(placed.map(|placed| hold(&mut self.fleet, &request, placed.node)));
            }
            Step::Leave(which) if !self.replicas.is_empty() => {
                let replica = self.replicas.swap_remove(which % self.replicas.len());
                release(&mut self.fleet, replica);
            }
            Step::Leave(_) => {}
            Step::Draft(which, replicas) => self.draft(which, replicas)?,
        }
        Ok(())
    }

    fn set(&mut self, rows: &[(usize, usize, u64)]) {
        let cells: Vec<_> = self.fleet.offers().map(|offer| cell(&offer)).collect();
        let row = |&(which, at, gpu_milli): &(usize, usize, u64)| {
            let class = DemandClass::of(&self.requests[which])?;
            Some(Quota {
                class,
                cell: *cells.get(at)?,
                gpu_milli,
            })
        };
        let rows: Vec<_> = rows.iter().filter_map(row).collect();
        self.fleet.set_quotas(rows.iter().cloned());
        // A fleet that learns of the quotas first and of the replicas then is no other.
        let mut later = Fleet::new();
        for offer in self.fleet.offers() {
            later.upsert(&offer).unwrap();
        }
        later.set_quotas(rows);
        for (node, request, _) in &self.replicas {
            count(&mut later, request, |fleet, class, milli| {
                fleet.count_in(class, *node, milli);
            });
        }
        assert_eq!(later.quotas(), self.fleet.quotas());
    }

    /// A group is where its members would be found one after another, and a draft of it leaves
    /// nothing behind.
    fn draft(&mut self, which: usize, replicas: u32) -> Result<(), TestCaseError> {
        let (request, before) = (self.requests[which].clone(), self.fleet.clone());
        let group = place_group(&mut self.fleet, &request, Replicas::new(replicas).unwrap());
        prop_assert_eq!(&self.fleet, &before);
        let mut held = Vec::new();
        for member in group.unwrap_or_default() {
            prop_assert_eq!(Some(member.node), scan(&self.fleet, &request));
            held.push(hold(&mut self.fleet, &request, member.node));
        }
        for replica in held.into_iter().rev() {
            release(&mut self.fleet, replica);
        }
        prop_assert_eq!(&self.fleet, &before);
        Ok(())
    }
}

fn hold(fleet: &mut Fleet, request: &Request, node: NodeKey) -> Replica {
    let gpus = fleet.hold(node, request.shape()).unwrap();
    count(fleet, request, |fleet, class, milli| {
        fleet.count_in(class, node, milli);
    });
    (node, request.clone(), gpus)
}

fn release(fleet: &mut Fleet, (node, request, gpus): Replica) {
    fleet.release_on(node, request.shape(), gpus).unwrap();
    count(fleet, &request, |fleet, class, milli| {
        fleet.count_out(class, node, milli);
    });
}

/// Those who ask for no GPU are of no class.
fn count(fleet: &mut Fleet, request: &Request, how: impl Fn(&mut Fleet, &DemandClass, u64)) {
    if let Some(class) = DemandClass::of(request) {
        how(fleet, &class, request.shape().gpu_milli);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_search_finds_what_a_scan_finds(
        offers in vec(offers(), 1..10),
        requests in vec(requests(), 3),
        steps in steps(),
        scale_milli in 0_u32..2_000,
    ) {
        let mut world = World { requests, ..World::default() };
        for offer in offers {
            drop(world.fleet.upsert(&offer));
        }
        let plan = Plan::new(&world.fleet, [], Congestion::new(scale_milli, 4_000));
        world.fleet.set_plan(plan);
        for step in steps {
            world.take(step)?;
        }
    }
}

proptest! {
    #[test]
    fn a_class_may_go_where_its_requests_find_a_place(
        offer in offers(),
        mut request in requests(),
    ) {
        // Whole GPUs and nothing beside them: the price is one by the GPU, and there is room.
        let gpus = u64::from(offer.capacity.gpus);
        prop_assume!(gpus > 0);
        let max_price = request.max_price;
        request = Request { avoid: crate::request::Avoid::default(), ..request };
        let shape = Shape { gpu_milli: gpus * 1_000, ..Shape::default() };
        let asked = Request::new(shape).unwrap();
        let asked = Request { classes: request.classes, countries: request.countries, near: request.near, max_price, ..asked };
        let class = DemandClass::of(&asked).unwrap();
        let mut fleet = Fleet::new();
        fleet.upsert(&offer).unwrap();
        prop_assert_eq!(class.may_go_to(&offer), find(&mut fleet, &asked).is_some());
    }
}

/// A node of eight GPUs at each of three sites, ever dearer.
fn three_sites() -> Fleet {
    let mut fleet = Fleet::new();
    for site in 1..=3_u8 {
        let offer = NodeOffer {
            node: key(site),
            provider: ProviderId::from_u128(u128::from(site)),
            site: SiteId::from_u128(u128::from(site)),
            country: Country::UNKNOWN,
            place: Place::ORIGIN,
            class: "h100-sxm-80".parse().unwrap(),
            capacity: Capacity {
                gpus: 8,
                ..Capacity::default()
            },
            price: Price::from_micros_per_hour(u64::from(site) * 8_000_000),
        };
        fleet.upsert(&offer).unwrap();
    }
    fleet
}

fn gpus(gpu_milli: u64) -> Request {
    Request::new(Shape {
        gpu_milli,
        ..Shape::default()
    })
    .unwrap()
}

fn quotas(at: &[(u128, u64)]) -> Vec<Quota> {
    let class = DemandClass::of(&gpus(1_000)).unwrap();
    let cell = |site| Cell {
        site: SiteId::from_u128(site),
        class: "h100-sxm-80".parse().unwrap(),
    };
    at.iter()
        .map(|&(site, gpu_milli)| Quota {
            class: class.clone(),
            cell: cell(site),
            gpu_milli,
        })
        .collect()
}

fn placed(fleet: &mut Fleet, request: &Request) -> NodeKey {
    let node = find(fleet, request).unwrap().node;
    hold(fleet, request, node);
    node
}

#[test]
fn quotas_are_followed_and_then_the_price() {
    let mut fleet = three_sites();
    fleet.set_quotas(quotas(&[(2, 1_500), (3, 2_000)]));
    let nodes: Vec<_> = (0..5).map(|_| placed(&mut fleet, &gpus(1_000))).collect();
    // 2 and 1.5 are left, then 1 and 1.5, then 1 and 0.5, then 0 and 0.5.
    assert_eq!(nodes, [3, 2, 3, 2, 1].map(key));
}

#[test]
fn a_full_cell_is_passed_over_and_other_classes_do_not_mind() {
    let mut fleet = three_sites();
    fleet.set_quotas(quotas(&[(2, 4_000), (3, 20_000)]));
    assert_eq!(
        placed(&mut fleet, &gpus(8_000)),
        key(3),
        "sizes of one class share its quota"
    );
    assert_eq!(
        placed(&mut fleet, &gpus(1_000)),
        key(2),
        "12 are left of a full cell"
    );
    let mut limited = gpus(1_000);
    limited.max_price = Some(Price::from_micros_per_hour(9_000_000));
    assert_eq!(placed(&mut fleet, &limited), key(1));
}

#[test]
fn what_was_placed_before_a_plan_counts_against_its_quotas_and_may_be_taken_again() {
    let mut fleet = three_sites();
    let before: Vec<_> = (0..2)
        .map(|_| hold(&mut fleet, &gpus(1_000), key(2)))
        .collect();
    fleet.set_quotas(quotas(&[(2, 3_000), (3, 500)]));
    let left = |fleet: &Fleet, site| {
        let cell = quotas(&[(site, 0)])[0].cell;
        fleet.quotas().left(&gpus(1_000), cell)
    };
    assert_eq!((left(&fleet, 2), left(&fleet, 3)), (1_000, 500));
    assert_eq!(placed(&mut fleet, &gpus(1_000)), key(2));
    assert_eq!(placed(&mut fleet, &gpus(1_000)), key(3), "beyond its quota");
    assert_eq!((left(&fleet, 2), left(&fleet, 3)), (0, 0));
    for replica in before {
        release(&mut fleet, replica);
    }
    assert_eq!((left(&fleet, 2), left(&fleet, 3)), (2_000, 0));
    fleet.set_quotas([]);
    assert_eq!((left(&fleet, 2), left(&fleet, 3)), (0, 0));
    let held: u64 = fleet
        .quotas()
        .held()
        .flat_map(|(_, at)| at.into_values())
        .sum();
    assert_eq!(held, 2_000);
}

#[test]
fn a_plan_survives_being_written_down() {
    let fleet = three_sites();
    let shape = |gpu_milli| Shape {
        gpu_milli,
        cpu_milli: 4_000,
        ..Shape::default()
    };
    let expected = [(shape(300), 3), (shape(8_000), 1)]
        .map(|(shape, count)| (crate::Expected::new(shape, vec![]).unwrap(), count));
    let expected = expected.iter().map(|(task, count)| (task, *count));
    let plan = Plan::new(&fleet, expected, Congestion::new(20, 4_000));
    let bytes = minicbor::to_vec(&plan).unwrap();
    assert_eq!(minicbor::decode::<Plan>(&bytes).unwrap(), plan);
}

#[test]
fn a_class_is_what_limits_and_neither_size_nor_order() {
    let request = |gpu_milli, dollars: u64, classes: [&str; 2]| {
        let mut request = gpus(gpu_milli);
        request.max_price = Some(Price::from_micros_per_hour(dollars * 1_000_000));
        request.classes = classes.map(|class| class.parse().unwrap()).to_vec();
        DemandClass::of(&request)
    };
    let one = request(1_000, 2, ["h100-sxm-80", "a100-sxm-80"]);
    assert_eq!(one, request(4_000, 8, ["a100-sxm-80", "h100-sxm-80"]));
    assert_ne!(one, request(4_000, 9, ["a100-sxm-80", "h100-sxm-80"]));
    let no_gpu = Request::new(Shape {
        cpu_milli: 1,
        ..Shape::default()
    });
    assert_eq!(DemandClass::of(&no_gpu.unwrap()), None);
}
