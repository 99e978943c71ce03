//! `/v1/responses`: made, streamed, kept, gone on from, cancelled and forgotten.

use std::time::Duration;

use insta::assert_json_snapshot;
use reqwest::Response;
use serde_json::{Value, json};

use crate::gguf::ids;
use crate::world::{MODEL, SECRET, World};

async fn world(script: &str) -> World {
    let world = World::new(1).await;
    world.nodes[0].set(|manner| manner.script = ids(script));
    world
}

async fn ask(world: &World, changes: &Value) -> Response {
    let mut body = json!({"model": MODEL, "input": "hi", "max_output_tokens": 500});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    world.post("/v1/responses", &body).send().await.unwrap()
}

async fn made(world: &World, changes: &Value) -> Value {
    let response = ask(world, changes).await;
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

async fn get(world: &World, path: &str) -> Value {
    let response = world.get(path).send().await.unwrap();
    response.json().await.unwrap()
}

/// Ids are made of the request's own, which differs from run to run: only their kind stays.
fn steadied(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let steady = fields.iter().map(|(name, field)| {
                let kind = |text: &str| text.split('_').next().unwrap_or_default().to_owned();
                let steady = match (name.as_str(), field) {
                    (
                        "id" | "item_id" | "call_id" | "first_id" | "last_id",
                        Value::String(text),
                    ) => kind(text).into(),
                    ("created_at", _) => "[created]".into(),
                    _ => steadied(field),
                };
                (name.clone(), steady)
            });
            steady.collect()
        }
        Value::Array(values) => values.iter().map(steadied).collect(),
        other => other.clone(),
    }
}

/// Events of a stream, each named by its type and numbered.
async fn events(response: Response) -> Vec<Value> {
    let text = response.text().await.unwrap();
    let event = |(nth, event): (usize, &str)| {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(format!("event: {}", data["type"].as_str().unwrap()), name);
        assert_eq!(data["sequence_number"], nth);
        data
    };
    let events = text.split("\n\n").filter(|event| !event.is_empty());
    events.enumerate().map(event).collect()
}

const CALL: &str =
    "So.\n<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": 1}}\n</tool_call>";

fn tools() -> Value {
    json!([{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "integer"}}}}])
}

/// What the replica was asked last, as text.
fn prompt(world: &World) -> String {
    let start = world.nodes[0].starts().pop().unwrap();
    let bytes = start
        .prompt
        .into_iter()
        .filter_map(|id| u8::try_from(id).ok());
    String::from_utf8(bytes.collect()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_made_kept_and_forgotten() {
    let world = world("Hello!").await;
    let made = made(
        &world,
        &json!({"instructions": "Be kind.", "metadata": {"a": "b"}}),
    )
    .await;
    assert_json_snapshot!(steadied(&made));
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(get(&world, &path).await, made);
    let items = get(&world, &format!("{path}/input_items")).await;
    assert_json_snapshot!(steadied(&items));
    let cancel = world
        .post(&format!("{path}/cancel"), &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(
        cancel.status(),
        400,
        "only what runs in the background can be cancelled"
    );
    let delete = |path: &str| {
        world
            .client
            .delete(world.url(path))
            .bearer_auth(SECRET)
            .send()
    };
    assert_eq!(delete(&path).await.unwrap().status(), 200);
    assert_eq!(delete(&path).await.unwrap().status(), 404);
    let gone = get(&world, &path).await;
    assert_eq!(gone["error"]["code"], "response_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_streamed_is_the_same_in_events() {
    let world = world(CALL).await;
    let streamed = ask(&world, &json!({"stream": true, "tools": tools()})).await;
    let events = events(streamed).await;
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_json_snapshot!(kinds);
    let whole = &events.last().unwrap()["response"];
    assert_json_snapshot!(steadied(&whole["output"]));
    for (at, item) in whole["output"].as_array().unwrap().iter().enumerate() {
        let of = events.iter().filter(|event| event["output_index"] == at);
        let ids = of.map(|event| event.get("item_id").unwrap_or(&event["item"]["id"]));
        assert!(
            ids.into_iter().all(|id| *id == item["id"]),
            "an item has one id"
        );
    }
    let deltas = |kind: &str| {
        let of = events.iter().filter(|event| event["type"] == kind);
        of.map(|event| event["delta"].as_str().unwrap())
            .collect::<String>()
    };
    assert_eq!(deltas("response.output_text.delta"), "So.");
    assert_eq!(
        deltas("response.function_call_arguments.delta"),
        "{\"at\": 1}"
    );
    let whole_again = made(&world, &json!({"tools": tools()})).await;
    assert_eq!(steadied(&whole_again["output"]), steadied(&whole["output"]));
    let path = format!("/v1/responses/{}", whole["id"].as_str().unwrap());
    assert_eq!(
        get(&world, &path).await,
        *whole,
        "what was streamed is kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_gone_on_from() {
    let world = world(CALL).await;
    let asked = json!({"input": "Look.", "tools": tools(), "instructions": "Be brief."});
    let first = made(&world, &asked).await;
    let call = &first["output"][1]["call_id"];
    world.nodes[0].set(|manner| manner.script = ids("A door."));
    let result = json!([{"type": "function_call_output", "call_id": call, "output": "a door"}]);
    let second = json!({"previous_response_id": first["id"], "input": result, "tools": tools()});
    let second = made(&world, &second).await;
    let read = prompt(&world);
    for said in ["Look.", "So.", "\"look\"", "<tool_response>\na door"] {
        assert!(read.contains(said), "{said} in {read}");
    }
    assert!(
        !read.contains("Be brief."),
        "instructions are each request's own"
    );
    let third = json!({"previous_response_id": second["id"], "input": "And then?", "store": false});
    let third = made(&world, &third).await;
    let read = prompt(&world);
    assert!(read.contains("Look.") && read.contains("A door.") && read.contains("And then?"));
    let unkept = ask(&world, &json!({"previous_response_id": third["id"]})).await;
    assert_eq!(unkept.status(), 400);
    let unkept: Value = unkept.json().await.unwrap();
    assert_eq!(unkept["error"]["code"], "previous_response_not_found");
    assert_eq!(unkept["error"]["param"], "previous_response_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_in_the_background_can_be_waited_for_and_cancelled() {
    let world = world("slow and steady").await;
    world.nodes[0].set(|manner| manner.pause = Duration::from_millis(20));
    let begun = made(&world, &json!({"background": true})).await;
    assert_eq!(begun["status"], "in_progress");
    let path = format!("/v1/responses/{}", begun["id"].as_str().unwrap());
    let mut now = begun.clone();
    for _ in 0..200 {
        now = get(&world, &path).await;
        if now["status"] != "in_progress" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(now["status"], "completed");
    assert_eq!(now["output"][0]["content"][0]["text"], "slow and steady");
    world
        .control
        .until("it is billed", |state| state.requests() == 1)
        .await;

    world.nodes[0].set(|manner| manner.pause = Duration::from_secs(5));
    let begun = made(&world, &json!({"background": true})).await;
    let path = format!("/v1/responses/{}", begun["id"].as_str().unwrap());
    let cancelled = world
        .post(&format!("{path}/cancel"), &json!({}))
        .send()
        .await
        .unwrap();
    let cancelled: Value = cancelled.json().await.unwrap();
    assert_eq!(cancelled["status"], "cancelled");
    for _ in 0..200 {
        if get(&world, &path).await["status"] == "cancelled" && world.nodes[0].cancelled() > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the replica was never told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_while_it_is_made_stays_forgotten() {
    let world = world("slow").await;
    world.nodes[0].set(|manner| manner.pause = Duration::from_millis(200));
    let begun = made(&world, &json!({"background": true})).await;
    let path = format!("/v1/responses/{}", begun["id"].as_str().unwrap());
    let deleted = world
        .client
        .delete(world.url(&path))
        .bearer_auth(SECRET)
        .send();
    assert_eq!(deleted.await.unwrap().status(), 200);
    for _ in 0..200 {
        if world.nodes[0].cancelled() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.get(&path).send().await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_and_calls_keep_their_order_and_thoughts_are_not_kept() {
    let script = format!("{CALL}\nDone.");
    let world = world(&script).await;
    let whole = made(&world, &json!({"tools": tools()})).await;
    let output = whole["output"].as_array().unwrap();
    let kinds: Vec<_> = output.iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["message", "function_call", "message"]);
    let streamed = ask(&world, &json!({"tools": tools(), "stream": true})).await;
    let last = events(streamed).await.pop().unwrap();
    assert_eq!(
        steadied(&last["response"]["output"]),
        steadied(&whole["output"])
    );
    let thought = json!([
        {"type": "reasoning", "encrypted_content": "x".repeat(100_000)},
        {"role": "user", "content": "Well?"},
    ]);
    let made = made(&world, &json!({"input": thought})).await;
    let path = format!("/v1/responses/{}/input_items", made["id"].as_str().unwrap());
    let items = get(&world, &path).await;
    assert_eq!(items["data"].as_array().unwrap().len(), 1);
    let strange = world
        .get(&format!("{path}?limit=abc"))
        .send()
        .await
        .unwrap();
    assert_eq!(strange.status(), 400);
    let strange: Value = strange.json().await.unwrap();
    assert_eq!(strange["error"]["param"], "limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_is_too_long_to_be_kept_says_so() {
    let world = World::with(1, |config| config.policies.kept.most_bytes = 2_000).await;
    world.nodes[0].set(|manner| manner.script = ids("Hello!"));
    let long = json!({"input": "x".repeat(3_000)});
    let refused: Value = ask(&world, &long).await.json().await.unwrap();
    assert_eq!(refused["error"]["param"], "store");
    let unkept = json!({"input": "x".repeat(3_000), "store": false});
    assert_eq!(ask(&world, &unkept).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cut_short_is_incomplete() {
    let world = world("Hello!").await;
    let short = made(&world, &json!({"max_output_tokens": 2})).await;
    assert_eq!(short["status"], "incomplete");
    assert_eq!(short["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(short["output"][0]["status"], "incomplete");
    let streamed = ask(&world, &json!({"max_output_tokens": 2, "stream": true})).await;
    let last = events(streamed).await.pop().unwrap();
    assert_eq!(last["type"], "response.incomplete");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_the_parameter() {
    let world = world("x").await;
    let image = json!([{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]);
    for (changes, parameter) in [
        (json!({"input": image}), "input[0].content[0]"),
        (json!({"input": 5}), "input"),
        (json!({"input": [5]}), "input[0]"),
        (json!({"input": []}), "input"),
        (json!({"input": [{"type": "web_search_call"}]}), "input[0]"),
        (
            json!({"input": [{"role": "nobody", "content": "x"}]}),
            "input[0].role",
        ),
        (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].name"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"max_output_tokens": 0}), "max_output_tokens"),
        (json!({"conversation": "c"}), "conversation"),
        (json!({"background": true, "stream": true}), "background"),
        (json!({"background": true, "store": false}), "store"),
        (
            json!({"text": {"format": {"type": "xml"}}}),
            "text.format.type",
        ),
        (json!({"model": 5}), "model"),
    ] {
        let response = ask(&world, &changes).await;
        assert_eq!(response.status(), 400, "{changes}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["param"], parameter, "{body}");
    }
    assert_eq!(ask(&world, &json!({"model": "large"})).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_ask() {
    let world = world("Hello!").await;
    let preflight = world
        .client
        .request(reqwest::Method::OPTIONS, world.url("/v1/responses"))
        .header("origin", "https://page.test")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,x-stainless-os",
        );
    let preflight = preflight.send().await.unwrap();
    assert_eq!(preflight.status(), 200);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert_eq!(
        preflight.headers()["access-control-allow-headers"],
        "authorization,x-stainless-os"
    );
    let keyless = world
        .client
        .post(world.url("/v1/responses"))
        .header("origin", "https://page.test");
    let keyless = keyless.send().await.unwrap();
    assert_eq!(keyless.status(), 401);
    assert_eq!(
        keyless.headers()["access-control-allow-origin"],
        "*",
        "a refusal can be read"
    );
    let shown = keyless.headers()["access-control-expose-headers"]
        .to_str()
        .unwrap();
    assert!(shown.contains("x-request-id"), "{shown}");
}
