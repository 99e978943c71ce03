//! Why a replica has no place: what eliminated how many nodes, and what would help.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use crate::constraint::Constraint;
use crate::fleet::Fleet;
use crate::relaxation::Relaxation;
use crate::request::Request;
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
        (fleet, instead): (&Fleet, &Fleet),
        request: &Request,
        taken: &Taken,
        progress: (u32, u32),
    ) -> Self {
        let (elsewhere, nowhere) = (Elsewhere::of(instead), Elsewhere::default());
        let seen = views(fleet, elsewhere, request, taken);
        let seen = seen.chain(views(instead, nowhere, request, taken));
        Self::of_views(seen, fleet.len(), request, progress)
    }

    fn of_views<'a>(
        seen: impl Iterator<Item = View<'a>>,
        nodes: usize,
        request: &Request,
        (placed, replicas): (u32, u32),
    ) -> Self {
        let mut eliminated = BTreeMap::new();
        let seen = seen.inspect(|view| {
            if let Some(constraint) = view.first_failure() {
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
