//! The reader of scenarios.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_sim::scenario::Scenario;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(scenario) = Scenario::read("fuzzed", text)
    {
        assert!(scenario.checked().is_ok(), "what was read once holds together");
    }
});
