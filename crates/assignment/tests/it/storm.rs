//! Everything at once: assignments out of order, actions lost and doubled, replicas that fail.

use proptest::prelude::*;
use remuda_assignment::{Action, Assignment, Desired, Stamp, State};
use remuda_types::{Span, Time};

use crate::model::{Model, START, assignments, exits, observations};

#[derive(Clone, Debug)]
enum Weather {
    /// Offers an assignment: perhaps an old one, perhaps once more.
    Offer(Box<Assignment>),
    /// Does the actions of the plan whose bit is set, in order, twice if told so.
    Act(u8, bool),
    Flow,
    /// A replica ends by itself.
    Fail(prop::sample::Index, remuda_assignment::Exit),
    Wait(u64),
    WaitForDeadline,
}

fn weather() -> impl Strategy<Value = Vec<Weather>> {
    let offer = (0_u64..3, 0_u64..5)
        .prop_flat_map(|(epoch, generation)| assignments(Stamp { epoch, generation }));
    let one = prop_oneof![
        2 => offer.prop_map(|assignment| Weather::Offer(Box::new(assignment))),
        6 => (any::<u8>(), any::<bool>()).prop_map(|(mask, twice)| Weather::Act(mask, twice)),
        3 => Just(Weather::Flow),
        2 => (any::<prop::sample::Index>(), exits()).prop_map(|(who, exit)| Weather::Fail(who, exit)),
        1 => (0_u64..20_000).prop_map(Weather::Wait),
        1 => Just(Weather::WaitForDeadline),
    ];
    prop::collection::vec(one, 0..60)
}

fn blow(model: &mut Model, weather: Weather) {
    match weather {
        Weather::Offer(assignment) => drop(model.desired.accept(*assignment)),
        Weather::Act(mask, twice) => act(model, mask, twice),
        Weather::Flow => drop(model.flow()),
        Weather::Fail(who, exit) => fail(model, who, exit),
        Weather::Wait(millis) => model.now = model.now + Span::from_millis(millis),
        Weather::WaitForDeadline => model.now = model.deadline().unwrap_or(model.now),
    }
}

fn act(model: &mut Model, mask: u8, twice: bool) {
    let chosen: Vec<Action> = model
        .plan()
        .into_iter()
        .enumerate()
        .filter(|(index, _)| mask >> (index % 8) & 1 == 1)
        .map(|(_, action)| action)
        .collect();
    for action in &chosen {
        model.apply(action);
    }
    if twice {
        let once = model.observed.clone();
        let again = chosen
            .iter()
            .filter(|action| !matches!(action, Action::Restart(_)));
        again.for_each(|action| model.apply(action));
        assert_eq!(once, model.observed, "done twice is done once");
    }
}

fn fail(model: &mut Model, who: prop::sample::Index, exit: remuda_assignment::Exit) {
    let running: Vec<_> = model
        .observed
        .iter()
        .filter(|(_, r)| r.state.runs())
        .map(|(at, _)| *at)
        .collect();
    if !running.is_empty() {
        model.turn(*who.get(&running), State::Ended(exit));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The model checks after every action that no lease runs twice, and every plan as it is made.
    #[test]
    fn no_lease_ever_runs_twice_at_once(observed in observations(), script in weather()) {
        let mut model = Model { desired: Desired::default(), observed, now: START };
        for weather in script {
 blow(&mut model, weather);
 }
    }

    /// A plan holds until the deadline it names, so nobody needs to look before.
    #[test]
    fn a_plan_holds_until_its_deadline(
        observed in observations(), script in weather(), share in 0_u64..1_000,
    ) {
        let mut model = Model { desired: Desired::default(), observed, now: START };
        for weather in script {
 blow(&mut model, weather);
 }
        let plan = model.plan();
        let end = model.deadline().unwrap_or(Time::FOREVER).as_millis();
        prop_assert!(end > model.now.as_millis());
        let span = end - 1 - model.now.as_millis();
        let between = u128::from(span) * u128::from(share) / 1_000;
        let later = model.now + Span::from_millis(u64::try_from(between).unwrap());
        prop_assert_eq!(&model.plan_at(later), &plan);
        prop_assert_eq!(&model.plan_at(Time::from_millis(end - 1)), &plan);
    }
}
