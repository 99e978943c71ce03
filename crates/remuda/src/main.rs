//! The `remuda` command line: one binary that is every program of the network and its client.
//!
//! - [`cli`] is the tree of commands; [`command`] holds one file for each group of them;
//! - [`client`] speaks to control's HTTP API; [`settings`] is the config file with its profiles;
//! - [`environment`] is the only reader of the environment, [`output`] the only writer of stdout;
//! - [`exit`] is what a program that called this one can tell from its exit code.
//!
//! Results go to stdout, as tables or with `--json` as JSON; everything else goes to stderr. What
//! does not belong here: anything that the API does not offer. The runners (`control`, `gateway`,
//! `node run`, `engine`) start what their crates hold and decide nothing.

mod bench;
mod cli;
mod client;
mod clock;
mod command;
mod context;
mod environment;
mod error;
mod exit;
mod find;
mod output;
mod policy;
mod progress;
mod settings;
mod shutdown;
mod spec;
mod strangers;
mod table;
mod telemetry;
mod toml_file;
mod tour;
mod up;
mod view;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use environment::Environment;

fn main() -> ExitCode {
    let environment = Environment::read();
    match Cli::try_parse() {
        Ok(cli) => cli::run(cli, environment).into(),
        Err(error) => {
            // What could not be parsed may still say how it wants to be answered.
            let json = std::env::args_os().any(|argument| argument == "--json");
            exit::of_usage(&error, json).into()
        }
    }
}
