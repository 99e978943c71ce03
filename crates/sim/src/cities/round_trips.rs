//! Measured round trips between cities.

use std::collections::BTreeMap;
use std::path::Path;

use super::{City, ReadError, key, read};
use crate::table::{self, LineError, Row};

/// A longer round trip is a mistake.
const ROUND_TRIP_MAX_MS: f64 = 60_000.0;

/// Round trips between cities, by their places in a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoundTrips {
    ms: BTreeMap<(usize, usize), f64>,
}

/// The round trips of a file between these cities; those to other cities are left out.
pub fn round_trips(path: &Path, cities: &[City]) -> Result<RoundTrips, ReadError> {
    let found = read(path, |bytes| parse_round_trips(bytes, cities))?;
    if found.ms.is_empty() {
        return Err(ReadError::Empty {
            path: path.to_owned(),
            problem: "no round trip between any two of the cities",
        });
    }
    Ok(found)
}

/// The round trips of such a file's content.
pub fn parse_round_trips(bytes: &[u8], cities: &[City]) -> Result<RoundTrips, LineError> {
    let names: BTreeMap<_, _> = cities.iter().map(|city| key(&city.name)).zip(0..).collect();
    let mut ms = BTreeMap::new();
    table::rows(bytes, |row| {
        let (pair, round_trip) = round_trip(row, &names)?;
        let Some(pair) = pair else { return Ok(()) };
        if ms.insert(pair, round_trip).is_some() {
            return Err(row.wrong(TO, "this pair is on an earlier line too"));
        }
        Ok(())
    })?;
    Ok(RoundTrips { ms })
}

const FROM: &str = "from_city";
const TO: &str = "to_city_country_continent";

type Pair = (usize, usize);

fn round_trip(
    row: &Row<'_>,
    names: &BTreeMap<String, usize>,
) -> Result<(Option<Pair>, f64), LineError> {
    let from = names.get(&key(row.text(FROM)?));
    let to = named_first(&key(row.text(TO)?), names);
    let ms = row.number("avg_ms", 0.0..=ROUND_TRIP_MAX_MS)?;
    Ok((from.copied().zip(to), ms))
}

/// The city that a text begins with, as in `new delhi india, eurasia`: of several the longest.
fn named_first(text: &str, names: &BTreeMap<String, usize>) -> Option<usize> {
    let ends = text.char_indices().filter(|(_, c)| !c.is_alphanumeric());
    let ends: Vec<_> = ends.map(|(at, _)| at).chain([text.len()]).collect();
    let longest = ends.into_iter().rev().map(|end| &text[..end]);
    longest
        .into_iter()
        .find_map(|name| names.get(name).copied())
}

impl RoundTrips {
    /// The round trip between two cities, measured from either; none if it was from neither.
    pub fn ms(&self, one: usize, other: usize) -> Option<f64> {
        let there = self.ms.get(&(one, other));
        there.or_else(|| self.ms.get(&(other, one))).copied()
    }

    /// How many were measured.
    pub fn len(&self) -> usize {
        self.ms.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.ms.is_empty()
    }
}
