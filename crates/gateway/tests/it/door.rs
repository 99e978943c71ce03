//! The door before any request: whose it is, how long it takes, how many come.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{SECRET, World};

/// A client that writes what it is told to.
async fn connected(world: &World, says: &str) -> TcpStream {
    let mut tcp = TcpStream::connect(world.gateways[0].http).await.unwrap();
    tcp.write_all(says.as_bytes()).await.unwrap();
    tcp
}

/// What it reads until the connection ends, or its answer's head is there.
async fn answer(tcp: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    let read = async {
        while tcp.read_buf(&mut heard).await.unwrap() > 0 {
            if heard.windows(4).any(|end| end == b"\r\n\r\n") {
                return;
            }
        }
    };
    timeout(Duration::from_secs(20), read)
        .await
        .expect("an answer or an end");
    String::from_utf8(heard).unwrap()
}

fn head(secret: &str, bytes: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n\
         content-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_checked_before_the_body_is_read() {
    let world = World::new(1).await;
    let mut stranger = connected(&world, &head("wrong", 1_000)).await;
    let answer = answer(&mut stranger).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_says_it_is_too_large_is_not_waited_for() {
    let world = World::new(1).await;
    let mut large = connected(&world, &head(SECRET, 1 << 30)).await;
    let answer = answer(&mut large).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_with_head_or_body_is_not_waited_for() {
    let world = World::with(1, |config| {
        config.limits.head_within = Duration::from_millis(300);
        config.limits.body_silence = Duration::from_millis(300);
    })
    .await;
    let mut headless = connected(&world, "POST /v1/chat/completions HTTP/1.1\r\nhost:").await;
    let said = answer(&mut headless).await;
    assert!(!said.contains("200"), "{said}");
    let mut half = connected(&world, &(head(SECRET, 1_000) + "{\"model\":")).await;
    let said = answer(&mut half).await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_limit_wait_for_room() {
    // One is the test's own client, which asked whether the gateway is ready.
    let world = World::with(1, |config| config.limits.connections = 2).await;
    let held = connected(&world, "GET /health HTTP/1.1\r\n").await;
    let mut waiting = connected(&world, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let early = timeout(Duration::from_millis(500), answer(&mut waiting)).await;
    assert!(early.is_err());
    drop(held);
    let said = answer(&mut waiting).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_operators() {
    let world = World::new(1).await;
    let public = world.get("/metrics").send().await.unwrap();
    assert_eq!(public.status(), 404);
    assert!(
        world
            .metrics()
            .await
            .contains("remuda_gateway_control_up 1")
    );
}
