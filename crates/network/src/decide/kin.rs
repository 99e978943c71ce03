//! Sites that fail: noticed, and kept off where replicas are to be apart.
//!
//! Nodes judged lost tell, not those under suspicion: a suspect is often heard again, and a site
//! that was believed to fail would be remembered for a year. How many nodes a site has does not
//! matter. Where it has one, its failure cannot be told from that of the site, and need not be: what
//! counts is whether all that a provider has in a place goes when others go. Nodes that their owner
//! takes away are not counted: they do not come back, so nothing is to be foretold.

use std::collections::BTreeSet;

use remuda_types::{ReplicaId, SiteId, Time, WorkloadId};

use super::draft::Draft;
use crate::event::Event;
use crate::state::Node;

/// Notes that a node's site has failed, if with this node so much of it is lost: once for all that
/// is lost within the window.
pub(super) fn note_failure(draft: &mut Draft<'_>, node: &Node, last_seen: Time) {
    let (policy, site, now) = (draft.state.policy.kin, node.site, draft.now);
    let at = last_seen.min(now);
    let is_known = draft.state.kinship.is_out(site, at, &policy.rule());
    if !node.presence.has_session() || is_known {
        return;
    }
    let sites = &draft.index.sites;
    // The node itself still counts among those that are there.
    let there = sites.there(site) as u64;
    let before = sites.lost_since(site, now - policy.window) as u64;
    if (before + 1) * 1_000 >= (before + there) * u64::from(policy.site_failed_milli) {
        draft.push(Event::SiteFailed { site, at });
    }
}

/// Where a replica of a workload whose replicas are to be apart goes only if it must: what fails
/// together with where the others are; and what is where this batch ends a lease of the workload,
/// or fails together with that, and so may be about to.
pub(super) fn shunned(
    draft: &Draft<'_>,
    workload: WorkloadId,
    except: Option<ReplicaId>,
) -> BTreeSet<SiteId> {
    let fleet = &draft.index.fleet;
    let held = draft.leases_of(workload);
    let others = held.filter(|(_, lease)| Some(lease.replica) != except);
    let granted = draft.granted_to(workload).map(|granted| granted.site);
    let left: Vec<_> = draft.ended_of(workload).map(|lease| lease.site).collect();
    let taken = others.map(|(_, lease)| lease.site).chain(granted);
    let kin = taken
        .chain(left.iter().copied())
        .flat_map(|site| fleet.kin_of(site));
    kin.chain(left.iter().copied()).collect()
}
