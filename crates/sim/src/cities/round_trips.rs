//! Round trips between cities: as measured, or by distance.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use remuda_types::Place;

use super::{City, ReadError, key};
use crate::file;
use crate::table::{self, LineError, Row};

/// A longer round trip is a mistake.
const ROUND_TRIP_MAX_MS: f64 = 60_000.0;
/// Averages and extremes are rounded apart.
const ROUNDING_MS: f64 = 1.0;
/// What a round trip takes beside its way: the last mile, and the machines at both ends.
const ENDS_MS: f64 = 10.0;
/// How far away a place may be for each millisecond of a round trip: there and back, light goes
/// through 100 km of fibre, and cables are two thirds longer than the great circle.
const KM_PER_MS: f64 = 60.0;

/// How long a message and its answer take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundTrip {
    /// On average.
    pub avg_ms: f64,
    /// By how much it differs from that, on average.
    pub mdev_ms: f64,
}

impl RoundTrip {
    /// As it is reckoned where nobody measured.
    fn by_distance(one: Place, other: Place) -> Self {
        Self {
            avg_ms: ENDS_MS + one.distance_km(other) / KM_PER_MS,
            mdev_ms: 0.0,
        }
    }
}

/// Round trips between cities, by their places in a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoundTrips {
    pairs: BTreeMap<Pair, RoundTrip>,
    unknown: BTreeSet<String>,
}

/// The round trips of a file between these cities; those to other cities are left out.
pub fn round_trips(path: &Path, cities: &[City]) -> Result<RoundTrips, ReadError> {
    let found = file::read(path, COLUMNS, |bytes| parse_round_trips(bytes, cities))?;
    if found.is_empty() {
        let problem = "no round trip between any two of the cities";
        let way_out = "it is to call them as the file of the cities does";
        return Err(ReadError::empty(path, problem, way_out));
    }
    Ok(found)
}

/// The round trips of such a file's content.
pub fn parse_round_trips(bytes: &[u8], cities: &[City]) -> Result<RoundTrips, LineError> {
    let names: BTreeMap<_, _> = cities.iter().map(|city| key(&city.name)).zip(0..).collect();
    let mut found = RoundTrips::default();
    table::rows(bytes, |row| {
        let round_trip = round_trip(row)?;
        let (from, to) = (row.text(FROM)?, row.text(TO)?);
        let ends = (names.get(&key(from)), named_first(&key(to), &names));
        let (Some(&one), Some(other)) = ends else {
            let strangers = [
                ends.0.is_none().then_some(from),
                ends.1.is_none().then_some(to),
            ];
            let strangers = strangers.into_iter().flatten();
            found.unknown.extend(strangers.map(str::to_owned));
            return Ok(());
        };
        if found.pairs.insert((one, other), round_trip).is_some() {
            return Err(row.wrong(TO, "this pair is on an earlier line too"));
        }
        Ok(())
    })?;
    Ok(found)
}

const COLUMNS: &str = "from_city, to_city_country_continent and avg_ms";
const FROM: &str = "from_city";
const TO: &str = "to_city_country_continent";
const AVG: &str = "avg_ms";

type Pair = (usize, usize);

fn round_trip(row: &Row<'_>) -> Result<RoundTrip, LineError> {
    let within = 0.0..=ROUND_TRIP_MAX_MS;
    let avg_ms = row.number(AVG, within.clone())?;
    let least = row.number_if_any("min_ms", within.clone())?;
    let most = row.number_if_any("max_ms", within.clone())?;
    if least.is_some_and(|least| least > avg_ms + ROUNDING_MS) {
        return Err(row.wrong(AVG, "it is less than min_ms of this line"));
    }
    if most.is_some_and(|most| most < avg_ms - ROUNDING_MS) {
        return Err(row.wrong(AVG, "it is more than max_ms of this line"));
    }
    let mdev_ms = row.number_if_any("mdev_ms", within)?.unwrap_or_default();
    Ok(RoundTrip { avg_ms, mdev_ms })
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
    pub fn measured(&self, one: usize, other: usize) -> Option<RoundTrip> {
        let there = self.pairs.get(&(one, other));
        there.or_else(|| self.pairs.get(&(other, one))).copied()
    }

    /// The round trip between two cities, each with its place: as measured, or by distance.
    pub fn between(&self, one: (usize, Place), other: (usize, Place)) -> RoundTrip {
        let measured = self.measured(one.0, other.0);
        measured.unwrap_or_else(|| RoundTrip::by_distance(one.1, other.1))
    }

    /// What the file calls ends of round trips that are none of the cities.
    pub fn unknown(&self) -> impl ExactSizeIterator<Item = &str> {
        self.unknown.iter().map(String::as_str)
    }

    /// How many were measured.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}
