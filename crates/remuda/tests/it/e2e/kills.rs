//! Nodes are killed with `kill -9` while they serve; every stream comes out byte for byte.

use std::collections::BTreeMap;
use std::time::Duration;

use super::chat::{Door, Stream};
use super::network::Network;

const KILLS: u64 = 8;
const STREAMS: u64 = 6;
const MAX_TOKENS: u32 = 96;

#[tokio::test(flavor = "multi_thread")]
async fn streams_outlive_the_nodes_that_serve_them() {
    let network = Network::start();
    network.deploy("0.40").await;
    let door = network.door();
    let mut expected = BTreeMap::new();
    for seed in 0..STREAMS {
        expected.insert(seed, read(door.clone(), seed).await.text);
    }
    for round in 0..KILLS {
        network.nodes_up(3).await;
        network.ready().await;
        let streams: Vec<_> = (0..STREAMS)
            .map(|seed| tokio::spawn(read(door.clone(), seed)))
            .collect();
        // Somewhere in the streams; they take seconds.
        tokio::time::sleep(Duration::from_millis(250 + round * 170)).await;
        let serving = network.serving().await;
        let victim = &serving[usize::try_from(round).unwrap() % serving.len()];
        network.kill(victim);
        for (stream, expected) in streams.into_iter().zip(expected.values()) {
            let stream = stream.await.unwrap();
            assert_eq!(stream.error, None, "after {} pieces", stream.pieces);
            assert!(
                stream.finish.is_some(),
                "broke off after {} pieces",
                stream.pieces
            );
            assert_eq!(&stream.text, expected, "round {round}, {victim} killed");
        }
    }
    assert_eq!(network.total_micros().await, 0);
}

async fn read(door: Door, seed: u64) -> Stream {
    let mut stream = door.stream(seed, MAX_TOKENS).await;
    stream.read().await;
    stream
}
