//! Which nodes have something booked when, over all nodes.

use std::collections::{BTreeMap, BTreeSet};

use remuda_placement::Booking;
use remuda_types::{NodeKey, Span, Time};

use super::Interval;

/// The bookings of all nodes by how long they are, in powers of two, and then by when they begin.
/// What meets an interval begins before its end, and no earlier than it is long before its start: so
/// no more than twice as many are looked at as are found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Times(BTreeMap<Row, u32>);

/// How long at most, from when on, before when, and where.
type Row = (u32, Time, Time, NodeKey);

/// No time is longer than so many bits say.
const LONGEST: u32 = u64::BITS;

fn row(node: NodeKey, booking: &Booking) -> Row {
    let long = booking.to.since(booking.from).as_millis();
    let bits = u64::BITS - long.leading_zeros();
    (bits, booking.from, booking.to, node)
}

impl Times {
    pub(super) fn add(&mut self, node: NodeKey, booking: &Booking) {
        *self.0.entry(row(node, booking)).or_default() += 1;
    }

    /// Undoes [`Times::add`].
    pub(super) fn take(&mut self, node: NodeKey, booking: &Booking) {
        let row = row(node, booking);
        if let Some(times) = self.0.get_mut(&row) {
            *times -= 1;
            if *times == 0 {
                self.0.remove(&row);
            }
        }
    }

    /// The nodes of which something is booked at a moment of this interval.
    pub(super) fn meeting(&self, interval: Interval) -> BTreeSet<NodeKey> {
        let lengths = 0..=LONGEST;
        lengths
            .flat_map(|bits| self.of_length(bits, interval))
            .collect()
    }

    fn of_length(&self, bits: u32, (from, to): Interval) -> impl Iterator<Item = NodeKey> + '_ {
        let longest = 1_u64.checked_shl(bits).unwrap_or(u64::MAX);
        let key = |at| (bits, at, Time::EPOCH, NodeKey([0; 32]));
        let earliest = from - Span::from_millis(longest);
        // Where it is no interval at all, nothing meets it.
        let rows = self.0.range(key(earliest)..key(to.max(earliest)));
        let rows = rows.filter(move |((_, _, ends, _), _)| *ends > from);
        rows.map(|((_, _, _, node), _)| *node)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use remuda_placement::GpuSet;
    use remuda_types::Shape;

    use super::*;

    fn booking(from: u64, long: u64) -> Booking {
        Booking {
            from: Time::from_millis(from),
            to: Time::from_millis(from + long),
            shape: Shape::default(),
            gpus: GpuSet::default(),
        }
    }

    proptest! {
        #[test]
        fn those_that_meet_are_found(
            booked in vec((0_u8..6, 0_u64..300, 1_u64..200), 0..30),
            gone in 0_usize..30,
            (from, long) in (0_u64..300, 0_u64..300),
        ) {
            let mut times = Times::default();
            for (node, from, long) in &booked {
                times.add(NodeKey([*node; 32]), &booking(*from, *long));
            }
            let gone = gone.min(booked.len());
            for (node, from, long) in &booked[..gone] {
                times.take(NodeKey([*node; 32]), &booking(*from, *long));
            }
            let to = from + long;
            let meets = |(_, begins, long): &&(u8, u64, u64)| *begins < to && from < begins + long;
            let expected = booked[gone..].iter().filter(meets);
            let expected: BTreeSet<_> = expected.map(|(node, ..)| NodeKey([*node; 32])).collect();
            let interval = (Time::from_millis(from), Time::from_millis(to));
            prop_assert_eq!(times.meeting(interval), expected);
        }
    }
}
