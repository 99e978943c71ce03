//! A `tokenizer.json`, and a text through it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_tokens::{Special, Tokenizer};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tokenizer) = Tokenizer::from_json(bytes) {
        let _either = tokenizer.encode("Hello, wörld! 123", Special::Plain).is_ok();
    }
});
