//! Lines with named columns, and their fields as amounts and classes.

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use remuda_types::Class;

use super::error::LineError;

/// Amounts above this are mistakes: sums of a trace's amounts must stay far below 2^64.
pub(super) const AMOUNT_MAX: u64 = 1 << 40;
/// A file that unpacks to more than this is no trace.
const UNPACKED_MAX: u64 = 1 << 30;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The bytes, unpacked if they are gzipped.
pub(super) fn unpacked(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(&bytes[..]).take(UNPACKED_MAX);
    decoder.read_to_end(&mut plain)?;
    if plain.len() as u64 == UNPACKED_MAX {
        return Err(io::Error::other("it unpacks to a gibibyte or more"));
    }
    Ok(plain)
}

/// Where each column is.
pub(super) struct Table {
    columns: BTreeMap<String, usize>,
}

/// A line.
pub(super) struct Row<'a> {
    table: &'a Table,
    record: &'a csv::StringRecord,
}

impl Table {
    pub(super) fn new(header: &csv::StringRecord) -> Self {
        let names = header.iter().map(|name| name.trim().to_owned());
        let columns = names.zip(0..).collect();
        Self { columns }
    }

    pub(super) const fn row<'a>(&'a self, record: &'a csv::StringRecord) -> Row<'a> {
        Row {
            table: self,
            record,
        }
    }
}

impl Row<'_> {
    fn optional(&self, column: &'static str) -> Option<&str> {
        let at = *self.table.columns.get(column)?;
        self.record.get(at).map(str::trim)
    }

    fn text(&self, column: &'static str) -> Result<&str, LineError> {
        self.optional(column).ok_or_else(|| LineError::NoColumn {
            column,
            header: format!("{:?}", self.table.columns.keys().collect::<Vec<_>>()),
        })
    }

    /// A whole number from 0 to `max`.
    pub(super) fn amount(&self, column: &'static str, max: u64) -> Result<u64, LineError> {
        match self.text(column)?.parse() {
            Ok(amount) if amount <= max => Ok(amount),
            Ok(_) | Err(_) => {
                let problem = format!("a whole number from 0 to {max} is expected");
                Err(self.wrong(column, &problem))
            }
        }
    }

    /// A model of GPU as a class.
    pub(super) fn class(&self, column: &'static str) -> Result<Class, LineError> {
        let model = self.text(column)?;
        class(model).map_err(|problem| self.wrong(column, &problem))
    }

    /// Models with `|` between them; none, and a column that is not there, mean any.
    pub(super) fn classes(&self, column: &'static str) -> Result<Vec<Class>, LineError> {
        let models = self.optional(column).unwrap_or_default().split('|');
        let named = models.map(str::trim).filter(|model| !model.is_empty());
        let classes: Result<Vec<_>, _> = named.map(class).collect();
        let mut classes = classes.map_err(|problem| self.wrong(column, &problem))?;
        classes.sort_unstable();
        classes.dedup();
        Ok(classes)
    }

    pub(super) fn wrong(&self, column: &'static str, problem: &str) -> LineError {
        LineError::Field {
            line: self.record.position().map_or(0, csv::Position::line),
            column,
            value: self.optional(column).unwrap_or_default().to_owned(),
            problem: problem.to_owned(),
        }
    }
}

fn class(model: &str) -> Result<Class, String> {
    let lower = model.to_ascii_lowercase();
    lower.parse::<Class>().map_err(|error| error.to_string())
}
