//! Control is killed in mid-stream: nodes and gateway work on, and control adopts them when it is
//! back.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::network::Network;

/// Well within the five seconds for which control is away.
const STOOD_STILL: Duration = Duration::from_secs(2);

/// By how much a busy machine may be late.
const SLOW: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_that_control_was_killed() {
    let network = Network::start();
    network.deploy("0.40").await;
    let door = network.door();
    let mut before = door.stream(1, 96).await;
    before.read().await;
    let leases = leases(&network).await;
    let first = network.pid("control");

    let mut stream = door.stream(1, 96).await;
    assert!(stream.read_to(5).await);
    network.kill("control");
    // The stream goes on, and a new one is served while control is gone.
    let mut meanwhile = door.stream(2, 24).await;
    meanwhile.read().await;
    assert!(meanwhile.finish.is_some());
    stream.read().await;
    assert_eq!(stream.text, before.text);
    assert!(
        network.try_get("/v1/ready").await.is_err(),
        "control should still be away"
    );

    // `up` starts it again; it adopts what the nodes run instead of starting anything anew.
    control_again(&network, first).await;
    network.nodes_up(3).await;
    network.ready().await;
    assert_eq!(self::leases(&network).await, leases);
    assert_eq!(network.total_micros().await, 0);

    // What was used while control was away is posted: three streams, each with its tokens.
    let project = network.info("project").to_owned();
    network
        .until("the usage of all streams", || async {
            let statement = network
                .get(&format!("/v1/ledger/statement?project={project}"))
                .await;
            (statement["charged"]["requests"] == 3).then_some(())
        })
        .await;
    let verified = network.state().join("control");
    let verified = network.remuda(&["audit", "verify", verified.to_str().unwrap()]);
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stood_still_while_control_was_away_is_not_paid_for_that() {
    let network = Network::start();
    network.deploy("0.40").await;
    let first = network.pid("control");
    let leases = network.get("/v1/leases").await["data"].clone();
    let frozen = leases[0].clone();
    let sites = network.get("/v1/sites").await["data"].clone();
    let mut sites = sites.as_array().unwrap().iter();
    let site = sites.find(|site| site["id"] == frozen["site"]).unwrap();
    let node = network.pid(&format!("node-{}", site["name"].as_str().unwrap()));

    network.kill("control");
    kill(node, Signal::SIGSTOP).unwrap();
    tokio::time::sleep(STOOD_STILL).await;
    kill(node, Signal::SIGCONT).unwrap();
    assert!(
        network.try_get("/v1/ready").await.is_err(),
        "control should still be away"
    );
    control_again(&network, first).await;
    let uncharged = |lease: &Value| lease["accruing"]["suspect_ms"].as_u64().unwrap();
    let leases = network
        .until("the pause in what is charged", || async {
            let leases = network.try_get("/v1/leases").await.ok()?["data"].clone();
            let mut all = leases.as_array()?.iter();
            let paused = all.find(|lease| lease["id"] == frozen["id"])?;
            (u128::from(uncharged(paused)) >= STOOD_STILL.as_millis()).then_some(leases)
        })
        .await;
    for lease in leases.as_array().unwrap() {
        assert_eq!(lease["epoch"], 1, "it goes on where it was: {lease}");
        let stood_still = if lease["id"] == frozen["id"] {
            STOOD_STILL
        } else {
            Duration::ZERO
        };
        let uncharged = Duration::from_millis(uncharged(lease));
        assert!(uncharged < stood_still + SLOW, "no more than that: {lease}");
    }
}

/// Waits for a control that is not the process `before`.
async fn control_again(network: &Network, before: Pid) {
    network
        .until("control again", || async {
            let ready = network.try_get("/v1/ready").await.ok()?;
            (ready["writable"] == true && network.pid("control") != before).then_some(())
        })
        .await;
}

/// The leases of the replicas with their epochs, in order.
async fn leases(network: &Network) -> Vec<String> {
    let leases = network.get("/v1/leases").await;
    let leases = leases["data"].as_array().unwrap();
    leases
        .iter()
        .map(|lease| format!("{} {}", lease["id"], lease["epoch"]))
        .collect()
}
