//! What a check found, where, and what to do about it.

use std::fmt;

use cargo_metadata::camino::Utf8PathBuf;

/// Printed as `file:line: what; way out`, which editors and CI logs turn into a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// From the root of the checkout.
    pub(crate) file: Utf8PathBuf,
    /// From 1.
    pub(crate) line: usize,
    what: String,
    way_out: String,
}

impl Problem {
    pub(crate) fn new(
        file: impl Into<Utf8PathBuf>,
        line: usize,
        what: impl Into<String>,
        way_out: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            line,
            what: what.into(),
            way_out: way_out.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}; {}",
            self.file, self.line, self.what, self.way_out
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_a_compiler_message() {
        let problem = Problem::new("a/b.rs", 3, "is long", "split it");
        assert_eq!(problem.to_string(), "a/b.rs:3: is long; split it");
    }
}
