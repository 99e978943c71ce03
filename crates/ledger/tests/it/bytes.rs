//! Snapshots and entries as bytes: what was written is read, and nothing read can panic.

use proptest::prelude::*;
use remuda_ledger::{Entry, Ledger, invariant};
use remuda_types::Time;

use crate::histories::{entry, history, ledger_after};

fn look_at_everything(ledger: &Ledger) {
    // Whether the figures agree is open; only that looking at them never panics is asked.
    let found = invariant::check(ledger)
        .err()
        .map(|violation| violation.to_string());
    assert_ne!(found, Some(String::new()));
    assert!(ledger.expired(Time::FOREVER).count() <= ledger.reservations().count());
}

proptest! {
    #[test]
    fn a_snapshot_is_the_ledger(history in history()) {
        let ledger = ledger_after(&history);
        let bytes = minicbor::to_vec(&ledger).unwrap();
        let read: Ledger = minicbor::decode(&bytes).unwrap();
        prop_assert_eq!(&read, &ledger);
        prop_assert_eq!(minicbor::to_vec(&read).unwrap(), bytes);
    }

    #[test]
    fn entries_round_trip(entry in entry()) {
        let bytes = minicbor::to_vec(&entry).unwrap();
        prop_assert_eq!(minicbor::decode::<Entry>(&bytes).unwrap(), entry);
    }

    #[test]
    fn any_bytes_are_a_ledger_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(ledger) = minicbor::decode::<Ledger>(&bytes) {
            look_at_everything(&ledger);
        }
        if let Ok(entry) = minicbor::decode::<Entry>(&bytes) {
            let _ = Ledger::new().check(&[entry]);
        }
    }

    #[test]
    fn a_damaged_snapshot_is_a_ledger_or_an_error(
        history in history(), at: prop::sample::Index, value: u8, next in entry(),
    ) {
        let mut bytes = minicbor::to_vec(ledger_after(&history)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(ledger) = minicbor::decode::<Ledger>(&bytes) {
            look_at_everything(&ledger);
            let _ = ledger.check(&[next]);
        }
    }
}
