//! Trials small enough for a test.

use proptest::prelude::*;
use remuda_types::Span;

use super::*;

fn calm() -> Scene {
    Scene {
        seed: 1,
        nodes: 40,
        lasts: Span::from_secs(120),
        loss: 0.0,
        deaths: 10,
        gateways: 1,
        tick_late: Span::from_millis(5),
        policy: Policy::default(),
    }
}

fn played(scene: Scene) -> Outcome {
    run(&scene).unwrap()
}

#[test]
fn the_same_seed_is_the_same_trial() {
    let scene = Scene {
        loss: 0.05,
        ..calm()
    };
    let outcome = played(scene);
    assert_eq!(outcome, played(scene));
    assert_ne!(outcome, played(Scene { seed: 2, ..scene }));
}

/// 120,000 reports, 1 % of them missed: 1,200 suspicions, give or take five deviations (35 each).
#[test]
fn one_percent_of_loss_raises_suspicion_as_often_as_computed_and_no_alarm() {
    let outcome = played(Scene {
        nodes: 1_000,
        loss: 0.01,
        ..calm()
    });
    let lived = outcome.lived.as_millis() / 1_000;
    assert!((118_000..=120_000).contains(&lived), "{lived}");
    let suspicions = outcome.suspicions;
    assert!((1_025..=1_375).contains(&suspicions), "{suspicions}");
    assert_eq!((outcome.false_alarms, outcome.missed), (0, 0));
    assert_eq!(outcome.detected.len(), 10);
}

/// A wire so bad that alarms can be counted: they are, and the dead are found all the same.
#[test]
fn a_terrible_wire_raises_alarms() {
    let outcome = played(Scene {
        nodes: 1_000,
        loss: 0.5,
        ..calm()
    });
    assert!(outcome.false_alarms > 1_000, "{}", outcome.false_alarms);
    assert_eq!(outcome.missed, 0);
}

/// Where nobody is heard, nobody is condemned.
#[test]
fn a_wire_that_carries_nothing_condemns_nobody() {
    let outcome = played(Scene {
        loss: 1.0,
        ..calm()
    });
    assert_eq!((outcome.reports, outcome.false_alarms), (0, 0));
    assert_eq!(outcome.missed, 10);
}

#[test]
fn what_cannot_be_played_is_refused() {
    let refused = |scene: Scene| run(&scene).unwrap_err().to_string();
    let nobody = refused(Scene { nodes: 0, ..calm() });
    assert_eq!(nobody, "there must be at least one node");
    let loss = refused(Scene {
        loss: 1.01,
        ..calm()
    });
    assert_eq!(loss, "the loss must be between 0 and 1");
    let lasts = Span::from_secs(30);
    let short = refused(Scene { lasts, ..calm() });
    assert_eq!(short, "the trial must last longer than 30.000 s");
    let crowded = refused(Scene {
        deaths: 1_000,
        ..calm()
    });
    assert!(crowded.ends_with("at most 19"), "{crowded}");
}

#[test]
fn everything_is_digested_and_nobody_doubted() {
    let mut digest = Digest::new(1, 500, Policy::default());
    let digested = digest.run(20);
    assert_eq!((digested.reports, digested.doubted), (10_000, 0));
    assert!(digested.ticks > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn without_loss_only_the_dead_are_doubted_and_all_are_found_in_time(
        seed: u64, nodes in 10_u32..60, late_ms in 0_u64..40, gateways in 0_usize..3,
    ) {
        let (lasts, tick_late) = (Span::from_secs(300), Span::from_millis(late_ms));
        let outcome = played(Scene { seed, nodes, lasts, gateways, tick_late, ..calm() });
        prop_assert_eq!((outcome.suspicions, outcome.false_alarms, outcome.missed), (0, 0, 0));
        prop_assert_eq!(outcome.detected.len(), 10);
        // The last word takes 320 ms at most; the round's begin, last probe and end may each be late.
        let bound = Policy::default().detection_bound().as_millis() + 320 + 3 * late_ms;
        let slowest = outcome.detected[9].as_millis();
        prop_assert!(slowest <= bound, "{} ms", slowest);
        // Nobody is judged before the silence and the round are over.
        prop_assert!(outcome.detected[0].as_millis() >= bound - 320 - 3 * late_ms - 1_000);
    }
}
