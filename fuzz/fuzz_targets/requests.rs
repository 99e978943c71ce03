//! The reader of request traces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_sim::requests::parse_requests;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(requests) = parse_requests(bytes) {
        assert!(requests.is_sorted_by_key(|request| request.after));
    }
});
