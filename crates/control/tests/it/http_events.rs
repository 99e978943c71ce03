//! The feed of events over HTTP: pages, streams, resumed streams.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::{Control, Market, text};

/// A stream of server-sent events, read one at a time.
struct Events {
    response: Response,
    buffer: String,
}

impl Events {
    async fn open(control: &Control, key: &str, after: Option<&str>) -> Self {
        let request = control.request(Method::GET, key, "/v1/events");
        let request = request.header("accept", "text/event-stream");
        let request = match after {
            Some(id) => request.header("last-event-id", id),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            buffer: String::new(),
        }
    }

    /// The next event's id and data; none at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.buffer = rest;
                let field = |name: &str| {
                    frame
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::trim)
                };
                if let (Some(id), Some(data)) = (field("id:"), field("data:")) {
                    return Some((id.to_owned(), serde_json::from_str(data).unwrap()));
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk()).await;
            let chunk = chunk
                .expect("an event or an end within 20 s")
                .unwrap_or_default()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

fn kinds(page: &Value) -> Vec<String> {
    page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| text(event, "type"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_sees_their_own_events() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let all = control
        .get(&control.operator, "/v1/events?limit=500")
        .await
        .expect(200);
    let all = kinds(&all);
    assert_eq!(all[0], "key_issued");
    assert!(all.contains(&"tenant_created".to_owned()) && all.contains(&"money_moved".to_owned()));
    let project = control
        .get(&market.project_key, "/v1/events")
        .await
        .expect(200);
    assert_eq!(kinds(&project), ["project_created"]);
    let provider = control
        .get(&market.provider_key, "/v1/events")
        .await
        .expect(200);
    assert_eq!(kinds(&provider), ["provider_registered", "site_registered"]);
    assert!(
        !provider.to_string().contains("Ranch"),
        "names stand as labels"
    );

    let first = control
        .get(&market.provider_key, "/v1/events?limit=1")
        .await
        .expect(200);
    let cursor = text(&first, "next_cursor");
    let rest = control
        .get(&market.provider_key, &format!("/v1/events?cursor={cursor}"))
        .await;
    assert_eq!(kinds(&rest.expect(200)), ["site_registered"]);
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_live_and_resumes_where_it_broke() {
    let control = Control::start().await;
    let mut events = Events::open(&control, &control.operator, None).await;
    control.make("/v1/tenants", &json!({"name": "One"})).await;
    let (first, event) = events.next().await.unwrap();
    assert_eq!(event["type"], "tenant_created");
    assert_eq!(event["id"], first);
    drop(events);

    control.make("/v1/tenants", &json!({"name": "Two"})).await;
    control.make("/v1/tenants", &json!({"name": "Three"})).await;
    let mut events = Events::open(&control, &control.operator, Some(&first)).await;
    let (second, _) = events.next().await.unwrap();
    let (third, _) = events.next().await.unwrap();
    control.make("/v1/tenants", &json!({"name": "Four"})).await;
    let (fourth, _) = events.next().await.unwrap();
    let page = control
        .get(&control.operator, "/v1/events?limit=500")
        .await
        .expect(200);
    let page = page["data"].as_array().unwrap();
    let after: Vec<_> = page
        .iter()
        .map(|event| text(event, "id"))
        .skip_while(|id| *id != first)
        .collect();
    assert_eq!(
        after,
        [first, second, third, fourth],
        "no event is lost or doubled"
    );

    let wrong = control.request(Method::GET, &control.operator, "/v1/events");
    let wrong = wrong
        .header("accept", "text/event-stream")
        .header("last-event-id", "x");
    assert_eq!(crate::harness::answer(wrong).await.code(), "invalid");
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_key_and_with_control() {
    let control = Control::start().await;
    let issued = control.make("/v1/keys", &json!({"scopes": ["read"]})).await;
    let mut revoked = Events::open(&control, &text(&issued, "secret"), None).await;
    let mut open = Events::open(&control, &control.operator, None).await;
    control
        .delete(
            &control.operator,
            &format!("/v1/keys/{}", text(&issued, "id")),
        )
        .await
        .expect(204);
    assert_eq!(
        revoked.next().await,
        None,
        "a revoked key sees nothing more"
    );
    assert_eq!(open.next().await.unwrap().1["type"], "key_revoked");
    let stopped = tokio::spawn(control.running.stop());
    assert_eq!(open.next().await, None);
    stopped.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_has_so_many_streams_whatever_its_keys() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let other = control.key(&market.project, &["read"]).await;
    let mut open = Vec::new();
    for key in [&market.project_key, &other].into_iter().cycle().take(32) {
        open.push(Events::open(&control, key, None).await);
    }
    let one_more = || {
        let request = control.request(Method::GET, &other, "/v1/events");
        crate::harness::answer(request.header("accept", "text/event-stream"))
    };
    let refused = one_more().await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (429, "too-many-streams")
    );
    Events::open(&control, &market.provider_key, None).await;
    control.get(&other, "/v1/events").await.expect(200);
    drop(open);
    // The server learns that a client has gone when it next writes or reads.
    for _ in 0..100 {
        control
            .make(
                "/v1/tenants",
                &json!({"name": control.running.seq().0.to_string()}),
            )
            .await;
        let owner = json!({"owner": market.project, "scopes": ["read"]});
        control.make("/v1/keys", &owner).await;
        let request = control.request(Method::GET, &other, "/v1/events");
        let again = request.header("accept", "text/event-stream").send().await;
        if again.unwrap().status().is_success() {
            control.running.stop().await;
            return;
        }
    }
    panic!("streams that were closed are counted still");
}
