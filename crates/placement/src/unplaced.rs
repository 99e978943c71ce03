//! Why a replica has no place: what eliminated how many nodes, and what would help.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::num::NonZeroU32;

use remuda_types::{ProviderId, SiteId};

use crate::constraint::Constraint;
use crate::fleet::Fleet;
use crate::pool::Common;
use crate::quotas::Cell;
use crate::relaxation::{Changes, Relaxation};
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
    /// The smallest of the single changes tried that would place all replicas, if one would; else to
    /// ask for those only that have a place.
    pub relaxation: Option<Relaxation>,
    /// What was asked for.
    pub request: Box<Request>,
}

impl Unplaced {
    /// The same where so many have a place already, and are counted.
    #[must_use]
    pub fn beside(mut self, have: u32) -> Self {
        self.placed = self.placed.saturating_add(have);
        self.replicas = self.replicas.saturating_add(have);
        if let Some(Relaxation::Replicas(most)) = &mut self.relaxation {
            *most = most.saturating_add(have);
        }
        self
    }

    /// Why one replica has no place.
    pub(crate) fn explain(fleet: &Fleet, request: &Request) -> Self {
        let fleets = Fleets(fleet, None);
        Self::of(fleets, request, &Taken::default(), (0, 1))
    }

    /// Why the members of a group do not all have a place, if they have not. Since they have not,
    /// those that do take all the room that there is: nodes that one of them could have are full
    /// for the next.
    pub(crate) fn of_group(
        (fleet, instead): (&Fleet, &Fleet),
        request: &Request,
        replicas: Replicas,
    ) -> Option<Self> {
        let fleets = Fleets(fleet, Some(instead));
        let (room, taken) = fleets.room(request, replicas.get());
        if room >= u64::from(replicas.get()) {
            return None;
        }
        let progress = (u32::try_from(room).unwrap_or(u32::MAX), replicas.get());
        Some(Self::of(fleets, request, &taken, progress))
    }

    /// Why the next has no place beside those that are `taken`, none of which takes room in the
    /// fleets: there all of them are to have room once a change is made.
    fn of(
        fleets: Fleets<'_>,
        request: &Request,
        taken: &Taken,
        (placed, replicas): (u32, u32),
    ) -> Self {
        let (mut eliminated, mut changes) = (BTreeMap::new(), Changes::default());
        for view in fleets.seen(request, taken) {
            let first = view.first_failure();
            if let Some(constraint) = first.or_else(|| view.short_when_full()) {
                *eliminated.entry(constraint).or_insert(0) += view.nodes;
            }
            changes.note(&view);
        }
        // What admits a node admits one replica.
        let helps = |change| replicas == 1 || fleets.have_room(change, request, replicas);
        let relaxation = changes.smallest((request, replicas), helps);
        Self {
            nodes: fleets.0.len(),
            placed,
            replicas,
            eliminated: eliminated.into_iter().collect(),
            relaxation: relaxation.or_else(|| fewer(request, placed)),
            request: Box::new(request.clone()),
        }
    }
}

/// As many as have a place. Fewer that are spread may be with fewer owners, so nothing is known of them.
fn fewer(request: &Request, placed: u32) -> Option<Relaxation> {
    let placed = NonZeroU32::new(placed).filter(|_| !request.spreads());
    placed.map(Relaxation::Replicas)
}

/// All nodes: those of the first, but as the second has those that it has.
#[derive(Clone, Copy)]
struct Fleets<'a>(&'a Fleet, Option<&'a Fleet>);

impl<'a> Fleets<'a> {
    fn seen(self, request: &'a Request, taken: &'a Taken) -> impl Iterator<Item = View<'a>> {
        let nowhere = Elsewhere::default();
        let elsewhere = self.1.map_or(nowhere, Elsewhere::of);
        let seen = views(self.0, elsewhere, request, taken);
        let instead = self.1.into_iter();
        seen.chain(instead.flat_map(move |fleet| views(fleet, nowhere, request, taken)))
    }

    /// Whether so many have room once the request is changed.
    fn have_room(self, change: Relaxation, request: &Request, replicas: u32) -> bool {
        let (room, _) = self.room(&change.applied_to(request), replicas);
        room >= u64::from(replicas)
    }

    /// How many members of a group have room, and where they then are; as soon as they are enough no
    /// more are counted, unless they are spread.
    fn room(self, request: &Request, enough: u32) -> (u64, Taken) {
        let (mut rooms, nothing) = (Rooms::new(), Taken::default());
        let seen = self.seen(request, &nothing);
        for view in seen.filter(|view| view.first_failure().is_none()) {
            let room = rooms.entry(Within::of(request, view.common)).or_default();
            *room = room.saturating_add(view.room());
            if *room >= u64::from(enough) && !request.spreads() {
                break;
            }
        }
        if request.spreads() {
            return apart(rooms, request);
        }
        let most = rooms.into_iter().rev().max_by_key(|(_, room)| *room);
        let (within, room) = most.unwrap_or((Within::AllNodes, 0));
        let fabric = within.fabric();
        (room, Taken { fabric, ..nothing })
    }
}

/// How many replicas there is room for within each, were there no others.
type Rooms = BTreeMap<Within, u64>;

/// Nodes that members of a group choose from together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Within {
    AllNodes,
    /// Members are on one fabric.
    Fabric(Cell),
    /// Members are spread: an owner and a site have as many as they may.
    Site(ProviderId, SiteId),
}

impl Within {
    fn of(request: &Request, common: &Common) -> Self {
        if request.spreads() {
            Self::Site(common.provider, common.site)
        } else if request.together == Together::Fabric {
            Self::Fabric(common.cell())
        } else {
            Self::AllNodes
        }
    }

    const fn fabric(self) -> Option<Cell> {
        match self {
            Self::Fabric(cell) => Some(cell),
            Self::AllNodes | Self::Site(..) => None,
        }
    }
}

/// How many members have room if they are spread: site after site takes as many as it may. What takes
/// less than it has room for has reached its limit, or its owner has.
fn apart(rooms: Rooms, request: &Request) -> (u64, Taken) {
    let (mut all, mut taken) = (0_u64, Taken::default());
    for (within, room) in rooms {
        if let Within::Site(owner, site) = within {
            let may = request.may_take((owner, site), &taken.members);
            let takes = u32::try_from(room).unwrap_or(u32::MAX).min(may);
            taken.members.add_many(owner, site, takes);
            all = all.saturating_add(u64::from(takes));
        }
    }
    (all, taken)
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
