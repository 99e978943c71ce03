//! A network comes up, a model is deployed and answers; a second start finds everything again.

use serde_json::Value;

use super::chat::Door;
use super::network::{MODEL, Network};

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_deployed_and_answers_the_same_streamed_and_whole() {
    let network = Network::start();
    network.deploy("0.40").await;
    let door = network.door();

    let whole = door.whole(3, 48).await;
    let mut stream = door.stream(3, 48).await;
    stream.read().await;
    assert_eq!(whole["choices"][0]["message"]["content"], stream.text);
    assert_eq!(
        whole["choices"][0]["finish_reason"],
        *stream.finish.as_ref().unwrap()
    );
    assert_eq!(
        whole["usage"]["completion_tokens"],
        stream.usage.unwrap()["completion_tokens"]
    );
    assert!(!stream.text.is_empty());

    let offers = network.told(&["offers"]);
    assert_eq!(offers.as_array().unwrap().len(), 3);
    assert_eq!(network.total_micros().await, 0);

    // The second start is of the same network: nothing is registered twice.
    let providers = network.get("/v1/providers").await;
    let events = network.get("/v1/events?limit=1").await["data"][0].clone();
    let again = Network::start_in(network.stop());
    assert_eq!(
        again.get("/v1/providers").await["data"][0]["id"],
        providers["data"][0]["id"]
    );
    assert_eq!(
        again.get("/v1/providers").await["data"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(again.get("/v1/events?limit=1").await["data"][0], events);
    // What ran is placed anew on the nodes that came back, and routed to once it serves.
    let door = again.door();
    let after = again
        .until("an answer after the second start", || async {
            let answer = door.post(&Door::body(3, 48, false)).await;
            let answer = answer.error_for_status().ok()?;
            answer.json::<Value>().await.ok()
        })
        .await;
    assert_eq!(after["choices"][0]["message"]["content"], stream.text);
    assert_eq!(after["model"], MODEL);

    // One `up` for a folder; `down` stops it.
    let state = again.state();
    let second = again.remuda(&["up", "--state-dir", state.to_str().unwrap()]);
    assert_eq!(
        second.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&second.stderr)
    );
    assert!(String::from_utf8_lossy(&second.stderr).contains("already"));
    let down = again.told(&["down", "--state-dir", state.to_str().unwrap()]);
    assert_eq!(down["stopped"], true);
    let down = again.told(&["down", "--state-dir", state.to_str().unwrap()]);
    assert_eq!(down["stopped"], false);
}
