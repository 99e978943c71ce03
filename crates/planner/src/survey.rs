//! From a fleet and what is expected of it to a problem, and from its plan to quotas.

use std::collections::BTreeMap;

use remuda_placement::{Cell, DemandClass, Fleet, NodeOffer, Quotas};
use remuda_types::Price;

use crate::plan::Plan;
use crate::problem::{Demand, Problem, ProblemError, Supply};

/// A problem, and what its classes and cells are.
#[derive(Clone, Debug)]
pub struct Survey {
    classes: Vec<DemandClass>,
    cells: Vec<Cell>,
    problem: Problem,
}

/// What the nodes of one cell at one price have in common; a cell with several prices is several
/// supplies, whose quotas are one.
type Lot = (Cell, Price, u64);

impl Survey {
    /// What is free on the fleet's open nodes, for so much of each class in thousandths of a GPU.
    /// Demand that is not served counts as `unserved` by the GPU-hour.
    pub fn of(
        fleet: &Fleet,
        expected: &BTreeMap<DemandClass, u64>,
        unserved: Price,
    ) -> Result<Self, ProblemError> {
        let lots = lots(fleet);
        let cells_of = |class: &DemandClass| {
            let suiting = lots
                .values()
                .enumerate()
                .filter(|(_, (offer, _))| class.may_go_to(offer));
            suiting.map(|(at, _)| at).collect()
        };
        let demand = |(class, &gpu_milli): (&DemandClass, &u64)| Demand {
            gpu_milli,
            cells: cells_of(class),
            unserved,
        };
        let supply = |(&(_, price, _), &(_, gpu_milli)): (&Lot, &(NodeOffer, u64))| Supply {
            price,
            gpu_milli,
        };
        let demands = expected.iter().map(demand).collect();
        Ok(Self {
            classes: expected.keys().cloned().collect(),
            cells: lots.keys().map(|(cell, _, _)| *cell).collect(),
            problem: Problem::new(demands, lots.iter().map(supply).collect())?,
        })
    }

    /// The problem.
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The quotas of a plan for it, under the plan's number.
    pub fn quotas(&self, number: u64, plan: &Plan) -> Quotas {
        let row = |quota: &crate::Quota| {
            let class = self.classes[quota.demand].clone();
            (class, self.cells[quota.supply], quota.gpu_milli)
        };
        Quotas::new(number, plan.quotas.iter().map(row))
    }
}

/// Nodes with GPUs by lot: one offer of each, and how much of their GPUs is free, in thousandths.
fn lots(fleet: &Fleet) -> BTreeMap<Lot, (NodeOffer, u64)> {
    let mut lots = BTreeMap::new();
    for offer in fleet.offers().filter(|offer| offer.capacity.gpus > 0) {
        let open = fleet.is_open(offer.node) == Some(true);
        let free = fleet.free(offer.node).filter(|_| open);
        let each = free.map_or(&[][..], |free| free.gpus_milli());
        let lot = lots.entry(lot(&offer)).or_insert((offer, 0));
        lot.1 += each.iter().copied().map(u64::from).sum::<u64>();
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

    /// One cheap site in DE and a dear one in KR: who must be in DE gets it, though the others come
    /// first.
    #[test]
    fn a_plan_of_a_fleet_keeps_a_place_for_who_can_go_nowhere_else() {
        let mut fleet = Fleet::new();
        let offers = [offer(1, 1, 2, 1), offer(2, 1, 2, 2), offer(3, 2, 8, 3)];
        for offer in &offers {
            fleet.upsert(offer).unwrap();
        }
        fleet
            .hold(NodeKey([1; 32]), request(1, &[]).shape())
            .unwrap();
        let (anywhere, in_de) = (request(1, &[]), request(1, &["DE"]));
        let expected = [(&anywhere, 2_000), (&in_de, 3_000)]
            .map(|(request, gpu_milli)| (DemandClass::of(request).unwrap(), gpu_milli));
        let dear = Price::from_micros_per_hour(20_000_000);
        let survey = Survey::of(&fleet, &BTreeMap::from(expected), dear).unwrap();
        let free: Vec<_> = survey
            .problem()
            .supplies()
            .iter()
            .map(|of| of.gpu_milli)
            .collect();
        assert_eq!(
            free,
            [1_000, 2_000, 8_000],
            "by site and price, what is held left out"
        );
        let plan = Solver::new().solve(survey.problem()).unwrap();
        fleet.set_quotas(survey.quotas(1, &plan));
        for request in [&anywhere, &anywhere, &in_de, &in_de, &in_de] {
            let placed = find(&mut fleet, request).unwrap();
            fleet
                .hold_on(placed.node, request.shape(), placed.gpus)
                .unwrap();
            assert!(fleet.spend(request, placed.node).is_some());
        }
    }

    #[test]
    fn closed_nodes_and_those_without_gpus_supply_nothing() {
        let mut fleet = Fleet::new();
        fleet.upsert(&offer(1, 1, 0, 0)).unwrap();
        fleet.upsert(&offer(2, 1, 2, 1)).unwrap();
        let expected = BTreeMap::from([(DemandClass::of(&request(1, &[])).unwrap(), 1_000)]);
        let survey = |fleet: &Fleet| Survey::of(fleet, &expected, Price::default());
        assert_eq!(survey(&fleet).unwrap().problem().supplies().len(), 1);
        fleet.set_open(NodeKey([2; 32]), false).unwrap();
        assert_eq!(survey(&fleet).unwrap_err(), ProblemError::NoSupply);
        assert_eq!(survey(&Fleet::new()).unwrap_err(), ProblemError::NoSupply);
    }
}
