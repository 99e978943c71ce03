//! What of one node is held by spot and kept for claims. What does not belong here: whether it fits.

use remuda_placement::{Amounts, Calendar, GpuSet};
use remuda_types::Shape;

use super::Kept;

/// An amount of a node, and on which GPUs.
pub(crate) type Part = (Shape, GpuSet);

/// In order, so that equal ones are equal however they came about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parts {
    pub(super) spot: Vec<Part>,
    pub(super) standbys: Vec<Part>,
    pub(super) booked: Calendar,
    /// Of what is booked, what leases have.
    pub(super) begun: Vec<Part>,
}

impl Parts {
    pub(super) fn is_empty(&self) -> bool {
        self.spot.is_empty() && !self.has_claims()
    }

    pub(super) fn has_claims(&self) -> bool {
        !(self.standbys.is_empty() && self.booked.is_empty() && self.begun.is_empty())
    }

    /// What is kept for all claims, at the moment when it is most.
    pub(super) fn claimed(&self) -> Amounts {
        let booked = self.booked.most().beyond(&Amounts::of(&self.begun));
        booked.plus(&Amounts::of(&self.standbys))
    }

    /// What the claims take beyond what spot does.
    pub(super) fn aside(&self) -> Amounts {
        self.claimed().beyond(&Amounts::of(&self.spot))
    }

    pub(super) fn keep(&mut self, kept: &Kept) {
        match kept {
            Kept::Standby(part) => put(&mut self.standbys, *part),
            Kept::Booked(booking) => self.booked.book(*booking),
            Kept::Begun(part) => put(&mut self.begun, *part),
        }
    }

    /// Undoes [`Parts::keep`]; says whether it was kept.
    pub(super) fn unkeep(&mut self, kept: &Kept) -> bool {
        match kept {
            Kept::Standby(part) => take(&mut self.standbys, *part),
            Kept::Booked(booking) => self.booked.cancel(booking),
            Kept::Begun(part) => take(&mut self.begun, *part),
        }
    }
}

pub(super) fn put(parts: &mut Vec<Part>, part: Part) {
    let at = parts.partition_point(|other| *other < part);
    parts.insert(at, part);
}

pub(super) fn take(parts: &mut Vec<Part>, part: Part) -> bool {
    let found = parts.binary_search(&part);
    found.map(|at| parts.remove(at)).is_ok()
}
