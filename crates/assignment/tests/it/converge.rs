//! From any state to what is wanted, in a bounded number of steps; and then rest.

use proptest::prelude::*;
use remuda_assignment::{Assigned, Desired, Stamp, State, Wanted};
use remuda_types::Span;

use crate::model::{Model, START, assignments, observations};

/// Each replica takes at most: stop, kill, forget, prepare, start, and as many of nature's steps.
const STEPS: usize = 32;

/// Does plans and lets nature flow until both rest and no deadline is near.
fn settle(model: &mut Model) -> bool {
    let horizon = START + Span::HOUR;
    for _ in 0..STEPS {
        let actions = model.plan();
        for action in &actions {
            model.apply(action);
        }
        if model.flow() || !actions.is_empty() {
            continue;
        }
        match model.deadline().filter(|due| *due < horizon) {
            Some(due) => model.now = due,
            None => return true,
        }
    }
    false
}

fn is_met(model: &Model, wanted: &Assigned) -> bool {
    let live = model.now < wanted.hard_end && wanted.wanted == Wanted::Run;
    match model
        .observed
        .get(&wanted.at())
        .map(|replica| replica.state)
    {
        Some(State::Ready) => {
            live && model.observed[&wanted.at()].spec_digest == wanted.spec_digest
        }
        Some(State::Ended(exit)) => !live || !exit.restartable(),
        Some(State::Draining) => {
            matches!(wanted.wanted, Wanted::Drain { deadline } if deadline > model.now)
        }
        None => !live,
        Some(_) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_node_comes_to_what_is_wanted_and_rests(
        assignment in assignments(Stamp { epoch: 1, generation: 1 }), observed in observations(),
    ) {
        let mut desired = Desired::default();
        desired.accept(assignment.clone()).unwrap();
        let mut model = Model { desired, observed, now: START };
        prop_assert!(settle(&mut model), "no rest: {:?}", model.observed);
        prop_assert_eq!(model.plan(), []);
        for wanted in assignment.replicas() {
            prop_assert!(is_met(&model, wanted), "{:?} in {:?}", wanted, model.observed);
        }
        for at in model.observed.keys() {
            let named = assignment.get(&at.lease).is_some_and(|wanted| wanted.at() == *at);
            prop_assert!(named, "{} is left over", at);
        }
    }

    /// A node that never had an assignment leaves alone what it found, up to the hard ends.
    #[test]
    fn without_an_assignment_only_hard_ends_stop_anything(observed in observations()) {
        let mut model = Model { desired: Desired::default(), observed, now: START };
        let before = model.observed.clone();
        prop_assert!(settle(&mut model));
        for (at, replica) in &before {
            let ran = replica.state.runs() && replica.state != State::Stopping;
            if ran && replica.hard_end > model.now {
                prop_assert!(model.observed[at].state.runs());
                prop_assert_ne!(model.observed[at].state, State::Stopping);
            }
            if replica.hard_end <= model.now {
                prop_assert!(model.observed[at].state.has_ended());
            }
        }
    }
}
