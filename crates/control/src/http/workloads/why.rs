//! Why each replica is where it is.
//!
//! The network's events do not carry the reason. It is recomputed from the follower's fleet just
//! before the command, with the request that the network makes of the same terms, and shown where
//! the command then put a replica on a node that this named. If another command came between, a
//! replica may be elsewhere; it is shown without a reason rather than with a wrong one.

use std::collections::{BTreeMap, VecDeque};

use remuda_network::Network;
use remuda_network::placement::{Near, Replicas, Request, RequestError, Spread, place_group};
use remuda_network::state::Terms;
use remuda_types::NodeKey;
use remuda_wire::api::replica::Workload;

/// Reasons by node, in the order of the placements.
pub(super) type Whys = BTreeMap<NodeKey, VecDeque<String>>;

/// Why placement would put each replica where it would now.
pub(super) fn preview(network: &Network, terms: &Terms, replicas: u32) -> Whys {
    let (Ok(request), Ok(group)) = (request(terms), Replicas::new(replicas)) else {
        return Whys::new();
    };
    let placements = place_group(network.index().fleet(), &request, group).unwrap_or_default();
    let mut whys = Whys::new();
    for placement in placements {
        whys.entry(placement.node)
            .or_default()
            .push_back(placement.why.to_string());
    }
    whys
}

fn request(terms: &Terms) -> Result<Request, RequestError> {
    let spreads = terms.tier.spreads_owners();
    let mut request = Request::new(terms.shape)?;
    request.classes.clone_from(&terms.classes);
    request.countries.clone_from(&terms.countries);
    request.max_price = terms.max_price;
    request.near = terms.near.map(|near| Near {
        place: near.place,
        max_distance_km: near.max_distance_km,
    });
    request.spread = Spread {
        owners: spreads,
        sites: spreads,
    };
    Ok(request)
}

/// The workload, its placements with their reasons.
pub(super) fn paired(mut workload: Workload, mut whys: Whys) -> Workload {
    let placements = workload
        .replicas
        .iter_mut()
        .filter_map(|replica| replica.placement.as_mut());
    for placement in placements {
        placement.why = whys.get_mut(&placement.node).and_then(VecDeque::pop_front);
    }
    workload
}
