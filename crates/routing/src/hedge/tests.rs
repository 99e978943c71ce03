//! Tests of hedging: when, where, and never too often.

use proptest::prelude::*;
use remuda_types::{NodeKey, RequestId};

use super::*;
use crate::pick::{self, Route};

const FIRST: LeaseId = LeaseId::from_u128(1);
const SECOND: LeaseId = LeaseId::from_u128(2);

fn balancer(states: &[State]) -> Balancer {
    let mut balancer = Balancer::new(pick::Policy::default());
    balancer.update((1..).zip(states).map(|(n, &state)| Route {
        lease: LeaseId::from_u128(n),
        node: NodeKey([0; 32]),
        state,
        slots: 2,
        price: None,
    }));
    balancer
}

fn ready() -> Balancer {
    balancer(&[State::Ready, State::Ready])
}

/// A hundred first tokens of 1 to 100 ms were measured, and one hedge is saved.
fn hedge() -> Hedge {
    let mut hedge = Hedge::new(Policy {
        patience_least: Span::from_millis(10),
        ..Policy::default()
    });
    (1..=100).for_each(|ms| hedge.first_token(Span::from_millis(ms), 100));
    (0..34).for_each(|_| hedge.earned());
    hedge
}

fn waiting<'a>(wish: &'a Wish, tried: &'a [LeaseId]) -> Waiting<'a> {
    Waiting {
        wish,
        lease: FIRST,
        since: Time::from_millis(1_000),
        tokens: 100,
        tried,
    }
}

fn advice(hedge: &mut Hedge, balancer: &Balancer, millis: u64) -> Advice {
    let wish = Wish::default();
    hedge.advise(&waiting(&wish, &[]), balancer, Time::from_millis(millis))
}

#[test]
fn a_second_is_asked_when_95_of_100_would_have_spoken() {
    let (mut hedge, balancer) = (hedge(), ready());
    let until = Time::from_millis(1_096);
    assert_eq!(advice(&mut hedge, &balancer, 1_000), Advice::Wait { until });
    assert_eq!(advice(&mut hedge, &balancer, 1_095), Advice::Wait { until });
    let second = SECOND;
    assert_eq!(advice(&mut hedge, &balancer, 1_096), Advice::Ask { second });
    let spent = Advice::Refrain(Reason::Spent);
    assert_eq!(advice(&mut hedge, &balancer, 1_096), spent);
}

#[test]
fn who_has_more_to_read_may_take_longer_and_nobody_is_late_before_the_floor() {
    let hedge = hedge();
    assert_eq!(hedge.patience(300), Some(Span::from_millis(288)));
    assert_eq!(hedge.patience(1), Some(Span::from_millis(96)));
    let mut quick = Hedge::new(Policy::default());
    assert_eq!(quick.patience(1), None);
    (0..32).for_each(|_| quick.first_token(Span::from_millis(3), 1));
    assert_eq!(quick.patience(1), Some(Policy::default().patience_least));
}

#[test]
fn without_measures_or_another_ready_replica_nothing_is_spent() {
    let unmeasured = Advice::Refrain(Reason::Unmeasured);
    let mut fresh = Hedge::new(Policy::default());
    assert_eq!(advice(&mut fresh, &ready(), 9_000), unmeasured);
    let mut hedge = hedge();
    for states in [
        &[State::Ready][..],
        &[State::Ready, State::Suspect],
        &[State::Ready, State::Draining],
    ] {
        let alone = advice(&mut hedge, &balancer(states), 9_000);
        assert_eq!(alone, Advice::Refrain(Reason::Alone));
    }
    let mut loaded = ready();
    let long = Wish::of_prompt(&vec![7; 5_000]);
    loaded.dispatched(SECOND, RequestId::from_u128(1), &long);
    let alone = advice(&mut hedge, &loaded, 9_000);
    assert_eq!(alone, Advice::Refrain(Reason::Alone));
    let asked = advice(&mut hedge, &ready(), 9_000);
    assert!(
        matches!(asked, Advice::Ask { .. }),
        "the hedge was still saved"
    );
}

#[test]
fn the_old_is_forgotten() {
    let mut hedge = hedge();
    (0..272).for_each(|_| hedge.first_token(Span::from_millis(500), 100));
    assert_eq!(hedge.patience(100), Some(Span::from_millis(500)));
}

#[derive(Clone, Debug)]
enum Step {
    Earn,
    Measure(u64, u64),
    Advise {
        lease: u128,
        tokens: u64,
        tried: Vec<u128>,
        after: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Earn),
        4 => (0_u64..3_000, any::<u64>()).prop_map(|(ms, tokens)| Step::Measure(ms, tokens)),
        3 => (1_u128..5, 0_u64..3_000, proptest::collection::vec(1_u128..5, 0..3), 0_u64..9_000)
            .prop_map(|(lease, tokens, tried, after)| Step::Advise { lease, tokens, tried, after }),
    ];
    proptest::collection::vec(step, 0..400)
}

fn play(hedge: &mut Hedge, balancer: &Balancer, step: &Step) -> Option<Advice> {
    match step {
        Step::Earn => hedge.earned(),
        Step::Measure(millis, tokens) => hedge.first_token(Span::from_millis(*millis), *tokens),
        Step::Advise {
            lease,
            tokens,
            tried,
            after,
        } => {
            let tried: Vec<_> = tried.iter().map(|n| LeaseId::from_u128(*n)).collect();
            let wish = Wish::default();
            let waiting = Waiting {
                lease: LeaseId::from_u128(*lease),
                tokens: *tokens,
                ..waiting(&wish, &tried)
            };
            let advice = hedge.advise(
                &waiting,
                balancer,
                waiting.since + Span::from_millis(*after),
            );
            if let Advice::Ask { second } = advice {
                assert!(second != waiting.lease && !tried.contains(&second));
                assert_eq!(balancer.state(second), Some(State::Ready));
            }
            return Some(advice);
        }
    }
    None
}

proptest! {
    #[test]
    fn never_more_than_the_share_of_all_requests_is_hedged(
        per_mille in 0_u32..2_000, saved_most in 0_u32..5, steps in steps(),
    ) {
        let policy = Policy { hedges_per_mille: per_mille, saved_most, ..Policy::default() };
        let balancer = balancer(&[State::Ready, State::Ready, State::Draining, State::Suspect]);
        let (mut hedge, mut twin) = (Hedge::new(policy), Hedge::new(policy));
        let (mut requests, mut hedges) = (0_u64, 0_u64);
        for step in &steps {
            let advice = play(&mut hedge, &balancer, step);
            prop_assert_eq!(advice, play(&mut twin, &balancer, step));
            requests += u64::from(matches!(step, Step::Earn));
            hedges += u64::from(matches!(advice, Some(Advice::Ask { .. })));
            prop_assert!(hedges * 1_000 <= requests * u64::from(per_mille.min(1_000)));
        }
    }
}
