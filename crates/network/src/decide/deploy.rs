//! Workloads: deployed, scaled, stopped.

use remuda_placement::{GroupError, Placement, Replicas};
use remuda_types::{ProjectId, ReplicaId, WorkloadId};

use super::demand::known_project;
use super::draft::Draft;
use super::lease::{self, Grant};
use super::observe::{end_leases, end_workload_if_idle, remove_replica};
use crate::event::Event;
use crate::index::Named;
use crate::refusal::Refusal;
use crate::state::{Terms, Workload};

pub(super) fn deploy(
    draft: &mut Draft<'_>,
    project: ProjectId,
    terms: &Terms,
    replicas: u32,
) -> Result<(), Refusal> {
    known_project(draft.state, project)?;
    check_replicas(draft, replicas)?;
    check_room(draft, project)?;
    if draft
        .index
        .named(&Named::Workload(project, terms.label))
        .is_some()
    {
        return Err(Refusal::NameTaken { kind: "workload" });
    }
    let placements = places(draft, terms, replicas)?;

    let workload = WorkloadId::derived(draft.id, 0);
    let accepted = Event::WorkloadAccepted {
        workload,
        project,
        terms: Box::new(terms.clone()),
        at: draft.now,
    };
    draft.push(accepted);
    for placement in &placements {
        add_replica(draft, workload, project, terms, placement)?;
    }
    Ok(())
}

/// Nodes for all of a group. Why a single replica has none is left to whoever asks; of a group it
/// is said at once, for it depends on how far the group came.
fn places(draft: &mut Draft<'_>, terms: &Terms, replicas: u32) -> Result<Vec<Placement>, Refusal> {
    let (wanted, group) = (terms.request()?, Replicas::new(replicas)?);
    let fleet = draft.index.fleet.now();
    if replicas == 1 {
        let placements = remuda_placement::find_group(fleet, &wanted, group)?;
        return placements.ok_or_else(|| Refusal::NoRoom(Box::new(wanted)));
    }
    remuda_placement::place_group(fleet, &wanted, group).map_err(|error| match error {
        GroupError::Request(error) => Refusal::Request(error),
        GroupError::Unplaced(unplaced) => Refusal::NoCapacity(unplaced),
    })
}

fn check_replicas(draft: &Draft<'_>, replicas: u32) -> Result<(), Refusal> {
    let maximum = draft.state.policy.max_replicas;
    if replicas == 0 {
        let problem = "0: at least one is expected; `remuda stop` ends a workload".to_owned();
        return Err(Refusal::Invalid {
            field: "replicas",
            problem,
        });
    }
    if replicas <= maximum {
        return Ok(());
    }
    let way_out = "deploy several workloads";
    Err(Refusal::LimitMet {
        limit: "max_replicas",
        maximum: u64::from(maximum),
        way_out,
    })
}

fn check_room(draft: &Draft<'_>, project: ProjectId) -> Result<(), Refusal> {
    let maximum = draft.state.policy.max_workloads;
    let live = draft.index.live_workloads(project);
    if live < maximum as usize {
        return Ok(());
    }
    let way_out = "stop workloads that are not used, or use another project";
    Err(Refusal::LimitMet {
        limit: "max_workloads",
        maximum: u64::from(maximum),
        way_out,
    })
}

fn add_replica(
    draft: &mut Draft<'_>,
    workload: WorkloadId,
    project: ProjectId,
    terms: &Terms,
    placement: &Placement,
) -> Result<(), Refusal> {
    let replica = ReplicaId::derived(draft.id, draft.ordinal());
    draft.push(Event::ReplicaAdded { replica, workload });
    let of = Grant {
        workload,
        project,
        replica,
        terms,
        epoch: 0,
        succeeds: false,
    };
    lease::grant(draft, &of, placement).map(|_| ())
}

/// The workload, unless it is being stopped.
fn running<'a>(draft: &Draft<'a>, id: WorkloadId) -> Result<&'a Workload, Refusal> {
    let workload = draft.state.workloads.get(&id);
    let workload = workload.ok_or_else(|| Refusal::not_found("workload", id))?;
    if workload.stopping {
        let way_out = "deploy it again when it is gone";
        return Err(Refusal::WrongState {
            kind: "the workload",
            state: "stopping",
            way_out,
        });
    }
    Ok(workload)
}

pub(super) fn scale(draft: &mut Draft<'_>, id: WorkloadId, replicas: u32) -> Result<(), Refusal> {
    let workload = running(draft, id)?;
    check_replicas(draft, replicas)?;
    let have = u32::try_from(workload.replicas.len()).unwrap_or(u32::MAX);
    for _ in have..replicas {
        let placement = lease::place(draft, id, &workload.terms)?;
        add_replica(draft, id, workload.project, &workload.terms, &placement)?;
    }
    let surplus = have.saturating_sub(replicas) as usize;
    for replica in dispensable(draft, workload).into_iter().take(surplus) {
        remove_replica(draft, replica);
    }
    Ok(())
}

/// The replicas in the order in which they may go: those that have no lease, then the youngest:
/// those that serve longest keep their caches.
fn dispensable(draft: &Draft<'_>, workload: &Workload) -> Vec<ReplicaId> {
    let has_lease = |id: &ReplicaId| {
        let replica = draft.state.replicas.get(id);
        replica.is_some_and(|replica| replica.lease.is_some())
    };
    let mut replicas: Vec<_> = workload.replicas.iter().rev().copied().collect();
    replicas.sort_by_key(has_lease);
    replicas
}

pub(super) fn stop(draft: &mut Draft<'_>, id: WorkloadId) -> Result<(), Refusal> {
    let Some(workload) = draft.state.workloads.get(&id) else {
        return Err(Refusal::not_found("workload", id));
    };
    if !workload.stopping {
        draft.push(Event::WorkloadStopping { workload: id });
        end_leases(draft, id);
        end_workload_if_idle(draft, id);
    }
    Ok(())
}
