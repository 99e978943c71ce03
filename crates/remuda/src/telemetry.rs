//! Logs on stderr: levels by `--log`, text or JSON by `--log-format`.

use std::io;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging; `filter` as in `info` or `warn,remuda_control=debug`.
pub(crate) fn start(filter: &str, format: LogFormat, color: bool) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => logs.with_ansi(color).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}
