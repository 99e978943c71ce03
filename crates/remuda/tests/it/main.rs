//! The program as its users run it: arguments and files in, stdout, stderr and exit codes out.
//!
//! What does not belong here: anything that looks into the program.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::panic,
    clippy::format_push_string,
    clippy::assigning_clones,
    reason = "this whole binary is a test"
)]

mod against_control;
mod audit;
mod bench;
mod cli_reference;
mod config_file;
mod e2e;
mod exit_codes;
mod program;
mod sim;
mod spec_errors;
