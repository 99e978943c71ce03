//! Tools, forms, probabilities and several answers, through OpenAI's doors.

use insta::assert_json_snapshot;
use remuda_types::Constraint;
use remuda_wire::infer::RefusedReason;
use serde_json::{Value, json};

use crate::gguf::ids;
use crate::http::json as parse;
use crate::node::{Fault, letters};
use crate::world::{MODEL, PROMPT, World, price};

const CALLS: &str = "Let me see.\n<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": \"left\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"wait\", \"arguments\": {}}\n</tool_call>";

pub(crate) fn tools() -> Value {
    let look = json!({"type": "object", "properties": {"at": {"enum": ["left", "right"]}}, "required": ["at"]});
    json!([
        {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": look}},
        {"type": "function", "function": {"name": "wait"}},
    ])
}

async fn world(script: &str) -> World {
    let world = World::new(1).await;
    world.nodes[0].set(|manner| manner.script = ids(script));
    world
}

/// Ids are made of the request's own, which differs from run to run.
fn steadied(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let text = field.as_str().unwrap_or_default();
                *field = match name.as_str() {
                    "id" => text.split(['-', '_']).next().unwrap_or_default().into(),
                    "created" => "[created]".into(),
                    _ => steadied(field.take()),
                };
            }
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| *value = steadied(value.take())),
        _ => {}
    }
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_read_from_what_the_model_writes() {
    let world = world(CALLS).await;
    let asked = json!({"max_tokens": 1_000, "tools": tools()});
    let whole: Value = world.chat(asked.clone()).await.json().await.unwrap();
    assert_json_snapshot!(steadied(whole["choices"][0].clone()));
    let ids = [0, 1].map(|nth| whole["choices"][0]["message"]["tool_calls"][nth]["id"].clone());
    assert_ne!(ids[0], ids[1]);
    let mut events = world.stream(asked).await.rest().await;
    assert_eq!(events.pop().unwrap(), "[DONE]");
    let deltas = events.iter().map(|event| {
        let choice = parse(event)["choices"][0].take();
        json!([choice["delta"], choice["finish_reason"]])
    });
    assert_json_snapshot!(steadied(deltas.collect()));
    let start = world.nodes[0].starts().pop().unwrap();
    let prompt: Vec<u8> = start
        .prompt
        .iter()
        .filter_map(|id| u8::try_from(*id).ok())
        .collect();
    let prompt = String::from_utf8(prompt).unwrap();
    assert!(
        prompt.contains("# Tools") && prompt.contains("Looks."),
        "{prompt}"
    );
    let Some(Constraint::Lark(held)) = start.constraint else {
        panic!("a grammar")
    };
    assert!(held.contains("look") && held.contains("wait"), "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_elsewhere_in_the_middle_of_its_arguments() {
    let world = World::new(2).await;
    let at = u32::try_from(CALLS.find("left").unwrap()).unwrap();
    for node in &world.nodes {
        node.set(|manner| manner.script = ids(CALLS));
    }
    world.nodes[0].set(|manner| manner.fault = Some((at, Fault::Reset)));
    let asked = json!({"max_tokens": 1_000, "tools": tools(), "logprobs": true});
    let mut whole = Vec::new();
    for _ in 0..2 {
        let answer: Value = world.chat(asked.clone()).await.json().await.unwrap();
        let choice = &answer["choices"][0];
        let calls = choice["message"]["tool_calls"].as_array().unwrap();
        whole.push(json!([
            calls
                .iter()
                .map(|call| &call["function"])
                .collect::<Vec<_>>(),
            choice["logprobs"],
        ]));
    }
    assert_eq!(whole[0], whole[1], "one of the two was moved, or both");
    let told = whole[0][1]["content"].as_array().unwrap();
    assert_eq!(told.len(), CALLS.len(), "each token once");
    let resumed = world.nodes[1].starts();
    let resumed = resumed
        .iter()
        .find(|start| !start.generated.is_empty())
        .unwrap();
    assert_eq!(resumed.generated.len(), at as usize);
    assert!(
        resumed.constraint.is_some(),
        "the other is held to the same"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn results_go_back_to_the_model() {
    let world = world("Ok.").await;
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":\"left\"}"}});
    let messages = json!([
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "a door"},
    ]);
    let answer = world
        .chat(json!({"messages": messages, "tools": tools()}))
        .await;
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["choices"][0]["message"]["content"], "Ok.");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_refused_by_name() {
    let world = world("x").await;
    let wrong = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}});
    let strict = |strict: bool| {
        json!([
            {"type": "function", "function": {"name": "fine"}},
            {"type": "function", "function": {"name": "odd", "parameters": wrong, "strict": strict}},
        ])
    };
    let schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": wrong}});
    for (asked, parameter) in [
        (
            json!({"tools": strict(true)}),
            "tools[1].function.parameters",
        ),
        (json!({"response_format": schema}), "response_format"),
        (json!({"guided_regex": "("}), "guided_regex"),
        (
            json!({"guided_grammar": "start: nothing"}),
            "guided_grammar",
        ),
        (
            json!({"guided_regex": "a", "tools": tools()}),
            "guided_regex",
        ),
    ] {
        let refused = world.chat(asked).await;
        assert_eq!(refused.status(), 400);
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["error"]["param"], parameter, "{body}");
    }
    // Without strictness the schema is for the model to read.
    assert_eq!(
        world.chat(json!({"tools": strict(false)})).await.status(),
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn probabilities_come_with_the_tokens() {
    let world = world("ab").await;
    let asked = json!({"logprobs": true, "top_logprobs": 2});
    let whole: Value = world.chat(asked.clone()).await.json().await.unwrap();
    let logprobs = &whole["choices"][0]["logprobs"];
    assert_json_snapshot!(logprobs);
    let events = world.stream(asked).await.rest().await;
    let streamed: Vec<Value> = events[..events.len() - 1]
        .iter()
        .filter_map(|event| {
            parse(event)["choices"][0]["logprobs"]["content"]
                .as_array()
                .cloned()
        })
        .flatten()
        .collect();
    assert_eq!(json!(streamed), logprobs["content"]);
    let body = json!({"model": MODEL, "prompt": "go", "max_tokens": 5, "logprobs": 1});
    let completion: Value = world
        .post("/v1/completions", &body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_json_snapshot!(completion["choices"][0]["logprobs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_answers_share_a_prompt() {
    let world = World::new(1).await;
    let asked = json!({"n": 3, "seed": 5, "max_tokens": 6});
    let whole: Value = world.chat(asked.clone()).await.json().await.unwrap();
    let choices = whole["choices"].as_array().unwrap();
    let texts: Vec<_> = choices
        .iter()
        .map(|choice| choice["message"]["content"].as_str().unwrap())
        .collect();
    assert_eq!(
        texts[0],
        letters(5, 6),
        "the first has the client's own seed"
    );
    assert!(texts[1] != texts[0] && texts[2] != texts[1]);
    assert_eq!(whole["usage"]["prompt_tokens"], PROMPT);
    assert_eq!(whole["usage"]["completion_tokens"], 18);
    let mut events = world.stream(asked).await.rest().await;
    events.pop();
    for (index, text) in texts.iter().enumerate() {
        let of = events.iter().map(|event| parse(event)["choices"][0].take());
        let of = of.filter(|choice| choice["index"] == index);
        let streamed: String = of
            .filter_map(|choice| choice["delta"]["content"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(streamed, *text);
    }
    let prompts = json!({"model": MODEL, "prompt": ["a", "bc"], "n": 2, "max_tokens": 1});
    let completion: Value = world
        .post("/v1/completions", &prompts)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(completion["choices"].as_array().unwrap().len(), 4);
    assert_eq!(completion["usage"]["prompt_tokens"], 3);
    world
        .control
        .until("all are posted", |state| state.requests() == 10)
        .await;
    assert_eq!(
        world.control.state().used(),
        (2 * PROMPT + 3, 40, price(2 * PROMPT + 3, 40))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_of_several_answers_fails_none_is_billed() {
    let world = World::new(1).await;
    world.nodes[0].set(|manner| {
        manner.fault = Some((3, Fault::Refuse(RefusedReason::Broken)));
    });
    let refused = world.chat(json!({"n": 2})).await;
    assert!(refused.status().is_server_error(), "{refused:?}");
    world.nodes[0].set(|manner| manner.fault = None);
    world.chat(json!({"max_tokens": 1})).await;
    world
        .control
        .until("the last is posted", |state| state.requests() == 1)
        .await;
    assert_eq!(world.control.state().used(), (PROMPT, 1, price(PROMPT, 1)));
}
