//! Bodies of requests, at every door: an ask or a refusal, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_gateway::{BodyOf, check_body};

const DOORS: [BodyOf; 5] = [
    BodyOf::Chat,
    BodyOf::Completions,
    BodyOf::Responses,
    BodyOf::Messages,
    BodyOf::TokenCount,
];

fuzz_target!(|bytes: &[u8]| {
    for door in DOORS {
        drop(check_body(door, bytes));
    }
});
