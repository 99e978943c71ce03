//! The reader of request traces in lines of JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_sim::serving::parse_mooncake;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(trace) = parse_mooncake(bytes) {
        assert!(trace.turns.is_sorted_by_key(|turn| turn.opens));
    }
});
