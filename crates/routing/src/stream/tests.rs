//! Tests of the stream machine, one event at a time.

use std::num::NonZeroU32;

use super::*;
use crate::admission::queue::Turn;
use crate::pick::Outcome;

fn lease(number: u128) -> LeaseId {
    LeaseId::from_u128(number)
}

fn node(number: u128) -> NodeKey {
    let byte = u8::try_from(number).unwrap();
    NodeKey([byte; 32])
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn facts(max_tokens: u32, may_resume: bool) -> Facts {
    let max_tokens = NonZeroU32::new(max_tokens).unwrap();
    Facts {
        prompt_tokens: 100,
        max_tokens,
        may_resume,
    }
}

fn stream(max_tokens: u32) -> Stream {
    Stream::new(
        facts(max_tokens, true),
        Policy::default(),
        Pace::default(),
        at(0),
    )
}

fn drain(stream: &mut Stream) -> Vec<Action> {
    std::iter::from_fn(|| stream.poll()).collect()
}

/// A stream that `lease(1)` has given two tokens, at 10 and 20 ms; ids are ten times the index.
fn begun(max_tokens: u32) -> Stream {
    let mut stream = stream(max_tokens);
    stream.dispatched(lease(1), node(1), at(0));
    stream.token(lease(1), 0, 0, at(10));
    stream.token(lease(1), 1, 10, at(20));
    drain(&mut stream);
    stream
}

fn dispatch(exclude: &[u128], generated: &[u32]) -> Action {
    let turn = match exclude {
        [] => Turn::New,
        _ => Turn::Resumed,
    };
    asked(exclude, generated, turn)
}

fn asked(exclude: &[u128], generated: &[u32], turn: Turn) -> Action {
    let exclude = exclude.iter().map(|&number| lease(number)).collect();
    Action::Dispatch {
        exclude,
        generated: generated.to_vec(),
        turn,
    }
}

fn failed(number: u128) -> Action {
    Action::Done {
        lease: lease(number),
        outcome: Outcome::Failed,
    }
}

fn released(number: u128) -> Action {
    Action::Done {
        lease: lease(number),
        outcome: Outcome::Released,
    }
}

fn cancel(number: u128) -> Action {
    Action::Cancel {
        lease: lease(number),
    }
}

fn forward(index: u32) -> Action {
    Action::Forward {
        index,
        id: index * 10,
    }
}

#[test]
fn an_answer_passes_through() {
    let mut stream = stream(9);
    assert_eq!(drain(&mut stream), [dispatch(&[], &[])]);
    stream.dispatched(lease(1), node(1), at(0));
    stream.token(lease(1), 0, 0, at(10));
    stream.end(lease(1), ReplicaEnd::Stop, at(11));
    let outcome = Outcome::Served {
        first_token: Some(Span::from_millis(10)),
    };
    assert_eq!(
        drain(&mut stream),
        [
            forward(0),
            Action::Done {
                lease: lease(1),
                outcome
            },
            Action::Finish {
                reason: Finish::Stop,
                tokens: 1
            },
        ]
    );
    assert_eq!(stream.next_deadline(), None);
}

#[test]
fn a_broken_replica_is_replaced_where_it_stopped() {
    let mut stream = begun(9);
    stream.broken(lease(1), Broken::ConnectionLost, at(30));
    assert_eq!(drain(&mut stream), [failed(1), dispatch(&[1], &[0, 10])]);
    stream.dispatched(lease(2), node(2), at(31));
    stream.token(lease(1), 2, 666, at(32));
    stream.token(lease(2), 2, 20, at(70));
    stream.end(lease(2), ReplicaEnd::Stop, at(71));
    assert_eq!(drain(&mut stream)[0], forward(2));
    assert_eq!(stream.generated(), [0, 10, 20]);
    assert_eq!(stream.moves()[0].gap(), Some(Span::from_millis(50)));
    let delivery = stream.delivery();
    assert_eq!(
        delivery.delivered,
        [
            Delivered {
                lease: lease(1),
                tokens: 2
            },
            Delivered {
                lease: lease(2),
                tokens: 1
            },
        ]
    );
    assert_eq!(delivery.ended_by, Some(lease(2)));
}

#[test]
fn silence_is_probed_early_and_a_failed_probe_moves_at_once() {
    let mut stream = begun(9);
    assert_eq!(stream.next_deadline(), Some(at(270)));
    stream.tick(at(270));
    assert_eq!(drain(&mut stream), [Action::Probe { lease: lease(1) }]);
    stream.tick(at(900));
    assert_eq!(drain(&mut stream), []);
    stream.probe_failed(lease(1), true, at(900));
    assert_eq!(
        drain(&mut stream),
        [cancel(1), failed(1), dispatch(&[1], &[0, 10])]
    );
}

#[test]
fn an_engine_that_answers_is_alive_but_not_for_ever() {
    let mut stream = begun(9);
    stream.tick(at(270));
    stream.probe_answered(lease(1), at(300));
    assert_eq!(stream.next_deadline(), Some(at(550)));
    stream.probe_failed(lease(1), true, at(310));
    assert_eq!(drain(&mut stream).len(), 1);
    // The usual limit has passed: an answer at 1.4 s buys as much again.
    stream.tick(at(550));
    stream.probe_answered(lease(1), at(1_400));
    stream.tick(at(2_899));
    assert!(stream.moves().is_empty());
    let mut now = 2_899;
    while stream.moves().is_empty() {
        stream.probe_answered(lease(1), at(now));
        now += 250;
        stream.tick(at(now));
    }
    assert_eq!(stream.moves()[0].cause, Cause::Stalled);
    assert!((121_520..122_000).contains(&now), "{now}");
}

#[test]
fn an_answer_that_is_on_its_way_is_waited_for() {
    let mut stream = begun(9);
    stream.tick(at(270));
    stream.tick(at(1_769));
    assert!(stream.moves().is_empty());
    stream.tick(at(1_770));
    assert_eq!(stream.moves()[0].cause, Cause::Stalled);
}

#[test]
fn an_unanswered_probe_is_repeated_where_there_is_nowhere_to_go() {
    let mut stream = begun(9);
    stream.tick(at(270));
    drain(&mut stream);
    stream.probe_failed(lease(1), false, at(520));
    assert_eq!(drain(&mut stream), [Action::Probe { lease: lease(1) }]);
    // Asking again does not put the end off.
    stream.tick(at(1_770));
    assert_eq!(stream.moves()[0].cause, Cause::Stalled);
}

#[test]
fn the_last_move_is_not_spent_on_suspicion() {
    let mut stream = begun(9);
    for number in 1..=3 {
        stream.broken(lease(number), Broken::StreamReset, at(30));
        stream.dispatched(lease(number + 1), node(number + 1), at(30));
    }
    stream.tick(at(280));
    drain(&mut stream);
    stream.probe_failed(lease(4), true, at(530));
    assert_eq!(drain(&mut stream), [Action::Probe { lease: lease(4) }]);
    assert_eq!(stream.ended(), None);
}

#[test]
fn a_prompt_engine_is_waited_for_shortly_and_a_slow_or_new_one_longer() {
    let policy = Policy::default();
    let within = |step| policy.answer_within(Some(Span::from_millis(step)));
    assert_eq!(within(50), Span::from_millis(100));
    assert_eq!(within(600), Span::from_millis(1_200));
    assert_eq!(within(9_000), policy.most_answer);
    assert_eq!(policy.answer_within(None), policy.most_answer);
}

#[test]
fn a_slow_model_is_given_the_time_it_usually_takes() {
    let pace = Pace {
        typical: Span::from_millis(500),
        p99: Span::from_secs(2),
    };
    let mut stream = Stream::new(facts(9, true), Policy::default(), pace, at(0));
    stream.dispatched(lease(1), node(1), at(0));
    assert_eq!(stream.next_deadline(), Some(at(2_000)));
    stream.token(lease(1), 0, 0, at(1_000));
    stream.tick(at(3_000));
    stream.tick(at(16_999));
    assert!(stream.moves().is_empty());
    stream.tick(at(17_000));
    assert_eq!(stream.moves()[0].cause, Cause::Stalled);
}

#[test]
fn a_long_prompt_may_take_longer_to_its_first_token() {
    let mut stream = stream(9);
    stream.dispatched(lease(1), node(1), at(0));
    stream.tick(at(250));
    stream.tick(at(10_999));
    assert!(stream.moves().is_empty());
    stream.tick(at(11_000));
    assert_eq!(stream.moves()[0].cause, Cause::NoFirstToken);
}

#[test]
fn doubled_tokens_are_dropped_and_a_gap_breaks_the_lease() {
    let mut stream = begun(9);
    stream.token(lease(1), 0, 0, at(21));
    assert_eq!(drain(&mut stream), []);
    stream.token(lease(1), 3, 30, at(22));
    assert_eq!(
        drain(&mut stream),
        [cancel(1), failed(1), dispatch(&[1], &[0, 10])]
    );
}

#[test]
fn a_draining_replica_hands_over_without_blame() {
    let mut stream = begun(9);
    stream.end(lease(1), ReplicaEnd::Draining, at(30));
    let released = Action::Done {
        lease: lease(1),
        outcome: Outcome::Released,
    };
    assert_eq!(drain(&mut stream), [released, dispatch(&[1], &[0, 10])]);
}

#[test]
fn a_full_replica_may_be_asked_again_until_time_is_up() {
    let mut stream = stream(9);
    drain(&mut stream);
    stream.dispatched(lease(1), node(1), at(5));
    stream.refused(lease(1), Refused::Busy, at(6));
    let declined = Action::Done {
        lease: lease(1),
        outcome: Outcome::Declined,
    };
    assert_eq!(drain(&mut stream), [declined.clone(), dispatch(&[], &[])]);
    assert!(stream.moves().is_empty());
    stream.dispatched(lease(1), node(1), at(29_999));
    stream.refused(lease(1), Refused::Busy, at(30_000));
    let why = Failure::NoReplicaLeft;
    assert_eq!(
        drain(&mut stream),
        [declined, dispatch(&[], &[]), Action::Fail { why }]
    );
}

#[test]
fn a_request_is_invalid_when_a_second_node_says_so() {
    let mut stream = stream(9);
    drain(&mut stream);
    stream.dispatched(lease(1), node(1), at(0));
    stream.refused(lease(1), Refused::Invalid, at(1));
    let second = asked(&[1], &[], Turn::New);
    assert_eq!(drain(&mut stream), [failed(1), second]);
    // Another lease of the same node is no second witness.
    stream.dispatched(lease(2), node(1), at(2));
    stream.refused(lease(2), Refused::Invalid, at(3));
    assert_eq!(stream.ended(), None);
    stream.dispatched(lease(3), node(3), at(4));
    stream.refused(lease(3), Refused::Invalid, at(5));
    assert_eq!(stream.ended(), Some(Ended::Failed(Failure::Invalid)));
}

#[test]
fn one_node_cannot_call_a_request_invalid() {
    for other in [true, false] {
        let mut stream = stream(9);
        stream.dispatched(lease(1), node(1), at(0));
        stream.refused(lease(1), Refused::Invalid, at(1));
        if other {
            stream.dispatched(lease(2), node(2), at(2));
            stream.token(lease(2), 0, 0, at(3));
            assert_eq!(stream.generated(), [0]);
        } else {
            stream.no_replica();
            assert_eq!(stream.ended(), Some(Ended::Failed(Failure::NoReplicaLeft)));
        }
    }
}

#[test]
fn an_empty_answer_is_believed_of_the_second_node_or_of_the_only_one() {
    for other in [true, false] {
        let mut stream = stream(9);
        drain(&mut stream);
        stream.dispatched(lease(1), node(1), at(0));
        stream.end(lease(1), ReplicaEnd::Stop, at(1));
        let second = asked(&[1], &[], Turn::New);
        assert_eq!(drain(&mut stream), [released(1), second]);
        if other {
            stream.dispatched(lease(2), node(2), at(2));
            stream.end(lease(2), ReplicaEnd::Stop, at(3));
        } else {
            stream.no_replica();
        }
        assert_eq!(stream.ended(), Some(Ended::Finished(Finish::Stop)));
        let by = if other { lease(2) } else { lease(1) };
        assert_eq!(stream.delivery().ended_by, Some(by));
    }
}

#[test]
fn an_empty_answer_that_another_does_not_share_is_blamed() {
    let mut stream = stream(9);
    stream.dispatched(lease(1), node(1), at(0));
    stream.end(lease(1), ReplicaEnd::Stop, at(1));
    stream.dispatched(lease(2), node(2), at(2));
    drain(&mut stream);
    stream.token(lease(2), 0, 0, at(3));
    assert_eq!(
        drain(&mut stream),
        [Action::Blame { lease: lease(1) }, forward(0)]
    );
    stream.broken(lease(2), Broken::Malformed, at(4));
    stream.no_replica();
    assert_eq!(stream.ended(), Some(Ended::Failed(Failure::NoReplicaLeft)));
}

#[test]
fn a_replica_to_which_the_way_broke_is_asked_again_after_a_pause() {
    let mut stream = begun(9);
    stream.broken(lease(1), Broken::ConnectionLost, at(1_000));
    assert_eq!(drain(&mut stream), [failed(1), dispatch(&[1], &[0, 10])]);
    assert_eq!(stream.next_deadline(), Some(at(1_500)));
    stream.tick(at(1_500));
    let again = asked(&[], &[0, 10], Turn::Resumed);
    assert_eq!(drain(&mut stream), [again]);
    // The node cannot even be reached: no move, and the next pause is longer.
    for (pause, number) in [(1_000, 1), (2_000, 2), (2_000, 3)] {
        let now = stream.next_deadline().unwrap().since(at(0)).as_millis();
        assert_eq!(now, 31_000, "only the wait itself has an end");
        let now = 2_000 + number * 5_000;
        stream.dispatched(lease(1), node(1), at(now));
        stream.broken(lease(1), Broken::Unreachable, at(now));
        assert_eq!(stream.next_deadline(), Some(at(now + pause)));
        stream.tick(at(now + pause));
    }
    assert_eq!(stream.moves().len(), 1);
    stream.dispatched(lease(1), node(1), at(20_000));
    stream.token(lease(1), 2, 20, at(20_010));
    assert_eq!(stream.generated(), [0, 10, 20]);
}

#[test]
fn a_replica_that_sent_nonsense_is_not_asked_again() {
    let mut stream = begun(9);
    stream.broken(lease(1), Broken::Malformed, at(1_000));
    assert_eq!(stream.next_deadline(), Some(at(31_000)));
    drain(&mut stream);
    stream.dispatched(lease(1), node(1), at(2_000));
    assert_eq!(drain(&mut stream)[0], cancel(1));
}

#[test]
fn moves_are_counted() {
    let mut stream = begun(9);
    for number in 1..=4 {
        stream.broken(lease(number), Broken::StreamReset, at(30));
        stream.dispatched(lease(number + 1), node(number + 1), at(30));
    }
    assert_eq!(stream.ended(), Some(Ended::Failed(Failure::TooManyMoves)));
    // The fifth was dispatched after the end: it is not left running.
    assert_eq!(
        drain(&mut stream)
            .iter()
            .filter(|&action| *action == cancel(5))
            .count(),
        1
    );
}

#[test]
fn who_forbids_resuming_is_still_tried_again_before_the_first_token() {
    let mut stream = Stream::new(facts(9, false), Policy::default(), Pace::default(), at(0));
    stream.dispatched(lease(1), node(1), at(0));
    stream.broken(lease(1), Broken::Unreachable, at(1));
    stream.dispatched(lease(2), node(2), at(1));
    stream.token(lease(2), 0, 0, at(2));
    stream.broken(lease(2), Broken::StreamReset, at(3));
    assert_eq!(
        stream.ended(),
        Some(Ended::Failed(Failure::ResumeForbidden))
    );
}

#[test]
fn a_replica_that_dies_after_the_last_token_has_done_its_work() {
    let mut stream = begun(2);
    stream.broken(lease(1), Broken::ConnectionLost, at(30));
    let finish = Action::Finish {
        reason: Finish::Length,
        tokens: 2,
    };
    assert_eq!(drain(&mut stream), [failed(1), finish]);
}

#[test]
fn more_tokens_than_asked_for_are_not_forwarded() {
    let mut stream = begun(2);
    stream.token(lease(1), 2, 20, at(30));
    let finish = Action::Finish {
        reason: Finish::Length,
        tokens: 2,
    };
    assert_eq!(drain(&mut stream), [cancel(1), failed(1), finish]);
}

#[test]
fn a_client_that_leaves_stops_the_replica_and_owes_what_it_got() {
    let mut stream = begun(9);
    stream.abandoned();
    stream.token(lease(1), 2, 20, at(30));
    let outcome = Outcome::Served {
        first_token: Some(Span::from_millis(10)),
    };
    assert_eq!(
        drain(&mut stream),
        [
            cancel(1),
            Action::Done {
                lease: lease(1),
                outcome
            }
        ]
    );
    let delivery = stream.delivery();
    assert_eq!((delivery.delivered[0].tokens, delivery.ended_by), (2, None));
}

#[test]
fn a_stop_sequence_finishes_while_running_and_while_waiting() {
    for broken in [false, true] {
        let mut stream = begun(9);
        if broken {
            stream.broken(lease(1), Broken::StreamReset, at(30));
        }
        stream.stop();
        let last = drain(&mut stream).pop();
        assert_eq!(
            last,
            Some(Action::Finish {
                reason: Finish::Stop,
                tokens: 2
            })
        );
    }
}

#[test]
fn only_what_is_wanted_is_dispatched_to() {
    let mut stream = begun(9);
    stream.dispatched(lease(2), node(2), at(30));
    let released = |number| Action::Done {
        lease: lease(number),
        outcome: Outcome::Released,
    };
    assert_eq!(drain(&mut stream), [cancel(2), released(2)]);
    stream.broken(lease(1), Broken::StreamReset, at(30));
    drain(&mut stream);
    stream.dispatched(lease(1), node(1), at(31));
    assert_eq!(
        drain(&mut stream),
        [cancel(1), released(1), dispatch(&[1], &[0, 10])]
    );
}

#[test]
fn no_replica_in_time_fails() {
    let mut stream = stream(9);
    stream.tick(at(29_999));
    assert_eq!(stream.ended(), None);
    stream.tick(at(30_000));
    assert_eq!(stream.ended(), Some(Ended::Failed(Failure::NoReplicaLeft)));
}
