//! The program as its users run it: arguments and files in, stdout, stderr and exit codes out.
//!
//! What does not belong here: anything that looks into the program.

mod against_control;
mod audit;
mod cli_reference;
mod config_file;
mod e2e;
mod exit_codes;
mod program;
mod spec_errors;
