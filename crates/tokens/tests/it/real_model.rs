//! The real `SmolLM2` vocabulary against ids that llama.cpp gave (`smollm2_expected.json` says how).

use std::io::Read as _;

use remuda_tokens::gguf::Metadata;
use remuda_tokens::{ChatTemplate, Conversation, Message, Role, Special, Tokenizer, prompt};
use remuda_types::Time;
use serde_json::Value;

/// Enough for the metadata of this model, and less than its 98 MB.
const FIRST_BYTES: u64 = 4 << 20;

#[expect(
    clippy::disallowed_methods,
    reason = "a test is the edge: it is told where the model is"
)]
fn first_bytes() -> Vec<u8> {
    let path = std::env::var_os("REMUDA_TEST_MODEL")
        .expect("REMUDA_TEST_MODEL is not set: run through `make test`, which fetches the model");
    let file = std::fs::File::open(path).expect("REMUDA_TEST_MODEL names a readable file");
    let mut bytes = Vec::new();
    file.take(FIRST_BYTES).read_to_end(&mut bytes).unwrap();
    bytes
}

fn metadata() -> Metadata {
    Metadata::parse(&first_bytes()).unwrap()
}

fn expected(part: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("smollm2_expected.json")).unwrap();
    file[part].as_array().unwrap().clone()
}

fn ids(value: &Value) -> Vec<u32> {
    let ids = value.as_array().unwrap().iter();
    ids.map(|id| u32::try_from(id.as_u64().unwrap()).unwrap())
        .collect()
}

fn conversation(messages: &Value) -> Conversation {
    let message = |message: &Value| {
        let role = match message["role"].as_str().unwrap() {
            "system" => Role::System,
            "assistant" => Role::Assistant,
            _ => Role::User,
        };
        Message::new(role, message["content"].as_str().unwrap())
    };
    Conversation {
        messages: messages.as_array().unwrap().iter().map(message).collect(),
        tools: Vec::new(),
        add_generation_prompt: true,
        now: Time::EPOCH,
    }
}

#[test]
fn the_metadata_is_read() {
    let metadata = metadata();
    assert_eq!(metadata.architecture(), Some("llama"));
    assert_eq!(metadata.context_length(), Some(8_192));
    assert_eq!(metadata.tokens().len(), 49_152);
    assert_eq!(metadata.pre_tokenizer(), Some("smollm"));
    assert_eq!(metadata.tensors(), 272);
    assert!(
        metadata
            .tensor_infos_end()
            .is_some_and(|end| end > 1_769_507)
    );
}

#[test]
fn texts_have_the_ids_of_llama_cpp() {
    let tokenizer = Tokenizer::from_gguf(&metadata()).unwrap();
    for case in expected("texts") {
        let text = case["text"].as_str().unwrap();
        let parsed = tokenizer.encode(text, Special::Parse).unwrap();
        assert_eq!(parsed, ids(&case["parse"]), "{text:?}");
        let plain = tokenizer.encode(text, Special::Plain).unwrap();
        assert_eq!(plain, ids(&case["plain"]), "{text:?}");
    }
}

/// The same metadata as if the file named another pre-tokeniser.
fn with_pre(name: &str) -> Metadata {
    let bytes = first_bytes();
    let key = b"tokenizer.ggml.pre";
    let at = bytes
        .windows(key.len())
        .position(|window| window == key)
        .unwrap()
        + key.len()
        + 4;
    let length = (name.len() as u64).to_le_bytes();
    let rest = at + 8 + "smollm".len();
    let patched = [&bytes[..at], &length, name.as_bytes(), &bytes[rest..]].concat();
    Metadata::parse(&patched).unwrap()
}

#[test]
fn every_pre_tokenizer_splits_as_in_llama_cpp() {
    let file: Value = serde_json::from_str(include_str!("smollm2_expected.json")).unwrap();
    for (name, lists) in file["pre_tokenizers"]["ids"].as_object().unwrap() {
        let tokenizer = Tokenizer::from_gguf(&with_pre(name)).unwrap();
        for (case, list) in expected("texts").iter().zip(lists.as_array().unwrap()) {
            let text = case["text"].as_str().unwrap();
            let plain = tokenizer.encode(text, Special::Plain).unwrap();
            assert_eq!(plain, ids(list), "{name}: {text:?}");
        }
    }
}

#[test]
fn conversations_have_the_prompt_and_count_of_llama_server() {
    let metadata = metadata();
    let tokenizer = Tokenizer::from_gguf(&metadata).unwrap();
    let template = ChatTemplate::from_gguf(&metadata).unwrap();
    for case in expected("chats") {
        let prompt =
            prompt::prepare(&template, &tokenizer, &conversation(&case["messages"])).unwrap();
        assert_eq!(prompt.text, case["prompt"].as_str().unwrap());
        assert_eq!(prompt.ids, ids(&case["tokens"]));
        assert_eq!(prompt.ids.len() as u64, case["usage"].as_u64().unwrap());
    }
}
