//! Nodes that come, fall silent, are lost or drain.

use std::collections::BTreeSet;

use remuda_types::{Capacity, LeaseId, NodeKey, SiteId, Time};

use super::draft::Draft;
use super::kin;
use super::lease::{self, Grant};
use super::leave::nodes_of;
use super::observe::after_end;
use super::seek::{Standby, seek};
use super::standby;
use crate::event::Event;
use crate::index::{Layer, offer};
use crate::refusal::Refusal;
use crate::state::{EndReason, Lease, Node, Phase, Presence, Standing};

fn known<'a>(draft: &Draft<'a>, id: NodeKey) -> Result<&'a Node, Refusal> {
    draft
        .state
        .nodes
        .get(&id)
        .ok_or_else(|| Refusal::not_found("node", id))
}

fn present(draft: &mut Draft<'_>, node: NodeKey, presence: Presence) {
    draft.push(Event::NodePresent { node, presence });
}

pub(super) fn connected(
    draft: &mut Draft<'_>,
    id: NodeKey,
    capacity: Capacity,
) -> Result<(), Refusal> {
    let node = known(draft, id)?;
    if let Presence::Left(_) = node.presence {
        let way_out = "join with a new key";
        return Err(Refusal::WrongState {
            kind: "the node",
            state: "gone for good",
            way_out,
        });
    }
    if counts_as_other(node, capacity) {
        resize(draft, id, node, capacity.in_steps())?;
    }
    match node.presence {
        Presence::Up(_) | Presence::Left(_) => {}
        // A session that broke is not the end of a drain.
        Presence::Draining(_) | Presence::Suspect(_) => clear(draft, id, node),
        Presence::Away(_) | Presence::Lost(_) => {
            let presence = back(draft, node);
            present(draft, id, presence);
        }
    }
    Ok(())
}

/// Whether a node's capacity is another than is known of it. What was taken note of before there
/// were steps stays as it is while the node says the same.
fn counts_as_other(node: &Node, capacity: Capacity) -> bool {
    node.capacity != capacity && node.capacity != capacity.in_steps()
}

/// What a node is that came back: it takes leases, unless its provider is about to leave.
fn back(draft: &Draft<'_>, node: &Node) -> Presence {
    let provider = draft.state.providers.get(&node.provider);
    match provider.map(|provider| provider.standing) {
        Some(Standing::Leaving(_) | Standing::Left(_)) => Presence::Draining(draft.now),
        Some(Standing::Active) | None => Presence::Up(draft.now),
    }
}

/// Takes note of what a node has now. What it no longer has room for ends, the youngest first, and
/// is placed again.
fn resize(
    draft: &mut Draft<'_>,
    id: NodeKey,
    node: &Node,
    capacity: Capacity,
) -> Result<(), Refusal> {
    let Some(site) = draft.state.sites.get(&node.site) else {
        return Ok(());
    };
    let resized = Node {
        capacity,
        ..node.clone()
    };
    let offered = offer(id, &resized, site);
    if !draft.fits(&offered) {
        standby::vacate(draft, id);
    }
    let mut held = held_by(draft, node);
    // A lease on a GPU that is gone has no room, whatever else is free.
    held.sort_by_key(|(_, lease)| {
        lease
            .gpus()
            .indices()
            .any(|gpu| gpu >= capacity.gpus as usize)
    });
    let mut over = Vec::new();
    while let Err(error) = draft.offer(&offered) {
        let Some((lease_id, lease)) = held.pop() else {
            let problem = error.to_string();
            return Err(Refusal::Invalid {
                field: "capacity",
                problem,
            });
        };
        let last_seen = node.last_seen().unwrap_or(draft.now);
        lease::end(draft, lease_id, &lease, EndReason::NodeRestarted, last_seen);
        over.push(lease);
    }
    draft.push(Event::NodeResized { node: id, capacity });
    for lease in &over {
        after_end(draft, lease, EndReason::NodeRestarted);
    }
    Ok(())
}

pub(super) fn disconnected(draft: &mut Draft<'_>, id: NodeKey) -> Result<(), Refusal> {
    let node = known(draft, id)?;
    if node.leases.is_empty() && !matches!(node.presence, Presence::Left(_) | Presence::Away(_)) {
        draft.close(id);
        standby::vacate(draft, id);
        present(draft, id, Presence::Away(draft.now));
    }
    Ok(())
}

/// Notes since when a node that drains is silent, or that it is not.
fn silent(draft: &mut Draft<'_>, node: NodeKey, since: Option<Time>) {
    draft.push(Event::NodeSilent { node, since });
}

/// A silent node is no longer routed to or placed on. Its replicas were last known to serve at its
/// last sign of life; from then on their seconds are not charged.
pub(super) fn suspected(
    draft: &mut Draft<'_>,
    id: NodeKey,
    last_seen: Time,
) -> Result<(), Refusal> {
    let node = known(draft, id)?;
    let last_seen = last_seen.min(draft.now);
    match node.presence {
        Presence::Up(_) => present(draft, id, Presence::Suspect(last_seen)),
        // It goes on draining; what is ready on it is no longer charged.
        Presence::Draining(_) if node.silent_since.is_none() => silent(draft, id, Some(last_seen)),
        _ => return Ok(()),
    }
    for lease in leases_in(draft, node, |lease| lease.phase == Phase::Ready) {
        draft.push(Event::LeasePhased {
            lease,
            phase: Phase::Suspect,
            at: last_seen,
        });
    }
    Ok(())
}

fn leases_in(draft: &Draft<'_>, node: &Node, is_it: fn(&Lease) -> bool) -> Vec<LeaseId> {
    let is_it = |id: &&LeaseId| draft.state.leases.get(id).is_some_and(is_it);
    node.leases.iter().filter(is_it).copied().collect()
}

pub(super) fn cleared(draft: &mut Draft<'_>, id: NodeKey) -> Result<(), Refusal> {
    let node = known(draft, id)?;
    if matches!(node.presence, Presence::Suspect(_) | Presence::Draining(_)) {
        clear(draft, id, node);
    }
    Ok(())
}

/// The node is heard: its replicas are out of suspicion, but for those that fail. One that drains
/// goes on draining; it may have been silent when it began.
fn clear(draft: &mut Draft<'_>, id: NodeKey, node: &Node) {
    let drains = |lease: &Lease| matches!(lease.phase, Phase::Draining(_));
    if let Some(since) = node.last_seen() {
        let at = draft.now;
        for lease in leases_in(draft, node, drains) {
            draft.push(Event::LeaseSilent { lease, since, at });
        }
    }
    match node.presence {
        Presence::Suspect(_) => present(draft, id, Presence::Up(draft.now)),
        _ if node.silent_since.is_some() => silent(draft, id, None),
        _ => {}
    }
    let silent = |lease: &Lease| lease.phase == Phase::Suspect && !lease.failing;
    for lease in leases_in(draft, node, silent) {
        draft.push(Event::LeasePhased {
            lease,
            phase: Phase::Ready,
            at: draft.now,
        });
    }
}

pub(super) fn lost(draft: &mut Draft<'_>, id: NodeKey, last_seen: Time) -> Result<(), Refusal> {
    let node = known(draft, id)?;
    if matches!(node.presence, Presence::Lost(_) | Presence::Left(_)) {
        return Ok(());
    }
    standby::vacate(draft, id);
    present(draft, id, Presence::Lost(draft.now));
    kin::note_failure(draft, node, last_seen);
    abandon(draft, &[(id, last_seen)], EndReason::NodeLost);
    Ok(())
}

/// Ends every lease of nodes that are no longer to be counted on, each of which was last known to
/// serve at a time of its own, and places their replicas again.
///
/// All are ended before any is placed, so that the freed owners and the closed nodes are counted.
pub(super) fn abandon(draft: &mut Draft<'_>, nodes: &[(NodeKey, Time)], reason: EndReason) {
    for (id, _) in nodes {
        draft.close(*id);
    }
    let mut held = Vec::new();
    for (id, last_seen) in nodes {
        let node = draft.state.nodes.get(id);
        for (lease_id, lease) in node.map_or_else(Vec::new, |node| held_by(draft, node)) {
            lease::end(draft, lease_id, &lease, reason, *last_seen);
            held.push(lease);
        }
    }
    // What has a promise finds a node first: spot would have to make room for it again.
    held.sort_by_key(|lease| Layer::of_workload(draft.state, lease.workload));
    for lease in &held {
        after_end(draft, lease, reason);
    }
}

/// The live leases of a node.
pub(super) fn held_by(draft: &Draft<'_>, node: &Node) -> Vec<(LeaseId, Lease)> {
    let leases = node.leases.iter().filter(|id| !draft.ends(**id));
    leases
        .filter_map(|id| draft.state.leases.get(id).map(|lease| (*id, lease.clone())))
        .collect()
}

pub(super) fn drain(draft: &mut Draft<'_>, id: NodeKey) -> Result<(), Refusal> {
    let node = known(draft, id)?;
    if !node.presence.has_session() {
        return Err(Refusal::WrongState {
            kind: "the node",
            state: node.presence.as_str(),
            way_out: "it has nothing to give up; drain it when it is back",
        });
    }
    drain_all(draft, [id]);
    Ok(())
}

/// A daemon that is to stop gives its node's leases up. What drains already does so for a reason that
/// lasts.
pub(super) fn leaving(draft: &mut Draft<'_>, id: NodeKey) -> Result<(), Refusal> {
    if serves(known(draft, id)?) {
        drain_all(draft, [id]);
        draft.push(Event::NodeLeaves {
            node: id,
            leaves: true,
        });
    }
    Ok(())
}

/// A node whose last daemon was to stop has another: it takes leases, unless its provider is about to
/// leave.
pub(super) fn returned(draft: &mut Draft<'_>, id: NodeKey) -> Result<(), Refusal> {
    let node = known(draft, id)?;
    let presence = back(draft, node);
    if node.leaves && presence.is_open() {
        present(
            draft,
            id,
            node.last_seen().map_or(presence, Presence::Suspect),
        );
    }
    Ok(())
}

/// Drains all of a site at once: one by one, a replica could move to a node that drains next.
pub(super) fn drain_site(draft: &mut Draft<'_>, id: SiteId) -> Result<(), Refusal> {
    let nodes = nodes_at(draft, id)?;
    drain_all(draft, nodes);
    Ok(())
}

/// A node that drains takes leases again, but while it is silent. What moves already goes on moving.
pub(super) fn resume(draft: &mut Draft<'_>, id: NodeKey) -> Result<(), Refusal> {
    let node = known(draft, id)?;
    if let Presence::Draining(_) = node.presence {
        check_stays(draft, node)?;
        let heard = Presence::Up(draft.now);
        present(draft, id, node.last_seen().map_or(heard, Presence::Suspect));
    }
    Ok(())
}

/// All nodes of a site that drain take leases again.
pub(super) fn resume_site(draft: &mut Draft<'_>, id: SiteId) -> Result<(), Refusal> {
    let nodes = nodes_at(draft, id)?;
    nodes.into_iter().try_for_each(|node| resume(draft, node))
}

/// Refuses for a node whose provider is about to leave: it drains until then.
fn check_stays(draft: &Draft<'_>, node: &Node) -> Result<(), Refusal> {
    match back(draft, node) {
        Presence::Draining(_) => Err(Refusal::WrongState {
            kind: "the node",
            state: "draining because its provider has given notice",
            way_out: "join again with new keys after the provider has left",
        }),
        _ => Ok(()),
    }
}

/// The nodes of a site.
fn nodes_at(draft: &Draft<'_>, id: SiteId) -> Result<Vec<NodeKey>, Refusal> {
    let site = draft.state.sites.get(&id);
    let site = site.ok_or_else(|| Refusal::not_found("site", id))?;
    let mut nodes = nodes_of(draft, site.provider);
    nodes.retain(|node| draft.state.nodes.get(node).is_some_and(|of| of.site == id));
    if nodes.is_empty() {
        let problem = "it has no node: `remuda node ls` lists nodes, `remuda node show` says on \
                       which site one stands";
        return Err(Refusal::Invalid {
            field: "site",
            problem: problem.to_owned(),
        });
    }
    Ok(nodes)
}

const fn serves(node: &Node) -> bool {
    matches!(node.presence, Presence::Up(_) | Presence::Suspect(_))
}

/// Drains those of some nodes that serve. Those that drain for the sake of their daemons do it for good
/// now.
pub(super) fn drain_all(draft: &mut Draft<'_>, nodes: impl IntoIterator<Item = NodeKey>) {
    let known = |id| draft.state.nodes.get(&id).map(|node| (id, node));
    let nodes = nodes.into_iter().filter_map(known);
    let (nodes, others): (Vec<_>, Vec<_>) = nodes.partition(|(_, node)| serves(node));
    for (node, _) in others.into_iter().filter(|(_, node)| node.leaves) {
        let leaves = false;
        draft.push(Event::NodeLeaves { node, leaves });
    }
    for (id, _) in &nodes {
        draft.close(*id);
    }
    for (id, node) in &nodes {
        present(draft, *id, Presence::Draining(draft.now));
        if let Some(last_seen) = node.last_seen() {
            silent(draft, *id, Some(last_seen));
        }
        standby::vacate(draft, *id);
        turn_back(draft, node);
    }
    move_away(draft, nodes.into_iter().map(|(_, node)| node));
}

/// Ends the leases of a node that replicas are about to move to: they stay where they are.
fn turn_back(draft: &mut Draft<'_>, node: &Node) {
    for (id, held) in held_by(draft, node) {
        let replica = draft.state.replicas.get(&held.replica);
        if replica.is_some_and(|replica| replica.successor == Some(id)) {
            lease::end(draft, id, &held, EndReason::Drained, draft.now);
        }
    }
}

/// Grants successors to leases of draining nodes that have none, to so many in one batch. The old
/// lease serves until its successor does.
pub(super) fn move_away<'a>(draft: &mut Draft<'a>, nodes: impl IntoIterator<Item = &'a Node>) {
    let held = nodes.into_iter().flat_map(|node| held_by(draft, node));
    let held = held.filter(|(id, lease)| draft.state.stays(*id, lease));
    let mut held: Vec<_> = held.collect();
    held.sort_by_key(|(_, lease)| Layer::of_workload(draft.state, lease.workload));
    draft.limit_moves(&mut held);
    for (_, held) in held {
        let Some(replica) = draft.state.replicas.get(&held.replica) else {
            continue;
        };
        let Some(workload) = draft.state.workloads.get(&held.workload) else {
            continue;
        };
        if draft.grant_of(held.replica).is_some() {
            continue;
        }
        let of = (held.workload, &workload.terms);
        let wanted = lease::request_again(draft, held.replica, of, BTreeSet::new());
        let Some(wanted) = wanted else { continue };
        let of = Grant {
            workload: held.workload,
            project: held.project,
            replica: held.replica,
            terms: &workload.terms,
            epoch: replica.epoch,
            succeeds: true,
        };
        // Without money for two leases at once the old one goes on until it must end.
        let _granted = seek(draft, &of, &wanted, Standby::Last).is_ok();
    }
}
