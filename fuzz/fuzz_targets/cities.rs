//! The reader of cities.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_sim::cities::parse_cities;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(cities) = parse_cities(bytes) {
        for city in cities {
            assert!(!city.name.is_empty() && city.population >= 0.0);
        }
    }
});
