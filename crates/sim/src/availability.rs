//! Availability traces: how many instances could be had somewhere, tick by tick, in the format of
//! skypilot-org/spot-traces: `{"metadata":{"gap_seconds":600},"data":[4, 4, 0, 2]}`.

mod outages;

use std::collections::BTreeMap;
use std::path::Path;

use remuda_types::{Span, Time};
use serde::Deserialize;

use crate::file::{self, ReadError};

/// The most ticks of a trace, and the most that may be had at one.
const TICKS_MAX: usize = 10_000_000;
const INSTANCES_MAX: f64 = 1e9;
/// The most often that less is to be had than before, in a day: once in five minutes. What is gone
/// more often than that has hardly come up between.
const FALLS_PER_DAY_MAX: u64 = 288;

/// How much could be had, tick by tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Availability {
    gap: Span,
    /// The share of the most that was ever to be had, at each tick.
    shares: Vec<f64>,
}

/// Why a trace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AvailabilityError {
    /// It is not JSON of that form.
    #[error(
        "{name} is no availability trace: {{\"metadata\":{{\"gap_seconds\":G}},\"data\":[n, …]}} is expected"
    )]
    Form {
        /// The file.
        name: String,
        /// What the parser said, and where.
        #[source]
        source: serde_json::Error,
    },
    /// Time does not pass from tick to tick.
    #[error(
        "{name}: metadata.gap_seconds is {gap_seconds}: a number of seconds from 1 to 31,536,000 is expected"
    )]
    Gap {
        /// The file.
        name: String,
        /// What it says.
        gap_seconds: f64,
    },
    /// A tick has no number that could be one of instances.
    #[error("{name}: data[{tick}] is {value}: a number of instances is expected")]
    Count {
        /// The file.
        name: String,
        /// Counted from 0.
        tick: usize,
        /// What it says.
        value: f64,
    },
    /// It goes up and down so fast that nothing could be placed there.
    #[error(
        "{name}: data falls {falls} times in {seconds} s: at most {FALLS_PER_DAY_MAX} times a day are expected, once in five minutes"
    )]
    Restless {
        /// The file.
        name: String,
        /// How often there is less than at the tick before, the first coming after the last.
        falls: u64,
        /// How long the trace is.
        seconds: u64,
    },
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] ReadError),
    /// There is nothing in it.
    #[error(
        "{name}: data has {ticks} ticks: 1 to 10,000,000 are expected, with instances at one of them"
    )]
    Empty {
        /// The file.
        name: String,
        /// How many it has.
        ticks: usize,
    },
}

#[derive(Deserialize)]
struct Raw {
    metadata: Metadata,
    data: Vec<f64>,
}

#[derive(Deserialize)]
struct Metadata {
    gap_seconds: f64,
}

impl Availability {
    /// The trace of a file, plain or gzipped.
    pub fn open(path: &Path) -> Result<Self, AvailabilityError> {
        Self::read(&path.display().to_string(), &file::bytes(path)?)
    }

    /// Reads a trace. `name` is what errors call the file.
    pub fn read(name: &str, text: &[u8]) -> Result<Self, AvailabilityError> {
        let name = || name.to_owned();
        let raw: Raw = serde_json::from_slice(file::without_mark(text)).map_err(|source| {
            AvailabilityError::Form {
                name: name(),
                source,
            }
        })?;
        let gap_seconds = raw.metadata.gap_seconds;
        if !(1.0..=31_536_000.0).contains(&gap_seconds) {
            let name = name();
            return Err(AvailabilityError::Gap { name, gap_seconds });
        }
        let possible = |value: f64| (0.0..=INSTANCES_MAX).contains(&value);
        if let Some(tick) = raw.data.iter().position(|value| !possible(*value)) {
            let (name, value) = (name(), raw.data[tick]);
            return Err(AvailabilityError::Count { name, tick, value });
        }
        let most = raw.data.iter().copied().fold(0.0, f64::max);
        let ticks = raw.data.len();
        if most == 0.0 || ticks > TICKS_MAX {
            let name = name();
            return Err(AvailabilityError::Empty { name, ticks });
        }
        let gap = seconds(gap_seconds);
        let falls = falls(&raw.data);
        let seconds = gap.as_millis() * ticks as u64 / 1_000;
        if falls * 86_400 > FALLS_PER_DAY_MAX * seconds {
            let name = name();
            return Err(AvailabilityError::Restless {
                name,
                falls,
                seconds,
            });
        }
        Ok(Self {
            gap,
            shares: raw.data.iter().map(|value| value / most).collect(),
        })
    }

    /// When which of `count` nodes are not to be had, from `start` until `end`: the last nodes go
    /// first. The trace begins anew when it is over. Nodes that come and go together are together.
    pub(crate) fn absences(
        &self,
        count: usize,
        (start, end): (Time, Time),
    ) -> BTreeMap<(Time, Time), Vec<usize>> {
        let mut absences: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        let mut gone_since: Vec<Option<Time>> = vec![None; count];
        let mut shares = self.shares.iter().cycle();
        let mut now = start;
        while now < end {
            let there = shares.next().map_or(count, |share| part(count, *share));
            for (node, since) in gone_since.iter_mut().enumerate() {
                match (*since, node < there) {
                    (Some(from), true) => {
                        absences.entry((from, now)).or_default().push(node);
                        *since = None;
                    }
                    (None, false) => *since = Some(now),
                    (Some(_), false) | (None, true) => {}
                }
            }
            now = now + self.gap;
        }
        for (node, from) in gone_since.iter().enumerate() {
            if let Some(from) = from {
                absences.entry((*from, end)).or_default().push(node);
            }
        }
        absences
    }
}

/// How often there is less than at the tick before. The trace begins anew when it is over.
fn falls(data: &[f64]) -> u64 {
    let next = data.iter().cycle().skip(1);
    data.iter()
        .zip(next)
        .filter(|(now, next)| next < now)
        .count() as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be between 1 and a year"
)]
fn seconds(seconds: f64) -> Span {
    Span::from_millis((seconds * 1_000.0) as u64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of the nodes of a site"
)]
fn part(count: usize, share: f64) -> usize {
    (count as f64 * share).ceil() as usize
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Availability, String> {
        Availability::read("zone.json", text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn nodes_are_away_while_less_is_to_be_had() {
        let trace =
            read(r#"{"metadata":{"gap_seconds":600,"zone":"x"},"data":[4,2,0,4]}"#).unwrap();
        let at = |ticks| Time::EPOCH + Span::from_secs(600_u64 * ticks);
        let absences = trace.absences(2, (at(0), at(6)));
        let expected = BTreeMap::from([
            ((at(1), at(3)), vec![1]),
            ((at(2), at(3)), vec![0]),
            ((at(5), at(6)), vec![1]),
        ]);
        assert_eq!(absences, expected);
    }

    #[test]
    fn each_refusal_names_the_file_and_the_place() {
        let refused = |text| read(text).unwrap_err();
        assert!(refused("[1]").starts_with("zone.json is no availability trace"));
        assert!(
            refused(r#"{"metadata":{"gap_seconds":1},"data":[NaN]}"#)
                .contains("is no availability")
        );
        let gap = refused(r#"{"metadata":{"gap_seconds":-60},"data":[1]}"#);
        assert!(gap.contains("metadata.gap_seconds is -60"), "{gap}");
        let count = refused(r#"{"metadata":{"gap_seconds":60},"data":[1,-1]}"#);
        assert!(count.contains("data[1] is -1"), "{count}");
        assert!(
            refused(r#"{"metadata":{"gap_seconds":60},"data":[]}"#).contains("data has 0 ticks")
        );
        assert!(
            refused(r#"{"metadata":{"gap_seconds":60},"data":[0,0]}"#).contains("with instances")
        );
        let restless = refused(r#"{"metadata":{"gap_seconds":1},"data":[1,0,1,0]}"#);
        assert!(
            restless.contains("data falls 2 times in 4 s: at most 288 times a day"),
            "{restless}"
        );
        // Once in five minutes.
        read(r#"{"metadata":{"gap_seconds":150},"data":[1,0]}"#).unwrap();
    }

    #[test]
    fn a_file_may_be_gzipped_and_begin_with_a_byte_order_mark() {
        let folder = tempfile::tempdir().unwrap();
        let text = b"\xef\xbb\xbf{\"metadata\":{\"gap_seconds\":600},\"data\":[4,2,4]}";
        let plain = folder.path().join("zone.json");
        fs::write(&plain, text).unwrap();
        let packed = folder.path().join("zone.json.gz");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        fs::write(&packed, encoder.finish().unwrap()).unwrap();
        let read = Availability::open(&plain).unwrap();
        assert_eq!(read, Availability::open(&packed).unwrap());
        let refused = Availability::open(folder.path()).unwrap_err().to_string();
        assert!(
            refused.ends_with("is a folder: a file is expected"),
            "{refused}"
        );
        let device = Availability::open(Path::new("/dev/zero")).unwrap_err();
        assert!(
            device
                .to_string()
                .contains("is a pipe or a device: a file is expected"),
            "{device}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _answer = Availability::read("any", &bytes);
        }

        #[test]
        fn no_node_is_away_twice_at_once(
            data in proptest::collection::vec(0_u8..9, 1..40),
            count in 1_usize..9,
        ) {
            let text = format!(r#"{{"metadata":{{"gap_seconds":600}},"data":{data:?}}}"#);
            if let Ok(trace) = Availability::read("drawn", text.as_bytes()) {
                let end = Time::EPOCH + Span::from_secs(10 * 3_600);
                let mut until = vec![Time::EPOCH; count];
                for ((from, to), nodes) in trace.absences(count, (Time::EPOCH, end)) {
                    prop_assert!(from < to && to <= end);
                    for node in nodes {
                        prop_assert!(until[node] <= from);
                        until[node] = to;
                    }
                }
            }
        }
    }
}
