//! The metadata of a model file, and what is made of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_tokens::gguf::Metadata;
use remuda_tokens::{ChatTemplate, Special, Tokenizer};

fuzz_target!(|bytes: &[u8]| {
    let Ok(metadata) = Metadata::parse(bytes) else {
        return;
    };
    if let Ok(tokenizer) = Tokenizer::from_gguf(&metadata) {
        let _either = tokenizer.encode("Hello, wörld! 123", Special::Plain).is_ok();
    }
    let _either = ChatTemplate::from_gguf(&metadata).is_ok();
});
