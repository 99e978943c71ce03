//! Clients that leave, that are slow, and that wait.

use std::time::Duration;

use remuda_types::Span;
use serde_json::json;

use crate::http::text;
use crate::node::{Fault, letters};
use crate::world::{PROMPT, World, price};

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_pays_what_was_forwarded_and_the_replica_is_cancelled() {
    let world = World::new(1).await;
    world.nodes[0].set(|manner| manner.fault = Some((7, Fault::Wait)));
    let mut events = world.stream(json!({"max_tokens": 50, "seed": 3})).await;
    assert_eq!(events.content(7).await, letters(3, 7));
    drop(events);
    world
        .control
        .until("it is posted", |state| state.requests() == 1)
        .await;
    assert_eq!(world.control.state().used(), (PROMPT, 7, price(PROMPT, 7)));
    for _ in 0..200 {
        if world.nodes[0].cancelled() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the replica works on");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_before_the_first_token_pays_nothing() {
    let world = World::new(1).await;
    world.nodes[0].set(|manner| manner.fault = Some((0, Fault::Wait)));
    let asked = tokio::time::timeout(Duration::from_millis(300), world.chat(json!({}))).await;
    assert!(asked.is_err());
    for _ in 0..200 {
        if world.nodes[0].cancelled() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    world.nodes[0].set(|manner| manner.fault = None);
    world.chat(json!({})).await;
    world
        .control
        .until("the other is posted", |state| state.requests() == 1)
        .await;
    assert_eq!(world.control.state().used(), (PROMPT, 8, price(PROMPT, 8)));
}

/// More text than the buffers between a gateway and a client on one machine hold.
const TOKENS: u32 = 90_000;

/// How many tokens the gateway has read from replicas, but for the first.
fn read(metrics: &str) -> u32 {
    let counts = metrics
        .lines()
        .filter(|line| line.starts_with("remuda_gateway_gap_seconds_count"));
    counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_holds_its_replica_back_and_loses_nothing() {
    let world = World::with(2, |config| {
        config.limits.pieces_ahead = 4;
        // Silence of a replica that is not read must not count.
        config.policies.stream.min_stall = Span::from_millis(500);
        config.policies.stream.min_probe = Span::from_millis(400);
    })
    .await;
    let mut events = world.stream(json!({"max_tokens": TOKENS, "seed": 3})).await;
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let read = read(&world.metrics().await);
        if read == before {
            break;
        }
        before = read;
    }
    assert!(
        (1..TOKENS - 1).contains(&before),
        "everything was read at once: {before}"
    );
    assert_eq!(text(&events.rest().await), letters(3, TOKENS));
    let starts = world.nodes[0].starts().len() + world.nodes[1].starts().len();
    assert_eq!(
        starts, 1,
        "no replica was given up for the client's slowness"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_long_hears_that_the_stream_lives() {
    let world = World::with(1, |config| {
        config.limits.head_wait = Duration::from_millis(100);
        config.limits.keep_alive = Duration::from_millis(100);
    })
    .await;
    world.nodes[0].set(|manner| manner.fault = Some((0, Fault::Wait)));
    let mut events = world.stream(json!({"max_tokens": 4, "seed": 3})).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    world.nodes[0].set(|manner| manner.fault = None);
    assert_eq!(text(&events.rest().await), letters(3, 4));
    assert!(events.comments >= 2, "{}", events.comments);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_for_their_turn() {
    let mut world = World::without_gateway(1).await;
    let mut table = world.table(vec![0]);
    table.models[0].replicas[0].slots = 1;
    world.control.publish(table);
    world.add_gateway("gateway", |_| {}).await;
    world.nodes[0].set(|manner| manner.pause = Duration::from_millis(5));
    let all = futures::future::join_all((0..6).map(|_| world.chat(json!({})))).await;
    assert!(all.iter().all(|response| response.status() == 200));
    assert_eq!(world.nodes[0].starts().len(), 6);
}
