//! What holds after any history.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use remuda_ledger::{Account, Balance, Entry, Ledger, Refusal, invariant};
use remuda_types::{Money, Time};

use crate::histories::{ACCOUNTS, account, enter, entry, history, ledger_after, reserve};
use crate::oracle::Oracle;

fn agrees(ledger: &Ledger, oracle: &Oracle) -> Result<(), TestCaseError> {
    for account in ACCOUNTS {
        let Balance {
            posted,
            pending_debits,
            pending_credits,
        } = ledger.balance(account);
        let pending = [pending_debits, pending_credits].map(|sum| i128::from(sum.as_micros()));
        prop_assert_eq!(i128::from(posted.as_micros()), oracle.posted(account));
        prop_assert_eq!(<(i128, i128)>::from(pending), oracle.pending_sums(account));
    }
    let open = oracle.open();
    prop_assert_eq!(ledger.reservations().count(), open.len());
    for (id, open) in open {
        let left = ledger
            .pending(id)
            .map(|pending| i128::from(pending.amount.as_micros()));
        prop_assert_eq!(left, Some(open.left));
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_ledger_is_its_oracle(history in history(), at in 0_u64..50) {
        let (mut ledger, mut oracle) = (Ledger::new(), Oracle::default());
        for list in &history {
            prop_assert_eq!(enter(&mut ledger, list), oracle.enter(list), "{:?}", list);
            prop_assert_eq!(invariant::check(&ledger), Ok(()));
        }
        agrees(&ledger, &oracle)?;
        let at = Time::from_millis(at);
        prop_assert_eq!(ledger.expired(at).collect::<Vec<_>>(), oracle.due(at));
    }

    #[test]
    fn a_list_is_accepted_as_its_entries_are_one_by_one(
        history in history(), list in prop::collection::vec(entry(), 1..6),
    ) {
        // Settlement apart, a list is refused with the first refusal among its entries.
        let ledger = ledger_after(&history);
        let (mut single, mut first) = (ledger.clone(), Ok(()));
        for entry in &list {
            first = match single.check(std::slice::from_ref(entry)) {
                Ok(()) | Err(Refusal::SettlementOpen { .. }) => Ok(()),
                refused => refused,
            };
            if first.is_err() {
                break;
            }
            single.apply(entry);
        }
        let left = single.balance(Account::Settlement).posted;
        let expected = match first {
            Ok(()) if !left.is_zero() => Err(Refusal::SettlementOpen { left }),
            first => first,
        };
        prop_assert_eq!(ledger.check(&list), expected);
    }

    #[test]
    fn a_voided_reservation_leaves_the_ledger_as_it_was(history in history(), reserve in reserve()) {
        let before = ledger_after(&history);
        let mut ledger = before.clone();
        let list = [reserve.clone(), Entry::Void { id: reserve.id() }];
        let alone = ledger.check(&list[..1]);
        prop_assert_eq!(ledger.check(&list), alone.clone());
        if alone.is_ok() {
            ledger.apply(&list[0]);
            ledger.apply(&list[1]);
            prop_assert_eq!(ledger, before);
        }
    }

    #[test]
    fn what_expires_can_always_be_voided(history in history(), at in 0_u64..50) {
        let mut ledger = ledger_after(&history);
        let at = Time::from_millis(at);
        let voids: Vec<_> = ledger.expired(at).map(|id| Entry::Void { id }).collect();
        let posted = ACCOUNTS.map(|account| ledger.balance(account).posted);
        prop_assert!(enter(&mut ledger, &voids));
        prop_assert_eq!(ACCOUNTS.map(|account| ledger.balance(account).posted), posted);
        prop_assert!(ledger.reservations().all(|(_, open)| open.expires.is_none_or(|due| due > at)));
        prop_assert_eq!(invariant::check(&ledger), Ok(()));
    }

    #[test]
    fn a_reservation_can_be_posted_up_to_its_amount_and_no_further(
        history in history(), parts in prop::collection::vec(0_u8..=100, 1..4),
    ) {
        let mut ledger = ledger_after(&history);
        let outside_settlement = |&(_, open): &(_, &remuda_ledger::Pending)| {
            open.debit != Account::Settlement && open.credit != Account::Settlement
        };
        let open = ledger.reservations().find(outside_settlement).map(|(id, open)| (id, *open));
        let Some((id, open)) = open else { return Ok(()) };
        let (mut left, before) = (open.amount, ledger.balance(open.debit));
        for part in parts {
            let amount = left.fraction(part.into(), 100);
            let is_posted = enter(&mut ledger, &[Entry::PostPart { id, amount }]);
            prop_assert!(is_posted);
            left = left.saturating_sub(amount);
        }
        if let Some(over) = left.checked_add(Money::from_micros(1)) {
            let over = Entry::Post { id, amount: over };
            let is_over = matches!(ledger.check(&[over]), Err(Refusal::AmountOverReserved { .. }));
            prop_assert!(is_over);
        }
        let is_posted = enter(&mut ledger, &[Entry::Post { id, amount: left }]);
        prop_assert!(is_posted);
        let after = ledger.balance(open.debit);
        prop_assert_eq!(after.posted, before.posted.saturating_sub(open.amount));
        prop_assert_eq!(after.available(), before.available());
        prop_assert_eq!(ledger.pending(id), None);
    }

    #[test]
    fn no_list_takes_more_than_is_available(history in history(), debit in account(), over in 1_i64..9) {
        let ledger = ledger_after(&history);
        let available = ledger.balance(debit).available();
        let Some(amount) = available.checked_add(Money::from_micros(over)) else { return Ok(()) };
        let (id, credit) = (remuda_types::TransferId::from_u128(99), Account::PlatformFee);
        let purpose = remuda_ledger::Purpose::Correction;
        let refused = ledger.check(&[Entry::Transfer { id, debit, credit, amount, purpose }]);
        if debit.floor().is_some() {
            let short = Refusal::InsufficientFunds { account: debit, available, needed: amount };
            prop_assert_eq!(refused, Err(short));
        }
    }
}

/// What is applied unchecked may break a floor, but never creates money nor panics. In debug
/// builds such entries fail an assertion instead.
#[cfg(not(debug_assertions))]
mod unchecked {
    use super::*;

    proptest! {
        #[test]
        fn money_is_conserved_whatever_is_applied(entries in prop::collection::vec(entry(), 0..60)) {
            let mut ledger = Ledger::new();
            for entry in &entries {
                ledger.apply(entry);
            }
            prop_assert_eq!(ledger.total_micros(), 0);
            let is_balance = matches!(
                invariant::check(&ledger),
                Ok(()) | Err(invariant::Violation::BelowFloor { .. } | invariant::Violation::Settlement { .. })
            );
            prop_assert!(is_balance);
        }
    }
}

/// The properties above would be empty if nearly all lists were refused, or none.
#[test]
fn histories_are_both_accepted_and_refused() {
    let mut runner = TestRunner::deterministic();
    let (mut accepted, mut refused) = (0_u32, 0_u32);
    for _ in 0..200 {
        let history = history().new_tree(&mut runner).unwrap().current();
        let mut ledger = Ledger::new();
        for list in &history {
            *if enter(&mut ledger, list) {
                &mut accepted
            } else {
                &mut refused
            } += 1;
        }
    }
    assert!(
        accepted > 1_000 && refused > 1_000,
        "{accepted} accepted, {refused} refused"
    );
}
