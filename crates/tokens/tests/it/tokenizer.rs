//! Tokenisers built from generated files.

use proptest::prelude::*;
use remuda_tokens::tokenizer::Error;
use remuda_tokens::{Detokenizer, Special, Tokenizer};

use crate::sample::{self, IM_END, IM_START, Item, THINK};

fn sample_tokenizer() -> Tokenizer {
    Tokenizer::from_gguf(&sample::parse(&sample::model())).unwrap()
}

fn refused(key: &'static str, item: Item) -> Error {
    Tokenizer::from_gguf(&sample::parse(&sample::model_with(key, item))).unwrap_err()
}

#[test]
fn merges_are_applied_best_first() {
    let tokenizer = sample_tokenizer();
    let hello = tokenizer.encode("hello hello", Special::Plain).unwrap();
    let texts: Vec<_> = hello
        .iter()
        .map(|id| tokenizer.token_text(*id).unwrap())
        .collect();
    assert_eq!(texts, ["hello", "\u{120}hello"]);
    assert_eq!(tokenizer.token_bytes(hello[1]), Some(b" hello".as_slice()));
}

#[test]
fn control_tokens_are_parsed_only_when_asked() {
    let tokenizer = sample_tokenizer();
    assert_eq!(
        tokenizer.encode("<|im_end|>", Special::Parse).unwrap(),
        [IM_END]
    );
    let plain = tokenizer.encode("<|im_end|>", Special::Plain).unwrap();
    assert!(plain.len() > 1 && !plain.contains(&IM_END));
    assert_eq!(
        tokenizer.encode("<think>", Special::Plain).unwrap(),
        [THINK]
    );
}

#[test]
fn ends_are_known_and_silent() {
    let tokenizer = sample_tokenizer();
    assert!(tokenizer.is_end(IM_END));
    assert!(!tokenizer.is_end(IM_START));
    assert_eq!(tokenizer.token_bytes(IM_END), Some(b"".as_slice()));
    assert_eq!(tokenizer.token_bytes(tokenizer.vocab_size()), None);
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let text = |text: &str| Item::Text(text.to_owned());
    let unknown = refused("tokenizer.ggml.pre", text("from-the-future"));
    assert!(matches!(unknown, Error::UnknownPreTokenizer { name } if name == "from-the-future"));
    let spm = refused("tokenizer.ggml.model", text("llama"));
    assert!(matches!(spm, Error::UnsupportedModel { model } if model == "llama"));
    let outside = refused("tokenizer.ggml.eos_token_id", Item::U32(9_999));
    assert!(matches!(
        outside,
        Error::OutsideVocabulary { id: 9_999, .. }
    ));
    let twice = refused(
        "tokenizer.ggml.tokens",
        Item::Texts(vec!["a".to_owned(), "a".to_owned()]),
    );
    assert!(matches!(twice, Error::Duplicate { id: 1 }));
    assert!(matches!(
        refused("tokenizer.ggml.tokens", Item::Texts(Vec::new())),
        Error::Empty
    ));
}

#[test]
fn merges_that_the_library_would_panic_on_are_refused() {
    let tokens = Item::Texts(["a", "bb"].map(str::to_owned).to_vec());
    let mut items = sample::model_with("tokenizer.ggml.tokens", tokens);
    items.retain(|(key, _)| !key.ends_with("_token_id") && *key != "tokenizer.ggml.merges");
    items.push((
        "tokenizer.ggml.merges",
        Item::Texts(vec!["a bb".to_owned()]),
    ));
    let refused = Tokenizer::from_gguf(&sample::parse(&items)).unwrap_err();
    assert!(matches!(refused, Error::BadMerge { index: 0 }));
}

/// The sample model as a `tokenizer.json`.
fn json(pre_tokenizer: &str, model: &str) -> String {
    let metadata = sample::parse(&sample::model());
    let quote = |text: &str| serde_json::to_string(text).unwrap();
    let tokens = metadata.tokens().iter().enumerate();
    let vocab: Vec<_> = tokens
        .map(|(id, text)| format!("{}:{id}", quote(text)))
        .collect();
    let merges: Vec<_> = metadata.merges().iter().map(|merge| quote(merge)).collect();
    format!(
        r#"{{"version":"1.0","added_tokens":[
            {{"id":256,"content":"<|im_start|>","special":true}},
            {{"id":257,"content":"<|im_end|>","special":true}},
            {{"id":258,"content":"<think>","special":false}}],
        "normalizer":{{"type":"NFC"}},"pre_tokenizer":{pre_tokenizer},
        "model":{{"type":{model},"vocab":{{{}}},"merges":[{}]}}}}"#,
        vocab.join(","),
        merges.join(",")
    )
}

const SMOLLM: &str = r#"{"type":"Sequence","pretokenizers":[
    {"type":"Digits","individual_digits":true},
    {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]}"#;

#[test]
fn a_tokenizer_json_gives_the_same_ids() {
    let from_json = Tokenizer::from_json(json(SMOLLM, r#""BPE""#).as_bytes()).unwrap();
    let from_gguf = sample_tokenizer();
    for text in [
        "hello  hello\n12",
        "<|im_start|>user\nhe<think>",
        "na\u{ef}ve \u{1f600}",
    ] {
        for special in [Special::Parse, Special::Plain] {
            let expected = from_gguf.encode(text, special).unwrap();
            assert_eq!(
                from_json.encode(text, special).unwrap(),
                expected,
                "{text:?}"
            );
        }
    }
    // NFC is this file's own wish; GGUF has none.
    let composed = from_json.encode("e\u{301}", Special::Plain).unwrap();
    assert_eq!(
        composed,
        from_gguf.encode("\u{e9}", Special::Plain).unwrap()
    );
}

#[test]
fn a_tokenizer_json_with_unknown_parts_is_refused() {
    let refused = |text: String| Tokenizer::from_json(text.as_bytes()).unwrap_err();
    let unigram = refused(json(SMOLLM, r#""Unigram""#));
    assert!(matches!(unigram, Error::UnsupportedModel { model } if model == "Unigram"));
    let split =
        r#"{"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated","invert":false}"#;
    let regex = refused(json(split, r#""BPE""#));
    assert!(matches!(regex, Error::UnknownPreTokenizer { name } if name == "(a+)+$"));
    let other = refused(json(r#"{"type":"Metaspace"}"#, r#""BPE""#));
    assert!(matches!(other, Error::Unsupported { .. }));
    let huge_id = r#"{"added_tokens":[{"id":4294967295,"content":"x"}],"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE"}}"#;
    assert!(matches!(
        refused(huge_id.to_owned()),
        Error::TooLarge { .. }
    ));
    let deep = format!(
        "{}{}",
        r#"{"model":{"type":"BPE"},"x":"#,
        "[".repeat(100_000)
    );
    assert!(matches!(refused(deep), Error::Json(_)));
}

proptest! {
    #[test]
    fn encoding_loses_nothing(text in "\\PC{0,40}[ \\n\\t]{0,4}(hello ?){0,3}\\PC{0,10}") {
        let tokenizer = sample_tokenizer();
        let ids = tokenizer.encode(&text, Special::Plain).unwrap();
        let mut detokenizer = Detokenizer::new();
        let mut back = String::new();
        for id in ids {
            back.push_str(&detokenizer.push(&tokenizer, id).unwrap());
        }
        back.push_str(&detokenizer.finish());
        prop_assert_eq!(back, text);
    }

    #[test]
    fn random_json_never_panics(at in 0_usize..6_000, byte in any::<u8>(), cut in 0_usize..6_000) {
        let mut bytes = json(SMOLLM, r#""BPE""#).into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(tokenizer) = Tokenizer::from_json(&bytes) {
            prop_assert!(tokenizer.encode("hello <|im_end|>", Special::Parse).is_ok());
        }
        bytes.truncate(cut);
        prop_assert!(cut >= bytes.len() && Tokenizer::from_json(&bytes).is_err() || cut > bytes.len());
    }
}
