//! From the journal back to a network: the newest sound snapshot, then every record after it.

use std::convert::Infallible;
use std::error::Error;

use remuda_journal::{ReadError, Reader, Record, Seq, Snapshots};
use remuda_network::{Event, Network, State};

/// The state's format in snapshots. A snapshot of another format is passed over and replayed.
pub const SNAPSHOT_FORMAT: u32 = 4;

/// A network and the last record in it.
#[derive(Debug)]
pub struct Recovered {
    /// The network.
    pub network: Network,
    /// The last record in it.
    pub seq: Seq,
}

/// Why a journal could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// A record holds what this version does not know.
    #[error(
        "record {seq} is not of this version: use the version that wrote it, or a newer one ({detail})"
    )]
    Unknown {
        /// Which.
        seq: Seq,
        /// What the decoder said.
        detail: String,
    },
}

/// The network after all records, beginning with the newest sound snapshot.
pub fn network(reader: &Reader, snapshots: &Snapshots) -> Result<Recovered, RecoverError> {
    network_at(reader, Some(snapshots), Seq(u64::MAX))
}

/// The network as it was after record `to`. Without snapshots nothing but the records is believed.
pub fn network_at(
    reader: &Reader,
    snapshots: Option<&Snapshots>,
    to: Seq,
) -> Result<Recovered, RecoverError> {
    let start = snapshots.and_then(|snapshots| newest(snapshots, to));
    let mut recovered = start.unwrap_or_else(|| Recovered {
        network: Network::default(),
        seq: Seq::NONE,
    });
    for batch in reader.batches(recovered.seq.next())? {
        for record in batch?.records {
            if record.seq > to {
                return Ok(recovered);
            }
            if record.seq > recovered.seq {
                apply(&mut recovered, &record)?;
            }
        }
    }
    Ok(recovered)
}

fn newest(snapshots: &Snapshots, to: Seq) -> Option<Recovered> {
    let latest = snapshots.latest_until(to, SNAPSHOT_FORMAT).ok()?;
    for passed_over in &latest.passed_over {
        tracing::warn!(%passed_over, "a snapshot cannot be used");
    }
    let snapshot = latest.snapshot?;
    let state: State = minicbor::decode(&snapshot.state).ok()?;
    Some(Recovered {
        network: Network::new(state),
        seq: snapshot.seq,
    })
}

fn apply(recovered: &mut Recovered, record: &Record) -> Result<(), RecoverError> {
    let events = decode(record)?;
    recovered.network.commit(record.at, record.command, &events);
    recovered.seq = record.seq;
    Ok(())
}

/// A record's events.
pub fn decode(record: &Record) -> Result<Vec<Event>, RecoverError> {
    minicbor::decode(&record.body).map_err(|error| RecoverError::Unknown {
        seq: record.seq,
        detail: error.to_string(),
    })
}

/// Events as a record's body.
///
/// # Panics
/// Never: encoding into memory cannot fail.
#[expect(clippy::expect_used, reason = "writing to a Vec has no error")]
pub fn encode(events: &[Event]) -> Vec<u8> {
    let mut body = Body(Vec::with_capacity(BODY_BYTES));
    minicbor::encode(events, &mut body).expect("writing to memory does not fail");
    body.0
}

/// More than most records take.
const BODY_BYTES: usize = 640;

/// A record's body in the making. As a `Vec` is written to, but that each of the many small writes
/// of an event becomes part of the code that encodes it.
struct Body(Vec<u8>);

impl minicbor::encode::Write for Body {
    type Error = Infallible;

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// An error with its sources, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
