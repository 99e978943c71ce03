//! A site is drained by one command: what ran there moves away, and every answer meanwhile is the same.

use super::network::Network;

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_on_a_drained_site_moves_and_goes_on_answering() {
    let network = Network::start();
    network.deploy("0.40").await;
    let door = network.door();
    let words = |answer: &serde_json::Value| answer["choices"][0]["message"]["content"].clone();
    let before = words(&door.whole(3, 16).await);
    let workloads = network.get("/v1/workloads").await;
    let replica = &workloads["data"][0]["replicas"][0];
    let id = replica["placement"]["site"].as_str().unwrap();
    let sites = network.told(&["provider", "sites"]);
    let mut sites = sites.as_array().unwrap().iter();
    let site = sites.find(|site| site["id"] == id).unwrap();

    let drain = network.told(&["node", "drain", "--site", site["name"].as_str().unwrap()]);
    assert_eq!(drain["site"], id);
    assert_eq!(drain["draining"], 1, "{drain}");
    assert_eq!(drain["moving"], 1, "the third site has room: {drain}");
    network
        .until("drained site", || async {
            assert_eq!(words(&door.whole(3, 16).await), before);
            let drain = network.try_get(&format!("/v1/sites/{id}/drain")).await;
            (drain.ok()?["leases"] == 0).then_some(())
        })
        .await;
    network.ready().await;
    let workloads = network.get("/v1/workloads").await;
    let replicas = workloads["data"][0]["replicas"].as_array().unwrap();
    assert!(replicas.iter().all(|of| of["placement"]["site"] != id));
    assert_eq!(words(&door.whole(3, 16).await), before);
    assert_eq!(network.total_micros().await, 0);
}
