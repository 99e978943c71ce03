//! Streams that outlive their replicas.

use std::time::Duration;

use remuda_types::Span;
use remuda_wire::infer::RefusedReason;
use serde_json::json;

use crate::control::State;
use crate::http::{json as parse, text};
use crate::node::{Fault, Node, letters};
use crate::world::{PROMPT, World, digest, lease, price};

/// Prompt and completion tokens that a lease was paid for.
fn paid(state: &State, at: usize) -> (u64, u64) {
    let totals = state.posts.iter().flat_map(|post| &post.totals);
    let of = totals.filter(|total| total.lease == lease(at));
    of.fold((0, 0), |(prompt, completion), total| {
        (
            prompt + total.prompt_tokens,
            completion + total.completion_tokens,
        )
    })
}

/// The first replica fails after 10 of 40 tokens; the client sees all 40.
async fn survives(fault: Fault, delivered_by_first: u64) {
    let world = World::new(2).await;
    world.nodes[0].set(|manner| manner.fault = Some((10, fault)));
    let events = world
        .stream(json!({"max_tokens": 40, "seed": 3}))
        .await
        .rest()
        .await;
    assert_eq!(text(&events), letters(3, 40), "{fault:?}");
    assert_eq!(events.last().unwrap(), "[DONE]");
    let starts = world.nodes[1].starts();
    assert_eq!(starts.len(), 1);
    assert_eq!(starts[0].generated.len() as u64, delivered_by_first);
    assert_eq!((starts[0].seed, starts[0].max_tokens), (3, 40));
    world
        .control
        .until("it is posted", |state| state.requests() == 1)
        .await;
    let state = world.control.state();
    assert_eq!(state.used(), (PROMPT, 40, price(PROMPT, 40)));
    // Each is paid for what it delivered; the prompt pays who delivered the first token.
    assert_eq!(paid(&state, 0), (PROMPT, delivered_by_first));
    assert_eq!(paid(&state, 1), (0, 40 - delivered_by_first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_in_mid_stream_is_not_noticed() {
    survives(Fault::Kill, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_in_mid_stream_is_not_noticed() {
    survives(Fault::Reset, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_replica_in_mid_stream_is_not_noticed() {
    survives(Fault::Drain, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_mid_stream_is_not_noticed() {
    survives(Fault::Garble, 10).await;
    survives(Fault::UnknownToken, 10).await;
    survives(Fault::Gap, 10).await;
    survives(Fault::Refuse(RefusedReason::Broken), 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_refuses_is_paid_nothing() {
    for reason in [
        RefusedReason::NotGranted,
        RefusedReason::WrongModel,
        RefusedReason::Busy,
    ] {
        let world = World::new(2).await;
        world.nodes[0].set(|manner| manner.fault = Some((0, Fault::Refuse(reason))));
        let events = world
            .stream(json!({"max_tokens": 5, "seed": 3}))
            .await
            .rest()
            .await;
        assert_eq!(text(&events), letters(3, 5), "{reason:?}");
        world
            .control
            .until("it is posted", |state| state.requests() == 1)
            .await;
        assert_eq!(paid(&world.control.state(), 1), (PROMPT, 5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_engine_is_found_by_a_probe() {
    let world = World::with(2, |config| {
        // Without the probe, the stream would wait for a minute.
        config.policies.stream.min_stall = Span::from_secs(60);
        config.policies.stream.min_probe = Span::from_millis(300);
    })
    .await;
    world.nodes[0].set(|manner| manner.fault = Some((10, Fault::Freeze)));
    let events = world
        .stream(json!({"max_tokens": 40, "seed": 3}))
        .await
        .rest()
        .await;
    assert_eq!(text(&events), letters(3, 40));
    // The node itself lives: its engine's trouble is no sign against it.
    let frozen = (world.nodes[0].key, false);
    assert!(!world.control.state().sightings.contains(&frozen));
    let metrics = world.metrics().await;
    assert!(
        metrics.contains("remuda_gateway_resumes_total{workload="),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_engine_that_answers_its_probe_keeps_its_stream() {
    let world = World::with(2, |config| {
        config.policies.stream.min_probe = Span::from_millis(100);
        config.limits.probe_within = Duration::from_secs(5);
    })
    .await;
    world.nodes[0].set(|manner| manner.fault = Some((3, Fault::Wait)));
    let mut events = world.stream(json!({"max_tokens": 6, "seed": 3})).await;
    assert_eq!(events.content(3).await, letters(3, 3));
    tokio::time::sleep(Duration::from_millis(700)).await;
    world.nodes[0].set(|manner| manner.fault = None);
    assert_eq!(text(&events.rest().await), letters(3, 6)[3..]);
    assert!(world.nodes[1].starts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_step_of_a_healthy_engine_is_no_failure() {
    let world = World::with(2, |config| {
        config.policies.stream.min_probe = Span::from_millis(100);
        config.policies.stream.min_stall = Span::from_millis(500);
        config.limits.probe_within = Duration::from_millis(100);
    })
    .await;
    world.nodes[0].set(|manner| {
        (manner.pause, manner.step) = (Duration::from_millis(400), Duration::from_millis(600));
        manner.fault = Some((4, Fault::Wait));
    });
    let mut events = world.stream(json!({"max_tokens": 6, "seed": 3})).await;
    assert_eq!(events.content(4).await, letters(3, 4));
    // Longer than the limit on silence, and than a prompt engine may take to answer.
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.nodes[0].set(|manner| manner.fault = None);
    assert_eq!(text(&events.rest().await), letters(3, 6)[4..]);
    assert!(world.nodes[1].starts().is_empty());
    let sightings = world.control.state().sightings.clone();
    assert!(sightings.iter().all(|(_, answered)| *answered));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_when_its_only_node_is_back_after_seconds() {
    let mut world = World::new(1).await;
    let address = world.nodes[0].address;
    world.nodes[0].set(|manner| manner.fault = Some((10, Fault::Kill)));
    let mut events = world.stream(json!({"max_tokens": 40, "seed": 3})).await;
    assert_eq!(events.content(10).await, letters(3, 10));
    tokio::time::sleep(Duration::from_secs(4)).await;
    // The old one's socket goes with its last holder.
    world.nodes.clear();
    let back = Node::start_at(address, 50, digest()).await;
    world.nodes.push(back);
    assert_eq!(text(&events.rest().await), letters(3, 40)[10..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_to_come_whole_and_failed_is_free() {
    let world = World::with(1, |config| {
        config.policies.stream.dispatch_timeout = Span::from_millis(300);
    })
    .await;
    world.nodes[0].set(|manner| manner.fault = Some((10, Fault::Garble)));
    let failed = world.chat(json!({"max_tokens": 40})).await;
    assert_eq!(failed.status(), 503);
    world.nodes[0].set(|manner| manner.fault = None);
    assert_eq!(world.chat(json!({"max_tokens": 4})).await.status(), 200);
    world
        .control
        .until("one is posted", |state| state.requests() == 1)
        .await;
    assert_eq!(world.control.state().used(), (PROMPT, 4, price(PROMPT, 4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_alone_does_not_end_a_request() {
    for fault in [Fault::Refuse(RefusedReason::Invalid), Fault::Stop] {
        let world = World::new(2).await;
        world.nodes[0].set(|manner| manner.fault = Some((0, fault)));
        let events = world
            .stream(json!({"max_tokens": 5, "seed": 3}))
            .await
            .rest()
            .await;
        assert_eq!(text(&events), letters(3, 5), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_be_empty() {
    for nodes in [1, 2] {
        let world = World::new(nodes).await;
        for node in &world.nodes {
            node.set(|manner| manner.fault = Some((0, Fault::Stop)));
        }
        let events = world.stream(json!({"max_tokens": 5})).await.rest().await;
        assert_eq!(
            (text(&events), &*events[events.len() - 1]),
            (String::new(), "[DONE]")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_replica_left_the_client_is_told_and_pays_what_it_got() {
    let world = World::with(2, |config| {
        config.policies.stream.dispatch_timeout = Span::from_millis(700);
    })
    .await;
    for (node, after) in world.nodes.iter().zip([10, 15]) {
        node.set(|manner| manner.fault = Some((after, Fault::Garble)));
    }
    let events = world
        .stream(json!({"max_tokens": 40, "seed": 3}))
        .await
        .rest()
        .await;
    let error = parse(events.last().unwrap());
    assert_eq!(error["error"]["code"], "no_replica");
    let got = &events[..events.len() - 1];
    assert_eq!(text(got), letters(3, 15));
    world
        .control
        .until("it is posted", |state| state.requests() == 1)
        .await;
    assert_eq!(
        world.control.state().used(),
        (PROMPT, 15, price(PROMPT, 15))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_a_replica_waits_for_a_new_one() {
    let mut world = World::new(1).await;
    world.nodes[0].set(|manner| manner.fault = Some((10, Fault::Kill)));
    let mut events = world.stream(json!({"max_tokens": 40, "seed": 3})).await;
    assert_eq!(events.content(10).await, letters(3, 10));
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.add_node().await;
    world.publish(vec![1]);
    assert_eq!(text(&events.rest().await), letters(3, 40)[10..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_token_a_failure_is_an_http_error_and_free() {
    let world = World::with(1, |config| {
        config.policies.stream.dispatch_timeout = Span::from_millis(300);
    })
    .await;
    world.nodes[0].set(|manner| manner.fault = Some((0, Fault::Refuse(RefusedReason::Broken))));
    let refused = world.chat(json!({"stream": true})).await;
    assert_eq!(refused.status(), 503);
    world.nodes[0].set(|manner| manner.fault = None);
    let served = world.chat(json!({"max_tokens": 4})).await;
    assert_eq!(served.status(), 200);
    world
        .control
        .until("one is posted", |state| state.requests() == 1)
        .await;
    assert_eq!(world.control.state().used(), (PROMPT, 4, price(PROMPT, 4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn control_is_told_of_nodes_that_it_asks_for() {
    let world = World::new(2).await;
    let (here, gone) = (world.nodes[0].key, world.nodes[1].key);
    world.nodes[1].kill().await;
    world.control.ask_to_probe(here);
    world.control.ask_to_probe(gone);
    world
        .control
        .until("both are seen", |state| {
            state.sightings.contains(&(here, true)) && state.sightings.contains(&(gone, false))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_shown_a_grant_before_the_first_request() {
    let world = World::new(2).await;
    let shown = async {
        while world.nodes.iter().any(|node| node.probes() == 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let within = Duration::from_secs(20);
    tokio::time::timeout(within, shown).await.unwrap();
}
