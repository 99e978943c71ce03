//! The reader of availability traces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_sim::availability::Availability;

fuzz_target!(|bytes: &[u8]| {
    let _either = Availability::read("fuzzed", bytes).is_ok();
});
