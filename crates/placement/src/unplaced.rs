//! Why a replica has no place: what eliminated how many nodes, and what would help.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use remuda_types::{ProviderId, SiteId};

use crate::constraint::Constraint;
use crate::fleet::Fleet;
use crate::quotas::Cell;
use crate::relaxation::Relaxation;
use crate::request::{Replicas, Request, Together};
use crate::text::Nodes;
use crate::view::{Elsewhere, Taken, View, views};

/// Why a replica has no place. `412 nodes: 380 not in KR, 30 under 80 GB, 2 over 2.10 USD/h`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// How many nodes the fleet has.
    pub nodes: usize,
    /// How many replicas of the group had found a place when this one did not.
    pub placed: u32,
    /// How many replicas were asked for: 1 when it was no group.
    pub replicas: u32,
    /// How many nodes each constraint eliminated, in the order of [`Constraint::ALL`], those that
    /// eliminated none left out. Each node is counted once, under its first: the sum is `nodes`.
    pub eliminated: Vec<(Constraint, usize)>,
    /// The smallest single change that would place this replica, if one would.
    pub relaxation: Option<Relaxation>,
    /// What was asked for.
    pub request: Box<Request>,
}

impl Unplaced {
    /// Why the replica after the `placed` first has no place.
    pub(crate) fn explain(
        fleet: &Fleet,
        request: &Request,
        taken: &Taken,
        (placed, replicas): (u32, u32),
    ) -> Self {
        let nowhere = Elsewhere::default();
        let seen = views(fleet, nowhere, request, taken);
        Self::of_views(seen, fleet.len(), request, (placed, replicas))
    }

    /// The same, where `instead` says what is free on the nodes that it has.
    pub(crate) fn explain_with(
        fleets: (&Fleet, &Fleet),
        request: &Request,
        taken: &Taken,
        progress: (u32, u32),
    ) -> Self {
        let seen = seen(fleets, request, taken);
        Self::of_views(seen, fleets.0.len(), request, progress)
    }

    /// Why the members of a group do not all have a place, if they have not. Since they have not,
    /// those that do take all the room that there is: nodes that one of them could have are full
    /// for the next.
    pub(crate) fn of_group(
        fleets: (&Fleet, &Fleet),
        request: &Request,
        replicas: Replicas,
    ) -> Option<Self> {
        let (room, taken) = room(fleets, request);
        if room >= u64::from(replicas.get()) {
            return None;
        }
        let progress = (u32::try_from(room).unwrap_or(u32::MAX), replicas.get());
        let seen = seen(fleets, request, &taken);
        Some(Self::of_views(seen, fleets.0.len(), request, progress))
    }

    fn of_views<'a>(
        seen: impl Iterator<Item = View<'a>>,
        nodes: usize,
        request: &Request,
        (placed, replicas): (u32, u32),
    ) -> Self {
        let mut eliminated = BTreeMap::new();
        let seen = seen.inspect(|view| {
            let first = view.first_failure();
            if let Some(constraint) = first.or_else(|| view.short_when_full()) {
                *eliminated.entry(constraint).or_insert(0) += view.nodes;
            }
        });
        let relaxation = Relaxation::smallest(seen);
        Self {
            nodes,
            placed,
            replicas,
            eliminated: eliminated.into_iter().collect(),
            relaxation,
            request: Box::new(request.clone()),
        }
    }
}

/// All nodes, those looked at in `instead` that it has.
fn seen<'a>(
    (fleet, instead): (&'a Fleet, &'a Fleet),
    request: &'a Request,
    taken: &'a Taken,
) -> impl Iterator<Item = View<'a>> {
    let (elsewhere, nowhere) = (Elsewhere::of(instead), Elsewhere::default());
    let seen = views(fleet, elsewhere, request, taken);
    seen.chain(views(instead, nowhere, request, taken))
}

/// How many members of a group have room, and where they then are.
fn room(fleets: (&Fleet, &Fleet), request: &Request) -> (u64, Taken) {
    let mut rooms = Rooms::default();
    let nothing = Taken::default();
    for view in seen(fleets, request, &nothing).filter(|view| view.first_failure().is_none()) {
        rooms.add(&view);
    }
    if request.spreads() {
        rooms.apart(request)
    } else if request.together == Together::Fabric {
        let most = rooms.fabrics.into_iter().rev();
        let most = most.max_by_key(|(_, room)| *room);
        let (fabric, room) = most.map_or((None, 0), |(fabric, room)| (Some(fabric), room));
        (room, Taken { fabric, ..nothing })
    } else {
        (rooms.all, nothing)
    }
}

/// How many replicas there is room for, were there no others.
#[derive(Default)]
struct Rooms {
    all: u64,
    fabrics: BTreeMap<Cell, u64>,
    sites: BTreeMap<(ProviderId, SiteId), u64>,
}

impl Rooms {
    fn add(&mut self, view: &View<'_>) {
        let (room, common) = (view.room(), view.common);
        let on_fabric = self.fabrics.entry(common.cell()).or_default();
        let at_site = self
            .sites
            .entry((common.provider, common.site))
            .or_default();
        for rooms in [&mut self.all, on_fabric, at_site] {
            *rooms = rooms.saturating_add(room);
        }
    }

    /// The same of a group whose members are spread: site after site takes as many as it may. What
    /// takes less than it has room for has reached its limit, or its owner has.
    fn apart(self, request: &Request) -> (u64, Taken) {
        let (mut all, mut taken) = (0_u64, Taken::default());
        for ((owner, site), room) in self.sites {
            let may = request.may_take((owner, site), &taken.members);
            let takes = u32::try_from(room).unwrap_or(u32::MAX).min(may);
            taken.members.add_many(owner, site, takes);
            all = all.saturating_add(u64::from(takes));
        }
        (all, taken)
    }
}

impl View<'_> {
    /// How many replicas all of them together have room for.
    fn room(&self) -> u64 {
        let each = self
            .has()
            .map_or(0, |has| has.free.room_for(&self.request.ask));
        each.saturating_mul(self.nodes as u64)
    }

    /// What each of them has too little of when as many replicas are there as have room.
    fn short_when_full(&self) -> Option<Constraint> {
        const AMOUNTS: [Constraint; 4] = [
            Constraint::Gpu,
            Constraint::Cpu,
            Constraint::Memory,
            Constraint::Disk,
        ];
        let rooms = self.has()?.free.rooms(&self.request.ask);
        let least = rooms.into_iter().zip(AMOUNTS).min_by_key(|(room, _)| *room);
        least.map(|(_, short)| short)
    }
}

impl Display for Unplaced {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("the network has no nodes");
        }
        if self.replicas > 1 {
            write!(
                f,
                "placed {} of {}; for the next: ",
                self.placed, self.replicas
            )?;
        }
        write!(f, "{}: ", Nodes(self.nodes))?;
        for (index, (constraint, count)) in self.eliminated.iter().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            write!(f, "{before}{count} {}", constraint.of(&self.request))?;
        }
        Ok(())
    }
}

impl std::error::Error for Unplaced {}
