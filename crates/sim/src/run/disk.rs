//! The disk under control's journal: what is appended is kept, or lost, or kept though the disk said
//! that it was not.

use remuda_network::{Event, Network};
use remuda_types::{CommandId, Time};

use super::dice::Dice;
use super::error::Broken;

/// What the disk said of an append, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Append {
    /// It is durable.
    Kept,
    /// It failed, and nothing of it is there.
    Lost,
    /// It failed, and yet it is there: the error came after the write.
    Unclear,
}

/// A committed batch.
#[derive(Clone, Debug)]
struct Record {
    at: Time,
    id: CommandId,
    body: Vec<u8>,
}

/// The journal's disk.
#[derive(Debug)]
pub(crate) struct Disk {
    dice: Dice,
    /// Of all appends, so many fail.
    failing: f64,
    /// What was appended, where it is kept to be replayed: a small network's.
    records: Option<Vec<Record>>,
}

impl Disk {
    pub(crate) fn new(dice: Dice, failing: f64, keeps: bool) -> Self {
        Self {
            dice,
            failing,
            records: keeps.then(Vec::new),
        }
    }

    /// From now on so many appends fail.
    pub(crate) const fn fails(&mut self, failing: f64) {
        self.failing = failing;
    }

    pub(crate) fn append(&mut self, at: Time, id: CommandId, events: &[Event]) -> Append {
        let failed = self.dice.falls(self.failing);
        if failed && self.dice.falls(0.5) {
            return Append::Lost;
        }
        if let Some(records) = &mut self.records {
            // Facts have an encoding, and writing to memory does not fail. If it did nothing would be
            // kept.
            let Ok(body) = minicbor::to_vec(events) else {
                return Append::Lost;
            };
            records.push(Record { at, id, body });
        }
        if failed {
            Append::Unclear
        } else {
            Append::Kept
        }
    }

    /// The network that the journal alone gives, where it is kept.
    pub(crate) fn replayed(&self) -> Result<Option<Network>, Broken> {
        let Some(records) = &self.records else {
            return Ok(None);
        };
        let mut network = Network::default();
        for Record { at, id, body } in records {
            let events: Vec<Event> = minicbor::decode(body).map_err(Broken::Record)?;
            network.commit(*at, *id, &events);
        }
        Ok(Some(network))
    }
}
