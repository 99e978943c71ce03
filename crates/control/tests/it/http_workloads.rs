//! Workloads over HTTP: placed with reasons, scaled, stopped.

use remuda_network::command::ObservedPhase;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Control, Market, answer, observe, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_says_where_and_why() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    let cheap = market.node(&control, 2, 100_000).await;
    market.node(&control, 1, 200_000).await;
    let deployed = market.deploy(&control, 1).await;
    let replica = &deployed["replicas"][0];
    let placement = &replica["placement"];
    assert_eq!(placement["node"], cheap.to_string());
    assert_eq!(placement["site"], market.site);
    assert_eq!(placement["country"], "KR");
    assert_eq!(placement["provider"], market.provider);
    assert_eq!(placement["provider_name"], "Ranch");
    assert_eq!(placement["price_usd_per_hour"], "0.012500");
    assert_eq!(
        placement["why"],
        "cheapest of 2 that fit of 2; next best 0.025 USD/h"
    );
    assert_eq!(
        (&deployed["kind"], &deployed["state"]),
        (&json!("model"), &json!("running"))
    );
    assert_eq!(deployed["spec"]["model"]["name"], "tiny");
    assert_eq!(replica["phase"], "placed");

    let path = format!("/v1/workloads/{}", text(&deployed, "id"));
    let read = control.get(&market.project_key, &path).await.expect(200);
    assert_eq!(
        read["replicas"][0]["placement"]["why"],
        json!(null),
        "a reason is of its moment"
    );
    assert_eq!(
        read["replicas"][0]["placement"]["lease"],
        placement["lease"]
    );
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_are_found_scaled_and_stopped() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    market.node(&control, 1, 100_000).await;
    let key = &market.project_key;
    let id = text(&market.deploy(&control, 1).await, "id");
    for (filter, found) in [("name=chat", 1), ("name=other", 0)] {
        let page = control
            .get(key, &format!("/v1/workloads?{filter}"))
            .await
            .expect(200);
        assert_eq!(page["data"].as_array().unwrap().len(), found, "{filter}");
    }
    let path = format!("/v1/workloads/{id}");
    let three = control
        .request(Method::PATCH, key, &path)
        .json(&json!({"replicas": 3}));
    let scaled = answer(three).await.expect(200);
    assert_eq!(scaled["replicas"].as_array().unwrap().len(), 3);
    let leases = control
        .get(key, &format!("/v1/leases?workload={id}"))
        .await
        .expect(200);
    assert_eq!(leases["data"].as_array().unwrap().len(), 3);
    assert_eq!(leases["data"][0]["phase"], "placed");
    let none = control
        .request(Method::PATCH, key, &path)
        .json(&json!({"replicas": 0}));
    let none = answer(none).await;
    assert_eq!(
        (none.code(), &none.body["errors"][0]["pointer"]),
        ("invalid", &json!("/replicas"))
    );

    // One that serves may finish what it has; the workload is over when it has.
    observe(
        &control,
        &scaled["replicas"][0]["placement"],
        ObservedPhase::Ready,
    )
    .await;
    control.delete(key, &path).await.expect(204);
    let stopping = control.get(key, &path).await.expect(200);
    assert_eq!(stopping["state"], "stopping");
    let again = control
        .request(Method::PATCH, key, &path)
        .json(&json!({"replicas": 2}));
    assert_eq!(answer(again).await.code(), "wrong-state");
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rests_on_two_owners_has_two_copies() {
    let control = Control::start().await;
    let mut market = Market::open(&control).await;
    market.model(&control).await;
    market.node(&control, 1, 1_000).await;
    let farm = control
        .make("/v1/providers", &json!({"name": "Farm"}))
        .await;
    market.provider = text(&farm, "id");
    let path = format!("/v1/providers/{}", market.provider);
    let bond = json!({"amount_usd": "1000"});
    control.make(&format!("{path}/bond"), &bond).await;
    let site = json!({"name": "Busan", "country": "KR", "latitude": 35.1, "longitude": 129.0});
    let site = control.make(&format!("{path}/sites"), &site).await;
    market.site = text(&site, "id");
    market.node(&control, 2, 1_000).await;

    let key = &market.project_key;
    let spec = |replicas: u32| json!({"name": "chat", "tier": "multi-site", "replicas": replicas, "model": {"name": "tiny"}});
    let detail = "1: the tier multi-site is kept by two owners and sites at least: ask for 2 or \
                  more, or choose the tier enterprise, which one copy can keep";
    let refused = json!([{"pointer": "/replicas", "detail": detail}]);
    let alone = control.post(key, "/v1/workloads", &spec(1)).await;
    assert_eq!(
        (alone.status.as_u16(), &alone.body["errors"]),
        (422, &refused)
    );
    let deployed = control.post(key, "/v1/workloads", &spec(2)).await;
    let path = format!("/v1/workloads/{}", text(&deployed.expect(201), "id"));
    let scaled = |replicas: u32| {
        let patch = control.request(Method::PATCH, key, &path);
        answer(patch.json(&json!({"replicas": replicas})))
    };
    let alone = scaled(1).await;
    assert_eq!(
        (alone.status.as_u16(), &alone.body["errors"]),
        (422, &refused)
    );
    scaled(2).await.expect(200);
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_a_node_that_is_away_cannot_be_had() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    market.node(&control, 1, 100_000).await;
    let id = text(&market.deploy(&control, 1).await, "id");
    let logs = control
        .get(
            &market.project_key,
            &format!("/v1/workloads/{id}/logs?tail=5"),
        )
        .await;
    assert_eq!((logs.status.as_u16(), logs.code()), (409, "node-away"));
    let wrong = control
        .get(
            &market.project_key,
            &format!("/v1/workloads/{id}/logs?tail=0"),
        )
        .await;
    assert_eq!(wrong.code(), "invalid");
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_drained_by_their_provider_only() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let placement = market.ready_replica(&control, 100_000).await;
    let path = format!("/v1/nodes/{}/drain", text(&placement, "node"));
    let tenant = control.key(&market.project, &["read", "supply"]).await;
    let refused = control.post(&tenant, &path, &json!(null)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (403, "wrong-owner")
    );
    let drained = control
        .post(&market.provider_key, &path, &json!(null))
        .await
        .expect(200);
    assert_eq!(drained["presence"], "draining");
    let listed = control
        .get(&market.provider_key, "/v1/nodes")
        .await
        .expect(200);
    assert_eq!(listed["data"][0]["leases"].as_array().unwrap().len(), 1);
    let offers = control
        .get(&market.project_key, "/v1/offers")
        .await
        .expect(200);
    assert_eq!(offers["data"], json!([]));
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_drained_at_once_by_its_provider_or_the_operator() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let placement = market.ready_replica(&control, 100_000).await;
    market.node(&control, 2, 50_000).await;
    let path = format!("/v1/sites/{}/drain", market.site);

    let tenant = control.key(&market.project, &["read", "supply"]).await;
    let refused = control.post(&tenant, &path, &json!(null)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (404, "not-found"),
        "nobody else's site is there for a tenant"
    );
    let drain = control
        .post(&market.provider_key, &path, &json!(null))
        .await
        .expect(200);
    let none = "it has no other place on its tenant's terms yet; it is tried again";
    let stays = json!([{"lease": placement["lease"], "node": placement["node"], "why": none}]);
    let expected = json!({
        "site": market.site, "draining": 2, "open": 0, "leases": 1, "moving": 0, "staying": 1,
        "why_staying": stays,
    });
    assert_eq!(drain, expected);
    let seen = control.get(&control.operator, &path).await.expect(200);
    assert_eq!(seen["why_staying"][0]["why"], "2 nodes: 2 not open");
    let nodes = control
        .get(&market.provider_key, "/v1/nodes")
        .await
        .expect(200);
    for node in nodes["data"].as_array().unwrap() {
        assert_eq!(node["presence"], "draining");
    }

    let empty = format!("/v1/sites/{}/drain", other_site(&control, &market).await);
    let empty = control.post(&control.operator, &empty, &json!(null)).await;
    assert_eq!(empty.code(), "invalid");
    assert_eq!(empty.body["errors"][0]["pointer"], "/site");
    control.running.stop().await;
}

/// A site of the market's provider without nodes.
async fn other_site(control: &Control, market: &Market) -> String {
    let site = json!({"name": "Busan", "country": "KR", "latitude": 35.1, "longitude": 129.0});
    let sites = format!("/v1/providers/{}/sites", market.provider);
    text(&control.make(&sites, &site).await, "id")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_from_a_site_that_drains_serves_there_until_it_serves_elsewhere() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let before = market.ready_replica(&control, 100_000).await;
    let path = format!("/v1/sites/{}/drain", market.site);
    let site = other_site(&control, &market).await;
    let elsewhere = Market { site, ..market };
    let node = elsewhere.node(&control, 3, 200_000).await;
    let drain = control
        .post(&control.operator, &path, &json!(null))
        .await
        .expect(200);
    assert_eq!(
        (&drain["leases"], &drain["moving"], &drain["staying"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let workloads = control
        .get(&elsewhere.project_key, "/v1/workloads")
        .await
        .expect(200);
    let replica = &workloads["data"][0]["replicas"][0];
    assert_eq!(replica["placement"]["lease"], before["lease"]);
    assert_eq!(replica["successor"]["node"], node.to_string());
    observe(&control, &replica["successor"], ObservedPhase::Ready).await;
    let seen = control.get(&control.operator, &path).await.expect(200);
    assert_eq!(
        (&seen["leases"], &seen["moving"], &seen["staying"]),
        (&json!(1), &json!(0), &json!(0)),
        "the old one finishes what it has"
    );
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_leaves() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let path = format!("/v1/providers/{}/leave", market.provider);
    let notice = json!({"manner": "notice"});
    let leaving = control
        .post(&market.provider_key, &path, &notice)
        .await
        .expect(200);
    assert!(["leaving", "left"].contains(&leaving["standing"].as_str().unwrap()));
    assert!(leaving["leaves_ms"].is_u64());
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_not_told_of_others_leases_on_its_node() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    let node = market.node(&control, 1, 100_000).await;
    market.deploy(&control, 1).await;
    let path = format!("/v1/tenants/{}/projects", market.tenant);
    let other = text(&control.make(&path, &json!({"name": "other"})).await, "id");
    let budget = format!("/v1/projects/{other}/budget");
    control.make(&budget, &json!({"amount_usd": "20"})).await;
    let other = control.key(&other, &["read", "deploy"]).await;
    let spec = json!({"name": "chat", "model": {"name": "tiny"}});
    let own = control
        .post(&other, "/v1/workloads", &spec)
        .await
        .expect(201);
    let own = &own["replicas"][0]["placement"]["lease"];
    for path in ["/v1/nodes".to_owned(), format!("/v1/nodes/{node}")] {
        let shown = async |key: &str| {
            let body = control.get(key, &path).await.expect(200);
            let node = body["data"].get(0).cloned().unwrap_or(body);
            node["leases"].as_array().unwrap().clone()
        };
        assert_eq!(shown(&other).await, std::slice::from_ref(own), "{path}");
        for owner in [&market.provider_key, &control.operator] {
            assert_eq!(shown(owner).await.len(), 2, "{path}");
        }
    }
    control.running.stop().await;
}

/// The largest gangs there may be, of ranks of a thousandth of a core.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_gangs_are_answered_for_one_to_a_page() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    for number in 1..=5 {
        market.node(&control, number, 100_000).await;
    }
    let key = &market.project_key;
    for name in ["one", "two"] {
        let gang = json!({
            "name": name, "replicas": 8_192, "resources": {"cpu_milli": 1},
            "placement": {"together": "fabric"}, "model": {"name": "tiny"},
        });
        let gang = control.post(key, "/v1/workloads", &gang).await.expect(201);
        assert_eq!(gang["replicas"].as_array().unwrap().len(), 8_192);
    }
    let first = control.get(key, "/v1/workloads").await.expect(200);
    let next = text(&first, "next_cursor");
    let path = format!("/v1/workloads?cursor={next}");
    let second = control.get(key, &path).await.expect(200);
    assert_eq!(second["next_cursor"], json!(null));
    for (page, name) in [(first, "one"), (second, "two")] {
        assert_eq!(page["data"].as_array().unwrap().len(), 1);
        assert_eq!(page["data"][0]["name"], name);
    }
    control.running.stop().await;
}
