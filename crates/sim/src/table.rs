//! Files of lines with named columns, plain or gzipped, and their fields as amounts, numbers and
//! classes. Whatever is wrong is named with its line and its column.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::RangeInclusive;

use flate2::read::MultiGzDecoder;
use remuda_types::Class;

use crate::file;

/// Amounts above this are mistakes: sums of a trace's amounts must stay far below 2^64.
pub(crate) const AMOUNT_MAX: u64 = 1 << 40;
/// A file that unpacks to more than this is no trace.
const UNPACKED_MAX: u64 = 1 << 30;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is not CSV.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// It is not an object in JSON.
    #[error("line {line} is no object in JSON")]
    Json {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A column is not there.
    #[error("column `{column}` is missing: the header has {header}")]
    NoColumn {
        /// The column.
        column: &'static str,
        /// The columns that are there.
        header: String,
    },
    /// A column's name is there twice, so that it is not known which of the two is meant.
    #[error("line {line}: two columns are called `{column}`: leave one of them out")]
    TwoColumns {
        /// The header's line, from 1.
        line: u64,
        /// What both are called.
        column: String,
    },
    /// A field is wrong.
    #[error("line {line}, column `{column}`: `{value}`: {problem}")]
    Field {
        /// The line, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The bytes, unpacked if they are gzipped.
pub(crate) fn unpacked(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
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

/// What each line of such a file's content says.
pub(crate) fn rows<T>(
    bytes: &[u8],
    mut parse: impl FnMut(&Row<'_>) -> Result<T, LineError>,
) -> Result<Vec<T>, LineError> {
    let mut reader = csv::Reader::from_reader(file::without_mark(bytes));
    let table = Table::new(reader.headers()?)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        rows.push(parse(&table.row(&record?))?);
    }
    Ok(rows)
}

/// Where each column is, by its name in lower case: files differ in that.
struct Table {
    columns: BTreeMap<String, usize>,
}

/// A line.
pub(crate) struct Row<'a> {
    table: &'a Table,
    record: &'a csv::StringRecord,
}

impl Table {
    fn new(header: &csv::StringRecord) -> Result<Self, LineError> {
        let names = header.iter().map(|name| name.trim().to_ascii_lowercase());
        let mut columns = BTreeMap::new();
        // Nobody asks for a column without a name, so several do no harm.
        for (name, at) in names.zip(0..).filter(|(name, _)| !name.is_empty()) {
            if columns.insert(name.clone(), at).is_some() {
                return Err(LineError::TwoColumns {
                    line: line(header),
                    column: name,
                });
            }
        }
        Ok(Self { columns })
    }

    const fn row<'a>(&'a self, record: &'a csv::StringRecord) -> Row<'a> {
        Row {
            table: self,
            record,
        }
    }
}

impl Row<'_> {
    fn optional(&self, column: &'static str) -> Option<&str> {
        let at = *self.table.columns.get(&column.to_ascii_lowercase())?;
        self.record.get(at).map(str::trim)
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<&str, LineError> {
        self.optional(column).ok_or_else(|| LineError::NoColumn {
            column,
            header: format!("{:?}", self.table.columns.keys().collect::<Vec<_>>()),
        })
    }

    /// A whole number from 0 to `max`; some programs write it as `44.0`.
    pub(crate) fn amount(&self, column: &'static str, max: u64) -> Result<u64, LineError> {
        let text = self.text(column)?;
        let whole = match text.split_once('.') {
            Some((whole, "0" | "00" | "000")) => whole,
            _ => text,
        };
        match whole.parse() {
            Ok(amount) if amount <= max => Ok(amount),
            Ok(_) | Err(_) => {
                let problem = format!("a whole number from 0 to {max} is expected");
                Err(self.wrong(column, &problem))
            }
        }
    }

    /// A number within a range; what is none is in no range.
    pub(crate) fn number(
        &self,
        column: &'static str,
        within: RangeInclusive<f64>,
    ) -> Result<f64, LineError> {
        match self.text(column)?.parse() {
            Ok(number) if within.contains(&number) => Ok(number),
            Ok(_) | Err(_) => {
                let (least, most) = within.into_inner();
                let problem = format!("a number from {least} to {most} is expected");
                Err(self.wrong(column, &problem))
            }
        }
    }

    /// The same where such a column is there and something stands in it.
    pub(crate) fn number_if_any(
        &self,
        column: &'static str,
        within: RangeInclusive<f64>,
    ) -> Result<Option<f64>, LineError> {
        let there = self.optional(column).is_some_and(|text| !text.is_empty());
        there.then(|| self.number(column, within)).transpose()
    }

    /// A model of GPU as a class.
    pub(crate) fn class(&self, column: &'static str) -> Result<Class, LineError> {
        let model = self.text(column)?;
        class(model).map_err(|problem| self.wrong(column, &problem))
    }

    /// Models with `|` between them; none, and a column that is not there, mean any.
    pub(crate) fn classes(&self, column: &'static str) -> Result<Vec<Class>, LineError> {
        let models = self.optional(column).unwrap_or_default().split('|');
        let named = models.map(str::trim).filter(|model| !model.is_empty());
        let classes: Result<Vec<_>, _> = named.map(class).collect();
        let mut classes = classes.map_err(|problem| self.wrong(column, &problem))?;
        classes.sort_unstable();
        classes.dedup();
        Ok(classes)
    }

    pub(crate) fn wrong(&self, column: &'static str, problem: &str) -> LineError {
        LineError::Field {
            line: line(self.record),
            column,
            value: self.optional(column).unwrap_or_default().to_owned(),
            problem: problem.to_owned(),
        }
    }
}

fn line(record: &csv::StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

/// What lines are told apart by, where they say it: each name, and the line that has it.
pub(crate) struct Names {
    column: &'static str,
    lines: BTreeMap<String, u64>,
}

impl Names {
    pub(crate) const fn of(column: &'static str) -> Self {
        Self {
            column,
            lines: BTreeMap::new(),
        }
    }

    /// Refuses a line whose name an earlier one has.
    pub(crate) fn take(&mut self, row: &Row<'_>) -> Result<(), LineError> {
        let Some(name) = row.optional(self.column).filter(|name| !name.is_empty()) else {
            return Ok(());
        };
        match self.lines.insert(name.to_owned(), line(row.record)) {
            Some(earlier) => {
                let problem = format!("line {earlier} has it too: leave one of them out");
                Err(row.wrong(self.column, &problem))
            }
            None => Ok(()),
        }
    }
}

fn class(model: &str) -> Result<Class, String> {
    let lower = model.to_ascii_lowercase();
    lower.parse::<Class>().map_err(|error| error.to_string())
}
