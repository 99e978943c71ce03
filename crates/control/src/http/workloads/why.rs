//! Why each replica is where it is, and why others are nowhere.
//!
//! The network's events do not carry the reason. It is recomputed from the follower's fleet just
//! before the command, with the request that the network makes of the same terms, and shown where
//! the command then put a replica on a node that this named. If another command came between, a
//! replica may be elsewhere; it is shown without a reason rather than with a wrong one.

use std::collections::{BTreeMap, VecDeque};

use remuda_network::Network;
use remuda_network::ledger::Account;
use remuda_network::placement::{Replicas, Unplaced, whys};
use remuda_network::state::{StandingOrder, Terms};
use remuda_types::{NodeKey, WorkloadId};
use remuda_wire::api::later::StandingOrder as OrderView;
use remuda_wire::api::replica::Workload;

use crate::core::Core;

/// So many replicas of one command are shown with their reasons: each takes a look at all nodes.
const SHOWN: u32 = 32;

/// And so many standing orders of one page.
const ORDERS_SHOWN: usize = 32;

/// Reasons by node, in the order of the placements.
pub(super) type Whys = BTreeMap<NodeKey, VecDeque<String>>;

/// Why placement would put each replica where it would now.
pub(super) fn preview(network: &Network, terms: &Terms, replicas: u32) -> Whys {
    let shown = Replicas::new(replicas.min(SHOWN));
    let (Ok(request), Ok(group)) = (terms.request(replicas), shown) else {
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

/// Why the waiting replicas of a workload wait, as things are now.
pub(super) async fn waiting(core: &Core, id: WorkloadId) -> Option<String> {
    if core.read(|network| network.waiting_of(id)) == 0 {
        return None;
    }
    let look = move |core: &Core| core.read(|network| network.why_waiting(id));
    let why = core.look(look).await.flatten()?;
    Some(in_full(&why))
}

/// The orders with why they wait, as things are now: of so many the first.
pub(super) async fn explained(core: &Core, mut orders: Vec<OrderView>) -> Vec<OrderView> {
    for view in orders.iter_mut().take(ORDERS_SHOWN) {
        let id = view.id;
        let look = move |core: &Core| core.read(|network| waits_for(network, id));
        (view.why, view.way_out) = core.look(look).await.unwrap_or_default();
    }
    orders
}

/// What an order waits for, and what would help.
fn waits_for(network: &Network, id: WorkloadId) -> (Option<String>, Option<String>) {
    let Some(order) = network.state().orders.get(&id) else {
        return (None, None);
    };
    match network.why_no_room(&order.terms, order.replicas) {
        Some(why) => (Some(why.to_string()), way_out(&why)),
        None => (Some(not_for_room(network, order)), None),
    }
}

/// There is room: it was not looked for since, or the money is short.
fn not_for_room(network: &Network, order: &StandingOrder) -> String {
    let budget = Account::ProjectBudget(order.project);
    let left = network.state().ledger.balance(budget).available();
    format!("there is room: it is tried again soon, and the project's budget has {left} USD left")
}

fn way_out(why: &Unplaced) -> Option<String> {
    why.relaxation.map(|relaxation| relaxation.to_string())
}

fn in_full(why: &Unplaced) -> String {
    let way_out = way_out(why).map(|way_out| format!("; {way_out}"));
    format!("{why}{}", way_out.unwrap_or_default())
}
