//! Request traces: when requests came and how long they were, in the format of
//! Azure/AzurePublicDataset's LLM inference traces: `TIMESTAMP,ContextTokens,GeneratedTokens`, the
//! time as `2023-11-16 18:15:46.6805900`. Columns in any order and among others, plain or gzipped.

mod timestamp;

use std::path::Path;

use remuda_types::Span;

use crate::file;
use crate::table::{self, LineError, Row};

pub use crate::file::ReadError;

/// More tokens than any model takes, or writes at once.
const TOKENS_MAX: u64 = 100_000_000;
/// More requests than a trace may have.
const REQUESTS_MAX: usize = 50_000_000;
/// The shortest that a trace lasts: it begins anew when it is over.
const LENGTH_MIN: Span = Span::from_secs(1);

const WHEN: &str = "TIMESTAMP";
const COLUMNS: &str = "TIMESTAMP, ContextTokens and GeneratedTokens";

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// How long after the first.
    pub after: Span,
    /// Tokens of the prompt.
    pub context: u32,
    /// Tokens that were written.
    pub generated: u32,
}

/// A trace of requests: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requests {
    all: Vec<Traced>,
}

/// The requests of a file, in its order.
pub fn requests(path: &Path) -> Result<Requests, ReadError> {
    let all = file::read(path, COLUMNS, parse_requests)?;
    if all.is_empty() {
        let way_out = "a line for each is expected: TIMESTAMP,ContextTokens,GeneratedTokens";
        return Err(ReadError::empty(path, "no request in it", way_out));
    }
    Ok(Requests { all })
}

/// The requests of such a file's content.
pub fn parse_requests(bytes: &[u8]) -> Result<Vec<Traced>, LineError> {
    let (mut first, mut last) = (None, 0);
    let mut count = 0;
    table::rows(bytes, |row| {
        count += 1;
        if count > REQUESTS_MAX {
            return Err(row.wrong(WHEN, "a trace has at most 50,000,000 requests"));
        }
        let at =
            timestamp::millis(row.text(WHEN)?).map_err(|expected| row.wrong(WHEN, expected))?;
        if at < last {
            return Err(row.wrong(
                WHEN,
                "it is before that of the line above: a trace is in order",
            ));
        }
        last = at;
        let after = Span::from_millis(at - *first.get_or_insert(at));
        let (context, generated) = (
            tokens(row, "ContextTokens")?,
            tokens(row, "GeneratedTokens")?,
        );
        Ok(Traced {
            after,
            context,
            generated,
        })
    })
}

fn tokens(row: &Row<'_>, column: &'static str) -> Result<u32, LineError> {
    let amount = row.amount(column, TOKENS_MAX)?;
    Ok(u32::try_from(amount).unwrap_or(u32::MAX))
}

impl Requests {
    /// All of them, in order; at least one.
    pub fn all(&self) -> &[Traced] {
        &self.all
    }

    /// How long it lasts: to its last request, and a second.
    pub fn length(&self) -> Span {
        let last = self.all.last().map_or(Span::ZERO, |last| last.after);
        last.saturating_add(LENGTH_MIN)
    }
}

#[cfg(test)]
mod tests;
