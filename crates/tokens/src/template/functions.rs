//! What templates may call besides the engine's own, and bounded versions of what the engine or its
//! Python methods would do without limit.

use std::fmt::{self, Write as _};
use std::io;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use remuda_types::Time;

use super::MAX_PROMPT_BYTES;

/// Longest message of `raise_exception` that is passed on, in characters.
pub(super) const MAX_RAISED_CHARS: usize = 300;
/// Longest format of `strftime_now` in bytes.
const MAX_FORMAT_BYTES: usize = 256;

/// Python's string methods that only ever shrink or copy a text.
const METHODS: &[&str] = &[
    "capitalize",
    "count",
    "endswith",
    "find",
    "get",
    "isalnum",
    "isalpha",
    "isascii",
    "isdigit",
    "islower",
    "isnumeric",
    "isupper",
    "items",
    "keys",
    "lower",
    "lstrip",
    "rfind",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "title",
    "upper",
    "values",
];

/// Filters that print or repeat values without asking what it costs.
const REMOVED_FILTERS: &[&str] = &["pprint", "indent", "format", "urlencode", "escape", "e"];

pub(super) fn install(environment: &mut Environment<'static>) {
    for name in REMOVED_FILTERS {
        environment.remove_filter(name);
    }
    environment.add_function("raise_exception", raise);
    environment.add_filter("string", string);
    environment.add_filter("join", join);
    environment.set_formatter(print);
    environment.set_unknown_method_callback(method);
}

/// The error behind `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn raise(message: &str) -> Result<Value, Error> {
    let message = message.chars().take(MAX_RAISED_CHARS).collect();
    Err(
        Error::new(ErrorKind::InvalidOperation, "raised by the template")
            .with_source(Raised(message)),
    )
}

/// The message of `raise_exception`, if that is what an error comes from.
pub(super) fn raised(error: &Error) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(Raised(message)) = error.downcast_ref() {
            return Some(message.clone());
        }
        cause = error.source();
    }
    None
}

/// `strftime_now(format)`, for one rendering.
pub(super) fn strftime(now: Time) -> Value {
    Value::from_function(move |format: &str| -> Result<String, Error> {
        if format.len() > MAX_FORMAT_BYTES {
            return Err(too_long());
        }
        let invalid = |error: jiff::Error| {
            Error::new(ErrorKind::InvalidOperation, "strftime_now").with_source(error)
        };
        let millis = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let now = jiff::Timestamp::from_millisecond(millis).map_err(invalid)?;
        jiff::fmt::strtime::format(format, &now.to_zoned(jiff::tz::TimeZone::UTC)).map_err(invalid)
    })
}

/// A method that values do not have in Jinja, as Python has it.
fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if value
        .as_str()
        .is_some_and(|text| text.len() > MAX_PROMPT_BYTES)
    {
        return Err(too_long());
    }
    match (name, args) {
        ("replace", [from, to, ..]) => bounded_replace(state, value, from, to, args),
        ("join", [items]) => join(
            items,
            Some(value.clone()),
            Kwargs::from_iter::<[(&str, Value); 0]>([]),
        ),
        (name, args) if METHODS.contains(&name) => {
            unknown_method_callback(state, value, name, args)
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

/// `str.replace`, after a look at how long the result would be.
fn bounded_replace(
    state: &mut State<'_, '_>,
    value: &Value,
    from: &Value,
    to: &Value,
    args: &[Value],
) -> Result<Value, Error> {
    let text = |value: &'_ Value| value.as_str().map(str::len);
    if let (Some(source), Some(from), Some(to)) = (value.as_str(), from.as_str(), text(to)) {
        let added = source.matches(from).count().saturating_mul(to);
        if source.len().saturating_add(added) > MAX_PROMPT_BYTES {
            return Err(too_long());
        }
    }
    unknown_method_callback(state, value, "replace", args)
}

fn string(value: &Value) -> Result<Value, Error> {
    let mut text = Limited::new(MAX_PROMPT_BYTES);
    write!(text, "{value}").map_err(|_| too_long())?;
    Ok(Value::from(text.into_text()))
}

/// The `join` filter and Python's `str.join`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine passes keyword arguments by value"
)]
fn join(items: &Value, separator: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let attribute: Option<&str> = options.get("attribute")?;
    options.assert_all_used()?;
    let separator = separator
        .map(|separator| separator.to_string())
        .unwrap_or_default();
    let mut text = Limited::new(MAX_PROMPT_BYTES);
    for (index, item) in items.try_iter()?.enumerate() {
        let item = attribute.map_or(Ok(item.clone()), |name| item.get_attr(name))?;
        let before = if index == 0 { "" } else { &separator };
        write!(text, "{before}{item}").map_err(|_| too_long())?;
    }
    Ok(Value::from(text.into_text()))
}

/// Prints a value as Python does: nothing for undefined, `None` for none.
fn print(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(()),
        ValueKind::None => out.write_str("None").map_err(Error::from),
        ValueKind::Bool => out
            .write_str(if value.is_true() { "True" } else { "False" })
            .map_err(Error::from),
        _ => print_text(out, value),
    }
}

fn print_text(out: &mut Output<'_>, value: &Value) -> Result<(), Error> {
    if let Some(text) = value.as_str() {
        return out.write_str(text).map_err(Error::from);
    }
    let text = string(value)?;
    out.write_str(text.as_str().unwrap_or_default())
        .map_err(Error::from)
}

fn too_long() -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        "a text over the limit on prompts",
    )
}

/// A text that takes only so many bytes.
pub(super) struct Limited {
    bytes: Vec<u8>,
    limit: usize,
    full: bool,
}

impl Limited {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            full: false,
        }
    }

    /// Whether something was refused.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn into_text(self) -> String {
        String::from_utf8(self.bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    fn add(&mut self, bytes: &[u8]) -> bool {
        self.full |= self.bytes.len() + bytes.len() > self.limit;
        if !self.full {
            self.bytes.extend_from_slice(bytes);
        }
        !self.full
    }
}

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.add(bytes) {
            Ok(bytes.len())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.add(text.as_bytes()) {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}
