//! The reader of round trips between cities.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remuda_sim::cities::{parse_cities, parse_round_trips};

fuzz_target!(|bytes: &[u8]| {
    let cities = b"city,Lat,Long,Population\nYork,54,-1,1\nNew York,40,-74,2\nSan Jose,9,-84,3\n";
    let cities = parse_cities(cities).unwrap();
    if let Ok(trips) = parse_round_trips(bytes, &cities) {
        for (one, other) in [(0, 1), (1, 2), (2, 0)] {
            let trip = trips.between((one, cities[one].place), (other, cities[other].place));
            assert!(trip.avg_ms >= 0.0 && trip.mdev_ms >= 0.0);
        }
    }
});
