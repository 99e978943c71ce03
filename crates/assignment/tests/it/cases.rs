//! One case for each rule.

use remuda_assignment::{
    Action, Assigned, Exit, LeaseAt, Observed, Replica, State, StopReason, Wanted,
};
use remuda_types::{Span, Time};

use crate::model::{Model, START, assigned, desired, lease_at, replica, spec};

const GRACE: Span = Span::from_secs(10);

fn model(wanted: impl IntoIterator<Item = Assigned>, here: &[(LeaseAt, Replica)]) -> Model {
    let observed: Observed = here.iter().copied().collect();
    Model {
        desired: desired(wanted),
        observed,
        now: START,
    }
}

fn stop(reason: StopReason) -> Action {
    Action::Stop {
        at: lease_at(1, 1),
        reason,
        grace: GRACE,
    }
}

fn seconds(n: u64) -> Time {
    START + Span::from_secs(n)
}

#[test]
fn what_is_assigned_is_prepared_and_then_started() {
    let one = lease_at(1, 1);
    assert_eq!(model([assigned(1)], &[]).plan(), [Action::Prepare(one)]);
    assert_eq!(
        model([assigned(1)], &[(one, replica(State::Preparing))]).plan(),
        []
    );
    let prepared = model([assigned(1)], &[(one, replica(State::Prepared))]);
    assert_eq!(prepared.plan(), [Action::Start(one)]);
    assert_eq!(
        model([assigned(1)], &[(one, replica(State::Ready))]).plan(),
        []
    );
}

#[test]
fn what_runs_goes_on_until_its_hard_end_and_no_second_longer() {
    let mut model = model([assigned(1)], &[(lease_at(1, 1), replica(State::Ready))]);
    let end = START + Span::HOUR;
    assert_eq!(model.deadline(), Some(end));
    assert_eq!(model.plan_at(Time::from_millis(end.as_millis() - 1)), []);
    model.now = end;
    assert_eq!(model.plan(), [stop(StopReason::LeaseEnded)]);
}

#[test]
fn an_adopted_replica_is_stopped_only_by_an_assignment_or_its_recorded_hard_end() {
    let mut fresh = model([], &[(lease_at(1, 1), replica(State::Ready))]);
    assert_eq!(fresh.plan(), [stop(StopReason::NotAssigned)]);
    fresh.desired = remuda_assignment::Desired::default();
    assert_eq!(fresh.plan(), []);
    assert_eq!(
        fresh.plan_at(START + Span::HOUR),
        [stop(StopReason::LeaseEnded)]
    );
}

#[test]
fn a_stop_that_outlasts_its_grace_is_a_kill() {
    let model = model([], &[(lease_at(1, 1), replica(State::Stopping))]);
    assert_eq!(
        (model.plan(), model.deadline()),
        (vec![], Some(START + GRACE))
    );
    assert_eq!(model.plan_at(START + GRACE), [Action::Kill(lease_at(1, 1))]);
}

#[test]
fn an_end_is_forgotten_once_reported_and_no_longer_assigned() {
    let ended = replica(State::Ended(Exit::Stopped));
    let one = lease_at(1, 1);
    assert_eq!(model([], &[(one, ended)]).plan(), []);
    let reported = Replica {
        end_reported: true,
        ..ended
    };
    assert_eq!(model([], &[(one, reported)]).plan(), [Action::Forget(one)]);
    let completed = Replica {
        state: State::Ended(Exit::Completed),
        ..reported
    };
    assert_eq!(model([assigned(1)], &[(one, completed)]).plan(), []);
}

#[test]
fn one_that_crashed_is_restarted_at_once_and_then_ever_later() {
    let crashed = replica(State::Ended(Exit::Crashed));
    let one = lease_at(1, 1);
    assert_eq!(
        model([assigned(1)], &[(one, crashed)]).plan(),
        [Action::Restart(one)]
    );
    let fourth = model(
        [assigned(1)],
        &[(
            one,
            Replica {
                restarts: 3,
                ..crashed
            },
        )],
    );
    assert_eq!(
        (fourth.plan(), fourth.deadline()),
        (vec![], Some(seconds(4)))
    );
    assert_eq!(fourth.plan_at(seconds(4)), [Action::Restart(one)]);
}

#[test]
fn draining_ends_at_the_deadline_and_can_be_taken_back() {
    let deadline = seconds(30);
    let draining = Assigned {
        wanted: Wanted::Drain { deadline },
        ..assigned(1)
    };
    let one = lease_at(1, 1);
    let ready = model([draining], &[(one, replica(State::Ready))]);
    assert_eq!(ready.plan(), [Action::Drain { at: one, deadline }]);
    let underway = model([draining], &[(one, replica(State::Draining))]);
    assert_eq!(
        (underway.plan(), underway.deadline()),
        (vec![], Some(deadline))
    );
    assert_eq!(underway.plan_at(deadline), [stop(StopReason::Drained)]);
    assert_eq!(model([draining], &[]).plan(), []);
    let back = model([assigned(1)], &[(one, replica(State::Draining))]);
    assert_eq!(back.plan(), [Action::Undrain(one)]);
}

#[test]
fn another_spec_replaces_what_runs() {
    let other = Assigned {
        spec_digest: spec(9),
        ..assigned(1)
    };
    let one = lease_at(1, 1);
    let running = model([other], &[(one, replica(State::Ready))]);
    assert_eq!(running.plan(), [stop(StopReason::Replaced)]);
    let ended = model([other], &[(one, replica(State::Ended(Exit::Stopped)))]);
    assert_eq!(ended.plan(), [Action::Forget(one)]);
}

#[test]
fn a_newer_epoch_fences_the_older_off_and_starts_when_it_is_gone() {
    let newer = Assigned {
        lease_epoch: 2,
        ..assigned(1)
    };
    let (old, new) = (lease_at(1, 1), lease_at(1, 2));
    let here = [(old, replica(State::Ready))];
    assert_eq!(
        model([newer], &here).plan(),
        [Action::FenceOff(old), Action::Prepare(new)]
    );
    let here = [
        (old, replica(State::Stopping)),
        (new, replica(State::Prepared)),
    ];
    assert_eq!(model([newer], &here).plan(), [Action::Kill(old)]);
    let here = [
        (old, replica(State::Ended(Exit::Stopped))),
        (new, replica(State::Prepared)),
    ];
    assert_eq!(model([newer], &here).plan(), [Action::Start(new)]);
}
