//! The `tojson` filter as Hugging Face defines it: Python's `json.dumps` with `ensure_ascii=False`,
//! which puts a space after `,` and `:` and escapes nothing for HTML.

use std::io;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use super::MAX_PROMPT_BYTES;
use super::functions::Limited;

/// Widest indentation.
const MAX_INDENT: usize = 16;

/// The JSON of a value, on one line or with `indent` spaces a level.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine passes keyword arguments by value"
)]
pub(super) fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // `ensure_ascii` and `sort_keys` are accepted: false is what we do.
    let _: (Option<bool>, Option<bool>) = (options.get("ensure_ascii")?, options.get("sort_keys")?);
    options.assert_all_used()?;
    let text = match indent {
        Some(indent) => {
            let spaces = " ".repeat(indent.min(MAX_INDENT));
            write(value, PrettyFormatter::with_indent(spaces.as_bytes()))
        }
        None => write(value, Python),
    };
    text.map(Value::from)
}

fn write(value: &Value, formatter: impl Formatter) -> Result<String, Error> {
    let mut text = Limited::new(MAX_PROMPT_BYTES);
    let written = value.serialize(&mut Serializer::with_formatter(&mut text, formatter));
    written
        .map_err(|error| Error::new(ErrorKind::BadSerialization, "tojson").with_source(error))?;
    Ok(text.into_text())
}

/// Python's separators.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        separate(writer, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

fn separate<W: ?Sized + io::Write>(writer: &mut W, first: bool) -> io::Result<()> {
    if first {
        Ok(())
    } else {
        writer.write_all(b", ")
    }
}
