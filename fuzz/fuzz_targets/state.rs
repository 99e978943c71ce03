//! The state in a snapshot. What is read is written as something that reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_network::State;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = minicbor::decode::<State>(bytes) {
        let written = minicbor::to_vec(&state).unwrap();
        assert_eq!(minicbor::decode::<State>(&written).unwrap(), state);
    }
});
