//! Cities, where they are and how many live there; and round trips between them, if they were
//! measured.
//!
//! Read from any file of comma-separated values with the columns `city`, `Lat`, `Long` and
//! `Population`, in any order and among others, plain or gzipped; and for round trips
//! `from_city`, `to_city_country_continent` and `avg_ms`, with `min_ms`, `max_ms` and `mdev_ms` if
//! they are there. Such files are published with ConsenSys/wittgenstein, for one.
//!
//! Where round trips were not measured they are `10 ms + 1 ms for every 60 km`: light goes through
//! 100 km of fibre and back in a millisecond, cables are two thirds longer than the great circle,
//! and the rest is what the ends take.

mod round_trips;

use std::collections::BTreeSet;
use std::path::Path;

use remuda_types::Place;

pub use crate::file::ReadError;
pub use round_trips::{RoundTrip, RoundTrips, parse_round_trips, round_trips};

use crate::file;
use crate::table::{self, LineError, Row};

/// More people than live anywhere, or everywhere.
const POPULATION_MAX: f64 = 1e10;

const COLUMNS: &str = "city, Lat, Long and Population";

/// A city.
#[derive(Clone, Debug, PartialEq)]
pub struct City {
    /// Its name; no two have one.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// How many live there.
    pub population: f64,
}

/// The cities of a file, in its order.
pub fn cities(path: &Path) -> Result<Vec<City>, ReadError> {
    let cities = file::read(path, COLUMNS, parse_cities)?;
    if cities.is_empty() {
        let way_out = "a line for each city is expected, with city, Lat, Long and Population";
        return Err(ReadError::empty(path, "no city in it", way_out));
    }
    if cities.iter().all(|city| city.population == 0.0) {
        let problem = "nobody living in any of its cities";
        let way_out = "one at least is to have a Population above 0";
        return Err(ReadError::empty(path, problem, way_out));
    }
    Ok(cities)
}

/// The cities of such a file's content.
pub fn parse_cities(bytes: &[u8]) -> Result<Vec<City>, LineError> {
    let mut names = BTreeSet::new();
    table::rows(bytes, |row| {
        let city = city(row)?;
        if !names.insert(key(&city.name)) {
            return Err(row.wrong("city", "this city is on an earlier line too"));
        }
        Ok(city)
    })
}

fn city(row: &Row<'_>) -> Result<City, LineError> {
    let name = row.text("city")?;
    if key(name).is_empty() {
        return Err(row.wrong("city", "a name is expected"));
    }
    let north = row.number("Lat", -90.0..=90.0)?;
    let east = row.number("Long", -180.0..=180.0)?;
    let place = Place::from_degrees(north, east);
    Ok(City {
        name: name.to_owned(),
        place: place.map_err(|error| row.wrong("Lat", &error.to_string()))?,
        population: row.number("Population", 0.0..=POPULATION_MAX)?,
    })
}

/// What names are compared by: some files have a plus for a space, and case means nothing.
fn key(name: &str) -> String {
    let words = name.split(|c: char| c == '+' || c.is_whitespace());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ").to_lowercase()
}

#[cfg(test)]
mod tests;
