//! The readers of recorded clusters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_sim::openb::{parse_machines, parse_tasks};

fuzz_target!(|bytes: &[u8]| {
    let _either = parse_machines(bytes).is_ok();
    let _either = parse_tasks(bytes).is_ok();
});
