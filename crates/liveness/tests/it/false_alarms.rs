//! Losing packets is no death: seeded counts, asserted against the arithmetic in `policy`.

use remuda_types::Span;

use crate::world::{CALM, Weather, World};

#[test]
fn one_percent_of_loss_raises_suspicion_as_often_as_computed_and_no_alarm() {
    let mut world = World::new(
        1_000,
        1,
        Weather {
            loss_permille: 10,
            ..CALM
        },
    );
    world.run(world.now + Span::from_secs(120));
    assert!(world.lost().is_empty());
    // 120,000 reports, 1 % of them missed: 1,200 rounds, give or take five deviations (35 each).
    assert!(
        (1_025..=1_375).contains(&world.rounds),
        "{} rounds",
        world.rounds
    );
}

/// Alarms are too rare at 1 % to be counted, so the formula of [`remuda_liveness::policy`] is held
/// against a wire so bad that they can be: a round ends in an alarm with at most q⁸ · p.
#[test]
fn alarms_on_a_terrible_wire_stay_under_the_formula() {
    let mut world = World::new(
        4_000,
        7,
        Weather {
            loss_permille: 500,
            ..CALM
        },
    );
    world.run(world.now + Span::from_secs(30));
    // p = 1/2, q = 1 − (1/2)² = 3/4: at most 3⁸ / (4⁸ · 2) = 6,561 / 131,072 = 5.0 % of the rounds.
    let expected = world.rounds * 6_561 / 131_072;
    let alarms = u64::try_from(world.lost().len()).unwrap();
    assert!(world.rounds > 10_000, "{} rounds", world.rounds);
    assert!(
        alarms <= expected + 5 * expected.isqrt(),
        "{alarms} alarms, {expected} expected"
    );
    assert!(
        alarms * 4 >= expected,
        "{alarms} alarms, {expected} expected: the test sees too few"
    );
}

/// The same formula at 1 %, in units of 10⁻¹⁸: under one alarm a day for 1,000 nodes, by far.
#[test]
fn the_formula_gives_less_than_one_alarm_a_day_for_a_thousand_nodes() {
    // q = 0.0199 as 199 / 10⁴, so q⁸ = 199⁸ / 10³²; rounds a day 864,000; p = 1 / 100.
    let q8 = 199_u128.pow(8);
    let alarms_in_1e_34 = 864_000 * q8;
    assert!(alarms_in_1e_34 < 10_u128.pow(34) / 1_000_000_000);
}
