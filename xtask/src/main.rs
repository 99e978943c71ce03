//! The workspace's own tool: `cargo xtask tidy` checks what neither rustc nor clippy can.
//!
//! [`tidy`] reads the checkout and the workspace's manifests once, hands both to every check and
//! prints all problems together, each with its way out. It is a test as well, so that it cannot be
//! forgotten. Exit codes: 0 tidy, 1 problems found, 2 asked wrongly or unable to look.
//!
//! What does not belong here: what a library, rustc or clippy already checks.
#![forbid(unsafe_code)]

mod tidy;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

const USAGE: &str = "usage: cargo xtask tidy";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let code = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => tidy_here(),
        _ => writeln!(io::stderr(), "{USAGE}").map(|()| ExitCode::from(2)),
    };
    code.unwrap_or(ExitCode::from(2)) // the terminal is gone: nobody left to tell
}

/// Checks the workspace this program was built from: `cargo xtask` builds it where it runs.
fn tidy_here() -> io::Result<ExitCode> {
    match tidy::check(&workspace()) {
        Ok(problems) if problems.is_empty() => Ok(ExitCode::SUCCESS),
        Ok(problems) => {
            let mut out = io::stdout().lock();
            for problem in &problems {
                writeln!(out, "{problem}")?;
            }
            writeln!(out, "tidy: {} problems", problems.len())?;
            Ok(ExitCode::from(1))
        }
        Err(error) => {
            writeln!(io::stderr(), "tidy: {}", chain(&error))?;
            Ok(ExitCode::from(2))
        }
    }
}

/// The workspace that `cargo run` was called in: not where this was compiled, since clones share a
/// build folder.
#[expect(clippy::disallowed_methods, reason = "cargo tells it in no other way")]
fn workspace() -> Utf8PathBuf {
    let package = std::env::var("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    Utf8Path::new(&package).join("..")
}

/// An error and what caused it, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_tidy() {
        let problems = tidy::check(&workspace()).expect("the checkout can be read");
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    }
}
