//! Workloads that are wanted later, over HTTP: standing orders and reservations.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Control, Market, text};

fn spec(name: &str) -> Value {
    json!({"name": name, "model": {"name": "tiny"}})
}

fn from_now(control: &Control, ms: u64) -> u64 {
    control.running.core.clock().now().as_millis() + ms
}

/// Asks until the answer says so.
async fn wait_for(
    control: &Control,
    key: &str,
    path: &str,
    is_it: impl Fn(&Answer) -> bool,
) -> Answer {
    for _ in 0..500 {
        let answer = control.get(key, path).await;
        if is_it(&answer) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path} never came to be what it should");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_stands_until_there_is_room() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    let key = &market.project_key;
    let order = |control: &Control| json!({"workload": spec("chat"), "until_ms": from_now(control, 60_000)});
    let placed = control
        .post(key, "/v1/orders", &order(&control))
        .await
        .expect(201);
    assert_eq!(
        (&placed["state"], &placed["name"]),
        (&json!("standing"), &json!("chat"))
    );
    assert_eq!(placed["workload"]["model"]["name"], "tiny");
    let path = format!("/v1/orders/{}", text(&placed, "id"));
    let listed = control.get(key, "/v1/orders").await.expect(200);
    assert_eq!(listed["data"][0]["id"], placed["id"]);
    let again = control.post(key, "/v1/orders", &order(&control)).await;
    assert_eq!((again.status.as_u16(), again.code()), (409, "name-taken"));

    market.node(&control, 1, 1_000).await;
    let filled = wait_for(&control, key, &path, |answer| {
        answer.body["state"] == "filled"
    })
    .await;
    assert_eq!(filled.body["until_ms"], Value::Null);
    let workload = format!("/v1/workloads/{}", text(&placed, "id"));
    let workload = control.get(key, &workload).await.expect(200);
    assert_eq!(workload["replicas"][0]["phase"], "placed");
    assert_eq!(workload["spec"]["name"], "chat");
    let none = control.get(key, "/v1/orders").await.expect(200);
    assert_eq!(none["data"], json!([]));
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_taken_back_and_makes_sense_or_is_refused() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    let key = &market.project_key;
    let order = json!({"workload": spec("chat"), "until_ms": from_now(&control, 60_000)});
    let placed = control.post(key, "/v1/orders", &order).await.expect(201);
    let path = format!("/v1/orders/{}", text(&placed, "id"));
    assert_eq!(control.delete(key, &path).await.status.as_u16(), 204);
    assert_eq!(control.get(key, &path).await.status.as_u16(), 404);
    let past = json!({"workload": spec("chat"), "until_ms": 1});
    let past = control.post(key, "/v1/orders", &past).await;
    assert_eq!(past.status.as_u16(), 422, "{:#}", past.body);
    assert!(
        text(&past.body, "detail").contains("until"),
        "{:#}",
        past.body
    );
    let strange = json!({"workload": spec("chat"), "until_ms": 1, "forever": true});
    let strange = control.post(key, "/v1/orders", &strange).await;
    assert!(strange.status.is_client_error());
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_keeps_its_place_and_begins_when_its_time_comes() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    market.node(&control, 1, 1_000).await;
    let key = &market.project_key;
    let reserve = json!({
        "workload": spec("chat"),
        "from_ms": from_now(&control, 1_500),
        "to_ms": from_now(&control, 3_600_000),
    });
    let made = control
        .post(key, "/v1/reservations", &reserve)
        .await
        .expect(201);
    assert_eq!(
        (&made["state"], &made["places"]),
        (&json!("reserved"), &json!(1))
    );
    let listed = control.get(key, "/v1/reservations").await.expect(200);
    assert_eq!(listed["data"][0]["id"], made["id"]);
    // What was reserved is still known after a restart.
    let control = control.restart().await;
    let id = text(&made, "id");
    let begun = |answer: &Answer| answer.status.is_success();
    let workload = wait_for(&control, key, &format!("/v1/workloads/{id}"), begun).await;
    assert_eq!(workload.body["spec"]["name"], "chat");
    let path = format!("/v1/reservations/{id}");
    let reservation = control.get(key, &path).await.expect(200);
    assert_eq!(reservation["state"], "begun");
    let late = control.delete(key, &path).await;
    assert_eq!(late.status.as_u16(), 409, "{:#}", late.body);

    let later = json!({
        "workload": spec("later"),
        "from_ms": from_now(&control, 60_000),
        "to_ms": from_now(&control, 3_600_000),
    });
    let later = control
        .post(key, "/v1/reservations", &later)
        .await
        .expect(201);
    let path = format!("/v1/reservations/{}", text(&later, "id"));
    assert_eq!(control.delete(key, &path).await.status.as_u16(), 204);
    assert_eq!(control.get(key, &path).await.status.as_u16(), 404);
    control.running.stop().await;
}
