//! API keys, and the ids that make a command count once.

use remuda_network::command::IssueKey;
use remuda_network::network::Decision;
use remuda_network::state::KeyOwner;
use remuda_network::{Command, Event, Policy};
use remuda_types::{ApiKeyId, Digest, Span, Time};

use crate::world::{World, command_id, label, lax, secs};

fn issued(events: &[Event]) -> ApiKeyId {
    match events {
        [Event::KeyIssued { key, .. }] => *key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_found_by_its_secret_until_it_is_revoked_and_revoked_once() {
    let mut world = World::new(lax());
    let key = issued(&world.run(World::issue(KeyOwner::Operator, 1)));
    assert_eq!(world.network.index().key(&Digest([1; 32])), Some(key));
    assert!(world.state().keys[&key].is_valid(world.now));
    assert_eq!(world.run(Command::RevokeKey { key }).len(), 1);
    assert!(world.run(Command::RevokeKey { key }).is_empty());
    assert!(!world.state().keys[&key].is_valid(world.now));
    let again = world.refused(World::issue(KeyOwner::Operator, 1));
    assert_eq!(again, "digest: a key with this secret was issued already");
}

#[test]
fn revoked_keys_do_not_count_against_the_limit() {
    let mut world = World::new(Policy {
        max_keys: 1,
        ..lax()
    });
    let key = issued(&world.run(World::issue(KeyOwner::Operator, 1)));
    let text = world.refused(World::issue(KeyOwner::Operator, 2));
    assert_eq!(
        text,
        "max_keys is limited to 1: revoke keys that are not used"
    );
    world.run(Command::RevokeKey { key });
    world.run(World::issue(KeyOwner::Operator, 2));
}

#[test]
fn ids_are_remembered_for_the_window_and_refused_after_it() {
    let mut world = World::new(lax());
    let (id, command) = (
        command_id(world.now, 7),
        Command::CreateTenant { label: label(1) },
    );
    world.send(id, &command).unwrap();
    world.tick_after(secs(900));
    assert_eq!(
        world.network.decide(world.now, id, &command),
        Ok(Decision::Repeat)
    );
    world.tick_after(secs(1));
    let text = world.send(id, &command).unwrap_err().to_string();
    assert_eq!(
        text,
        "the command is older than 900.000 s: look whether it was done, then send it with a new id"
    );
    let early = command_id(world.now + secs(61), 8);
    let text = world.send(early, &command).unwrap_err().to_string();
    assert_eq!(
        text,
        "the command's id is 61.000 s ahead of control's clock: set the sender's clock"
    );
}

/// What a short memory forgot, a long one does not remember: it must not be done again.
#[test]
fn a_longer_window_does_not_bring_back_what_was_forgotten() {
    let window = |seconds| Policy {
        id_window: secs(seconds),
        ..lax()
    };
    let mut world = World::new(window(10));
    let (id, command) = (
        command_id(world.now, 7),
        Command::CreateTenant { label: label(1) },
    );
    world.send(id, &command).unwrap();
    world.tick_after(secs(60));
    world.run(Command::SetPolicy(Box::new(window(900))));
    let text = world.send(id, &command).unwrap_err().to_string();
    assert!(text.starts_with("the command is older than"), "{text}");
}

#[test]
fn a_key_ends_at_a_time_that_can_be_written_or_not_at_all() {
    let mut world = World::new(lax());
    let ending = |expires| match World::issue(KeyOwner::Operator, 1) {
        Command::IssueKey(key) => Command::IssueKey(Box::new(IssueKey {
            expires: Some(expires),
            ..*key
        })),
        other => other,
    };
    let text = world.refused(ending(Time::FOREVER));
    assert_eq!(
        text,
        "expires: it ends before the year 10000, or is left out for a key without end"
    );
    world.refused(ending(Time::LAST_WRITABLE + Span::from_millis(1)));
    world.run(ending(Time::LAST_WRITABLE));
}
