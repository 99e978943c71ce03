//! Tests of the purse: what may be reserved, settled and asked for.

use super::*;

const SECOND: u64 = 1_000;

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * SECOND)
}

fn usd(dollars: i64) -> Money {
    Money::from_micros(dollars * 1_000_000)
}

fn request(number: u128) -> RequestId {
    RequestId::from_u128(number)
}

fn grant(purse: &mut Purse, number: u128, amount: Money, deadline: Time) {
    let id = TrancheId::from_u128(number);
    purse.asked(
        Ask {
            tranche: id,
            amount,
        },
        Time::EPOCH,
    );
    assert!(purse.granted(
        Tranche {
            id,
            amount,
            deadline
        },
        Time::EPOCH
    ));
}

fn purse_with(amount: Money) -> Purse {
    let mut purse = Purse::new(Policy::default());
    grant(&mut purse, 1, amount, at(3_600));
    purse
}

#[test]
fn an_empty_purse_waits_and_asks_for_the_least() {
    let mut purse = Purse::new(Policy::default());
    assert_eq!(
        purse.reserve(request(1), usd(0), Span::ZERO, at(0)),
        Err(Refusal::NoTranche)
    );
    assert_eq!(purse.wanted(at(0)), Some(Wanted::New { amount: usd(1) }));
}

#[test]
fn a_request_holds_its_worst_case_until_it_settles() {
    let mut purse = purse_with(usd(10));
    let held = purse
        .reserve(request(1), usd(8), Span::ZERO, at(0))
        .unwrap();
    let refusal = purse.reserve(request(2), usd(3), Span::ZERO, at(0));
    assert_eq!(
        refusal,
        Err(Refusal::Short {
            available: usd(2),
            needed: usd(3)
        })
    );
    purse.settle(held, usd(1)).unwrap();
    assert_eq!(purse.available(at(0)), usd(9));
    assert!(purse.reserve(request(2), usd(3), Span::ZERO, at(0)).is_ok());
}

#[test]
fn a_request_reserves_once() {
    let mut purse = purse_with(usd(10));
    let held = purse
        .reserve(request(1), usd(1), Span::ZERO, at(0))
        .unwrap();
    assert_eq!(
        purse.reserve(request(1), usd(1), Span::ZERO, at(0)),
        Err(Refusal::Twice)
    );
    purse.release(held).unwrap();
    assert_eq!(purse.available(at(0)), usd(10));
}

#[test]
fn more_than_was_reserved_is_never_settled() {
    let mut purse = purse_with(usd(10));
    let held = purse
        .reserve(request(1), usd(1), Span::ZERO, at(0))
        .unwrap();
    let Err(SettleError::OutOfRange { reservation, .. }) = purse.settle(held, usd(2)) else {
        panic!("settled above the reservation");
    };
    purse.settle(reservation, usd(1)).unwrap();
    assert_eq!(purse.available(at(0)), usd(9));
}

#[test]
fn nothing_starts_near_the_deadline_but_what_runs_settles_after_it() {
    let mut purse = purse_with(usd(10));
    let held = purse
        .reserve(request(1), usd(1), Span::ZERO, at(0))
        .unwrap();
    let last = at(3_600 - 120);
    assert_eq!(
        purse.reserve(request(2), usd(1), Span::ZERO, last),
        Err(Refusal::PastDeadline)
    );
    assert_eq!(purse.closable(last), []);
    assert!(!purse.forget(TrancheId::from_u128(1)));
    purse.settle(held, usd(1)).unwrap();
    assert_eq!(purse.closable(at(9_999)), [TrancheId::from_u128(1)]);
    assert!(purse.forget(TrancheId::from_u128(1)));
}

#[test]
fn a_spent_budget_is_told_apart_from_a_slow_control() {
    let mut purse = purse_with(usd(1));
    let ask = Ask {
        tranche: TrancheId::from_u128(2),
        amount: usd(2),
    };
    purse.asked(ask, at(1));
    let waiting = purse.reserve(request(1), usd(2), Span::ZERO, at(1));
    assert_eq!(
        waiting,
        Err(Refusal::Short {
            available: usd(1),
            needed: usd(2)
        })
    );
    assert!(purse.denied(ask.tranche, Denial::Exhausted, at(1)));
    let refused = purse.reserve(request(1), usd(2), Span::ZERO, at(1));
    assert_eq!(
        refused,
        Err(Refusal::Exhausted {
            available: usd(1),
            needed: usd(2)
        })
    );
    assert_eq!(purse.wanted(at(2)), None);
    assert!(matches!(purse.wanted(at(11)), Some(Wanted::New { .. })));
    assert!(purse.reserve(request(3), usd(1), Span::ZERO, at(2)).is_ok());
}

#[test]
fn an_unanswered_question_is_put_again_as_it_was() {
    let mut purse = Purse::new(Policy::default());
    let ask = Ask {
        tranche: TrancheId::from_u128(2),
        amount: usd(2),
    };
    purse.asked(ask, at(0));
    assert_eq!(purse.wanted(at(1)), None);
    assert_eq!(purse.wanted(at(2)), Some(Wanted::Again(ask)));
}

#[test]
fn a_late_answer_revives_nothing() {
    let mut purse = purse_with(usd(10));
    let tranche = Tranche {
        id: TrancheId::from_u128(1),
        amount: usd(10),
        deadline: at(3_600),
    };
    assert!(!purse.granted(tranche, at(0)));
    assert!(purse.forget(tranche.id));
    assert!(!purse.granted(tranche, at(0)));
    assert_eq!(purse.available(at(0)), Money::ZERO);
}

#[test]
fn amounts_double_while_money_runs_out_and_shrink_when_time_does() {
    let mut purse = purse_with(usd(8));
    assert_eq!(purse.wanted(at(0)), None);
    let held = purse
        .reserve(request(1), usd(7), Span::ZERO, at(0))
        .unwrap();
    assert_eq!(purse.wanted(at(0)), Some(Wanted::New { amount: usd(16) }));
    purse.settle(held, usd(2)).unwrap();
    assert_eq!(purse.wanted(at(0)), None);
    let near_the_end = at(3_600 - 120 - 300);
    assert_eq!(
        purse.wanted(near_the_end),
        Some(Wanted::New { amount: usd(4) })
    );
}

#[test]
fn a_project_keeps_a_tranche_for_an_hour_after_its_last_request() {
    let mut purse = Purse::new(Policy::default());
    assert_eq!(purse.wanted(at(0)), None);
    grant(&mut purse, 1, usd(1), at(3_600));
    assert_eq!(purse.wanted(at(3_599)), None);
    let held = purse
        .reserve(request(1), usd(1), Span::ZERO, at(10))
        .unwrap();
    purse.release(held).unwrap();
    assert!(purse.wanted(at(3_599)).is_some());
    assert_eq!(purse.wanted(at(3_611)), None);
}

#[test]
fn a_long_request_starts_in_what_outlives_it() {
    let mut purse = Purse::new(Policy::default());
    grant(&mut purse, 1, usd(5), at(600));
    grant(&mut purse, 2, usd(5), at(3_600));
    let mut tranche_of = |number, lasts| {
        let held = purse.reserve(request(number), usd(1), Span::from_secs(lasts), at(0));
        held.unwrap().tranche()
    };
    assert_eq!(tranche_of(1, 600), TrancheId::from_u128(1));
    assert_eq!(tranche_of(2, 601), TrancheId::from_u128(2));
    // Nothing outlives it: the one that lives longest.
    assert_eq!(tranche_of(3, 9_999), TrancheId::from_u128(2));
}

#[test]
fn long_requests_renew_earlier() {
    for (lasts, renewed) in [(0, 3_600 - 120 - 300), (900, 3_600 - 900 - 300)] {
        let mut purse = purse_with(usd(10));
        let lasts = Span::from_secs(lasts);
        let held = purse.reserve(request(1), usd(1), lasts, at(0)).unwrap();
        purse.settle(held, usd(1)).unwrap();
        assert_eq!(purse.wanted(at(renewed - 1)), None);
        assert!(purse.wanted(at(renewed)).is_some());
    }
}

#[test]
fn how_long_a_request_lasts_is_reckoned_slowly_and_bounded() {
    let policy = Policy::default();
    assert_eq!(policy.lasts(4_096), Span::from_secs(409));
    assert_eq!(policy.lasts(u32::MAX), policy.longest);
}

#[test]
fn a_budget_is_spent_only_when_nothing_that_runs_holds_any_of_it() {
    let mut purse = purse_with(usd(2));
    let held = purse
        .reserve(request(1), usd(2), Span::ZERO, at(0))
        .unwrap();
    let ask = Ask {
        tranche: TrancheId::from_u128(2),
        amount: usd(2),
    };
    let reserved = Err(Refusal::Reserved {
        available: usd(0),
        needed: usd(2),
    });
    purse.asked(ask, at(0));
    assert!(purse.denied(ask.tranche, Denial::Exhausted, at(0)));
    let again = purse.reserve(request(2), usd(2), Span::ZERO, at(0));
    assert_eq!(again, reserved);
    purse.settle(held, usd(2)).unwrap();
    let spent = purse.reserve(request(2), usd(2), Span::ZERO, at(0));
    assert!(matches!(spent, Err(Refusal::Exhausted { .. })));
    // Another gateway has the rest.
    purse.asked(ask, at(20));
    assert!(purse.denied(ask.tranche, Denial::Reserved, at(20)));
    let elsewhere = purse.reserve(request(2), usd(2), Span::ZERO, at(20));
    assert_eq!(elsewhere, reserved);
    assert_eq!(purse.wanted(at(21)), None);
    assert!(purse.wanted(at(22)).is_some());
}

#[test]
fn what_lapses_first_is_spent_first() {
    let mut purse = Purse::new(Policy::default());
    grant(&mut purse, 1, usd(5), at(7_200));
    grant(&mut purse, 2, usd(5), at(3_600));
    let held = purse
        .reserve(request(1), usd(1), Span::ZERO, at(0))
        .unwrap();
    assert_eq!(held.tranche(), TrancheId::from_u128(2));
}

#[test]
fn a_request_dearer_than_a_tranche_may_be_is_refused_for_good() {
    let mut purse = purse_with(usd(100));
    let refusal = purse.reserve(request(1), usd(101), Span::ZERO, at(0));
    assert_eq!(
        refusal,
        Err(Refusal::TooDear {
            limit: usd(100),
            needed: usd(101)
        })
    );
}

#[test]
fn a_short_tranche_is_used_and_renewed_once() {
    let mut purse = Purse::new(Policy::default());
    grant(&mut purse, 1, usd(1), at(8));
    let held = purse
        .reserve(request(9), usd(1), Span::ZERO, at(0))
        .unwrap();
    purse.release(held).unwrap();
    assert_eq!(purse.wanted(at(3)), None);
    assert!(purse.wanted(at(4)).is_some());
    assert!(purse.reserve(request(1), usd(1), Span::ZERO, at(5)).is_ok());
    let late = purse.reserve(request(2), usd(0), Span::ZERO, at(6));
    assert_eq!(late, Err(Refusal::PastDeadline));
}

#[test]
fn a_tranche_of_no_use_is_not_asked_for_again_at_once() {
    for (amount, deadline) in [(usd(0), at(3_600)), (usd(1), at(0))] {
        let mut purse = Purse::new(Policy::default());
        grant(&mut purse, 1, amount, deadline);
        assert!(
            purse
                .reserve(request(1), usd(1), Span::ZERO, at(0))
                .is_err()
        );
        assert_eq!(purse.wanted(at(9)), None);
        assert!(purse.wanted(at(10)).is_some());
        assert_eq!(purse.closable(at(0)), [TrancheId::from_u128(1)]);
    }
}
