//! What is booked of one node, from when to when.

use remuda_types::{Shape, Time};

use crate::amounts::Amounts;
use crate::free::GpuSet;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// In order, so that equal ones are equal however they came about.
    bookings: Vec<Booking>,
}

impl Calendar {
    /// Adds a booking.
    pub fn book(&mut self, booking: Booking) {
        let at = self.bookings.partition_point(|other| *other < booking);
        self.bookings.insert(at, booking);
    }

    /// Takes a booking out; says whether it was there.
    pub fn cancel(&mut self, booking: &Booking) -> bool {
        let found = self.bookings.binary_search(booking);
        found.map(|at| self.bookings.remove(at)).is_ok()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bookings.is_empty()
    }

    /// The most that is booked at any one moment.
    pub fn most(&self) -> Amounts {
        self.most_within(Time::EPOCH, Time::FOREVER)
    }

    /// The most that is booked at any one moment from a time on and before another: of each GPU,
    /// and of everything else, on its own.
    pub fn most_within(&self, from: Time, to: Time) -> Amounts {
        let meets = |booking: &&Booking| booking.from < to && from < booking.to;
        let met: Vec<_> = self.bookings.iter().filter(meets).collect();
        // What is booked is most when something begins, or at the start.
        let moments = met.iter().map(|booking| booking.from.max(from));
        let moments = moments.filter(|at| *at < to);
        moments.fold(Amounts::default(), |most, at| {
            let booked = met.iter().filter(|b| b.from <= at && at < b.to);
            let parts: Vec<_> = booked.map(|b| (b.shape, b.gpus)).collect();
            most.or(&Amounts::of(&parts))
        })
    }
}
