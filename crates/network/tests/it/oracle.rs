//! What a deploy must come to, worked out by holding everything in one fleet and looking there.
//!
//! `World` asks before every command. What is sold under a promise is refused only if it would be
//! without any spot lease in the network, and ends none where it fits beside them.

use std::collections::BTreeSet;

use remuda_network::state::{Claim, State, Terms};
use remuda_network::{Command, Event, Network, Refusal};
use remuda_placement::{Amounts, Fleet, GpuSet, Replicas, place_group};
use remuda_types::{LeaseId, NodeKey, Shape, Tier, Time};

type Part = (Shape, GpuSet);
/// A claim, what it keeps, and the times that it is booked for if it is.
type Placed<'a> = (&'a Claim, Part, Option<(Time, Time)>);

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
        for node in claimed_nodes(state) {
            let aside = if is_spot {
                Amounts::default()
            } else {
                let begun = begun_on(state, node);
                let always = (Time::EPOCH, Time::FOREVER);
                let booked = most_booked(state, node, always);
                booked
                    .beyond(&Amounts::of(&begun))
                    .plus(&standbys_on(state, node))
            };
            fleet.set_aside(node, aside).unwrap();
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

/// Whether a reservation must be taken: a look at every node at every moment.
pub(crate) fn has_room_for(network: &Network, command: &Command) -> Option<bool> {
    let Command::Reserve {
        terms,
        replicas,
        from,
        to,
        ..
    } = command
    else {
        return None;
    };
    let state = network.state();
    let mut fleet = network.index().fleet().clone();
    let tier_of = |workload| state.workloads[workload].terms.tier;
    for lease in state.leases.values() {
        if tier_of(&lease.workload) == Tier::Spot {
            let gpus = lease.gpus();
            fleet.release_on(lease.node, &lease.shape, gpus).unwrap();
        }
    }
    for node in claimed_nodes(state) {
        fleet.set_aside(node, Amounts::default()).unwrap();
        for (shape, gpus) in begun_on(state, node) {
            fleet.release_on(node, &shape, gpus).unwrap();
        }
        let booked = most_booked(state, node, (*from, *to));
        let aside = booked.plus(&standbys_on(state, node));
        fleet.set_aside(node, aside).unwrap();
    }
    fit(&mut fleet, terms, *replicas)
}

fn claimed_nodes(state: &State) -> BTreeSet<NodeKey> {
    let places = state.claims.values().filter_map(|claim| claim.place);
    places.map(|place| place.node).collect()
}

fn claims_on(state: &State, node: NodeKey) -> Vec<Placed<'_>> {
    let claims = state.claims.values();
    let placed = claims.filter_map(|claim| claim.place.map(|place| (claim, place)));
    let here = placed.filter(|(_, place)| place.node == node);
    here.map(|(claim, place)| {
        let booked = state.reservations.get(&claim.workload);
        let booked = booked.map(|booked| (booked.from, booked.to));
        (claim, (place.shape, place.gpus()), booked)
    })
    .collect()
}

fn standbys_on(state: &State, node: NodeKey) -> Amounts {
    let claims = claims_on(state, node).into_iter();
    let parts = claims.filter_map(|(_, part, booked)| booked.is_none().then_some(part));
    Amounts::of(&parts.collect::<Vec<_>>())
}

fn begun_on(state: &State, node: NodeKey) -> Vec<Part> {
    let claims = claims_on(state, node).into_iter();
    let parts = claims.filter_map(|(claim, part, _)| claim.replica.map(|_| part));
    parts.collect()
}

/// The most that is booked at one of the moments at which anything begins.
fn most_booked(state: &State, node: NodeKey, (from, to): (Time, Time)) -> Amounts {
    let claims = claims_on(state, node);
    let booked: Vec<_> = claims
        .iter()
        .filter_map(|(_, part, booked)| booked.map(|(from, to)| (from, to, *part)))
        .collect();
    let begins = state.reservations.values().map(|booked| booked.from);
    let moments = begins.chain([from]).filter(|at| from <= *at && *at < to);
    moments.fold(Amounts::default(), |most, at| {
        let there = booked
            .iter()
            .filter(|(from, to, _)| *from <= at && at < *to);
        let parts: Vec<_> = there.map(|(_, _, part)| *part).collect();
        most.or(&Amounts::of(&parts))
    })
}

/// Whether a group fits; nothing where it makes no sense.
fn fit(fleet: &mut Fleet, terms: &Terms, replicas: u32) -> Option<bool> {
    let (request, group) = (terms.request(replicas).ok()?, Replicas::new(replicas).ok()?);
    Some(place_group(fleet, &request, group).is_ok())
}
