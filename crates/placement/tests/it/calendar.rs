//! A node's calendar against a look at every moment.

use proptest::collection::vec;
use proptest::prelude::*;
use remuda_placement::{Amounts, Booking, Calendar, GpuSet};
use remuda_types::{Shape, Time};

fn bookings() -> impl Strategy<Value = Booking> {
    (0_u64..12, 1_u64..8, 0_u64..8, 0_u64..3).prop_map(|(from, long, gpus, cpu)| {
        let gpus = GpuSet::from_bits(gpus);
        Booking {
            from: Time::from_millis(from),
            to: Time::from_millis(from + long),
            shape: Shape {
                gpu_milli: u64::from(gpus.len()) * 1_000,
                cpu_milli: cpu,
                ..Shape::default()
            },
            gpus,
        }
    })
}

proptest! {
    #[test]
    fn the_most_is_that_of_all_moments(
        booked in vec(bookings(), 0..8),
        cancelled in vec(any::<proptest::sample::Index>(), 0..3),
        from in 0_u64..12,
        long in 0_u64..12,
    ) {
        let (mut calendar, mut left) = (Calendar::default(), booked.clone());
        for booking in &booked {
            calendar.book(*booking);
        }
        for index in cancelled.iter().filter(|_| !booked.is_empty()) {
            let booking = index.get(&booked);
            let at = left.iter().position(|other| other == booking);
            prop_assert_eq!(calendar.cancel(booking), at.is_some());
            at.map(|at| left.remove(at));
        }
        prop_assert_eq!(calendar.is_empty(), left.is_empty());
        let most = |range: std::ops::Range<u64>| {
            range.fold(Amounts::default(), |most, at| {
                let at = Time::from_millis(at);
                let there = left.iter().filter(|b| b.from <= at && at < b.to);
                let parts: Vec<_> = there.map(|b| (b.shape, b.gpus)).collect();
                most.or(&Amounts::of(&parts))
            })
        };
        let is = |one: &Amounts, other: &Amounts| {
            one.beyond(other).is_nothing() && other.beyond(one).is_nothing()
        };
        prop_assert!(is(&calendar.most(), &most(0..20)));
        let within = calendar.most_within(Time::from_millis(from), Time::from_millis(from + long));
        prop_assert!(is(&within, &most(from..from + long)));
    }
}
