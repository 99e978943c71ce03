//! Why each replica is where it is.
//!
//! The network's events do not carry the reason. It is recomputed from the follower's fleet just
//! before the command, with the request that the network makes of the same terms, and shown where
//! the command then put a replica on a node that this named. If another command came between, a
//! replica may be elsewhere; it is shown without a reason rather than with a wrong one.

use std::collections::{BTreeMap, VecDeque};

use remuda_network::Network;
use remuda_network::placement::{Replicas, whys};
use remuda_network::state::Terms;
use remuda_types::NodeKey;
use remuda_wire::api::replica::Workload;

/// So many replicas of one command are shown with their reasons: each takes a look at all nodes.
const SHOWN: u32 = 32;

/// Reasons by node, in the order of the placements.
pub(super) type Whys = BTreeMap<NodeKey, VecDeque<String>>;

/// Why placement would put each replica where it would now.
pub(super) fn preview(network: &Network, terms: &Terms, replicas: u32) -> Whys {
    let shown = Replicas::new(replicas.min(SHOWN));
    let (Ok(request), Ok(group)) = (terms.request(), shown) else {
        return Whys::new();
    };
    let mut found = Whys::new();
    for (node, why) in whys(network.index().fleet(), &request, group) {
        found.entry(node).or_default().push_back(why.to_string());
    }
    found
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
