//! Models over HTTP: offered, listed, fetched.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Control, Market, answer, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_offered_and_its_file_is_served_in_ranges() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    let listed = control
        .get(&market.project_key, "/v1/models")
        .await
        .expect(200);
    let model = &listed["data"][0];
    assert_eq!(
        (text(model, "name"), model["bytes"].as_u64()),
        ("tiny".to_owned(), Some(9))
    );
    let digest = text(model, "digest");
    assert_eq!(digest, blake3_of(b"GGUF tiny"));
    assert_eq!(
        text(model, "url"),
        format!("http://control.test/v1/blobs/{digest}")
    );

    let path = format!("/v1/blobs/{digest}");
    let whole = control
        .request(Method::GET, "", &path)
        .send()
        .await
        .unwrap();
    assert_eq!(whole.bytes().await.unwrap(), "GGUF tiny");
    let part = control
        .request(Method::GET, "", &path)
        .header("range", "bytes=5-")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status().as_u16(), 206);
    assert_eq!(part.bytes().await.unwrap(), "tiny");
    let beyond = control
        .request(Method::GET, "", &path)
        .header("range", "bytes=90-")
        .send()
        .await
        .unwrap();
    assert_eq!(beyond.status().as_u16(), 416);

    let unknown = control
        .get("", &format!("/v1/blobs/{}", "0".repeat(64)))
        .await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code()),
        (404, "not-found")
    );
    let escape = control.get("", "/v1/blobs/..%2f..%2fcontrol.key").await;
    assert_eq!((escape.status.as_u16(), escape.code()), (422, "invalid"));
    control.running.stop().await;
}

fn blake3_of(bytes: &[u8]) -> String {
    remuda_types::Digest::of(bytes).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_model_is_refused() {
    let control = Control::start().await;
    let path = control.file("notes.txt");
    std::fs::write(&path, b"not a model").unwrap();
    for (name, path, pointer) in [
        ("tiny", path.clone(), "/path"),
        ("tiny", control.file("missing.gguf"), "/path"),
        ("Tiny Model", path, "/name"),
    ] {
        let body = json!({"name": name, "path": path});
        let refused = control.post(&control.operator, "/v1/models", &body).await;
        assert_eq!(refused.code(), "invalid", "{:#}", refused.body);
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
    }
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_under_a_known_name_needs_the_one_that_it_replaces() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    market.model(&control).await;
    let path = control.file("other.gguf");
    std::fs::write(&path, b"GGUF other").unwrap();
    let body = json!({"name": "tiny", "path": path});
    let known = blake3_of(b"GGUF tiny");
    let refused = control.post(&control.operator, "/v1/models", &body).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "name-taken")
    );
    assert!(text(&refused.body, "detail").contains(&known));
    let replacing = |digest: &str| {
        let request = control.request(Method::POST, &control.operator, "/v1/models");
        let request = request.header("if-match", format!("\"{digest}\""));
        answer(request.json(&body))
    };
    let wrong = replacing(&"0".repeat(64)).await;
    assert_eq!(wrong.code(), "name-taken");
    let replaced = replacing(&known).await.expect(201);
    assert_eq!(text(&replaced, "digest"), blake3_of(b"GGUF other"));
    control.running.stop().await;
}
