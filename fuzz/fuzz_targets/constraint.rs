//! Constraints that tenants send: followed or refused, never a panic, an abort, or a long wait.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use remuda_tokens::Constraints;
use remuda_types::Constraint;

static BYTES: OnceLock<Constraints> = OnceLock::new();

fuzz_target!(|given: (u8, String)| {
    let (kind, text) = given;
    let constraint = match kind % 3 {
        0 => Constraint::Schema(text),
        1 => Constraint::Lark(text),
        _ => Constraint::Regex(text),
    };
    let constraints = BYTES.get_or_init(Constraints::of_bytes);
    if let Ok(mut follower) = constraints.compile(&constraint, &[]) {
        follower.mask(&mut [0.0; 257]);
    }
});
