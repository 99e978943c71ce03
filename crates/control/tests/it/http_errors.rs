//! Errors over HTTP: RFC 9457, the same words every time.

use remuda_network::policy::Policy;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Control, Market, answer};

/// Each problem as clients see it, without what differs from run to run.
fn shown(answer: &Answer) -> Value {
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{:#}",
        answer.body
    );
    assert_eq!(answer.body["instance"], answer.header("x-request-id"));
    assert_eq!(answer.body["status"], answer.status.as_u16());
    let mut body = answer.body.clone();
    body["instance"] = json!("[request]");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_understood() {
    let control = Control::start().await;
    let key = control.operator.clone();
    let mut found = Vec::new();
    found.push(control.get("", "/v1/nowhere").await);
    let wrong_method = control.delete("", "/v1/health").await;
    assert_eq!(wrong_method.header("allow"), "GET,HEAD");
    found.push(wrong_method);
    found.push(control.get("", "/v1/tenants").await);
    found.push(control.get("rk_wrong", "/v1/tenants").await);
    found.push(control.get(&key, "/v1/projects/prj_x").await);
    found.push(
        control
            .get(&key, "/v1/projects/prj_00000000000000000000000001")
            .await,
    );
    found.push(control.get(&key, "/v1/tenants?limit=many").await);
    found.push(control.get(&key, "/v1/tenants?limit=501").await);
    found.push(control.get(&key, "/v1/tenants?cursor=x").await);
    let not_json = control
        .request(Method::POST, &key, "/v1/tenants")
        .body("name: Acme");
    found.push(answer(not_json).await);
    let not_json = control.request(Method::POST, &key, "/v1/tenants");
    let not_json = not_json.header("content-type", "text/plain").body("{}");
    found.push(answer(not_json).await);
    found.push(
        control
            .post(
                &key,
                "/v1/tenants",
                &json!({"name": "Acme", "colour": "red"}),
            )
            .await,
    );
    found.push(
        control
            .post(&key, "/v1/tenants", &json!({"name": " "}))
            .await,
    );
    let large = json!({"name": "x".repeat(2 << 20)});
    found.push(control.post(&key, "/v1/tenants", &large).await);
    let found: Vec<_> = found.iter().map(shown).collect();
    insta::assert_json_snapshot!("not_understood", found);
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_refused() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let (operator, project) = (control.operator.clone(), market.project_key.clone());
    let mut found = Vec::new();
    found.push(
        control
            .post(&project, "/v1/tenants", &json!({"name": "Other"}))
            .await,
    );
    let reader = control.key(&market.project, &["read"]).await;
    found.push(
        control
            .post(&reader, "/v1/workloads", &json!({"name": "a"}))
            .await,
    );
    found.push(
        control
            .post(&operator, "/v1/tenants", &json!({"name": "Acme"}))
            .await,
    );
    let budget = format!("/v1/projects/{}/budget", market.project);
    found.push(
        control
            .post(&project, &budget, &json!({"amount_usd": "1000"}))
            .await,
    );
    found.push(
        control
            .post(&project, &budget, &json!({"amount_usd": "-1"}))
            .await,
    );
    found.push(
        control
            .post(&project, &budget, &json!({"amount_usd": 1}))
            .await,
    );
    found.push(
        control
            .post(&operator, "/v1/workloads", &json!({"name": "a"}))
            .await,
    );
    let both = json!({"name": "A", "replicas": 0, "placement": {"max_price_usd_per_hour": "x"}});
    found.push(control.post(&project, "/v1/workloads", &both).await);
    let nested = json!({"name": "a", "placement": {"classes": ["cpu", "H100"]}});
    found.push(control.post(&project, "/v1/workloads", &nested).await);
    let unknown = json!({"name": "a", "model": {"name": "nothing"}});
    found.push(control.post(&project, "/v1/workloads", &unknown).await);
    let process = json!({"name": "a", "process": {"command": ["true"]}});
    found.push(control.post(&project, "/v1/workloads", &process).await);
    let scopes = json!({"scopes": []});
    found.push(control.post(&project, "/v1/keys", &scopes).await);
    let mut found: Vec<_> = found.iter().map(shown).collect();
    let tenant = market.tenant.clone();
    for problem in &mut found {
        let detail = problem["detail"]
            .as_str()
            .unwrap()
            .replace(&tenant, "[tenant]");
        problem["detail"] = json!(detail);
    }
    insta::assert_json_snapshot!("refused", found);
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_capacity_says_what_eliminated_the_nodes_and_what_would_help() {
    let control = Control::start_with(Policy {
        processes_allowed: true,
        ..Policy::default()
    })
    .await;
    let market = Market::open(&control).await;
    let process = json!({"name": "a", "process": {"command": ["true"]},
        "placement": {"countries": ["DE"]}});
    let none = control
        .post(&market.project_key, "/v1/workloads", &process)
        .await;
    market.node(&control, 1, 100_000).await;
    market.node(&control, 2, 200_000).await;
    let abroad = control
        .post(&market.project_key, "/v1/workloads", &process)
        .await;
    let large = json!({"name": "a", "process": {"command": ["true"]}, "replicas": 9,
        "resources": {"cpu_milli": 2000}});
    let large = control
        .post(&market.project_key, "/v1/workloads", &large)
        .await;
    insta::assert_json_snapshot!("no_capacity", [shown(&none), shown(&abroad), shown(&large)]);
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_budget_is_402() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    market.node(&control, 1, 1_000_000).await;
    let poor = json!({"name": "poor"});
    let path = format!("/v1/tenants/{}/projects", market.tenant);
    let poor = crate::harness::text(&control.make(&path, &poor).await, "id");
    let key = control.key(&poor, &["deploy"]).await;
    let spec = json!({"name": "chat", "model": {"name": "tiny"}});
    let refused = control.post(&key, "/v1/workloads", &spec).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (402, "budget-exhausted")
    );
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_name_stays_readable_for_those_who_have_it() {
    let control = Control::start().await;
    let acme = json!({"name": "Acme"});
    control.make("/v1/tenants", &acme).await;
    let again = control.post(&control.operator, "/v1/tenants", &acme).await;
    assert_eq!(again.code(), "name-taken");
    let listed = control
        .get(&control.operator, "/v1/tenants")
        .await
        .expect(200);
    assert_eq!(listed["data"][0]["name"], "Acme");
    control.running.stop().await;
}
