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
        price: None,
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
    send(balancer, number, 99);
    finish(balancer, number, 99, outcome, millis);
}

fn request(number: u128) -> RequestId {
    RequestId::from_u128(number)
}

fn send(balancer: &mut Balancer, number: u128, of: u128) {
    balancer.dispatched(lease(number), request(of), &Wish::default());
}

fn finish(balancer: &mut Balancer, number: u128, of: u128, outcome: Outcome, millis: u64) {
    balancer.ended(lease(number), request(of), outcome, at(millis));
}

fn eject(balancer: &mut Balancer, number: u128, millis: u64) {
    (0..3).for_each(|_| end(balancer, number, Outcome::Failed, millis));
}

#[test]
fn a_burst_spreads_before_any_token_came() {
    let mut balancer = balancer([route(1, State::Ready, 4), route(2, State::Ready, 2)]);
    for of in 0..6 {
        let lease = balancer.pick(at(0), &Wish::default(), &[]).unwrap();
        balancer.dispatched(lease, request(of), &Wish::default());
    }
    assert_eq!(
        (balancer.in_flight(lease(1)), balancer.in_flight(lease(2))),
        (4, 2)
    );
    assert!(matches!(
        balancer.pick(at(0), &Wish::default(), &[]),
        Err(NoReplica::Busy { .. })
    ));
}

#[test]
fn among_equally_loaded_the_quicker_wins_and_then_the_lower_lease() {
    let mut balancer = two_ready();
    assert_eq!(balancer.pick(at(0), &Wish::default(), &[]), Ok(lease(1)));
    end(&mut balancer, 1, served(50), 0);
    end(&mut balancer, 2, served(20), 0);
    assert_eq!(balancer.pick(at(0), &Wish::default(), &[]), Ok(lease(2)));
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
    assert_eq!(balancer.pick(at(0), &Wish::default(), &[]), Ok(lease(1)));
    end(&mut balancer, 1, Outcome::Failed, 0);
    let retry_after = Span::from_millis(1_000);
    assert_eq!(
        balancer.pick(at(0), &Wish::default(), &[]),
        Err(NoReplica::Ejected { retry_after })
    );
}

#[test]
fn after_ejection_one_request_tries_and_its_success_lets_others_follow() {
    let mut balancer = balancer([route(1, State::Ready, 4)]);
    eject(&mut balancer, 1, 0);
    assert_eq!(
        balancer.pick(at(1_000), &Wish::default(), &[]),
        Ok(lease(1))
    );
    send(&mut balancer, 1, 1);
    assert!(matches!(
        balancer.pick(at(1_000), &Wish::default(), &[]),
        Err(NoReplica::Ejected { .. })
    ));
    finish(&mut balancer, 1, 1, served(5), 1_100);
    assert_eq!(
        balancer.pick(at(1_100), &Wish::default(), &[]),
        Ok(lease(1))
    );
}

#[test]
fn each_ejection_is_twice_as_long_up_to_the_longest() {
    let mut balancer = balancer([route(1, State::Ready, 4)]);
    eject(&mut balancer, 1, 0);
    let mut now = 0;
    for wait in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        assert!(
            balancer
                .pick(at(now + wait - 1), &Wish::default(), &[])
                .is_err()
        );
        now += wait;
        assert_eq!(balancer.pick(at(now), &Wish::default(), &[]), Ok(lease(1)));
        end(&mut balancer, 1, Outcome::Failed, now);
    }
}

#[test]
fn a_trial_that_shows_nothing_is_followed_by_another() {
    let mut balancer = balancer([route(1, State::Ready, 4)]);
    eject(&mut balancer, 1, 0);
    end(&mut balancer, 1, Outcome::Released, 1_000);
    assert_eq!(
        balancer.pick(at(1_000), &Wish::default(), &[]),
        Ok(lease(1))
    );
}

#[test]
fn late_failures_of_an_ejected_replica_do_not_prolong_its_ejection() {
    let mut balancer = balancer([route(1, State::Ready, 8)]);
    (0..5).for_each(|of| send(&mut balancer, 1, of));
    (0..5).for_each(|of| finish(&mut balancer, 1, of, Outcome::Failed, 0));
    assert_eq!(
        balancer.pick(at(1_000), &Wish::default(), &[]),
        Ok(lease(1))
    );
}

#[test]
fn suspects_serve_only_when_no_ready_one_is_left() {
    let mut balancer = balancer([route(1, State::Suspect, 4), route(2, State::Ready, 1)]);
    assert_eq!(balancer.pick(at(0), &Wish::default(), &[]), Ok(lease(2)));
    assert_eq!(
        balancer.pick(at(0), &Wish::default(), &[lease(2)]),
        Ok(lease(1))
    );
    send(&mut balancer, 2, 2);
    assert!(matches!(
        balancer.pick(at(0), &Wish::default(), &[]),
        Err(NoReplica::Busy { .. })
    ));
    finish(&mut balancer, 2, 2, Outcome::Failed, 0);
    eject(&mut balancer, 2, 0);
    assert_eq!(balancer.pick(at(0), &Wish::default(), &[]), Ok(lease(1)));
}

#[test]
fn draining_ones_take_nothing() {
    let draining = balancer([route(1, State::Draining, 4)]);
    assert_eq!(
        draining.pick(at(0), &Wish::default(), &[]),
        Err(NoReplica::Nowhere)
    );
    assert_eq!(
        two_ready().pick(at(0), &Wish::default(), &[lease(1), lease(2)]),
        Err(NoReplica::AllTried)
    );
}

#[test]
fn a_replica_that_says_it_is_full_is_left_alone_for_a_moment() {
    let mut balancer = balancer([route(1, State::Ready, 4)]);
    end(&mut balancer, 1, Outcome::Declined, 0);
    let retry_after = Span::from_millis(60);
    assert_eq!(
        balancer.pick(at(40), &Wish::default(), &[]),
        Err(NoReplica::Busy { retry_after })
    );
    assert_eq!(balancer.pick(at(100), &Wish::default(), &[]), Ok(lease(1)));
}

#[test]
fn a_new_table_keeps_the_counters_of_leases_that_remain() {
    let mut balancer = two_ready();
    send(&mut balancer, 1, 1);
    send(&mut balancer, 2, 2);
    balancer.update([route(1, State::Draining, 4)]);
    assert_eq!(
        (balancer.in_flight(lease(1)), balancer.in_flight(lease(2))),
        (1, 1)
    );
    balancer.update([route(1, State::Ready, 4), route(2, State::Ready, 4)]);
    finish(&mut balancer, 2, 2, served(1), 0);
    assert_eq!(balancer.pick(at(0), &Wish::default(), &[]), Ok(lease(2)));
}

#[test]
fn a_lease_that_is_gone_is_forgotten_with_its_last_request() {
    let mut balancer = two_ready();
    send(&mut balancer, 2, 2);
    balancer.update([route(1, State::Ready, 4)]);
    assert_eq!(
        balancer.pick(at(0), &Wish::default(), &[lease(1)]),
        Err(NoReplica::AllTried)
    );
    finish(&mut balancer, 2, 2, Outcome::Failed, 0);
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
        balancer.pick(at(1_001), &Wish::default(), &[]),
        Err(NoReplica::Ejected { retry_after })
    );
}

/// A prompt of so many tokens of this kind.
fn prompt(kind: u32, tokens: usize) -> Wish {
    Wish::of_prompt(&vec![kind; tokens])
}

/// Sends the prompt where it is picked to go, and has it served to the end.
fn serve(balancer: &mut Balancer, wish: &Wish, of: u128) -> LeaseId {
    let lease = balancer.pick(at(0), wish, &[]).unwrap();
    balancer.dispatched(lease, request(of), wish);
    balancer.spoke(lease, request(of));
    balancer.ended(lease, request(of), served(10), at(0));
    lease
}

fn four() -> Balancer {
    balancer((1..5).map(|number| route(number, State::Ready, 8)))
}

#[test]
fn the_next_turn_goes_where_the_last_was_served() {
    let mut balancer = four();
    for kind in 1..9 {
        let (first, next) = (prompt(kind, 2_000), prompt(kind, 2_500));
        let lease = serve(&mut balancer, &first, 1);
        assert_eq!(balancer.pick(at(0), &next, &[]), Ok(lease));
    }
}

#[test]
fn what_was_generated_is_in_the_cache_as_well() {
    let mut balancer = two_ready();
    let (question, answer) = ([1; 640], [2; 640]);
    let wish = Wish::of_prompt(&question);
    let lease = serve(&mut balancer, &wish, 1);
    let other = Wish::of_prompt(&[[3; 640], [4; 640]].concat());
    balancer.holds(lease, &wish.prefix.then(&answer));
    let next = Wish::of_prompt(&[question, answer].concat());
    let read = |balancer: &Balancer, wish| balancer.tokens_before_first(lease, wish);
    assert_eq!(read(&balancer, &next), 1 + 64);
    assert_eq!(read(&balancer, &other), 1_280 + 64);
}

/// Prompts that no cache knows follow the load, and where there is none they spread over the caches.
#[test]
fn a_miss_never_goes_where_the_load_is() {
    let mut balancer = four();
    let kept: Vec<_> = (0..3)
        .map(|n| serve(&mut balancer, &prompt(n, 4_000), 1))
        .collect();
    assert_eq!(kept, [lease(1), lease(2), lease(3)]);
    // The replica with the least in its cache is busy: a miss does not care how little it holds.
    balancer.dispatched(lease(4), request(7), &prompt(9, 3_000));
    assert_ne!(balancer.pick(at(0), &prompt(8, 500), &[]), Ok(lease(4)));
}

#[test]
fn load_counts_from_dispatch_in_tokens_to_be_read() {
    let mut balancer = two_ready();
    balancer.dispatched(lease(1), request(1), &prompt(1, 9_000));
    for of in 2..5 {
        let short = prompt(u32::try_from(of).unwrap(), 1_000);
        assert_eq!(balancer.pick(at(0), &short, &[]), Ok(lease(2)), "{of}");
        balancer.dispatched(lease(2), request(of), &short);
    }
    balancer.spoke(lease(1), request(1));
    assert_eq!(balancer.pick(at(0), &prompt(8, 1_000), &[]), Ok(lease(1)));
}

/// A chat moves away only for as long as others keep its replica busy for longer than it would take
/// to read its past anew.
#[test]
fn affinity_yields_to_a_queue_and_comes_back() {
    let mut balancer = two_ready();
    let chat = prompt(1, 4_000);
    let home = serve(&mut balancer, &chat, 1);
    let elsewhere = if home == lease(1) { lease(2) } else { lease(1) };
    balancer.dispatched(home, request(2), &prompt(2, 2_000));
    assert_eq!(balancer.pick(at(0), &chat, &[]), Ok(home));
    balancer.dispatched(home, request(3), &prompt(3, 6_000));
    assert_eq!(balancer.pick(at(0), &chat, &[]), Ok(elsewhere));
    balancer.spoke(home, request(3));
    assert_eq!(balancer.pick(at(0), &chat, &[]), Ok(home));
}

/// Who failed is excluded by the request; and what it never read, no next turn is sent there for.
#[test]
fn a_replica_that_never_read_the_prompt_is_not_believed_to_have_it() {
    let mut balancer = two_ready();
    let chat = prompt(1, 4_000);
    for outcome in [Outcome::Failed, Outcome::Declined, Outcome::Released] {
        balancer.dispatched(lease(1), request(1), &chat);
        balancer.ended(lease(1), request(1), outcome, at(0));
        assert_eq!(balancer.pick(at(500), &chat, &[lease(1)]), Ok(lease(2)));
        let all = u64::from(chat.prompt_tokens) + 64;
        assert_eq!(balancer.tokens_before_first(lease(1), &chat), all);
    }
}

#[test]
fn who_is_ejected_has_lost_its_cache() {
    let mut balancer = two_ready();
    let chat = prompt(1, 4_000);
    assert_eq!(serve(&mut balancer, &chat, 1), lease(1));
    eject(&mut balancer, 1, 0);
    assert_eq!(serve(&mut balancer, &chat, 2), lease(2));
    assert_eq!(balancer.pick(at(9_000), &chat, &[]), Ok(lease(2)));
}

#[test]
fn a_session_stays_where_tokens_are_not_known() {
    let mut balancer = four();
    let turn = |name: &[u8]| Wish {
        prompt_tokens: 3_000,
        session: Some(Session::named(name)),
        ..Wish::default()
    };
    let homes: Vec<_> = [b"a", b"b", b"c"]
        .map(|name| {
            let wish = turn(name);
            let home = balancer.pick(at(0), &wish, &[]).unwrap();
            balancer.dispatched(home, request(1), &wish);
            balancer.spoke(home, request(1));
            balancer.dispatched(home, request(u128::from(name[0])), &Wish::default());
            balancer.ended(home, request(1), served(5), at(0));
            (*name, home)
        })
        .to_vec();
    for (name, home) in homes {
        assert_eq!(balancer.pick(at(0), &turn(&name), &[]), Ok(home));
    }
}

#[test]
fn a_slow_replica_is_a_last_resort_until_it_is_measured_no_more() {
    let mut balancer = two_ready();
    end(&mut balancer, 1, served(900), 0);
    send(&mut balancer, 2, 2);
    let wish = Wish {
        first_token_most: Some(Span::from_millis(500)),
        ..Wish::default()
    };
    assert_eq!(balancer.pick(at(0), &Wish::default(), &[]), Ok(lease(1)));
    assert_eq!(balancer.pick(at(0), &wish, &[]), Ok(lease(2)));
    assert_eq!(balancer.pick(at(0), &wish, &[lease(2)]), Ok(lease(1)));
    assert_eq!(balancer.pick(at(60_001), &wish, &[]), Ok(lease(1)));
}

#[test]
fn a_dear_replica_waits_until_no_cheap_one_is_left() {
    let price = |price| Some(Price::from_micros_per_hour(price));
    let cheap = Route {
        price: price(10),
        ..route(2, State::Ready, 1)
    };
    let dear = Route {
        price: price(11),
        ..route(1, State::Ready, 1)
    };
    let mut balancer = balancer([cheap, dear]);
    let wish = Wish {
        price_most: price(10),
        ..Wish::default()
    };
    assert_eq!(balancer.pick(at(0), &wish, &[]), Ok(lease(2)));
    send(&mut balancer, 2, 2);
    let retry_after = Span::from_millis(100);
    assert_eq!(
        balancer.pick(at(0), &wish, &[]),
        Err(NoReplica::Busy { retry_after })
    );
    assert_eq!(balancer.pick(at(0), &wish, &[lease(2)]), Ok(lease(1)));
    assert_eq!(balancer.pick(at(0), &Wish::default(), &[]), Ok(lease(1)));
}

#[test]
fn an_end_that_was_said_already_changes_nothing() {
    let mut balancer = two_ready();
    send(&mut balancer, 1, 1);
    send(&mut balancer, 1, 2);
    for _ in 0..3 {
        finish(&mut balancer, 1, 1, Outcome::Failed, 0);
    }
    assert_eq!(balancer.in_flight(lease(1)), 1);
    assert_eq!(
        balancer.pick(at(0), &Wish::default(), &[lease(2)]),
        Ok(lease(1))
    );
}
