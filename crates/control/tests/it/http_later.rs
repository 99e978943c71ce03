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
    assert_eq!(listed["data"][0]["why"], "the network has no nodes");
    assert_eq!(placed["why"], "the network has no nodes");
    let again = control.post(key, "/v1/orders", &order(&control)).await;
    assert_eq!((again.status.as_u16(), again.code()), (409, "name-taken"));

    market.node(&control, 1, 1_000).await;
    let filled = wait_for(&control, key, &path, |answer| {
        answer.body["state"] == "filled"
    })
    .await;
    assert_eq!(filled.body["until_ms"], Value::Null);
    assert_eq!(filled.body["why"], Value::Null);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_gang_says_what_it_waits_for_and_what_would_help() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    market.node(&control, 1, 1_000).await;
    let key = &market.project_key;
    // Eight of these fill a node of four cores.
    let mut gang = spec("gang");
    gang["replicas"] = json!(9);
    gang["placement"] = json!({"together": "fabric"});
    let refused = control.post(key, "/v1/workloads", &gang).await;
    assert_eq!(refused.status.as_u16(), 409, "{:#}", refused.body);
    let why = "placed 8 of 9; for the next: 1 node: 1 without 0.5 cores free";
    let said = format!("no capacity: {why}; try 8 replicas");
    assert_eq!(refused.body["detail"], said);
    let until = from_now(&control, 60_000);
    let order = json!({"workload": gang, "until_ms": until});
    let placed = control.post(key, "/v1/orders", &order).await.expect(201);
    assert_eq!(placed["workload"]["placement"]["together"], "fabric");
    let path = format!("/v1/orders/{}", text(&placed, "id"));
    let read = control.get(key, &path).await.expect(200);
    assert_eq!(
        (&read["why"], &read["way_out"]),
        (&json!(why), &json!("try 8 replicas"))
    );
    let mut dear = spec("dear");
    dear["placement"] = json!({"countries": ["DE"]});
    let order = json!({"workload": dear, "until_ms": until});
    let placed = control.post(key, "/v1/orders", &order).await.expect(201);
    assert_eq!(placed["why"], "1 node: 1 not in DE");
    assert_eq!(placed["way_out"], "try allowing KR");
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_has_no_more_than_the_share_that_a_spec_says() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    market.node(&control, 1, 1_000).await;
    let key = &market.project_key;
    let shared = |name: &str, percent: u32| {
        let mut shared = spec(name);
        shared["replicas"] = json!(4);
        shared["placement"] = json!({"max_owner_share_pct": percent});
        shared
    };
    let half = shared("half", 50);
    let refused = control.post(key, "/v1/workloads", &half).await;
    assert_eq!(refused.status.as_u16(), 409, "{:#}", refused.body);
    let why = "placed 2 of 4; for the next: 1 node: 1 of an owner that has 2 already";
    let way_out = "try letting an owner have 4 replicas";
    assert_eq!(
        refused.body["detail"],
        format!("no capacity: {why}; {way_out}")
    );
    let until = from_now(&control, 60_000);
    let order = json!({"workload": half, "until_ms": until});
    let placed = control.post(key, "/v1/orders", &order).await.expect(201);
    assert_eq!(placed["workload"]["placement"]["max_owner_share_pct"], 50);
    assert_eq!(
        (&placed["why"], &placed["way_out"]),
        (&json!(why), &json!(way_out))
    );
    let all = control
        .post(key, "/v1/workloads", &shared("all", 100))
        .await;
    let all = all.expect(201);
    assert_eq!(all["replicas"].as_array().unwrap().len(), 4);
    let odd = control
        .post(key, "/v1/workloads", &shared("odd", 101))
        .await;
    assert_eq!(odd.status.as_u16(), 422, "{:#}", odd.body);
    assert_eq!(
        odd.body["errors"][0],
        json!({
            "pointer": "/placement/max_owner_share_pct",
            "detail": "101: 1 to 100 percent is expected",
        })
    );
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_ordered_is_no_order() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    market.node(&control, 1, 1_000).await;
    let key = &market.project_key;
    let deployed = market.deploy(&control, 1).await;
    let path = format!("/v1/orders/{}", text(&deployed, "id"));
    assert_eq!(control.get(key, &path).await.status.as_u16(), 404);
    // One that had room at once is.
    let order = json!({"workload": spec("now"), "until_ms": from_now(&control, 60_000)});
    let placed = control.post(key, "/v1/orders", &order).await.expect(201);
    assert_eq!(placed["state"], "filled");
    let control = control.restart().await;
    let path = format!("/v1/orders/{}", text(&placed, "id"));
    let read = control.get(key, &path).await.expect(200);
    assert_eq!(read["state"], "filled");
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_spec_is_named_where_it_stands_in_the_body() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    let key = &market.project_key;
    let soon = from_now(&control, 60_000);
    let later = from_now(&control, 120_000);
    let order = |spec: &Value| json!({"workload": spec, "until_ms": soon});
    let reserve = |spec: &Value| json!({"workload": spec, "from_ms": soon, "to_ms": later});
    let mut odd = spec("odd");
    odd["tier"] = json!("multi-site");
    odd["placement"] = json!({"together": "fabric"});
    let mut alone = spec("alone");
    alone["tier"] = json!("multi-site");
    let unknown = json!({"name": "a", "model": {"name": "none"}});
    let mut spot = spec("spot");
    spot["tier"] = json!("spot");
    for (path, body, pointer) in [
        ("/v1/orders", order(&odd), "/workload/placement/together"),
        (
            "/v1/reservations",
            reserve(&odd),
            "/workload/placement/together",
        ),
        ("/v1/orders", order(&alone), "/workload/replicas"),
        ("/v1/reservations", reserve(&alone), "/workload/replicas"),
        ("/v1/orders", order(&unknown), "/workload/model/name"),
        (
            "/v1/reservations",
            reserve(&unknown),
            "/workload/model/name",
        ),
        ("/v1/reservations", reserve(&spot), "/workload/tier"),
        (
            "/v1/reservations",
            json!({"workload": spec("a"), "from_ms": soon, "to_ms": soon}),
            "/to_ms",
        ),
        (
            "/v1/orders",
            json!({"workload": spec("a"), "until_ms": 1}),
            "/until_ms",
        ),
    ] {
        let answer = control.post(key, path, &body).await;
        assert_eq!(answer.status.as_u16(), 422, "{:#}", answer.body);
        let found = &answer.body["errors"][0]["pointer"];
        assert_eq!(found, pointer, "{:#}", answer.body);
        let detail = text(&answer.body, "detail");
        assert!(detail.starts_with(pointer), "{detail}");
    }
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_lists_its_own_a_page_at_a_time() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    let key = &market.project_key;
    let until = from_now(&control, 60_000);
    let mut placed = Vec::new();
    for n in 0..3 {
        let order = json!({"workload": spec(&format!("order-{n}")), "until_ms": until});
        let order = control.post(key, "/v1/orders", &order).await.expect(201);
        placed.push(order["id"].clone());
    }
    let first = control.get(key, "/v1/orders?limit=2").await.expect(200);
    let next = text(&first, "next_cursor");
    let rest = control
        .get(key, &format!("/v1/orders?limit=2&cursor={next}"))
        .await
        .expect(200);
    assert_eq!(rest["next_cursor"], Value::Null);
    let ids = [&first, &rest].map(|page| page["data"].as_array().unwrap().clone());
    let ids: Vec<_> = ids
        .concat()
        .iter()
        .map(|order| order["id"].clone())
        .collect();
    // By id: those of one millisecond are in no other order.
    placed.sort_by_key(ToString::to_string);
    assert_eq!(ids, placed);
    let all = control
        .get(&control.operator, "/v1/orders")
        .await
        .expect(200);
    assert_eq!(all["data"].as_array().unwrap().len(), 3);
    let path = format!("/v1/tenants/{}/projects", market.tenant);
    let other = text(&control.make(&path, &json!({"name": "other"})).await, "id");
    let other = control.key(&other, &["read"]).await;
    for key in [&other, &market.provider_key] {
        let none = control.get(key, "/v1/orders").await.expect(200);
        assert_eq!(none, json!({"data": [], "next_cursor": null}));
        let none = control.get(key, "/v1/reservations").await.expect(200);
        assert_eq!(none["data"], json!([]));
    }
    control.running.stop().await;
}
