//! From a fleet and what is asked of it to a problem, from its plan to quotas, and to how far what
//! is held is from the cheapest.
//!
//! What is planned is the whole of what runs and of what waits, on the whole of what there is, as if
//! nothing stood anywhere yet; so what stands at the wrong place is seen, and a quota that is full is
//! open again when somebody leaves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use remuda_placement::{Cell, DemandClass, Fleet, NodeOffer, Quota};
use remuda_types::Price;

use crate::bound::Duals;
use crate::cost::Cost;
use crate::gap::Gap;
use crate::plan::Plan;
use crate::problem::{Demand, Problem, ProblemError, Supply};

/// What a plan is to look out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prospect {
    /// What a GPU-hour that is not served counts as.
    pub unserved: Price,
    /// How much more of every class is expected than is there now, in hundredths.
    pub headroom_percent: u32,
    /// The most classes that are planned; of more, those that have most.
    pub classes_max: usize,
}

/// A problem, and what its classes and cells are.
#[derive(Clone, Debug)]
pub struct Survey {
    classes: Vec<DemandClass>,
    cells: Vec<Cell>,
    problem: Problem,
    /// What each class has now, and all that there is of each cell and price, closed nodes that
    /// still hold something included: what is held is a way to meet this.
    held: Vec<u64>,
    present: Vec<u64>,
    /// What is held costs.
    cost: Cost,
}

/// What the nodes of one cell at one price have in common; a cell with several prices is several
/// supplies, whose quotas are one.
type Lot = (Cell, Price, u64);

/// The nodes of a lot, in thousandths of a GPU.
struct Nodes {
    /// The offer of one of them.
    offer: NodeOffer,
    /// What the open ones have in all.
    open: u64,
    /// What is held of all.
    held: u64,
    /// What is held of those that take nothing more.
    closed: u64,
}

impl Survey {
    /// What is held and what waits, in thousandths of a GPU by class, and what there is for it.
    pub fn of(
        fleet: &Fleet,
        waiting: &BTreeMap<DemandClass, u64>,
        prospect: Prospect,
    ) -> Result<Self, ProblemError> {
        let lots = lots(fleet);
        let mut asked = asked(fleet, waiting);
        let rest = asked.split_off(prospect.classes_max.min(asked.len()));
        asked.sort_unstable_by(|one, two| one.0.cmp(&two.0));
        let taken = taken_by(fleet, &rest);
        let demand = |(class, held, waiting): &(DemandClass, u64, u64)| Demand {
            gpu_milli: more(held.saturating_add(*waiting), prospect.headroom_percent),
            cells: suiting(class, fleet.quotas().held_by(class).as_ref(), &lots),
            unserved: prospect.unserved,
        };
        let problem = Problem::new(asked.iter().map(demand).collect(), supplies(&lots, taken))?;
        Ok(Self {
            held: asked.iter().map(|(_, held, _)| *held).collect(),
            classes: asked.into_iter().map(|(class, _, _)| class).collect(),
            cells: lots.keys().map(|(cell, _, _)| *cell).collect(),
            problem,
            present: lots.values().map(|lot| lot.open + lot.closed).collect(),
            cost: lots.iter().map(|(at, lot)| Cost::of(at.1, lot.held)).sum(),
        })
    }

    /// The problem.
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }

    /// What a plan for it has each class have of each cell, in thousandths of a GPU; a cell may be
    /// named more than once.
    pub fn quotas(&self, plan: &Plan) -> impl Iterator<Item = Quota> {
        plan.quotas.iter().map(|quota| Quota {
            class: self.classes[quota.demand].clone(),
            cell: self.cells[quota.supply],
            gpu_milli: quota.gpu_milli,
        })
    }

    /// How far above the least that anybody could pay for what is held it is what is paid,
    /// certified by any duals. `None` where nothing is held.
    pub fn gap(&self, duals: &Duals) -> Option<Gap> {
        let held = self.problem.with_amounts(&self.held, &self.present).ok()?;
        Some(Gap::of(&held, self.cost, duals))
    }
}

/// What each class has and waits for, those that have most first.
fn asked(fleet: &Fleet, waiting: &BTreeMap<DemandClass, u64>) -> Vec<(DemandClass, u64, u64)> {
    let mut asked: BTreeMap<&DemandClass, (u64, u64)> = BTreeMap::new();
    for (class, cells) in fleet.quotas().held() {
        asked.entry(class).or_default().0 = cells.values().sum();
    }
    for (class, gpu_milli) in waiting {
        asked.entry(class).or_default().1 = *gpu_milli;
    }
    asked.retain(|_, (held, waiting)| *held > 0 || *waiting > 0);
    let flat = |(class, (held, waiting)): (&DemandClass, _)| (class.clone(), held, waiting);
    let mut asked: Vec<_> = asked.into_iter().map(flat).collect();
    asked.sort_by_key(|(_, held, waiting)| Reverse(held.saturating_add(*waiting)));
    asked
}

fn more(gpu_milli: u64, percent: u32) -> u64 {
    let more = u128::from(gpu_milli) * u128::from(percent) / 100;
    gpu_milli.saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
}

/// Where the class may go, and where it is: what is held must be a way to meet what is held, or the
/// bound would be above what is paid.
fn suiting(
    class: &DemandClass,
    held: Option<&BTreeMap<Cell, u64>>,
    lots: &BTreeMap<Lot, Nodes>,
) -> Vec<usize> {
    let is_there = |cell: &Cell| held.is_some_and(|held| held.contains_key(cell));
    let lots = lots.iter().enumerate();
    let suiting =
        lots.filter(|(_, ((cell, ..), lot))| class.may_go_to(&lot.offer) || is_there(cell));
    suiting.map(|(at, _)| at).collect()
}

/// What classes that are not planned have of each cell.
fn taken_by(fleet: &Fleet, classes: &[(DemandClass, u64, u64)]) -> BTreeMap<Cell, u64> {
    let mut taken = BTreeMap::new();
    if classes.is_empty() {
        return taken;
    }
    let classes: BTreeSet<_> = classes.iter().map(|of| &of.0).collect();
    let held = fleet.quotas().held();
    for (_, cells) in held.filter(|(class, _)| classes.contains(class)) {
        for (cell, gpu_milli) in cells {
            *taken.entry(cell).or_default() += gpu_milli;
        }
    }
    taken
}

/// What there is for those who are planned: the dearest of a cell is left to the others.
fn supplies(lots: &BTreeMap<Lot, Nodes>, mut taken: BTreeMap<Cell, u64>) -> Vec<Supply> {
    let mut supplies: Vec<_> = lots
        .iter()
        .rev()
        .map(|(&(cell, price, _), lot)| {
            let others = taken.entry(cell).or_default();
            let given = lot.open.min(*others);
            *others -= given;
            Supply {
                price,
                gpu_milli: lot.open - given,
            }
        })
        .collect();
    supplies.reverse();
    supplies
}

/// Nodes with GPUs by lot.
fn lots(fleet: &Fleet) -> BTreeMap<Lot, Nodes> {
    let mut lots = BTreeMap::new();
    for offer in fleet.offers().filter(|offer| offer.capacity.gpus > 0) {
        let (node, all) = (offer.node, u64::from(offer.capacity.gpus) * 1_000);
        let free = fleet.free(node).map_or(&[][..], |free| free.gpus_milli());
        let free = free.iter().copied().map(u64::from).sum::<u64>();
        let lot = lots.entry(lot(&offer)).or_insert(Nodes {
            offer,
            open: 0,
            held: 0,
            closed: 0,
        });
        let held = all.saturating_sub(free);
        lot.held += held;
        if fleet.is_open(node) == Some(true) {
            lot.open += all;
        } else {
            lot.closed += held;
        }
    }
    lots
}

fn lot(offer: &NodeOffer) -> Lot {
    let cell = Cell {
        site: offer.site,
        class: offer.class,
    };
    let gpu_micros = offer.price.micros_per_hour() / u64::from(offer.capacity.gpus);
    let memory_mib = offer.capacity.gpu_memory_mib;
    (cell, Price::from_micros_per_hour(gpu_micros), memory_mib)
}

#[cfg(test)]
mod tests {
    use remuda_placement::{Request, find};
    use remuda_types::{Capacity, Class, Country, NodeKey, Place, ProviderId, Shape, SiteId};

    use super::*;
    use crate::solver::Solver;

    fn offer(node: u8, site: u128, gpus: u32, gpu_dollars: u64) -> NodeOffer {
        NodeOffer {
            node: NodeKey([node; 32]),
            provider: ProviderId::from_u128(site),
            site: SiteId::from_u128(site),
            country: ["DE", "KR"][usize::from(site != 1)]
                .parse()
                .unwrap_or(Country::UNKNOWN),
            place: Place::ORIGIN,
            class: "h100-sxm-80".parse().unwrap_or(Class::CPU),
            capacity: Capacity {
                gpus,
                ..Capacity::default()
            },
            price: Price::from_micros_per_hour(gpu_dollars * 1_000_000 * u64::from(gpus)),
        }
    }

    fn request(gpus: u64, countries: &[&str]) -> Request {
        let shape = Shape {
            gpu_milli: gpus * 1_000,
            ..Shape::default()
        };
        let mut request = Request::new(shape).unwrap();
        request.countries = countries.iter().map(|code| code.parse().unwrap()).collect();
        request
    }

    fn prospect(headroom_percent: u32, classes_max: usize) -> Prospect {
        let unserved = Price::from_micros_per_hour(20_000_000);
        Prospect::new(unserved, headroom_percent, classes_max)
    }

    /// A cheap site in DE with two GPUs at one dollar and one at two, and a dear one in KR.
    fn two_sites() -> Fleet {
        let mut fleet = Fleet::new();
        for offer in [offer(1, 1, 2, 1), offer(2, 1, 1, 2), offer(3, 2, 8, 3)] {
            fleet.upsert(&offer).unwrap();
        }
        fleet
    }

    fn place(fleet: &mut Fleet, request: &Request) -> SiteId {
        let placed = find(fleet, request).unwrap();
        put(fleet, request, placed.node);
        placed.site
    }

    fn put(fleet: &mut Fleet, request: &Request, node: NodeKey) {
        let (class, shape) = (DemandClass::of(request).unwrap(), *request.shape());
        fleet.hold(node, &shape).unwrap();
        fleet.count_in(&class, node, shape.gpu_milli);
    }

    fn waiting(amounts: &[(&Request, u64)]) -> BTreeMap<DemandClass, u64> {
        let of = |&(request, gpu_milli): &(&Request, u64)| {
            (DemandClass::of(request).unwrap(), gpu_milli)
        };
        amounts.iter().map(of).collect()
    }

    fn gap_ppm(fleet: &Fleet) -> Option<u64> {
        let survey = Survey::of(fleet, &BTreeMap::new(), prospect(10, 9)).unwrap();
        let plan = Solver::new().solve(survey.problem()).unwrap();
        survey.gap(&plan.duals).and_then(Gap::ppm)
    }

    /// Who must be in DE gets a place there, though the others come first and it is cheaper there.
    #[test]
    fn a_plan_of_a_fleet_keeps_a_place_for_who_can_go_nowhere_else() {
        let mut fleet = two_sites();
        let (anywhere, in_de) = (request(1, &[]), request(1, &["DE"]));
        put(&mut fleet, &anywhere, NodeKey([1; 32]));
        let waiting = waiting(&[(&anywhere, 1_000), (&in_de, 3_000)]);
        let survey = Survey::of(&fleet, &waiting, prospect(0, 9)).unwrap();
        let there: Vec<_> = survey
            .problem()
            .supplies()
            .iter()
            .map(|of| of.gpu_milli)
            .collect();
        assert_eq!(there, [2_000, 1_000, 8_000], "by site and price");
        let asked: u64 = survey
            .problem()
            .demands()
            .iter()
            .map(|of| of.gpu_milli)
            .sum();
        assert_eq!(asked, 5_000, "what is held and what waits");
        let plan = Solver::new().solve(survey.problem()).unwrap();
        fleet.set_quotas(survey.quotas(&plan));
        let sites = [&anywhere, &in_de, &in_de].map(|request| place(&mut fleet, request).as_u128());
        assert_eq!(sites, [2, 1, 1]);
    }

    #[test]
    fn what_is_held_costs_more_than_it_must_where_the_cheap_ones_are_free() {
        let mut fleet = two_sites();
        assert_eq!(
            Survey::of(&fleet, &BTreeMap::new(), prospect(0, 9)).unwrap_err(),
            ProblemError::NoDemand
        );
        put(&mut fleet, &request(1, &[]), NodeKey([3; 32]));
        assert_eq!(gap_ppm(&fleet), Some(2_000_000), "three dollars for one");
        put(&mut fleet, &request(2, &["DE"]), NodeKey([1; 32]));
        assert_eq!(gap_ppm(&fleet), Some(250_000), "five dollars for four");
        put(&mut fleet, &request(1, &["DE"]), NodeKey([2; 32]));
        assert_eq!(gap_ppm(&fleet), Some(0));
        // What is held of a node that drains is still a way to meet what is held.
        fleet.set_open(NodeKey([1; 32]), false).unwrap();
        assert_eq!(gap_ppm(&fleet), Some(0));
    }

    #[test]
    fn of_too_many_classes_the_smallest_are_not_planned_and_keep_what_they_have() {
        let mut fleet = two_sites();
        put(&mut fleet, &request(1, &["DE"]), NodeKey([2; 32]));
        put(&mut fleet, &request(3, &[]), NodeKey([3; 32]));
        let survey = Survey::of(&fleet, &BTreeMap::new(), prospect(0, 1)).unwrap();
        assert_eq!(survey.problem().demands().len(), 1);
        let there = survey.problem().supplies().iter().map(|of| of.gpu_milli);
        assert_eq!(there.collect::<Vec<_>>(), [2_000, 0, 8_000]);
    }

    #[test]
    fn closed_nodes_and_those_without_gpus_supply_nothing() {
        let mut fleet = Fleet::new();
        fleet.upsert(&offer(1, 1, 0, 0)).unwrap();
        fleet.upsert(&offer(2, 1, 2, 1)).unwrap();
        let waiting = waiting(&[(&request(1, &[]), 1_000)]);
        let survey = |fleet: &Fleet| Survey::of(fleet, &waiting, prospect(0, 9));
        assert_eq!(survey(&fleet).unwrap().problem().supplies().len(), 1);
        fleet.set_open(NodeKey([2; 32]), false).unwrap();
        assert_eq!(survey(&fleet).unwrap_err(), ProblemError::NoSupply);
        assert_eq!(survey(&Fleet::new()).unwrap_err(), ProblemError::NoSupply);
    }
}
