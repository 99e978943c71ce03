//! A gateway is killed: its own streams break, its clients are billed at most what they got, and
//! the other gateway serves on.

use super::chat::Door;
use super::network::Network;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_breaks_its_own_streams_and_bills_what_was_delivered() {
    let network = Network::start();
    network.deploy("0.40").await;
    let (mut second, url) = network.second_gateway();
    let other = Door::new(&url, &network.tenant_key());
    network
        .until("routes at the second gateway", || async {
            let answer = other.post(&Door::body(9, 4, false)).await;
            answer.status().is_success().then_some(())
        })
        .await;
    let before = charged(&network).await;

    let mut broken = network.door().stream(1, 160).await;
    assert!(broken.read_to(40).await);
    let mut whole = other.stream(1, 48).await;
    assert!(whole.read_to(2).await);
    network.kill("gateway");
    broken.read().await;
    assert_eq!(broken.finish, None, "the stream should have broken off");
    whole.read().await;
    assert!(whole.finish.is_some(), "the other gateway's stream went on");
    let tokens = whole.usage.as_ref().unwrap()["completion_tokens"]
        .as_u64()
        .unwrap();

    // The first gateway comes back, and settles what it was serving: never more than was delivered.
    let (requests, billed) = network
        .until("the bill of the broken stream", || async {
            let (requests, billed) = charged(&network).await;
            (requests >= before.0 + 2).then_some((requests, billed))
        })
        .await;
    assert_eq!(requests, before.0 + 2);
    let billed = billed - before.1 - tokens;
    let delivered = u64::try_from(broken.pieces).unwrap();
    assert!(
        billed > 0,
        "a second before the kill something had been delivered"
    );
    // A token may be part of a character, so there are at most a few more tokens than pieces.
    assert!(
        billed <= delivered + 4,
        "{billed} tokens billed, {delivered} pieces delivered"
    );
    assert_eq!(network.total_micros().await, 0);
    second.kill().unwrap();
    second.wait().unwrap();
}

/// Requests and completion tokens that the project was charged for.
async fn charged(network: &Network) -> (u64, u64) {
    let path = format!("/v1/ledger/statement?project={}", network.info("project"));
    let charged = network.get(&path).await["charged"].clone();
    (
        charged["requests"].as_u64().unwrap(),
        charged["completion_tokens"].as_u64().unwrap(),
    )
}
