//! A spool that cannot be written for a while.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::world::{PROMPT, World, price};

/// Lets no reservation be written for so many seconds from now.
fn obstruct(world: &World, seconds: u64) {
    let path = world.dir.path().join("gateway").join("spool.db");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let until = now.unwrap().as_secs() + seconds;
    let database = rusqlite::Connection::open(path).unwrap();
    let trigger = format!(
        "CREATE TRIGGER obstruct BEFORE INSERT ON requests WHEN unixepoch() < {until}
         BEGIN SELECT RAISE(FAIL, 'no room'); END"
    );
    database.execute_batch(&trigger).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_admitted_until_the_spool_can_be_written_again() {
    let mut world = World::new(1).await;
    world.gateways.pop().unwrap().stop().await;
    obstruct(&world, 6);
    world.add_gateway("gateway", |_| {}).await;
    // The first finds out.
    let first = world.chat(json!({})).await;
    assert_eq!(first.status(), 503);
    let body: Value = first.json().await.unwrap();
    assert_eq!(body["error"]["code"], "not_durable");
    let reached = world.nodes[0].starts().len();
    let ready = world.get("/ready").send().await.unwrap();
    assert_eq!(ready.status(), 503);
    assert_eq!(ready.text().await.unwrap(), "the spool cannot be written\n");
    let second = world.chat(json!({})).await;
    assert_eq!(second.status(), 503);
    assert!(second.headers().contains_key("retry-after"));
    assert_eq!(
        world.nodes[0].starts().len(),
        reached,
        "no replica is taken"
    );

    world.until_ready(world.gateways[0].http).await;
    assert_eq!(world.chat(json!({})).await.status(), 200);
    world
        .control
        .until("one is posted", |state| state.requests() == 1)
        .await;
    assert_eq!(world.control.state().used(), (PROMPT, 8, price(PROMPT, 8)));
    let failed = tokio::time::timeout(Duration::from_millis(100), world.gateways[0].failed());
    assert!(failed.await.is_err(), "it came right by itself");
}
