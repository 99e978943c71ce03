//! A node's calendar against a look at every moment.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;
use remuda_placement::{Amounts, Booking, Calendar, GpuSet};
use remuda_types::{Shape, Time};

fn bookings(ends: u64) -> impl Strategy<Value = Booking> {
    (0..ends, 1_u64..8, 0_u64..8, 0_u64..3).prop_map(|(from, long, gpus, cpu)| {
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

/// A time later than all that is ever booked here.
const LAST: u64 = 420;

/// What is booked, of which some was cancelled.
fn booked(
    ends: u64,
    many: std::ops::Range<usize>,
) -> impl Strategy<Value = (Vec<Booking>, Vec<Index>)> {
    let cancelled = vec(any::<Index>(), many.start / 2..many.end / 2);
    (vec(bookings(ends), many), cancelled)
}

fn check(
    (booked, cancelled): &(Vec<Booking>, Vec<Index>),
    (from, long): (u64, u64),
) -> Result<(), TestCaseError> {
    let (mut calendar, mut left) = (Calendar::default(), booked.clone());
    for booking in booked {
        calendar.book(*booking);
    }
    for index in cancelled.iter().filter(|_| !booked.is_empty()) {
        let booking = index.get(booked);
        let at = left.iter().position(|other| other == booking);
        prop_assert_eq!(calendar.cancel(booking), at.is_some());
        at.map(|at| left.remove(at));
    }
    prop_assert_eq!(calendar.is_empty(), left.is_empty());
    prop_assert_eq!(calendar.len(), left.len());
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
    prop_assert!(is(calendar.most(), &most(0..LAST)));
    let within = calendar.most_within(Time::from_millis(from), Time::from_millis(from + long));
    prop_assert!(is(&within, &most(from..from + long)));
    let mut anew = Calendar::default();
    left.iter().rev().for_each(|booking| anew.book(*booking));
    prop_assert_eq!(calendar, anew);
    Ok(())
}

proptest! {
    #[test]
    fn the_most_is_that_of_all_moments(
        booked in booked(12, 0..8),
        from in 0_u64..12,
        long in 0_u64..12,
    ) {
        check(&booked, (from, long))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn so_it_is_where_there_are_many(
        booked in booked(LAST - 20, 200..400),
        from in 0_u64..LAST,
        long in 0_u64..LAST,
    ) {
        check(&booked, (from, long))?;
    }
}

/// Each of a node's eight GPUs for an hour at a time. Were the most worked out from all bookings, this
/// would take half an hour, and the runner would end it long before.
#[test]
fn twenty_thousand_bookings_are_no_burden() {
    let hour = 3_600_000_u64;
    let booking = |number: u64| Booking {
        from: Time::from_millis(number / 8 * hour + number),
        to: Time::from_millis((number / 8 + 1) * hour),
        shape: Shape {
            gpu_milli: 1_000,
            ..Shape::default()
        },
        gpus: GpuSet::from_bits(1 << (number % 8)),
    };
    let mut calendar = Calendar::default();
    for number in 0..20_000 {
        calendar.book(booking(number));
        assert!(!calendar.most().is_nothing());
    }
    for number in 0..20_000 {
        assert!(calendar.cancel(&booking(number)));
    }
    assert!(calendar.is_empty() && calendar.most().is_nothing());
}
