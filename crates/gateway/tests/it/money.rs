//! Budgets through tranches: reserved before, posted after, never overspent.

use std::time::Duration;

use futures::future::join_all;
use remuda_types::Span;
use serde_json::{Value, json};

use crate::node::Fault;
use crate::world::{KEY, PROJECT, PROMPT, SECRET, World, chat, lease, price};

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_posted_per_lease_and_key() {
    let world = World::new(1).await;
    for _ in 0..3 {
        assert_eq!(world.chat(json!({})).await.status(), 200);
    }
    world
        .control
        .until("three are posted", |state| state.requests() == 3)
        .await;
    let state = world.control.state();
    assert_eq!(state.used(), (3 * PROMPT, 24, 3 * price(PROMPT, 8)));
    let totals: Vec<_> = state.posts.iter().flat_map(|post| &post.totals).collect();
    assert!(
        totals
            .iter()
            .all(|total| (total.lease, total.key) == (lease(0), KEY))
    );
    let numbers: Vec<u64> = state.posts.iter().map(|post| post.seq).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{numbers:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_is_402_and_never_overspent() {
    let world = World::without_gateway(1).await;
    let worst = price(PROMPT, 8);
    world
        .control
        .state()
        .budgets
        .insert(PROJECT, 5 * worst + worst / 2);
    let mut world = world;
    world.add_gateway("gateway", |_| {}).await;
    let responses = join_all((0..12).map(|_| world.chat(json!({})))).await;
    let served = responses
        .iter()
        .filter(|response| response.status() == 200)
        .count();
    assert_eq!(served, 5);
    for refused in responses
        .into_iter()
        .filter(|response| response.status() != 200)
    {
        // While those that are served run, what they do not use may come back.
        let (status, headers) = (refused.status(), refused.headers().clone());
        let body: Value = refused.json().await.unwrap();
        if status == 429 {
            assert!(headers.contains_key("retry-after"));
            assert_eq!(body["error"]["code"], "budget_reserved");
        } else {
            assert_eq!(status, 402);
            assert_eq!(headers["x-should-retry"], "false");
            assert_eq!(body["error"]["code"], "insufficient_quota");
        }
    }
    assert_eq!(world.chat(json!({})).await.status(), 402);
    world
        .control
        .until("five are posted", |state| state.requests() == 5)
        .await;
    assert_eq!(world.control.state().used().2, 5 * worst);
    // More money, and the same key is served again.
    world.control.state().budgets.insert(PROJECT, 1_000_000);
    for _ in 0..100 {
        if world.chat(json!({})).await.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the new money was never found");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_names_no_length_gets_what_the_budget_pays_for() {
    let world = World::without_gateway(1).await;
    world
        .control
        .state()
        .budgets
        .insert(PROJECT, price(PROMPT, 50));
    let mut world = world;
    world.add_gateway("gateway", |_| {}).await;
    let answer: Value = world
        .chat(json!({"max_tokens": null}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(answer["usage"]["completion_tokens"], 50, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_do_not_overspend_one_budget() {
    let world = World::without_gateway(2).await;
    let worst = price(PROMPT, 8);
    let budget = 20 * worst;
    {
        let mut state = world.control.state();
        state.budgets.insert(PROJECT, budget);
        state.tranche_most = 3 * worst;
    }
    let mut world = world;
    for name in ["first", "second"] {
        world
            .add_gateway(name, |config| {
                config.limits.tranche_wait = Duration::from_secs(2);
            })
            .await;
    }
    let ask = |at: usize| {
        let url = world.url_of(at % 2, "/v1/chat/completions");
        world
            .client
            .post(url)
            .bearer_auth(SECRET)
            .json(&chat(json!({})))
            .send()
    };
    let responses = join_all((0..40).map(ask)).await;
    let served = responses
        .iter()
        .flatten()
        .filter(|response| response.status() == 200)
        .count();
    assert!((1..=20).contains(&served), "{served}");
    let served = served as u64;
    world
        .control
        .until("all are posted", |state| state.requests() == served)
        .await;
    let state = world.control.state();
    let spent = state.used().2;
    let held: i64 = state.tranches.values().map(|open| open.left).sum();
    assert_eq!(spent, served.cast_signed() * worst);
    assert_eq!(state.budgets[&PROJECT] + held + spent, budget);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_another_gateway_holds_is_not_spent() {
    let mut world = World::without_gateway(1).await;
    world
        .control
        .state()
        .budgets
        .insert(PROJECT, 5 * price(PROMPT, 8));
    for name in ["first", "second"] {
        world.add_gateway(name, |_| {}).await;
    }
    assert_eq!(world.chat(json!({})).await.status(), 200);
    let url = world.url_of(1, "/v1/chat/completions");
    let asked = world.client.post(url).bearer_auth(SECRET);
    let refused = asked.json(&chat(json!({}))).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(!refused.headers().contains_key("x-should-retry"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_without_traffic_locks_nothing() {
    let world = World::new(1).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(world.control.state().tranches.is_empty());
    assert_eq!(world.chat(json!({})).await.status(), 200);
    assert_eq!(world.control.state().tranches.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_post_is_kept_and_those_after_it_wait() {
    let world = World::new(1).await;
    world.control.state().refuse_posts = 2;
    for _ in 0..3 {
        assert_eq!(world.chat(json!({})).await.status(), 200);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    world
        .control
        .until("all are posted", |state| state.requests() == 3)
        .await;
    let state = world.control.state();
    assert_eq!(state.used().2, 3 * price(PROMPT, 8));
    let numbers: Vec<u64> = state.posts.iter().map(|post| post.seq).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_and_counted_once() {
    let world = World::with(1, |config| {
        config.limits.ask_within = Duration::from_millis(300);
    })
    .await;
    world.control.state().lose_answers = 2;
    for _ in 0..4 {
        world.chat(json!({})).await;
    }
    world
        .control
        .until("four are posted", |state| state.requests() == 4)
        .await;
    world
        .control
        .until("a post came twice", |state| !state.doubled.is_empty())
        .await;
    let state = world.control.state();
    assert_eq!(state.used().2, 4 * price(PROMPT, 8));
    for doubled in &state.doubled {
        let first = state
            .posts
            .iter()
            .find(|post| post.seq == doubled.seq)
            .unwrap();
        assert_eq!(first, doubled, "the same number is the same post");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_control_it_serves_and_posts_later() {
    let mut world = World::new(1).await;
    world.chat(json!({})).await;
    world
        .control
        .until("one is posted", |state| state.requests() == 1)
        .await;
    world.control.stop().await;
    for _ in 0..3 {
        assert_eq!(world.chat(json!({})).await.status(), 200);
    }
    assert_eq!(world.control.state().requests(), 1);
    world.control.resume().await;
    world
        .control
        .until("all are posted", |state| state.requests() == 4)
        .await;
    assert_eq!(world.control.state().used().2, 4 * price(PROMPT, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_control_serves_from_what_was_in_hand() {
    let mut world = World::new(1).await;
    world.chat(json!({})).await;
    world
        .control
        .until("one is posted", |state| state.requests() == 1)
        .await;
    world.control.stop().await;
    world.chat(json!({})).await;
    let gateway = world.gateways.pop().unwrap();
    gateway.stop().await;
    world.add_gateway("gateway", |_| {}).await;
    assert_eq!(world.chat(json!({})).await.status(), 200);
    world.control.resume().await;
    world
        .control
        .until("all are posted", |state| state.requests() == 3)
        .await;
    assert_eq!(world.control.state().used().2, 3 * price(PROMPT, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_finishes_posts_and_gives_back() {
    let mut world = World::new(1).await;
    world.nodes[0].set(|manner| manner.pause = Duration::from_millis(30));
    let mut events = world.stream(json!({"max_tokens": 20, "seed": 3})).await;
    events.content(2).await;
    let gateway = world.gateways.pop().unwrap();
    let stopping = tokio::spawn(gateway.stop());
    assert_eq!(
        events.rest().await.last().unwrap(),
        "[DONE]",
        "what runs may end"
    );
    stopping.await.unwrap();
    let state = world.control.state();
    assert_eq!(state.used(), (PROMPT, 20, price(PROMPT, 20)));
    assert!(state.tranches.is_empty(), "every tranche is closed");
    assert_eq!(state.budgets[&PROJECT], 10_000_000 - price(PROMPT, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_in_time_is_cut_and_billed() {
    let mut world = World::with(1, |config| config.limits.drain = Duration::from_millis(200)).await;
    world.nodes[0].set(|manner| manner.fault = Some((5, Fault::Wait)));
    let mut events = world.stream(json!({"max_tokens": 20, "seed": 3})).await;
    events.content(5).await;
    let gateway = world.gateways.pop().unwrap();
    let stopping = tokio::spawn(gateway.stop());
    let last = events.rest().await.pop().unwrap();
    assert!(last.contains("\"code\":\"stopping\""), "{last}");
    stopping.await.unwrap();
    assert_eq!(world.control.state().used(), (PROMPT, 5, price(PROMPT, 5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_tranche_and_is_posted_in_time() {
    let world = World::without_gateway(1).await;
    world.control.state().tranche_life = Span::from_millis(2_500);
    let mut world = world;
    world.add_gateway("gateway", |_| {}).await;
    world.nodes[0].set(|manner| manner.fault = Some((5, Fault::Wait)));
    let mut events = world.stream(json!({"max_tokens": 20, "seed": 3})).await;
    let last = events.rest().await.pop().unwrap();
    assert!(last.contains("\"code\":\"tranche_lapsed\""), "{last}");
    world
        .control
        .until("it is posted", |state| state.requests() == 1)
        .await;
    assert_eq!(world.control.state().used(), (PROMPT, 5, price(PROMPT, 5)));
    world.nodes[0].set(|manner| manner.fault = None);
    assert_eq!(
        world.chat(json!({})).await.status(),
        200,
        "the next tranche serves"
    );
    world
        .control
        .until("a tranche is given back", |state| !state.closed.is_empty())
        .await;
}
