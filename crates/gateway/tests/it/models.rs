//! Vocabularies from the first bytes of model files.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use remuda_types::Digest;
use serde_json::{Value, json};

use crate::gguf;
use crate::world::World;

/// A store with one file of a head and many megabytes after it.
#[derive(Clone)]
struct Store {
    file: Arc<Vec<u8>>,
    ranges: bool,
    served: Arc<AtomicUsize>,
}

async fn serve(store: Store) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/file", get(file)).with_state(store);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/file")
}

async fn file(State(store): State<Store>, headers: HeaderMap) -> Response {
    let range = headers.get(header::RANGE).filter(|_| store.ranges);
    let Some(range) = range.map(|range| range.to_str().unwrap().to_owned()) else {
        store.served.fetch_add(store.file.len(), Ordering::SeqCst);
        return store.file.to_vec().into_response();
    };
    let (first, last) = range
        .strip_prefix("bytes=")
        .unwrap()
        .split_once('-')
        .unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    if first >= store.file.len() {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    }
    let part = store.file[first..store.file.len().min(last + 1)].to_vec();
    store.served.fetch_add(part.len(), Ordering::SeqCst);
    (StatusCode::PARTIAL_CONTENT, part).into_response()
}

async fn world(file: Vec<u8>, ranges: bool) -> (World, Store) {
    let digest = Digest::of(&file);
    let store = Store {
        file: Arc::new(file),
        ranges,
        served: Arc::default(),
    };
    let mut world = World::without_gateway(1).await;
    let mut table = world.table(vec![0]);
    table.models[0].model = digest;
    table.models[0].url = serve(store.clone()).await;
    world.control.publish(table);
    world.add_gateway("gateway", |_| {}).await;
    (world, store)
}

fn long_file() -> Vec<u8> {
    let mut file = gguf::head();
    file.resize(16 << 20, 7);
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_head_of_a_file_is_fetched_and_it_is_kept() {
    let (world, store) = world(long_file(), true).await;
    assert_eq!(world.chat(json!({})).await.status(), 200);
    assert!(store.served.load(Ordering::SeqCst) <= 2 << 20);
    let head = world
        .dir
        .path()
        .join("models")
        .join(format!("{}.head", Digest::of(&store.file)));
    assert!(head.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_ranges_does() {
    let (world, _) = world(long_file(), false).await;
    assert_eq!(world.chat(json!({})).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_gguf_is_said_to_be_so() {
    let (world, _) = world(vec![1; 4_096], true).await;
    let refused = world.chat(json!({})).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["x-should-retry"], "false");
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["code"], "model_unusable");
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("not a GGUF file"),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_fetched_may_come_later() {
    let mut world = World::without_gateway(1).await;
    let mut table = world.table(vec![0]);
    table.models[0].model = Digest::of(b"elsewhere");
    world.control.publish(table);
    world.add_gateway("gateway", |_| {}).await;
    let refused = world.chat(json!({})).await;
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.headers().contains_key("retry-after")
        ),
        (503, true)
    );
}
