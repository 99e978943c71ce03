//! What a deploy must come to, worked out by holding everything in one fleet and looking there.
//!
//! `World` asks before every command. What is sold under a promise is refused only if it would be
//! without any spot lease in the network, and ends none where it fits beside them.

use std::collections::BTreeMap;

use remuda_network::state::Terms;
use remuda_network::{Command, Event, Network, Refusal};
use remuda_placement::{Amounts, Fleet, GpuSet, Replicas, place_group};
use remuda_types::{LeaseId, NodeKey, Shape, Tier};

/// What must come of a deploy.
pub(crate) struct Expected {
    tier: Tier,
    /// It fits where nothing has to give way.
    fits: bool,
    /// It fits where all that may give way does.
    may_fit: bool,
    spot: Vec<LeaseId>,
}

impl Expected {
    /// What must come of `command`, if it is a deploy of which capacity decides.
    pub(crate) fn of(network: &Network, command: &Command) -> Option<Self> {
        let Command::Deploy {
            terms, replicas, ..
        } = command
        else {
            return None;
        };
        let mut fleet = network.index().fleet().clone();
        let fits = fit(&mut fleet, terms, *replicas)?;
        let state = network.state();
        let tier_of = |workload| state.workloads[workload].terms.tier;
        let spot = state.leases.iter();
        let spot: Vec<_> = spot
            .filter(|(_, lease)| tier_of(&lease.workload) == Tier::Spot)
            .collect();
        let is_spot = terms.tier == Tier::Spot;
        for (_, lease) in spot.iter().filter(|_| !is_spot) {
            let gpus = lease.gpus();
            fleet.release_on(lease.node, &lease.shape, gpus).unwrap();
        }
        // Spot may use what is claimed; to all others it is taken.
        let mut claimed: BTreeMap<NodeKey, Vec<(Shape, GpuSet)>> = BTreeMap::new();
        for place in state.claims.values().filter_map(|claim| claim.place) {
            let on = claimed.entry(place.node).or_default();
            on.push((place.shape, place.gpus()));
        }
        for (node, claims) in claimed {
            let aside = if is_spot { vec![] } else { claims };
            fleet.set_aside(node, Amounts::of(&aside)).unwrap();
        }
        let may_fit = fit(&mut fleet, terms, *replicas)?;
        Some(Self {
            tier: terms.tier,
            fits: fits || is_spot && may_fit,
            may_fit,
            spot: spot.into_iter().map(|(id, _)| *id).collect(),
        })
    }

    /// Holds what came of it against what must have.
    pub(crate) fn check(&self, decided: &Result<Vec<Event>, Refusal>) {
        match decided {
            Err(Refusal::NoCapacity(why)) => {
                assert!(!self.may_fit, "{} has room: {why}", self.tier);
                let counted = why.eliminated.iter().map(|(_, nodes)| nodes);
                assert_eq!(counted.sum::<usize>(), why.nodes, "{why}");
            }
            Err(_) => {}
            Ok(events) => {
                assert!(self.may_fit, "{} has no room: {events:?}", self.tier);
                let ended = events.iter().filter_map(|event| match event {
                    Event::LeaseEnded { lease, .. } => Some(*lease),
                    _ => None,
                });
                let ended: Vec<_> = ended.collect();
                assert_eq!(ended.is_empty(), self.fits, "{events:?}");
                assert!(ended.iter().all(|lease| self.spot.contains(lease)));
            }
        }
    }
}

/// Whether a group fits; nothing where it makes no sense.
fn fit(fleet: &mut Fleet, terms: &Terms, replicas: u32) -> Option<bool> {
    let (request, group) = (terms.request().ok()?, Replicas::new(replicas).ok()?);
    Some(place_group(fleet, &request, group).is_ok())
}
