//! Which assignment is held, and that it survives being written down.

use proptest::prelude::*;
use remuda_assignment::{Accepted, Assignment, Desired, Doubled, Stale, Stamp};

use crate::model::{assigned, assignments, lease};

fn stamps() -> impl Strategy<Value = Stamp> {
    (0_u64..3, 0_u64..4).prop_map(|(epoch, generation)| Stamp { epoch, generation })
}

proptest! {
    /// However they are reordered and doubled, the newest is held at the end.
    #[test]
    fn the_newest_is_held_in_the_end(
        offers in prop::collection::vec(stamps().prop_flat_map(assignments), 1..12),
    ) {
        let mut desired = Desired::default();
        let mut first_of_newest: Option<Assignment> = None;
        for offer in offers {
            let held = desired.clone();
            let newer = desired.stamp().is_none_or(|stamp| stamp < offer.stamp());
            match desired.accept(offer.clone()) {
                Ok(Accepted::Newer) => prop_assert!(newer),
                Ok(Accepted::Same) => {
                    prop_assert_eq!(held.stamp(), Some(offer.stamp()));
                    prop_assert_eq!(&desired, &held);
                }
                Err(Stale { held: stamp, offered }) => {
                    prop_assert!(stamp > offered && offered == offer.stamp());
                    prop_assert_eq!(&desired, &held);
                }
            }
            if newer {
                first_of_newest = Some(offer);
            }
            prop_assert_eq!(desired.assignment(), first_of_newest.as_ref());
        }
    }

    #[test]
    fn what_is_held_survives_being_written(assignment in stamps().prop_flat_map(assignments)) {
        let mut desired = Desired::default();
        desired.accept(assignment).unwrap();
        for desired in [desired, Desired::default()] {
            let bytes = minicbor::to_vec(&desired).unwrap();
            prop_assert_eq!(minicbor::decode::<Desired>(&bytes).unwrap(), desired);
        }
    }

    #[test]
    fn any_bytes_are_an_assignment_or_an_error(
        assignment in stamps().prop_flat_map(assignments), cut: prop::sample::Index, flip: u8,
    ) {
        let mut bytes = minicbor::to_vec(&assignment).unwrap();
        let index = cut.index(bytes.len());
        bytes[index] ^= flip;
        if let Ok(read) = minicbor::decode::<Assignment>(&bytes) {
            for assigned in read.replicas() {
                prop_assert_eq!(read.get(&assigned.lease), Some(assigned));
            }
        }
        bytes.truncate(index);
        prop_assert!(minicbor::decode::<Assignment>(&bytes).is_err());
    }
}

#[test]
fn a_lease_named_twice_is_refused_in_memory_and_in_bytes() {
    let stamp = Stamp {
        epoch: 1,
        generation: 1,
    };
    assert_eq!(
        Assignment::new(stamp, [assigned(1), assigned(1)]),
        Err(Doubled(lease(1)))
    );
    let mut bytes = minicbor::to_vec(Assignment::new(stamp, [assigned(1)]).unwrap()).unwrap();
    let one = minicbor::to_vec(assigned(1)).unwrap();
    let array = bytes.len() - one.len() - 1;
    assert_eq!(bytes[array], 0x81, "an array of one");
    bytes[array] = 0x82;
    bytes.extend(one);
    let error = minicbor::decode::<Assignment>(&bytes).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}

#[test]
fn a_refusal_names_both_stamps() {
    let stale = Stale {
        held: Stamp {
            epoch: 2,
            generation: 7,
        },
        offered: Stamp {
            epoch: 1,
            generation: 9,
        },
    };
    assert!(
        stale
            .to_string()
            .starts_with("assignment 1.9 is older than 2.7")
    );
}
