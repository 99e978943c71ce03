//! `remuda schema`: the JSON Schema of the workload spec.

use crate::context::Context;
use crate::spec;

/// The JSON Schema of the workload spec, for editors
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, context: &Context) -> anyhow::Result<()> {
    print(context)
}

/// Prints the schema; it is JSON with and without `--json`.
pub(crate) fn print(context: &Context) -> anyhow::Result<()> {
    Ok(context
        .output
        .text(&serde_json::to_string_pretty(&spec::schema())?)?)
}
