//! TOML files read to the end: every fault is reported, each with its line and field.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml_edit::{Document, Item, TableLike};

/// Something that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 1.
    pub(crate) line: usize,
    /// Counted from 1.
    pub(crate) column: usize,
    /// As `profiles.local.url`; empty for the file's syntax.
    pub(crate) field: String,
    /// What is wrong, and what is expected.
    pub(crate) problem: String,
}

/// Everything that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Faults {
    /// The file.
    pub(crate) path: PathBuf,
    /// In the file's order; never empty.
    pub(crate) faults: Vec<Fault>,
}

/// A file while it is read.
#[derive(Debug)]
pub(crate) struct Reader<'t> {
    text: &'t str,
    faults: Vec<Fault>,
}

/// A table and its place in the file.
#[derive(Clone, Copy)]
pub(crate) struct At<'t> {
    table: &'t dyn TableLike,
    name: &'t str,
}

/// Reads `text`, the content of `path`.
pub(crate) fn read<T>(
    path: &Path,
    text: &str,
    read: impl FnOnce(&mut Reader<'_>, At<'_>) -> T,
) -> Result<T, Faults> {
    let mut reader = Reader {
        text,
        faults: Vec::new(),
    };
    let value = match Document::parse(text) {
        Ok(document) => Some(read(
            &mut reader,
            At {
                table: document.as_table(),
                name: "",
            },
        )),
        Err(error) => {
            reader.fault(error.span(), String::new(), error.message().to_owned());
            None
        }
    };
    let mut faults = reader.faults;
    faults.sort_by_key(|fault| (fault.line, fault.column));
    value.filter(|_| faults.is_empty()).ok_or_else(|| Faults {
        path: path.to_owned(),
        faults,
    })
}

impl<'t> At<'t> {
    fn full(&self, field: &str) -> String {
        if self.name.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.name)
        }
    }

    /// Its fields.
    pub(crate) fn fields(self) -> impl Iterator<Item = &'t str> {
        self.table.iter().map(|(name, _)| name)
    }
}

impl Reader<'_> {
    fn fault(&mut self, span: Option<Range<usize>>, field: String, problem: String) {
        let before = &self.text[..span.map_or(0, |span| span.start).min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        self.faults.push(Fault {
            line,
            column,
            field,
            problem,
        });
    }

    fn expected(&mut self, at: At<'_>, field: &str, item: &Item, what: &str) {
        let problem = format!("{what} is expected, not {}", kind(item));
        self.fault(item.span(), at.full(field), problem);
    }

    /// Refuses fields that are not among `known`.
    pub(crate) fn only(&mut self, at: At<'_>, known: &[&str]) {
        for (name, item) in at.table.iter().filter(|(name, _)| !known.contains(name)) {
            let span = at.table.get_key_value(name).and_then(|(key, _)| key.span());
            let problem = format!("there is no such field; known are {}", known.join(", "));
            self.fault(span.or_else(|| item.span()), at.full(name), problem);
        }
    }

    /// A table within a table.
    pub(crate) fn table<'a>(
        &mut self,
        at: At<'a>,
        field: &'a str,
        name: &'a mut String,
    ) -> Option<At<'a>> {
        let item = at.table.get(field)?;
        *name = at.full(field);
        if let Some(table) = item.as_table_like() {
            Some(At { table, name })
        } else {
            self.expected(at, field, item, "a table");
            None
        }
    }

    /// A text that is a `T`.
    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(
        &mut self,
        at: At<'_>,
        field: &str,
        example: &str,
    ) -> Option<T> {
        self.parsed_by(at, field, example, |text| {
            text.parse().map_err(|e: T::Err| e.to_string())
        })
    }

    /// A text that `parse` understands.
    pub(crate) fn parsed_by<T>(
        &mut self,
        at: At<'_>,
        field: &str,
        example: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let item = at.table.get(field)?;
        let Some(text) = item.as_str() else {
            self.expected(
                at,
                field,
                item,
                &format!("a text as in `{field} = \"{example}\"`"),
            );
            return None;
        };
        parse(text)
            .map_err(|error| self.fault(item.span(), at.full(field), error))
            .ok()
    }

    /// A whole number that fits.
    pub(crate) fn number<T: TryFrom<i64>>(&mut self, at: At<'_>, field: &str) -> Option<T> {
        let item = at.table.get(field)?;
        let number = item
            .as_integer()
            .and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.expected(at, field, item, "a whole number that is not negative");
        }
        number
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, at: At<'_>, field: &str) -> Option<bool> {
        let item = at.table.get(field)?;
        let flag = item.as_bool();
        if flag.is_none() {
            self.expected(at, field, item, "`true` or `false`");
        }
        flag
    }

    /// States a fault of a table as a whole.
    pub(crate) fn wrong_table(&mut self, at: At<'_>, problem: String) {
        let first = at
            .table
            .iter()
            .filter_map(|(_, item)| item.span())
            .min_by_key(|span| span.start);
        let header = first.map(|span| {
            let before = self.text[..span.start].rfind(&format!("[{}]", at.name));
            before.map_or(span.clone(), |start| start..span.end)
        });
        self.fault(header, at.name.to_owned(), problem);
    }

    /// States a fault of a field that was read.
    pub(crate) fn wrong(&mut self, at: At<'_>, field: &str, problem: String) {
        let span = at.table.get(field).and_then(Item::span);
        self.fault(span, at.full(field), problem);
    }
}

fn kind(item: &Item) -> String {
    match item.type_name() {
        "integer" if item.as_integer().is_some_and(i64::is_negative) => "a negative one".to_owned(),
        name => format!(
            "{} {name}",
            if name.starts_with(['a', 'i']) {
                "an"
            } else {
                "a"
            }
        ),
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        let file = self.path.display();
        write!(
            f,
            "{file} has {count} fault{}",
            if count == 1 { "" } else { "s" }
        )?;
        for fault in &self.faults {
            write!(f, "\n  {file}:{}:{}: ", fault.line, fault.column)?;
            if !fault.field.is_empty() {
                write!(f, "{}: ", fault.field)?;
            }
            f.write_str(&fault.problem)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Result<Option<u32>, Faults> {
        read(Path::new("a.toml"), text, |reader, at| {
            reader.only(at, &["a"]);
            reader.number(at, "a")
        })
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_has_faults(text in "(\\PC{0,20}|[ab]( = )?[-0-9\"\\[{]{0,3})(\n[a-c] = [0-9]{1,12})?") {
            if let Err(Faults { faults, .. }) = number(&text) {
                prop_assert!(!faults.is_empty());
                let lines = text.lines().count() + 1;
                prop_assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line)));
            }
        }
    }

    #[test]
    fn a_fault_stands_where_its_value_does() {
        let Faults { faults, .. } = number("# é\na = \"x\"\nb = 1\n").unwrap_err();
        let places: Vec<_> = faults
            .iter()
            .map(|fault| (fault.line, fault.column))
            .collect();
        assert_eq!(places, [(2, 5), (3, 1)]);
        assert_eq!(number("a = 7"), Ok(Some(7)));
        assert_eq!(number(""), Ok(None));
    }
}
