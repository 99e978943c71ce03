//! Bad input and bad luck at the real binary: each has an exit code, says what is wrong, and what
//! to do.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::tempdir;

use super::chat::Door;
use super::network::{MODEL, Network, port_base, remuda};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_port_in_use_is_named_with_the_way_to_others() {
    let home = tempdir().unwrap();
    let base = port_base();
    let taken = TcpListener::bind(("127.0.0.1", base + 10)).unwrap();
    let output = remuda(home.path())
        .args(["up", "--port-base", &base.to_string()])
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains(&format!("port {} (the gateway)", base + 10)));
    assert!(said(&output).contains("--port-base"));
    drop(taken);
}

#[test]
fn a_model_that_is_no_gguf_file_is_named() {
    let home = tempdir().unwrap();
    let model = home.path().join("weights.gguf");
    fs::write(&model, "these are no weights").unwrap();
    let base = port_base().to_string();
    let mut command = remuda(home.path());
    let output = command
        .args(["up", "--port-base", &base, "--model"])
        .arg(&model)
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("weights.gguf is no GGUF file"),
        "{}",
        said(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_a_network_is_typed() {
    let network = Network::start();
    a_key_without_the_scope(&network);
    a_model_that_control_cannot_use(&network);
    a_second_node_with_the_same_key(&network);
    a_budget_that_runs_out(&network).await;
    assert_eq!(network.total_micros().await, 0);
}

fn refusal(output: &Output) -> Value {
    let report: Value = serde_json::from_str(said(output).lines().last().unwrap()).unwrap();
    report["error"].clone()
}

fn a_key_without_the_scope(network: &Network) {
    let key = network.tenant_key();
    let output = network.remuda(&["--key", &key, "tenant", "create", "another"]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert_eq!(refusal(&output)["code"], "missing-scope");
}

fn a_model_that_control_cannot_use(network: &Network) {
    let path = network.home.path().join("weights.gguf");
    fs::write(&path, "these are no weights").unwrap();
    let output = network.remuda(&["model", "add", "broken", path.to_str().unwrap()]);
    assert!(!output.status.success());
    let refusal = refusal(&output);
    assert!(
        refusal["message"].as_str().unwrap().contains("GGUF"),
        "{refusal}"
    );
}

/// The machine was copied, key and all: the copy is sent away, the first one works on.
fn a_second_node_with_the_same_key(network: &Network) {
    let nodes = network.state().join("nodes");
    let first = fs::read_dir(&nodes)
        .unwrap()
        .flatten()
        .next()
        .unwrap()
        .path();
    let copy = network.home.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(first.join("node.key"), copy.join("node.key")).unwrap();
    let mut child = remuda(network.home.path())
        .args(["node", "run", "--bind", "127.0.0.1:0", "--state-dir"])
        .arg(&copy)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let since = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if since.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut text = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(status.code(), Some(3), "{text}");
    assert!(
        text.contains("another machine is connected with this node's key"),
        "{text}"
    );
}

/// The budget is a hard cap: a request that could pass it is refused before its first token, and
/// what was used up to then is what was paid.
async fn a_budget_that_runs_out(network: &Network) {
    // A dollar for a token: the budget of 25 dollars is gone after one answer.
    network.deploy("1000000").await;
    let door = network.door();
    let answer = door.whole(1, 4).await;
    let used = answer["usage"]["completion_tokens"].as_u64().unwrap();
    assert!(used > 0);
    let refused = network
        .until("the end of the budget", || async {
            let response = door.post(&Door::body(2, 4, true)).await;
            let status = response.status();
            let body = response.text().await.unwrap();
            (!status.is_success()).then_some((status, body))
        })
        .await;
    let body: Value = serde_json::from_str(&refused.1).unwrap_or_else(|_| json!({}));
    assert_eq!(refused.0.as_u16(), 402, "{}", refused.1);
    assert_eq!(body["error"]["code"], "insufficient_quota", "{}", refused.1);
    let path = format!("/v1/projects/{}", network.info("project"));
    let project = network.get(&path).await;
    let left: remuda_types::Money = project["budget"]["posted_usd"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(!left.is_negative(), "the budget is {left} USD");
    assert_eq!(network.get("/v1/models").await["data"][0]["name"], MODEL);
}
