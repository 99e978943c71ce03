//! Random histories: whatever is asked in whatever order, what must be true is true.

mod life;
mod names;
mod step;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use remuda_network::{Event, Network, State, invariant};

use life::{furnished, live, settle_down};
use step::steps;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// `World` checks the invariants, the encoding and repeats after every command.
    #[test]
    fn every_history_keeps_the_promises(history in vec(steps(), 0..120)) {
        let mut world = furnished();
        live(&mut world, &history);
        settle_down(&mut world);

        let replayed = world.replayed();
        prop_assert!(replayed.state() == world.state(), "the journal tells another story");
        prop_assert_eq!(invariant::check(&replayed), Ok(()));
        let bytes = minicbor::to_vec(world.state()).unwrap();
        let read: State = minicbor::decode(&bytes).unwrap();
        prop_assert!(read == *world.state(), "a snapshot tells another story");
        prop_assert!(Network::new(read).index() == world.network.index());
    }

    /// Bytes from outside never do more than fail to decode.
    #[test]
    fn decoding_is_total(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(events) = minicbor::decode::<Vec<Event>>(&bytes) {
            prop_assert!(minicbor::to_vec(events).is_ok());
        }
        if let Ok(state) = minicbor::decode::<State>(&bytes) {
            prop_assert!(minicbor::to_vec(state).is_ok());
        }
    }
}

/// The word before the first field of a value's debug form.
fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split([' ', '(']).next().unwrap_or_default().to_owned()
}

/// The histories are worth something only if they get everywhere.
#[test]
fn the_histories_reach_every_event_and_end() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..2_000 {
        let history = vec(steps(), 60..120)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut world = furnished();
        live(&mut world, &history);
        settle_down(&mut world);
        for record in &world.journal {
            let events: Vec<Event> = minicbor::decode(&record.body).unwrap();
            seen.extend(events.iter().map(variant));
            seen.extend(events.iter().filter_map(|event| match event {
                Event::LeaseEnded { reason, .. } => Some(variant(reason)),
                Event::ReservationEnded { end, .. } => Some(variant(end)),
                Event::OrderEnded { end, .. } => Some(format!("order {}", variant(end))),
                Event::LeaseSettled { charge, .. } if charge.amount.is_negative() => {
                    Some("given back".to_owned())
                }
                _ => None,
            }));
        }
    }
    let expected = [
        "PolicySet",
        "GatewayAdmitted",
        "ProviderRegistered",
        "ProviderStands",
        "SiteRegistered",
        "NodeEnrolled",
        "NodePresent",
        "NodeResized",
        "TenantCreated",
        "ProjectCreated",
        "KeyIssued",
        "KeyRevoked",
        "WorkloadAccepted",
        "WorkloadStopping",
        "WorkloadEnded",
        "ReplicaAdded",
        "ReplicaRemoved",
        "ReplicaUnplaced",
        "LeaseGranted",
        "LeasePhased",
        "ReplicaMoved",
        "LeaseSettled",
        "LeaseEnded",
        "LeaseForgotten",
        "TrancheOpened",
        "UsagePosted",
        "TrancheClosed",
        "MoneyMoved",
        "HoldbackReleased",
        "Forfeited",
        "PlanAdopted",
        "OrderStands",
        "OrderWaits",
        "OrderEnded",
        "order Filled",
        "order Lapsed",
        "order Cancelled",
        "ClaimSought",
        "ClaimGranted",
        "ClaimCalled",
        "ClaimReleased",
        "ReservationMade",
        "ReservationBegun",
        "ClaimBegun",
        "ReservationEnded",
        "Over",
        "Cancelled",
        "Lapsed",
        "Stopped",
        "Completed",
        "Crashed",
        "OutOfMemory",
        "PrepareFailed",
        "NeverReady",
        "RuntimeRefused",
        "NodeLost",
        "NodeRestarted",
        "Drained",
        "ProviderLeft",
        "BudgetExhausted",
        "TermOver",
        "GaveWay",
        "given back",
    ];
    let missing: Vec<_> = expected
        .iter()
        .filter(|name| !seen.contains(**name))
        .collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}
