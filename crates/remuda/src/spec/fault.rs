//! What is wrong in a spec: where, in which field, and what is expected there.

use std::fmt;
use std::path::Path;

use remuda_wire::api::WorkloadSpec;
use remuda_wire::api::problem::FieldError;
use serde_path_to_error::{Segment, Track};
use serde_saphyr::{Error, Location, UserMessageFormatter};

use super::tree::Tree;

/// The least likeness of two words that makes one a slip for the other.
const LIKENESS_MIN: f64 = 0.7;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 1; 0 where it is not known.
    pub(crate) line: u64,
    /// Counted from 1.
    pub(crate) column: u64,
    /// As `placement.classes.0`; empty for the file's syntax.
    pub(crate) field: String,
    /// What is wrong, and what is expected.
    pub(crate) problem: String,
}

/// Reads the spec; the error is the first thing that is wrong.
pub(super) fn parse(text: &str, tree: &Tree) -> Result<WorkloadSpec, Fault> {
    let mut track = Track::new();
    let parsed = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
        serde::Deserialize::deserialize(tracked)
    });
    parsed.map_err(|error| {
        let mut path: Vec<String> = track.path().iter().filter_map(segment).collect();
        path.extend(field_named(&error).filter(|field| path.last() != Some(field)));
        let at = match error.without_snippet() {
            Error::SerdeMissingField { .. } => tree.locate(parents(&path)),
            _ => tree.locate(path.iter().map(String::as_str)),
        };
        Fault::new(at, path.join("."), problem(&error))
    })
}

fn segment(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

fn parents(path: &[String]) -> impl Iterator<Item = &str> {
    path.iter()
        .take(path.len().saturating_sub(1))
        .map(String::as_str)
}

/// The field that the error itself names.
fn field_named(error: &Error) -> Option<String> {
    match error.without_snippet() {
        Error::SerdeUnknownField { field, .. } => Some(field.clone()),
        Error::SerdeMissingField { field, .. } => Some((*field).to_owned()),
        _ => None,
    }
}

/// What is wrong, without its place.
fn problem(error: &Error) -> String {
    match error.without_snippet() {
        Error::SerdeUnknownField {
            field, expected, ..
        } => {
            format!("there is no such field; {}", meant(field, expected))
        }
        Error::SerdeMissingField { .. } => "this field is missing".to_owned(),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => {
            format!(
                "`{variant}` is none of the words known here; {}",
                meant(variant, expected)
            )
        }
        Error::SerdeInvalidType {
            unexpected,
            expected,
            ..
        }
        | Error::SerdeInvalidValue {
            unexpected,
            expected,
            ..
        } => {
            format!("{expected} is expected, not {unexpected}")
        }
        Error::Unexpected { expected, .. } => format!("{} is expected", structure(expected)),
        Error::InvalidScalar { ty, .. } => format!("{} is expected", scalar(ty)),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("`{key}` stands here a second time: keep one of them")
        }
        Error::Message { msg, .. } => msg.clone(),
        other => plain(other),
    }
}

/// The library's own words, up to the place that it adds.
fn plain(error: &Error) -> String {
    let text = error.render_with_formatter(&UserMessageFormatter);
    let first = text.lines().next().unwrap_or_default();
    first
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .trim_end_matches(':')
        .to_owned()
}

/// What the library says in the words of a YAML parser.
fn structure(expected: &str) -> &str {
    match expected {
        "mapping start" => "a block of `field: value`",
        "sequence start" => "a list",
        other => other,
    }
}

fn scalar(ty: &str) -> String {
    let from_0 = |most: u64| format!("a whole number from 0 to {most}");
    match ty {
        "bool" => "`true` or `false`".to_owned(),
        "u8" => from_0(u8::MAX.into()),
        "u16" => from_0(u16::MAX.into()),
        "u32" => from_0(u32::MAX.into()),
        "u64" => from_0(u64::MAX),
        _ if ty.starts_with('f') => "a number".to_owned(),
        _ => ty.to_owned(),
    }
}

fn meant(given: &str, known: &[&str]) -> String {
    let likeness = |word: &str| strsim::jaro_winkler(given, word);
    let nearest = known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|word| likeness(word) >= LIKENESS_MIN) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("known are {}", known.join(", ")),
    }
}

impl Fault {
    fn new(at: Location, field: String, problem: String) -> Self {
        Self {
            line: at.line(),
            column: at.column(),
            field,
            problem,
        }
    }

    /// The file is not YAML.
    pub(super) fn of_syntax(error: &Error) -> Self {
        let at = error.location().unwrap_or(Location::UNKNOWN);
        Self::new(at, String::new(), problem(error))
    }

    /// What stands at a JSON pointer is wrong.
    pub(super) fn at(tree: &Tree, error: FieldError) -> Self {
        let segments = || error.pointer.split('/').skip(1);
        let field = segments().collect::<Vec<_>>().join(".");
        Self::new(tree.locate(segments()), field, error.detail)
    }
}

/// All faults of a file, each on a line that editors can jump to.
pub(super) fn list(path: &Path, faults: &[Fault]) -> String {
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}{fault}", path.display()))
        .collect();
    lines.join("\n")
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        f.write_str(": ")?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.problem)
    }
}
