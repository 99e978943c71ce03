//! Refusals: the status, the body and the advice that SDKs act on.

use remuda_types::{Digest, ProjectId, Time};
use remuda_wire::infer::RefusedReason;
use reqwest::Response;
use serde_json::{Value, json};

use crate::node::Fault;
use crate::world::{SECRET, World};

/// Status, `type`, `code` and `param` of an error, and whether a retry is advised.
async fn error(response: Response) -> (u16, String, String, Value, bool) {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let retry = headers.contains_key("retry-after");
    assert_eq!(
        headers.get("x-should-retry").is_some(),
        !retry,
        "advice is clear"
    );
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    assert!(!error["message"].as_str().unwrap().is_empty());
    let word = |name: &str| error[name].as_str().unwrap().to_owned();
    (
        status,
        word("type"),
        word("code"),
        error["param"].clone(),
        retry,
    )
}

fn expected(
    status: u16,
    kind: &str,
    code: &str,
    param: Option<&str>,
    retry: bool,
) -> (u16, String, String, Value, bool) {
    (
        status,
        kind.to_owned(),
        code.to_owned(),
        json!(param),
        retry,
    )
}

const INVALID: &str = "invalid_request_error";

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_checked() {
    let world = World::new(1).await;
    let url = world.url("/v1/models");
    let refused = expected(401, INVALID, "invalid_api_key", None, false);
    assert_eq!(
        error(world.client.get(&url).send().await.unwrap()).await,
        refused
    );
    let wrong = world
        .client
        .get(&url)
        .bearer_auth("wrong")
        .send()
        .await
        .unwrap();
    assert_eq!(error(wrong).await, refused);
    let basic = world
        .client
        .get(&url)
        .basic_auth(SECRET, Some("x"))
        .send()
        .await
        .unwrap();
    assert_eq!(error(basic).await, refused);

    let mut table = world.control.table();
    let mut add = |secret: &str, change: fn(&mut remuda_wire::gateway::KeyEntry)| {
        let mut key = table.keys[0].clone();
        key.digest = Digest::of(secret.as_bytes());
        change(&mut key);
        table.keys.push(key);
    };
    add("expired", |key| key.expires = Some(Time::from_millis(1)));
    add("other", |key| key.inference = false);
    add("stranger", |key| key.project = ProjectId::from_u128(99));
    world.control.publish(table);
    let ask = |secret: &'static str| world.client.get(&url).bearer_auth(secret).send();
    while ask("stranger").await.unwrap().status() != 200 {}
    assert_eq!(error(ask("expired").await.unwrap()).await, refused);
    let other = expected(
        403,
        "permission_error",
        "key_not_for_inference",
        None,
        false,
    );
    assert_eq!(error(ask("other").await.unwrap()).await, other);
    let list: Value = ask("stranger").await.unwrap().json().await.unwrap();
    assert_eq!(
        list["data"],
        json!([]),
        "another project's models are not seen"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_checked() {
    let world = World::with(1, |config| config.limits.body_bytes = 10_000).await;
    let unknown = expected(404, INVALID, "model_not_found", Some("model"), false);
    assert_eq!(
        error(world.chat(json!({"model": "large"})).await).await,
        unknown
    );
    let tools = expected(
        400,
        INVALID,
        "unsupported_parameter",
        Some("tools[0].type"),
        false,
    );
    assert_eq!(
        error(world.chat(json!({"tools": [{"type": "x"}]})).await).await,
        tools
    );
    let hot = expected(400, INVALID, "invalid_value", Some("temperature"), false);
    assert_eq!(
        error(world.chat(json!({"temperature": 9})).await).await,
        hot
    );
    let empty = expected(400, INVALID, "invalid_value", Some("stop"), false);
    assert_eq!(error(world.chat(json!({"stop": ""})).await).await, empty);

    let url = world.url("/v1/chat/completions");
    let post = |body: String| {
        world
            .client
            .post(&url)
            .bearer_auth(SECRET)
            .body(body)
            .send()
    };
    let garbage = expected(400, INVALID, "invalid_body", None, false);
    assert_eq!(error(post("{".to_owned()).await.unwrap()).await, garbage);
    let large = expected(413, INVALID, "body_too_large", None, false);
    assert_eq!(error(post("x".repeat(10_001)).await.unwrap()).await, large);

    let nowhere = world.get("/v1/nothing").send().await.unwrap();
    assert_eq!(
        error(nowhere).await,
        expected(404, INVALID, "not_found", None, false)
    );
    let wrong = world.get("/v1/chat/completions").send().await.unwrap();
    assert_eq!(
        error(wrong).await,
        expected(405, INVALID, "method_not_allowed", None, false)
    );
    assert!(
        world.nodes[0].starts().is_empty(),
        "nothing of this reached a replica"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_is_a_limit() {
    let world = World::without_gateway(1).await;
    let mut table = world.table(vec![0]);
    table.models[0].context_tokens = 30;
    world.control.publish(table);
    let mut world = world;
    world.add_gateway("gateway", |_| {}).await;
    let long = json!({"messages": [{"role": "user", "content": "x".repeat(40)}]});
    let refused = expected(
        400,
        INVALID,
        "context_length_exceeded",
        Some("messages"),
        false,
    );
    assert_eq!(error(world.chat(long).await).await, refused);
    // An answer is cut to what the context has room for.
    let body: Value = world
        .chat(json!({"max_tokens": 500}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(body["usage"]["total_tokens"], 30);
    assert_eq!(body["choices"][0]["finish_reason"], "length");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_told_when_to_come_back() {
    let world = World::new(1).await;
    let mut table = world.control.table();
    table.keys[0].requests_per_minute = 2;
    world.control.publish(table);
    let mut limited = world.chat(json!({})).await;
    while !limited.headers().contains_key("x-ratelimit-limit-requests") {
        limited = world.chat(json!({})).await;
    }
    assert_eq!(limited.headers()["x-ratelimit-limit-requests"], "2");
    assert_eq!(limited.headers()["x-ratelimit-remaining-requests"], "1");
    world.chat(json!({})).await;
    let refused = world.chat(json!({})).await;
    assert!(refused.headers().contains_key("retry-after-ms"));
    assert_eq!(refused.headers()["x-ratelimit-limit-requests"], "2");
    assert_eq!(refused.headers()["x-ratelimit-remaining-requests"], "0");
    let denied = expected(429, "rate_limit_error", "rate_limit_exceeded", None, true);
    assert_eq!(error(refused).await, denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_serves_is_503_and_costs_nothing() {
    let world = World::new(1).await;
    world.publish(Vec::new());
    let mut refused = world.chat(json!({"stream": true})).await;
    while refused.status() == 200 {
        drop(refused);
        refused = world.chat(json!({"stream": true})).await;
    }
    assert_eq!(
        error(refused).await,
        expected(503, "server_error", "no_replica", None, true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_full_is_529() {
    let world = World::with(1, |config| {
        config.policies.stream.dispatch_timeout = remuda_types::Span::from_millis(500);
    })
    .await;
    world.nodes[0].set(|manner| manner.fault = Some((0, Fault::Refuse(RefusedReason::Busy))));
    let refused = world.chat(json!({})).await;
    assert_eq!(
        error(refused).await,
        expected(529, "overloaded_error", "overloaded", None, true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_replica_takes_is_400_and_costs_nothing() {
    let world = World::new(2).await;
    for node in &world.nodes {
        node.set(|manner| manner.fault = Some((0, Fault::Refuse(RefusedReason::Invalid))));
    }
    let refused = world.chat(json!({"stream": true})).await;
    assert_eq!(
        error(refused).await,
        expected(400, INVALID, "request_refused", None, false)
    );
    assert_eq!(
        world.nodes[0].starts().len() + world.nodes[1].starts().len(),
        2,
        "a second node is asked"
    );
}
