//! `Idempotency-Key` over HTTP: done once, answered as often as asked.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Control, Market, answer, observe, text};
use remuda_network::command::ObservedPhase;
use remuda_network::state::EndReason;

async fn once(control: &Control, key: &str, path: &str, body: &Value, chosen: &str) -> Answer {
    let request = control
        .request(Method::POST, key, path)
        .header("idempotency-key", chosen);
    answer(request.json(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_done_once_even_over_a_restart() {
    let control = Control::start().await;
    let operator = control.operator.clone();
    let acme = json!({"name": "Acme"});
    let first = once(&control, &operator, "/v1/tenants", &acme, "a").await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = once(&control, &operator, "/v1/tenants", &acme, "a").await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!((again.status, &again.body), (first.status, &first.body));

    let control = control.restart().await;
    let later = once(&control, &operator, "/v1/tenants", &acme, "a").await;
    assert_eq!(later.header("idempotent-replayed"), "true");
    assert_eq!(later.body, first.body);
    let other = once(&control, &operator, "/v1/tenants", &acme, "b").await;
    assert_eq!(other.code(), "name-taken");
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_retries_are_one_charge() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let path = format!("/v1/tenants/{}/top-ups", market.tenant);
    let paid = json!({"amount_usd": "1.50"});
    let operator = control.operator.clone();
    let retries = (0..50).map(|_| once(&control, &operator, &path, &paid, "payment"));
    let answers = join_all(retries).await;
    let first = answers
        .iter()
        .filter(|answer| answer.header("idempotent-replayed").is_empty());
    assert_eq!(first.count(), 1);
    for answer in answers {
        let tenant = answer.expect(201);
        assert_eq!(tenant["prepaid_usd"], "51.500000");
    }
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_request_under_the_same_key_is_refused() {
    let control = Control::start().await;
    let operator = control.operator.clone();
    once(
        &control,
        &operator,
        "/v1/tenants",
        &json!({"name": "A"}),
        "k",
    )
    .await
    .expect(201);
    for (path, body) in [
        ("/v1/tenants", json!({"name": "B"})),
        ("/v1/providers", json!({"name": "A"})),
    ] {
        let reused = once(&control, &operator, path, &body, "k").await;
        assert_eq!(
            (reused.status.as_u16(), reused.code()),
            (422, "idempotency-key-reused")
        );
    }
    // The keys of different callers are different.
    let market = Market::open(&control).await;
    let scopes = json!({"scopes": ["read"]});
    once(&control, &market.project_key, "/v1/keys", &scopes, "k")
        .await
        .expect(201);
    let long = once(
        &control,
        &operator,
        "/v1/tenants",
        &json!({"name": "C"}),
        &"x".repeat(256),
    )
    .await;
    assert_eq!(long.code(), "invalid");
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_may_be_sent_again() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let path = format!("/v1/projects/{}/budget", market.project);
    let asked = json!({"amount_usd": "120"});
    let short = once(&control, &market.project_key, &path, &asked, "fund").await;
    assert_eq!(
        (short.status.as_u16(), short.code()),
        (402, "insufficient-funds")
    );
    let more = json!({"amount_usd": "100"});
    control
        .make(&format!("/v1/tenants/{}/top-ups", market.tenant), &more)
        .await;
    let funded = once(&control, &market.project_key, &path, &asked, "fund")
        .await
        .expect(201);
    assert_eq!(funded["budget"]["available_usd"], "170.000000");
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gives_the_same_secret_which_lies_nowhere() {
    let control = Control::start().await;
    let operator = control.operator.clone();
    let asked = json!({"scopes": ["read"]});
    let first = once(&control, &operator, "/v1/keys", &asked, "key-1")
        .await
        .expect(201);
    let control = control.restart().await;
    let again = once(&control, &operator, "/v1/keys", &asked, "key-1").await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body, first);
    control
        .get(&text(&first, "secret"), "/v1/keys")
        .await
        .expect(200);
    let second = once(&control, &operator, "/v1/keys", &asked, "key-2")
        .await
        .expect(201);
    assert_ne!(second["secret"], first["secret"]);
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_shows_the_thing_as_it_is_now_until_it_is_over() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    market.node(&control, 1, 1_000).await;
    let key = market.project_key.clone();
    let spec = json!({"name": "chat", "model": {"name": "tiny"}});
    let first = once(&control, &key, "/v1/workloads", &spec, "d")
        .await
        .expect(201);
    let placement = first["replicas"][0]["placement"].clone();
    observe(&control, &placement, ObservedPhase::Ready).await;
    let again = once(&control, &key, "/v1/workloads", &spec, "d").await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    let again = again.expect(201);
    assert_eq!(again["id"], first["id"]);
    assert_eq!(again["replicas"][0]["phase"], "ready");

    let id = text(&first, "id");
    control
        .delete(&key, &format!("/v1/workloads/{id}"))
        .await
        .expect(204);
    observe(
        &control,
        &placement,
        ObservedPhase::Ended(EndReason::Stopped),
    )
    .await;
    let over = once(&control, &key, "/v1/workloads", &spec, "d").await;
    assert_eq!((over.status.as_u16(), over.code()), (410, "gone"));
    assert!(text(&over.body, "detail").contains(&id));
    control.running.stop().await;
}
