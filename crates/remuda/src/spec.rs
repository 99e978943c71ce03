//! A workload spec as a YAML file: read, checked, and every fault named by line, column and field.
//!
//! What control finds wrong later, it names by JSON pointer; [`Spec::locate`] turns that into the
//! place in the file, so a person never sees the difference.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use remuda_wire::api::WorkloadSpec;
use remuda_wire::api::problem::FieldError;

use crate::client;
use crate::error::Failure;
use crate::exit::Exit;

mod check;
mod fault;
mod schema;
mod tree;

pub(crate) use fault::Fault;
pub(crate) use schema::schema;
use tree::Tree;

/// The largest file that is read.
const BYTES_MAX: u64 = 1 << 20;

/// Fields of what is asked beside the spec, as JSON pointers, and the flags that say them.
pub(crate) type Flags = [(&'static str, &'static str)];

/// A spec and where its fields stand in its file.
#[derive(Debug)]
pub(crate) struct Spec {
    /// What is to run.
    pub(crate) workload: WorkloadSpec,
    path: PathBuf,
    tree: Tree,
}

/// Why a spec cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is no spec.
    #[error("{}", fault::list(.path, .faults))]
    Faults {
        /// Which.
        path: PathBuf,
        /// In the file's order; never empty.
        faults: Vec<Fault>,
    },
}

impl Spec {
    /// Reads `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, SpecError> {
        let failed = |source| SpecError::Read {
            path: path.to_owned(),
            source,
        };
        Self::parse(path, &read(path).map_err(failed)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, SpecError> {
        let failed = |faults| SpecError::Faults {
            path: path.to_owned(),
            faults,
        };
        let tree = Tree::parse(text).map_err(|error| failed(vec![Fault::of_syntax(&error)]))?;
        let workload = fault::parse(text, &tree).map_err(|fault| failed(vec![fault]))?;
        let spec = Self {
            workload,
            path: path.to_owned(),
            tree,
        };
        match spec.at_their_places(check::check(&spec.workload)) {
            faults if faults.is_empty() => Ok(spec),
            faults => Err(failed(faults)),
        }
    }

    /// What control found wrong, at its place in the file: where the spec was a part of what was
    /// asked, its pointers say so.
    fn refused(&self, mut errors: Vec<FieldError>) -> SpecError {
        for error in &mut errors {
            if let Some(own) = error.pointer.strip_prefix("/workload") {
                error.pointer = own.to_owned();
            }
        }
        SpecError::Faults {
            path: self.path.clone(),
            faults: self.at_their_places(errors),
        }
    }

    /// An answer of control about it: what it found wrong is told at its place in the file, or as
    /// the flag that said it. Control looks at flags when all is well with the spec.
    pub(crate) fn explained<T>(
        &self,
        answer: Result<T, client::Error>,
        flags: &Flags,
    ) -> anyhow::Result<T> {
        match answer {
            Err(client::Error::Problem(problem)) if !problem.errors.is_empty() => {
                match of_flags(&problem.errors, flags) {
                    Some(failure) => Err(failure.into()),
                    None => Err(self.refused(problem.errors).into()),
                }
            }
            answer => Ok(answer?),
        }
    }

    fn at_their_places(&self, errors: Vec<FieldError>) -> Vec<Fault> {
        let mut faults: Vec<Fault> = errors
            .into_iter()
            .map(|error| Fault::at(&self.tree, error))
            .collect();
        faults.sort_by_key(|fault| (fault.line, fault.column));
        faults
    }
}

/// What is wrong with flags, if anything is.
fn of_flags(errors: &[FieldError], flags: &Flags) -> Option<Failure> {
    let flag_of = |error: &FieldError| flags.iter().find(|(of, _)| *of == error.pointer);
    let wrong = errors
        .iter()
        .find_map(|error| Some((flag_of(error)?.1, error)));
    wrong.map(|(flag, error)| {
        let message = format!("{flag}: {}", error.detail);
        Failure::new(Exit::Usage, message, format!("give another {flag}"))
    })
}

/// A file's text; what is longer than any spec is not read to its end, which it may not have.
fn read(path: &Path) -> io::Result<String> {
    let mut text = Vec::new();
    File::open(path)?
        .take(BYTES_MAX + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        let message = format!("a spec has at most {BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts that look like a spec, so that more than the first token is read.
    fn nearly() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            "name: [a-z]{1,4}",
            "(tier|replicas|resources|placement|model|process|tags):( [a-z0-9\\[\\]{}&*!-]{0,6})?",
            " {1,3}[a-z_]{1,9}: ?[a-z0-9\"'.-]{0,6}",
            " {0,3}- .{0,6}",
        ];
        proptest::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
    }

    #[test]
    fn a_class_with_a_plus_must_be_known() {
        let spec = |class: &str| {
            let text = format!(
                "name: a\nmodel: {{name: m}}\nplacement:\n  classes:\n    - cpu\n    - {class}\n"
            );
            Spec::parse(Path::new("a.yaml"), &text)
        };
        assert!(spec("a100-sxm-80+").is_ok());
        let Err(SpecError::Faults { faults, .. }) = spec("mi300x-192+") else {
            unreachable!("it is not known what is better");
        };
        assert_eq!(faults[0].line, 6);
        assert!(
            faults[0].problem.contains("leave out the `+`"),
            "{faults:?}"
        );
    }

    fn taken_or_placed(text: &str) -> Result<(), TestCaseError> {
        let Err(SpecError::Faults { faults, .. }) = Spec::parse(Path::new("a.yaml"), text) else {
            return Ok(());
        };
        // In YAML a carriage return alone ends a line, too.
        let lines = text.split(['\r', '\n']).count() as u64 + 1;
        prop_assert!(!faults.is_empty());
        prop_assert!(
            faults
                .iter()
                .all(|fault| fault.line <= lines && !fault.problem.is_empty())
        );
        Ok(())
    }

    proptest! {
        #[test]
        fn any_text_is_a_spec_or_has_faults(text in "\\PC{0,60}") {
            taken_or_placed(&text)?;
        }

        #[test]
        fn what_is_nearly_a_spec_is_one_or_has_faults(text in nearly()) {
            taken_or_placed(&text)?;
        }
    }
}
