//! Exit codes: what a program that called this one can tell without reading.

use std::process::ExitCode;

use crate::error::Report;
use crate::output::Output;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// A fault of the program or its machine.
    Internal = 1,
    /// Asked wrongly: arguments, a config file or a spec.
    Usage = 2,
    /// The network refused, and said why.
    Refused = 3,
    /// There is no such thing.
    NotFound = 4,
    /// The key is missing, not valid, or may not do this.
    Unauthorised = 5,
    /// Nobody answers at the address.
    Unreachable = 6,
    /// What was waited for did not come in time.
    TimedOut = 7,
    /// A proof did not hold: the journal is not what was committed.
    Unverified = 8,
}

/// The table, as `--help` shows it.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  a fault of the program or its machine
  2  asked wrongly: arguments, config file, spec
  3  refused by the network, which said why
  4  there is no such thing
  5  the key is missing, not valid, or may not do this
  6  nobody answers at the address
  7  what was waited for did not come in time
  8  a proof did not hold (`remuda audit verify`)";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Prints what clap has to say: help and versions on stdout, wrong usage on stderr, and that as
/// JSON where results are.
pub(crate) fn of_usage(error: &clap::Error, json: bool) -> Exit {
    if json && error.use_stderr() {
        Output::new(json, true).failed(&Report::of_usage(error));
        return Exit::Usage;
    }
    // Where the terminal is gone, nobody is left to tell.
    error.print().unwrap_or_default();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Ok
    }
}
