//! Tests of the balancer: who is picked, ejected, probed again.

use super::*;

fn lease(number: u128) -> LeaseId {
    LeaseId::from_u128(number)
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn route(number: u128, state: State, slots: u32) -> Route {
    Route {
        lease: lease(number),
        node: NodeKey([0; 32]),
        state,
        slots,
    }
}

fn balancer(routes: impl IntoIterator<Item = Route>) -> Balancer {
    let mut balancer = Balancer::new(Policy::default());
    balancer.update(routes);
    balancer
}

fn two_ready() -> Balancer {
    balancer([route(1, State::Ready, 4), route(2, State::Ready, 4)])
}

fn served(millis: u64) -> Outcome {
    Outcome::Served {
        first_token: Some(Span::from_millis(millis)),
    }
}

fn end(balancer: &mut Balancer, number: u128, outcome: Outcome, millis: u64) {
    balancer.dispatched(lease(number));
    balancer.ended(lease(number), outcome, at(millis));
}

fn eject(balancer: &mut Balancer, number: u128, millis: u64) {
    (0..3).for_each(|_| end(balancer, number, Outcome::Failed, millis));
}

#[test]
fn a_burst_spreads_before_any_token_came() {
    let mut balancer = balancer([route(1, State::Ready, 4), route(2, State::Ready, 2)]);
    for _ in 0..6 {
        let lease = balancer.pick(at(0), &[]).unwrap();
        balancer.dispatched(lease);
    }
    assert_eq!(
        (balancer.in_flight(lease(1)), balancer.in_flight(lease(2))),
        (4, 2)
    );
    assert!(matches!(
        balancer.pick(at(0), &[]),
        Err(NoReplica::Busy { .. })
    ));
}

#[test]
fn among_equally_loaded_the_quicker_wins_and_then_the_lower_lease() {
    let mut balancer = two_ready();
    assert_eq!(balancer.pick(at(0), &[]), Ok(lease(1)));
    end(&mut balancer, 1, served(50), 0);
    end(&mut balancer, 2, served(20), 0);
    assert_eq!(balancer.pick(at(0), &[]), Ok(lease(2)));
}

#[test]
fn three_failures_in_a_row_eject_and_a_success_between_does_not() {
    let mut balancer = balancer([route(1, State::Ready, 4)]);
    for outcome in [
        Outcome::Failed,
        Outcome::Failed,
        served(5),
        Outcome::Failed,
        Outcome::Failed,
    ] {
        end(&mut balancer, 1, outcome, 0);
    }
    assert_eq!(balancer.pick(at(0), &[]), Ok(lease(1)));
    end(&mut balancer, 1, Outcome::Failed, 0);
    let retry_after = Span::from_millis(1_000);
    assert_eq!(
        balancer.pick(at(0), &[]),
        Err(NoReplica::Ejected { retry_after })
    );
}

#[test]
fn after_ejection_one_request_tries_and_its_success_lets_others_follow() {
    let mut balancer = balancer([route(1, State::Ready, 4)]);
    eject(&mut balancer, 1, 0);
    assert_eq!(balancer.pick(at(1_000), &[]), Ok(lease(1)));
    balancer.dispatched(lease(1));
    assert!(matches!(
        balancer.pick(at(1_000), &[]),
        Err(NoReplica::Ejected { .. })
    ));
    balancer.ended(lease(1), served(5), at(1_100));
    assert_eq!(balancer.pick(at(1_100), &[]), Ok(lease(1)));
}

#[test]
fn each_ejection_is_twice_as_long_up_to_the_longest() {
    let mut balancer = balancer([route(1, State::Ready, 4)]);
    eject(&mut balancer, 1, 0);
    let mut now = 0;
    for wait in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        assert!(balancer.pick(at(now + wait - 1), &[]).is_err());
        now += wait;
        assert_eq!(balancer.pick(at(now), &[]), Ok(lease(1)));
        end(&mut balancer, 1, Outcome::Failed, now);
    }
}

#[test]
fn a_trial_that_shows_nothing_is_followed_by_another() {
    let mut balancer = balancer([route(1, State::Ready, 4)]);
    eject(&mut balancer, 1, 0);
    end(&mut balancer, 1, Outcome::Released, 1_000);
    assert_eq!(balancer.pick(at(1_000), &[]), Ok(lease(1)));
}

#[test]
fn late_failures_of_an_ejected_replica_do_not_prolong_its_ejection() {
    let mut balancer = balancer([route(1, State::Ready, 8)]);
    (0..5).for_each(|_| balancer.dispatched(lease(1)));
    (0..5).for_each(|_| balancer.ended(lease(1), Outcome::Failed, at(0)));
    assert_eq!(balancer.pick(at(1_000), &[]), Ok(lease(1)));
}

#[test]
fn suspects_serve_only_when_no_ready_one_is_left() {
    let mut balancer = balancer([route(1, State::Suspect, 4), route(2, State::Ready, 1)]);
    assert_eq!(balancer.pick(at(0), &[]), Ok(lease(2)));
    assert_eq!(balancer.pick(at(0), &[lease(2)]), Ok(lease(1)));
    balancer.dispatched(lease(2));
    assert!(matches!(
        balancer.pick(at(0), &[]),
        Err(NoReplica::Busy { .. })
    ));
    balancer.ended(lease(2), Outcome::Failed, at(0));
    eject(&mut balancer, 2, 0);
    assert_eq!(balancer.pick(at(0), &[]), Ok(lease(1)));
}

#[test]
fn draining_ones_take_nothing() {
    let draining = balancer([route(1, State::Draining, 4)]);
    assert_eq!(draining.pick(at(0), &[]), Err(NoReplica::Nowhere));
    assert_eq!(
        two_ready().pick(at(0), &[lease(1), lease(2)]),
        Err(NoReplica::AllTried)
    );
}

#[test]
fn a_replica_that_says_it_is_full_is_left_alone_for_a_moment() {
    let mut balancer = balancer([route(1, State::Ready, 4)]);
    end(&mut balancer, 1, Outcome::Declined, 0);
    let retry_after = Span::from_millis(60);
    assert_eq!(
        balancer.pick(at(40), &[]),
        Err(NoReplica::Busy { retry_after })
    );
    assert_eq!(balancer.pick(at(100), &[]), Ok(lease(1)));
}

#[test]
fn a_new_table_keeps_the_counters_of_leases_that_remain() {
    let mut balancer = two_ready();
    balancer.dispatched(lease(1));
    balancer.dispatched(lease(2));
    balancer.update([route(1, State::Draining, 4)]);
    assert_eq!(
        (balancer.in_flight(lease(1)), balancer.in_flight(lease(2))),
        (1, 1)
    );
    balancer.update([route(1, State::Ready, 4), route(2, State::Ready, 4)]);
    balancer.ended(lease(2), served(1), at(0));
    assert_eq!(balancer.pick(at(0), &[]), Ok(lease(2)));
}

#[test]
fn a_lease_that_is_gone_is_forgotten_with_its_last_request() {
    let mut balancer = two_ready();
    balancer.dispatched(lease(2));
    balancer.update([route(1, State::Ready, 4)]);
    assert_eq!(balancer.pick(at(0), &[lease(1)]), Err(NoReplica::AllTried));
    balancer.ended(lease(2), Outcome::Failed, at(0));
    assert_eq!(balancer.node(lease(2)), None);
}

#[test]
fn who_is_blamed_for_a_trial_is_ejected_for_longer() {
    let mut balancer = balancer([route(1, State::Ready, 1)]);
    eject(&mut balancer, 1, 0);
    end(&mut balancer, 1, Outcome::Released, 1_000);
    balancer.blame(lease(1), at(1_001));
    let retry_after = Span::from_secs(2);
    assert_eq!(
        balancer.pick(at(1_001), &[]),
        Err(NoReplica::Ejected { retry_after })
    );
}
