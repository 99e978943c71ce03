//! What the estimate finds, what it does not, and what holds of it whatever is fed.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const YEAR: Span = Span::from_secs(365 * 86_400);
const RULE: Rule = Rule {
    window: Span::from_secs(600),
    half_life: YEAR,
    lift_milli: 20_000,
};

fn site(number: u64) -> SiteId {
    SiteId::from_u128(u128::from(number))
}

fn at(hours: u64) -> Time {
    Time::EPOCH + YEAR + Span::from_secs(hours * 3_600)
}

/// Splitmix64: numbers that are spread well enough for a test.
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % most
    }
}

/// Outages of `sites` at `each` a year for so many years, at any time and each by itself.
fn independent(sites: u64, each: u64, years: u64, seed: u64) -> Vec<(u64, u64)> {
    let mut draws = Draws(seed);
    let span = years * YEAR.as_millis();
    let count = sites * each * years;
    let mut outages: Vec<_> = (0..count)
        .map(|_| (draws.below(span), draws.below(sites)))
        .collect();
    outages.sort_unstable();
    outages
}

fn fed(outages: &[(u64, u64)], rule: &Rule) -> Kinship {
    let mut kinship = Kinship::default();
    for (millis, number) in outages {
        kinship.observe(site(*number), Time::from_millis(*millis), rule);
    }
    kinship
}

#[test]
fn sites_that_fail_often_and_apart_are_no_kin_even_after_years() {
    for (each, seed) in [(55, 1), (25, 2), (8, 3)] {
        let mut kinship = Kinship::default();
        let (mut year, mut most) = (1, 0);
        for (millis, number) in independent(300, each, 5, seed) {
            if millis > year * YEAR.as_millis() {
                most = most.max(kinship.kin(RULE).count());
                year += 1;
            }
            kinship.observe(site(number), Time::from_millis(millis), &RULE);
        }
        most = most.max(kinship.kin(RULE).count());
        assert!(most <= 6, "{most} of 44,850 pairs at {each} outages a year");
    }
}

#[test]
fn sites_that_share_a_fate_are_found_after_three_joint_outages_among_many_that_do_not() {
    let mut outages = independent(300, 55, 1, 4);
    let (end, minute) = (YEAR.as_millis(), 60_000);
    for hours in [500, 900, 1_300] {
        let together = [(300, 0), (301, minute)];
        outages.extend(together.map(|(number, late)| (end + hours * 3_600_000 + late, number)));
    }
    let found = |count: usize| {
        let mut kinship = fed(&outages[..outages.len() - 6], &RULE);
        for (millis, number) in &outages[outages.len() - 6..][..2 * count] {
            kinship.observe(site(*number), Time::from_millis(*millis), &RULE);
        }
        kinship.are_kin(site(300), site(301), &RULE)
    };
    assert_eq!([1, 3].map(found), [false, true]);
}

#[test]
fn one_joint_outage_says_nothing_two_close_ones_do_and_failing_apart_undoes_it() {
    let mut kinship = Kinship::default();
    let (one, other) = (site(1), site(2));
    let believed = |kinship: &Kinship| kinship.are_kin(one, other, &RULE);
    assert_eq!(kinship.lift_milli(one, other, &RULE), 1_000);
    for (hours, expected) in [(0, false), (400, true)] {
        kinship.observe(one, at(hours), &RULE);
        kinship.observe(other, at(hours), &RULE);
        assert_eq!(believed(&kinship), expected);
    }
    assert_eq!(kinship.kin_of(one, RULE).collect::<Vec<_>>(), [other]);
    // Long silence of both is no evidence, outages of one alone are.
    let (mut alone, years) = (0, 24 * 365);
    while believed(&kinship) {
        alone += 1;
        kinship.observe(one, at(3 * years + alone * 200), &RULE);
    }
    assert!(alone < 40, "{alone}");
}

#[test]
fn nobody_is_kin_under_a_rule_that_asks_for_nothing_or_too_much() {
    let mut kinship = Kinship::default();
    for hours in [0, 100, 200, 300] {
        kinship.observe(site(1), at(hours), &RULE);
        kinship.observe(site(2), at(hours), &RULE);
    }
    assert_eq!(kinship.kin(RULE).count(), 1);
    for lift_milli in [0, u32::MAX] {
        let rule = Rule { lift_milli, ..RULE };
        assert_eq!(kinship.kin(rule).count(), 0);
    }
}

#[test]
fn a_site_that_flaps_is_in_one_outage() {
    let mut kinship = Kinship::default();
    kinship.observe(site(1), at(0), &RULE);
    for seconds in 0..60 {
        let now = at(0) + Span::from_secs(seconds * 10);
        kinship.observe(site(2), now, &RULE);
    }
    assert!(kinship.is_out(site(2), at(0) + RULE.window, &RULE));
    assert!(!kinship.are_kin(site(1), site(2), &RULE));
}

#[test]
fn what_does_not_fit_is_forgotten_the_weakest_first() {
    let mut kinship = Kinship::default();
    // Two that have met before, and then more pairs at once than are remembered.
    for hours in [0, 200, 400] {
        kinship.observe(site(1_000), at(hours), &RULE);
        kinship.observe(site(1_001), at(hours), &RULE);
    }
    for number in 0..200 {
        kinship.observe(site(number), at(600), &RULE);
        assert!(kinship.pairs() <= PAIRS_MAX);
    }
    assert!(kinship.cuts() > 0 && kinship.pairs() > PAIRS_MAX / 2);
    assert!(kinship.are_kin(site(1_000), site(1_001), &RULE));
    for number in 0..=SITES_MAX as u64 {
        let now = at(700) + Span::from_secs(number * 1_000);
        kinship.observe(site(number), now, &RULE);
        assert!(kinship.sites().count() <= SITES_MAX);
    }
    assert!(!kinship.are_kin(site(1_000), site(1_001), &RULE));
}

proptest! {
    #[test]
    fn the_order_of_outages_that_begin_at_once_means_nothing(
        mut outages in vec((0_u64..12, 0_u64..6), 0..60), turn in any::<u64>(),
    ) {
        for (slot, _) in &mut outages {
            *slot *= 400_000;
        }
        outages.sort_by_key(|(millis, _)| *millis);
        let one = fed(&outages, &RULE);
        let mut draws = Draws(turn);
        outages.sort_by_cached_key(|(millis, _)| (*millis, draws.below(u64::MAX)));
        prop_assert_eq!(fed(&outages, &RULE), one);
    }

    #[test]
    fn what_was_written_down_goes_on_as_if_nothing_had_been(
        outages in vec((0_u64..90_000_000_000, 0_u64..6), 0..60), split in 0_usize..60,
    ) {
        let whole = fed(&outages, &RULE);
        let (first, rest) = outages.split_at(split.min(outages.len()));
        let bytes = minicbor::to_vec(fed(first, &RULE)).unwrap();
        let mut read: Kinship = minicbor::decode(&bytes).unwrap();
        for (millis, number) in rest {
            read.observe(site(*number), Time::from_millis(*millis), &RULE);
        }
        prop_assert_eq!(read, whole);
    }

    #[test]
    fn an_outage_changes_nothing_of_pairs_that_its_site_is_not_of(
        outages in vec((0_u64..90_000_000_000, 0_u64..6), 1..60),
    ) {
        let mut kinship = Kinship::default();
        for (millis, number) in &outages {
            let before = kinship.clone();
            kinship.observe(site(*number), Time::from_millis(*millis), &RULE);
            for (one, other) in (0..6).flat_map(|a| (0..a).map(move |b| (a, b))) {
                let lift = |of: &Kinship| of.lift_milli(site(one), site(other), &RULE);
                prop_assert_eq!(lift(&kinship), kinship.lift_milli(site(other), site(one), &RULE));
                if one != *number && other != *number && before.sites().count() > 1 {
                    prop_assert_eq!(lift(&before), lift(&kinship));
                }
            }
        }
    }

    #[test]
    fn no_rule_and_no_time_is_too_odd(
        outages in vec((any::<u64>(), 0_u64..6), 0..30),
        (window, half_life, lift_milli) in any::<(u64, u64, u32)>(),
    ) {
        let rule = Rule {
            window: Span::from_millis(window),
            half_life: Span::from_millis(half_life),
            lift_milli,
        };
        let kinship = fed(&outages, &rule);
        for (one, other) in kinship.kin(rule) {
            prop_assert!(kinship.kin_of(one, rule).any(|kin| kin == other));
            prop_assert!(kinship.kin_of(other, rule).any(|kin| kin == one));
        }
    }
}
