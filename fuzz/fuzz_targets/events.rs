//! The facts of a journal record. What is read is written as something that reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_network::Event;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(events) = minicbor::decode::<Vec<Event>>(bytes) {
        let written = minicbor::to_vec(&events).unwrap();
        assert_eq!(minicbor::decode::<Vec<Event>>(&written).unwrap(), events);
    }
});
