//! A made-up network at work, step by step: it is filled, and replicas leave at random as others
//! come. Whoever takes the steps may time them.

use std::collections::BTreeMap;

use remuda_placement::{
    Congestion, Fleet, HoldError, NodeOffer, OfferError, Placement, Plan, ReleaseError, Replicas,
    Request, RequestError, Together, UnknownNode, find, place_group,
};
use remuda_types::{Shape, SiteId};

use super::{Demand, Departures, World};

/// A plan is made again when so much more of the network is in use, in percent.
const REPLAN_PERCENT: u64 = 10;
/// The congestion that places are compared with: as the cost benchmark found it best.
const CONGESTION: (u32, u32) = (20, 4_000);
/// What each member of a gang asks for.
const MEMBER_GPUS: u64 = 8;

/// The network and what runs on it.
#[derive(Debug)]
pub struct Trial {
    fleet: Fleet,
    world: World,
    demand: Demand,
    departures: Departures,
    running: Vec<Running>,
    used_gpu_milli: u64,
    /// What was in use when the plan was made.
    planned: u64,
}

/// A replica and where it is.
#[derive(Debug)]
pub struct Running {
    /// Boxed, as whoever keeps it would not keep it beside the fleet.
    request: Box<Request>,
    at: Placement,
}

/// Why a trial does not go on: the fleet did not do what it had said that it would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages of the sources say it")]
pub enum TrialError {
    #[error(transparent)]
    Offer(#[from] OfferError),
    #[error(transparent)]
    Hold(#[from] HoldError),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error(transparent)]
    Node(#[from] UnknownNode),
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Nothing runs, or nothing is asked for.
    #[error("there is nothing to take a step with: the world is empty")]
    Empty,
}

impl Trial {
    /// An empty network of this world; `seed` says what is asked of it, and who leaves.
    pub fn new(world: World, seed: u64, unseen_per_mille: u32) -> Result<Self, TrialError> {
        let mut fleet = Fleet::new();
        for offer in &world.offers {
            fleet.upsert(offer)?;
        }
        Ok(Self {
            fleet,
            world,
            demand: Demand::new(seed, unseen_per_mille),
            departures: Departures::new(seed),
            running: Vec::new(),
            used_gpu_milli: 0,
            planned: 0,
        })
    }

    /// How many GPUs there are.
    pub const fn gpus(&self) -> u64 {
        self.world.gpus
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.fleet.len()
    }

    /// How much of the GPUs is in use, in thousandths of one of them.
    pub const fn used_gpu_milli(&self) -> u64 {
        self.used_gpu_milli
    }

    /// Whether less than this much of the GPUs is in use.
    pub const fn has_less_than(&self, percent: u64) -> bool {
        self.used_gpu_milli < self.gpus() * 10 * percent
    }

    /// Whether more than this much of the GPUs is in use.
    pub const fn has_more_than(&self, percent: u64) -> bool {
        self.used_gpu_milli > self.gpus() * 10 * percent
    }

    /// Whether so much more is in use than when the plan was made that another is due.
    pub const fn is_plan_due(&self) -> bool {
        self.used_gpu_milli >= self.planned + self.gpus() * 10 * REPLAN_PERCENT
    }

    /// Makes a plan for the network as it is now.
    pub fn plan(&mut self) {
        let expected = self.demand.expected();
        let expected = expected.iter().map(|(task, count)| (task, *count));
        let (scale, steepness) = CONGESTION;
        let plan = Plan::new(&self.fleet, expected, Congestion::new(scale, steepness));
        self.fleet.set_plan(plan);
        self.planned = self.used_gpu_milli;
    }

    /// The next request.
    pub fn ask(&mut self) -> Result<Box<Request>, TrialError> {
        let request = self.demand.draw().ok_or(TrialError::Empty)?;
        Ok(Box::new(request))
    }

    /// Decides where a replica goes, and holds it there; nothing where there is no place.
    pub fn decide(&mut self, request: &Request) -> Result<Option<Placement>, TrialError> {
        let Some(placed) = find(&mut self.fleet, request) else {
            return Ok(None);
        };
        self.fleet
            .hold_on(placed.node, request.shape(), placed.gpus)?;
        Ok(Some(placed))
    }

    /// Counts a replica that was placed among those that run.
    pub fn keep(&mut self, request: Box<Request>, at: Placement) {
        self.used_gpu_milli += request.shape().gpu_milli;
        self.running.push(Running { request, at });
    }

    /// One of those that run leaves.
    pub fn depart(&mut self) -> Result<(), TrialError> {
        let leaves = self.departures.draw(&mut self.running);
        self.release(&leaves.ok_or(TrialError::Empty)?)
    }

    fn release(&mut self, leaves: &Running) -> Result<(), TrialError> {
        let (shape, at) = (leaves.request.shape(), &leaves.at);
        self.fleet.release_on(at.node, shape, at.gpus)?;
        self.used_gpu_milli -= shape.gpu_milli;
        Ok(())
    }

    /// Whether a gang of so many GPUs has a place on one fabric.
    pub fn has_room_for_gang(&mut self, gpus: u32) -> Result<bool, TrialError> {
        let mut request = Request::new(Shape {
            gpu_milli: MEMBER_GPUS * 1_000,
            ..Shape::default()
        })?;
        request.together = Together::Fabric;
        let members = Replicas::new(gpus / 8)?;
        Ok(place_group(&mut self.fleet, &request, members).is_ok())
    }

    /// Closes the site whose size is nearest to the mean; who ran there.
    pub fn close_mean_site(&mut self) -> Result<Vec<Running>, TrialError> {
        let site = self.mean_site().ok_or(TrialError::Empty)?;
        let here: Vec<NodeOffer> = self.fleet.offers().filter(|of| of.site == site).collect();
        for offer in &here {
            self.fleet.set_open(offer.node, false)?;
        }
        let is_here = |running: &Running| running.at.site == site;
        let all = std::mem::take(&mut self.running).into_iter();
        let (gone, staying) = all.partition(is_here);
        self.running = staying;
        Ok(gone)
    }

    /// Places elsewhere who has to go; says for how many there was a place.
    pub fn move_away(&mut self, gone: &[Running]) -> Result<usize, TrialError> {
        let mut moved = 0;
        for one in gone {
            self.release(one)?;
            if self.decide(&one.request)?.is_some() {
                self.used_gpu_milli += one.request.shape().gpu_milli;
                moved += 1;
            }
        }
        Ok(moved)
    }

    fn mean_site(&self) -> Option<SiteId> {
        let mut sizes: BTreeMap<SiteId, u64> = BTreeMap::new();
        for offer in &self.world.offers {
            *sizes.entry(offer.site).or_default() += u64::from(offer.capacity.gpus);
        }
        let mean = self.gpus() / (sizes.len() as u64).max(1);
        let nearest = sizes
            .into_iter()
            .min_by_key(|(_, size)| size.abs_diff(mean));
        nearest.map(|(site, _)| site)
    }

    /// Holds the fleet against its invariants.
    pub fn check(&self) -> Result<(), remuda_placement::Violation> {
        remuda_placement::invariant::check(&self.fleet)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Nodes;
    use super::*;

    /// Fills a network, has replicas leave and come, and empties a site.
    fn run(nodes: Nodes) -> Trial {
        let mut trial = Trial::new(World::draw_with(1, 8_000, nodes), 1, 50).unwrap();
        let mut refused = 0;
        for _ in 0..20_000 {
            if trial.is_plan_due() {
                trial.plan();
            }
            while trial.has_more_than(80) {
                trial.depart().unwrap();
            }
            let request = trial.ask().unwrap();
            match trial.decide(&request).unwrap() {
                Some(placed) => trial.keep(request, placed),
                None => refused += 1,
            }
        }
        assert!(refused < 10_000, "{refused}");
        assert!(!trial.has_less_than(75));
        let gone = trial.close_mean_site().unwrap();
        assert!(trial.move_away(&gone).unwrap() > 0);
        trial
    }

    #[test]
    fn a_world_goes_on_however_much_its_nodes_differ() {
        for nodes in [Nodes::Alike, Nodes::Reporting, Nodes::Priced] {
            assert_eq!(run(nodes).check(), Ok(()));
        }
    }
}
