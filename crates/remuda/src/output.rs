//! The only writer of stdout: results, as text for people or as JSON.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::error::Report;
use crate::table::Table;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    json: bool,
    color: bool,
    terminal: bool,
}

impl Output {
    /// Colours only on a terminal, and only if nobody objects.
    pub(crate) fn new(json: bool, no_color: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            json,
            color: terminal && !no_color && !json,
            terminal,
        }
    }

    /// Whether results are JSON.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Whether results are coloured.
    pub(crate) const fn has_color(self) -> bool {
        self.color
    }

    /// Whether a person looks on: results may be redrawn.
    pub(crate) const fn is_terminal(self) -> bool {
        self.terminal && !self.json
    }

    /// One result: `value` as one JSON document, or what `text` makes of it.
    pub(crate) fn show<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        if self.json {
            let mut document = serde_json::to_string_pretty(value)?;
            document.push('\n');
            return write(&document);
        }
        self.text(&text(value))
    }

    /// One result that is a table for people.
    pub(crate) fn table<T: Serialize>(
        self,
        value: &T,
        table: impl FnOnce(&T) -> Table,
    ) -> io::Result<()> {
        self.show(value, |value| table(value).render(self.color))
    }

    /// One of a stream of results: one JSON object on a line, or what `text` makes of it.
    pub(crate) fn item<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        if self.json {
            let mut line = serde_json::to_string(value)?;
            line.push('\n');
            return write(&line);
        }
        self.text(&text(value))
    }

    /// Text for people, with a line end.
    #[expect(
        clippy::unused_self,
        reason = "the handle says that writing there was decided"
    )]
    pub(crate) fn text(self, text: &str) -> io::Result<()> {
        write(&format!("{}\n", text.trim_end_matches('\n')))
    }

    /// Bytes as they are: completions, schemas.
    #[expect(
        clippy::unused_self,
        reason = "the handle says that writing there was decided"
    )]
    pub(crate) fn raw(self, bytes: &[u8]) -> io::Result<()> {
        io::stdout().lock().write_all(bytes)
    }

    /// Draws over what was drawn before.
    #[expect(
        clippy::unused_self,
        reason = "the handle says that writing there was decided"
    )]
    pub(crate) fn redraw(self, text: &str) -> io::Result<()> {
        const HOME_AND_CLEAR: &str = "\x1b[H\x1b[J";
        write(&format!("{HOME_AND_CLEAR}{text}\n"))
    }

    /// A word to the person who watches, on stderr. Programs are not told.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            // Where stderr is gone, nobody is left to tell.
            writeln!(io::stderr().lock(), "{text}").unwrap_or_default();
        }
    }

    /// Why the command failed, on stderr.
    pub(crate) fn failed(self, report: &Report) {
        let text = if self.json {
            serde_json::to_string(&serde_json::json!({ "error": report })).unwrap_or_default()
        } else {
            report.to_string()
        };
        writeln!(io::stderr().lock(), "{text}").unwrap_or_default();
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
