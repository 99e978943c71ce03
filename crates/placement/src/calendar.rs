//! What is booked of one node, from when to when. What does not belong here: whose it is, and how much
//! a node has.

mod load;
mod profile;

use std::collections::BTreeMap;

use remuda_types::{Shape, Time};

use crate::amounts::Amounts;
use crate::free::GpuSet;

use profile::Profile;

/// A part of a node, from a time on and before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Booking {
    /// From when on.
    pub from: Time,
    /// Before when.
    pub to: Time,
    /// How much.
    pub shape: Shape,
    /// Which of the node's GPUs.
    pub gpus: GpuSet,
}

/// The bookings of a node. Those whose times do not meet may have the same capacity.
///
/// What is booked when is kept up with each booking, and never worked out from all of them.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    /// Each with how often it was made.
    bookings: BTreeMap<Booking, u32>,
    count: usize,
    profile: Profile,
}

impl Calendar {
    /// Adds a booking.
    pub fn book(&mut self, booking: Booking) {
        *self.bookings.entry(booking).or_default() += 1;
        self.count += 1;
        self.profile.add(&booking);
    }

    /// Takes a booking out; says whether it was there.
    pub fn cancel(&mut self, booking: &Booking) -> bool {
        let Some(times) = self.bookings.get_mut(booking) else {
            return false;
        };
        *times -= 1;
        if *times == 0 {
            self.bookings.remove(booking);
        }
        self.count -= 1;
        self.profile.take(booking);
        true
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bookings.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The most that is booked at any one moment.
    pub fn most(&self) -> &Amounts {
        self.profile.most()
    }

    /// The most that is booked at any one moment from a time on and before another: of each GPU,
    /// and of everything else, on its own.
    pub fn most_within(&self, from: Time, to: Time) -> Amounts {
        self.profile.most_within(from, to)
    }
}

/// Equal where their bookings are, however they came about.
impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        self.bookings == other.bookings
    }
}

impl Eq for Calendar {}
