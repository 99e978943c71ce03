//! Control itself over HTTP: described, alive, measured.

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Control, Market, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_described_in_openapi_3_1() {
    let control = Control::start().await;
    let mut document = control.get("", "/v1/openapi.json").await.expect(200);
    assert!(text(&document, "openapi").starts_with("3.1."));
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(
            document.pointer(pointer).is_some(),
            "{reference} leads nowhere"
        );
    }
    document["info"]["version"] = "[version]".into();
    insta::assert_json_snapshot!("openapi", document);
    control.running.stop().await;
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workload_spec_has_a_schema() {
    let control = Control::start().await;
    let schema = control.get("", "/v1/schema/workload.json").await;
    assert_eq!(schema.header("content-type"), "application/schema+json");
    insta::assert_json_snapshot!("workload_schema", schema.expect(200));
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_readiness_and_network_need_no_key() {
    let control = Control::start().await;
    assert_eq!(
        control.get("", "/v1/health").await.expect(200)["status"],
        "ok"
    );
    let ready = control.get("", "/v1/ready").await.expect(200);
    assert_eq!(
        (&ready["writable"], &ready["why"]),
        (&Value::Bool(true), &Value::Null)
    );
    let network = control.get("", "/v1/network").await.expect(200);
    assert_eq!(
        network["endpoint"],
        control.running.endpoint.id().to_string()
    );
    assert_eq!(network["processes_allowed"], false);
    assert!(network["seq"].as_u64().unwrap() > 0);
    let addresses = network["addresses"].as_array().unwrap();
    assert!(
        addresses
            .iter()
            .any(|address| address.as_str().unwrap().starts_with("127.0.0.1:"))
    );
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_follow_the_state() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.node(&control, 1, 1_000).await;
    let request = control.request(Method::GET, "", "/metrics");
    let metrics = request.send().await.unwrap().text().await.unwrap();
    for line in [
        "remuda_nodes{presence=\"up\"} 1",
        "remuda_writable 1",
        "remuda_ledger_total_micros 0",
        "remuda_http_requests_total{route=\"/v1/tenants/{id}/projects\",method=\"POST\",status=\"201\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_an_id_of_the_client_or_of_control() {
    let control = Control::start().await;
    let own = control
        .request(Method::GET, "", "/v1/nowhere")
        .header("x-request-id", "mine-1");
    let answer = crate::harness::answer(own).await;
    assert_eq!(answer.header("x-request-id"), "mine-1");
    assert_eq!(answer.body["instance"], "mine-1");
    let given = control.get("", "/v1/health").await;
    assert!(given.header("x-request-id").starts_with("req_"));
    let forged = control
        .request(Method::GET, "", "/v1/health")
        .header("x-request-id", "a b");
    assert!(
        crate::harness::answer(forged)
            .await
            .header("x-request-id")
            .starts_with("req_")
    );
    control.running.stop().await;
}
