//! Workloads: deployed, scaled, stopped.

use remuda_placement::{Placement, Replicas, Request};
use remuda_types::{Label, ProjectId, ReplicaId, Together, WorkloadId};

use super::demand::known_project;
use super::draft::Draft;
use super::gang;
use super::lease::{self, Grant};
use super::observe::{end_leases, end_workload_if_idle, remove_replica};
use super::seek::{Standby, seek};
use super::standby::has_standbys;
use crate::event::Event;
use crate::index::Layer;
use crate::refusal::{Refusal, Room, Wanted};
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
    check_name(draft, project, terms.label)?;
    let workload = WorkloadId::derived(draft.id, 0);
    accept(draft, (workload, project), terms, replicas)
}

/// Deploys a workload of which all else was checked, if there is a place for all of it.
pub(super) fn accept(
    draft: &mut Draft<'_>,
    (workload, project): (WorkloadId, ProjectId),
    terms: &Terms,
    replicas: u32,
) -> Result<(), Refusal> {
    let group = Replicas::new(replicas)?;
    terms.check_shares()?;
    let placements = free_places(draft, terms, group)?;
    let accepted = Event::WorkloadAccepted {
        workload,
        project,
        terms: Box::new(terms.clone()),
        at: draft.now,
    };
    draft.push(accepted);
    if has_standbys(draft, terms.tier) || draft.state.reservations.contains_key(&workload) {
        draft.recount(workload);
    }
    let of = Owner {
        workload,
        project,
        terms,
    };
    for placement in placements.iter().flatten() {
        let grant = of.new_replica(draft);
        lease::grant(draft, &grant, placement)?;
    }
    match placements {
        Some(_) => Ok(()),
        None if terms.together == Together::Fabric => on_one_fabric(draft, &of, group),
        None => one_by_one(draft, &of, group),
    }
}

/// Nodes that are free for all of a group together, if there are; a refusal where nothing else can
/// be had either. For spot, what is claimed is as good as free, but not in the same fleet: its
/// replicas are placed one by one, unless they must stand together.
fn free_places(
    draft: &mut Draft<'_>,
    terms: &Terms,
    group: Replicas,
) -> Result<Option<Vec<Placement>>, Refusal> {
    let wanted = terms.request(group.get())?;
    let spot = Layer::of(terms.tier) == Layer::Spot;
    let index = &mut *draft.index;
    let only_free = index.layers.of(Layer::of(terms.tier)).is_empty();
    if spot && !only_free && terms.together == Together::Anywhere {
        return Ok(None);
    }
    let found = remuda_placement::find_group(index.fleet.now(), &wanted, group)?;
    if found.is_none() && only_free {
        return Err(no_room(terms, group.get(), Room::Now));
    }
    Ok(found)
}

/// The replicas of a group that has no place where all is free. Members are alike, so the group has
/// room if they find it one by one.
fn one_by_one(draft: &mut Draft<'_>, of: &Owner<'_>, group: Replicas) -> Result<(), Refusal> {
    let mut wanted = lease::request(draft, (of.workload, of.terms), group.get(), None)?;
    for _ in 0..group.get() {
        let grant = of.new_replica(draft);
        if seek(draft, &grant, &wanted, Standby::Never)?.is_none() {
            return Err(no_room(of.terms, group.get(), Room::Now));
        }
        lease::count_in(draft, &mut wanted, grant.replica);
    }
    Ok(())
}

/// All replicas of a gang on a fabric where not all is free that they may have: spot gives way, or
/// spot has what is claimed. One fabric after another is tried, until one has room for all.
fn on_one_fabric(draft: &mut Draft<'_>, of: &Owner<'_>, group: Replicas) -> Result<(), Refusal> {
    let wanted = of.terms.request(group.get())?;
    for fabric in gang::fabrics(draft, of.terms, &wanted, group) {
        let mark = draft.mark();
        let mut there = wanted.clone();
        there.fabric = Some(fabric);
        if all_there(draft, of, &there, group)? {
            return Ok(());
        }
        draft.back_to(mark);
    }
    Err(no_room(of.terms, group.get(), Room::Now))
}

fn all_there(
    draft: &mut Draft<'_>,
    of: &Owner<'_>,
    there: &Request,
    group: Replicas,
) -> Result<bool, Refusal> {
    for _ in 0..group.get() {
        let grant = of.new_replica(draft);
        if seek(draft, &grant, there, Standby::Never)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A refusal that is explained to those who ask: why there is no room takes a look at every state that
/// nodes are in, for which nobody else waits.
pub(super) fn no_room(terms: &Terms, replicas: u32, room: Room) -> Refusal {
    Refusal::NoRoom(Box::new(Wanted {
        terms: terms.clone(),
        replicas,
        room,
    }))
}

pub(super) fn check_replicas(draft: &Draft<'_>, replicas: u32) -> Result<(), Refusal> {
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
    let way_out =
        "deploy several workloads; if they are to stand on one fabric, fewer with more GPUs each";
    Err(Refusal::LimitMet {
        limit: "max_replicas",
        maximum: u64::from(maximum),
        way_out,
    })
}

/// Refuses a name that is taken, and says by what: reservations and orders are not among what runs.
pub(super) fn check_name(
    draft: &Draft<'_>,
    project: ProjectId,
    label: Label,
) -> Result<(), Refusal> {
    let Some(id) = draft.index.workload_named(project, label) else {
        return Ok(());
    };
    let state = draft.state;
    let kind = match state.workloads.get(&id) {
        Some(workload) if workload.stopping => {
            return Err(Refusal::WrongState {
                kind: "the workload of this name",
                state: "stopping still",
                way_out: "try again when it is gone, in some seconds",
            });
        }
        Some(_) => "workload",
        None if state.reservations.contains_key(&id) => "reservation (`remuda reservation ls`)",
        None => "standing order (`remuda order ls`)",
    };
    Err(Refusal::NameTaken { kind })
}

pub(super) fn check_room(draft: &Draft<'_>, project: ProjectId) -> Result<(), Refusal> {
    let maximum = draft.state.policy.max_workloads;
    let live = draft.index.projects.names(project);
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

/// Whose a replica is.
struct Owner<'a> {
    workload: WorkloadId,
    project: ProjectId,
    terms: &'a Terms,
}

impl<'a> Owner<'a> {
    /// What its first lease is made of.
    fn new_replica(&self, draft: &mut Draft<'_>) -> Grant<'a> {
        let replica = ReplicaId::derived(draft.id, draft.ordinal());
        draft.push(Event::ReplicaAdded {
            replica,
            workload: self.workload,
        });
        Grant {
            workload: self.workload,
            project: self.project,
            replica,
            terms: self.terms,
            epoch: 0,
            succeeds: false,
        }
    }
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
    let have = workload.replica_count();
    if replicas > have {
        grow(draft, (id, workload), (have, replicas))?;
    }
    draft.recount(id);
    let surplus = have.saturating_sub(replicas) as usize;
    let dispensable = dispensable(draft, workload, replicas);
    for replica in dispensable.into_iter().take(surplus) {
        remove_replica(draft, replica);
    }
    Ok(())
}

/// More replicas beside those that there are. With more of them an owner and a site may have more.
fn grow(
    draft: &mut Draft<'_>,
    (id, workload): (WorkloadId, &Workload),
    (have, replicas): (u32, u32),
) -> Result<(), Refusal> {
    gang::check_rests(draft, workload)?;
    let of = Owner {
        workload: id,
        project: workload.project,
        terms: &workload.terms,
    };
    let mut wanted = lease::request(draft, (id, of.terms), replicas, None)?;
    if !gang::settle(draft, of.terms, replicas as usize, &mut wanted) {
        return Err(no_room(of.terms, replicas, Room::Beside(id)));
    }
    // What was reserved has what is kept for it; standbys are for those that lose their nodes.
    let is_reserved = draft.state.reservations.contains_key(&id);
    let standby = if is_reserved {
        Standby::First
    } else {
        Standby::Never
    };
    for _ in have..replicas {
        let grant = of.new_replica(draft);
        if seek(draft, &grant, &wanted, standby)?.is_none() {
            return Err(no_room(of.terms, replicas, Room::Beside(id)));
        }
        lease::count_in(draft, &mut wanted, grant.replica);
    }
    Ok(())
}

/// The replicas in the order in which they may go, if so many are to stay: those that have no lease,
/// then those whose owner or site has as many older ones as it then may, then the others; and of each
/// the youngest: those that serve longest keep their caches.
fn dispensable(draft: &Draft<'_>, workload: &Workload, stay: u32) -> Vec<ReplicaId> {
    let home = |id: &ReplicaId| {
        let replica = draft.state.replicas.get(id)?;
        let lease = replica.successor.or(replica.lease)?;
        let lease = draft.state.leases.get(&lease)?;
        Some((lease.provider, lease.site))
    };
    let mut kept = workload.terms.request(stay).ok();
    let mut is_within = |(owner, site)| {
        kept.as_mut().is_none_or(|kept| {
            let is_within = !kept.keeps_off(owner, site);
            if is_within {
                kept.siblings.add(owner, site);
            }
            is_within
        })
    };
    let oldest_first = workload.replicas.iter();
    let ranked = oldest_first.map(|id| (home(id).map(&mut is_within), *id));
    let mut ranked: Vec<_> = ranked.collect();
    ranked.reverse();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, id)| id).collect()
}

pub(super) fn stop(draft: &mut Draft<'_>, id: WorkloadId) -> Result<(), Refusal> {
    let Some(workload) = draft.state.workloads.get(&id) else {
        return Err(Refusal::not_found("workload", id));
    };
    if !workload.stopping {
        draft.push(Event::WorkloadStopping { workload: id });
        draft.recount(id);
        end_leases(draft, id);
        end_workload_if_idle(draft, id);
    }
    Ok(())
}
