//! Anthropic's doors.

use insta::assert_json_snapshot;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::gguf::ids;
use crate::world::{MODEL, PROMPT, SECRET, World};

fn messages(changes: &Value) -> Value {
    let mut body = json!({
        "model": MODEL,
        "max_tokens": 1_000,
        "messages": [{"role": "user", "content": "hi"}],
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn ask(world: &World, path: &str, body: &Value) -> RequestBuilder {
    let request = world.client.post(world.url(path)).json(body);
    request
        .header("x-api-key", SECRET)
        .header("anthropic-version", "2026-10-21")
}

async fn message(world: &World, changes: Value) -> Response {
    let body = messages(&changes);
    ask(world, "/v1/messages", &body).send().await.unwrap()
}

/// The name and the object of each event; ids differ from run to run.
async fn events(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let event = |event: &str| {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        let mut data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], name, "an event is named by its type");
        for path in ["/message/id", "/content_block/id"] {
            if let Some(id) = data.pointer_mut(path) {
                *id = id.as_str().unwrap().split_once('_').unwrap().0.into();
            }
        }
        data
    };
    text.split("\n\n")
        .filter(|event| !event.is_empty())
        .map(event)
        .collect()
}

async fn world(script: &str) -> World {
    let world = World::new(1).await;
    world.nodes[0].set(|manner| manner.script = ids(script));
    world
}

const CALL: &str = "Let me see.\n<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": \"left\"}}\n</tool_call>";

fn tools() -> Value {
    json!([{"name": "look", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}}])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whole_and_streamed() {
    let world = world("Hello!").await;
    let response = message(
        &world,
        json!({"system": [{"type": "text", "text": "Be kind."}]}),
    )
    .await;
    assert!(
        response.headers()["request-id"]
            .to_str()
            .unwrap()
            .starts_with("req_")
    );
    let mut whole: Value = response.json().await.unwrap();
    assert!(whole["id"].as_str().unwrap().starts_with("msg_"));
    whole["id"] = "[id]".into();
    assert_json_snapshot!(whole);
    let streamed = message(&world, json!({"stream": true})).await;
    assert_json_snapshot!(events(streamed).await);
    world
        .control
        .until("both are posted", |state| state.requests() == 2)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_used_and_its_result_goes_back() {
    let world = world(CALL).await;
    let mut whole: Value = message(&world, json!({"tools": tools()}))
        .await
        .json()
        .await
        .unwrap();
    let id = whole["content"][1]["id"].take();
    assert_json_snapshot!(whole["content"]);
    assert_eq!(whole["stop_reason"], "tool_use");
    let streamed = message(&world, json!({"tools": tools(), "stream": true})).await;
    let events = events(streamed).await;
    let blocks = events.as_array().unwrap().iter();
    let blocks: Vec<_> = blocks.filter(|event| event["index"].is_u64()).collect();
    let partial = blocks
        .iter()
        .filter_map(|event| event["delta"]["partial_json"].as_str());
    assert_eq!(partial.collect::<String>(), "{\"at\": \"left\"}");
    let shapes = blocks
        .iter()
        .filter(|event| event["type"] != "content_block_delta");
    assert_json_snapshot!(shapes.collect::<Vec<_>>());
    let turns = json!([
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "…", "signature": "s"},
            {"type": "tool_use", "id": id, "name": "look", "input": {"at": "left"}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": "no"}], "is_error": true},
            {"type": "text", "text": "Well?"},
        ]},
    ]);
    let answered = message(&world, json!({"messages": turns, "tools": tools()})).await;
    assert_eq!(answered.status(), 200);
    let prompt = world.nodes[0].starts().pop().unwrap().prompt;
    let prompt: Vec<u8> = prompt
        .into_iter()
        .filter_map(|id| u8::try_from(id).ok())
        .collect();
    let prompt = String::from_utf8(prompt).unwrap();
    assert!(
        prompt.contains("<tool_response>\nError: no\n</tool_response>"),
        "{prompt}"
    );
    assert!(
        !prompt.contains('…'),
        "what was thought is not said: {prompt}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_message_stopped() {
    let world = world("one two END").await;
    let stopped = message(&world, json!({"stop_sequences": ["never", "END"]})).await;
    let stopped: Value = stopped.json().await.unwrap();
    assert_eq!(stopped["stop_reason"], "stop_sequence");
    assert_eq!(stopped["stop_sequence"], "END");
    assert_eq!(stopped["content"][0]["text"], "one two ");
    let short: Value = message(&world, json!({"max_tokens": 3}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(short["stop_reason"], "max_tokens");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_before_they_are_paid_for() {
    let world = world("x").await;
    let mut body = messages(&json!({}));
    body.as_object_mut().unwrap().remove("max_tokens");
    let count = |body: Value| {
        let request = ask(&world, "/v1/messages/count_tokens", &body);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    assert_eq!(count(body.clone()).await, json!({"input_tokens": PROMPT}));
    body["tools"] = tools();
    assert!(count(body).await["input_tokens"].as_u64().unwrap() > PROMPT + 100);
    assert_eq!(world.nodes[0].starts().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_in_the_words_of_who_asks() {
    let world = world("x").await;
    let get = |path: &str| {
        world
            .get(path)
            .header("anthropic-version", "2023-06-01")
            .send()
    };
    let list: Value = get("/v1/models").await.unwrap().json().await.unwrap();
    assert_json_snapshot!(list);
    let one: Value = get("/v1/models/small").await.unwrap().json().await.unwrap();
    assert_eq!(one, list["data"][0]);
    let none = get("/v1/models/large").await.unwrap();
    assert_eq!(none.status(), 404);
    let none: Value = none.json().await.unwrap();
    assert_eq!(none["error"]["type"], "not_found_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_a_type_and_name_the_field() {
    let world = world("x").await;
    let image = json!([{"role": "user", "content": [{"type": "image", "source": {}}]}]);
    for (changes, words) in [
        (
            json!({"messages": image}),
            "messages[0].content[0]: this model reads text only",
        ),
        (json!({"max_tokens": null}), "max_tokens: "),
        (json!({"max_tokens": 0}), "max_tokens: at least one"),
        (json!({"temperature": 1.5}), "temperature: "),
        (json!({"mcp_servers": [{}]}), "mcp_servers: "),
        (
            json!({"tools": [{"type": "bash_20250124", "name": "bash"}]}),
            "tools[0].type: ",
        ),
        (
            json!({"tool_choice": {"type": "any"}}),
            "tool_choice: there are no tools",
        ),
        (json!({"messages": []}), "messages: "),
        (
            json!({"messages": [{"role": "assistant", "content": "so"}]}),
            "messages: the last",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
            "messages[0].content[0]: ",
        ),
    ] {
        let response = message(&world, changes.clone()).await;
        assert_eq!(response.status(), 400, "{changes}");
        let id = response.headers()["request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["type"], "error");
        assert_eq!(body["request_id"], id);
        assert_eq!(body["error"]["type"], "invalid_request_error");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(words), "{message}");
    }
    let unknown = message(&world, json!({"model": "large"})).await;
    assert_eq!(unknown.status(), 404);
    let body = messages(&json!({}));
    let keyless = world
        .client
        .post(world.url("/v1/messages"))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(keyless.status(), 401);
    let keyless: Value = keyless.json().await.unwrap();
    assert_eq!(keyless["error"]["type"], "authentication_error");
}
