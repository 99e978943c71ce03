//! `remuda deploy`: has something run, as a YAML file says it.

use std::path::PathBuf;

use remuda_wire::api::replica::Workload;

use super::wait::{self, Wait};
use crate::client::Client;
use crate::context::Context;
use crate::spec::Spec;
use crate::{find, view};

/// So many replicas are told of one by one.
const SHOWN: usize = 32;

/// Have something run, as a YAML file says it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The spec; its schema is printed by `--schema`
    #[arg(required_unless_present = "schema")]
    spec: Option<PathBuf>,
    /// The project that pays: id or name; the profile's or the key's own if not given
    #[arg(long)]
    project: Option<String>,
    /// Only read and check the spec
    #[arg(long)]
    dry_run: bool,
    /// Print the spec's JSON Schema
    #[arg(long, conflicts_with_all = ["spec", "wait", "dry_run"])]
    schema: bool,
    #[command(flatten)]
    wait: Wait,
}

pub(crate) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let Some(path) = args.spec.filter(|_| !args.schema) else {
        return super::schema::print(context);
    };
    let spec = Spec::read(&path)?;
    if args.dry_run {
        return Ok(context.output.show(&spec.workload, |workload| {
            format!(
                "{} is a spec: `{}` with {} replicas",
                path.display(),
                workload.name,
                workload.replicas
            )
        })?);
    }
    let client = context.client()?;
    let workload = deploy(&client, context, &spec, args.project.as_deref()).await?;
    finish(&client, context, workload, &args.wait).await
}

async fn deploy(
    client: &Client,
    context: &Context,
    spec: &Spec,
    project: Option<&str>,
) -> anyhow::Result<Workload> {
    let project = find::payer(client, context, project).await?;
    spec.explained(client.deploy(project, &spec.workload).await, &[])
}

/// Says where it was placed and why, and waits until it is ready if that was asked for.
pub(super) async fn finish(
    client: &Client,
    context: &Context,
    workload: Workload,
    wait: &Wait,
) -> anyhow::Result<()> {
    if !context.output.is_json() {
        context.output.text(&placed(&workload))?;
    }
    let workload = wait::until_ready(client, context, workload, wait).await?;
    if context.output.is_json() {
        context.output.show(&workload, placed)?;
    }
    Ok(())
}

fn placed(workload: &Workload) -> String {
    let replicas = workload.replicas.iter().take(SHOWN).map(view::placed);
    let more = workload.replicas.len().saturating_sub(SHOWN);
    let more =
        (more > 0).then(|| format!("and {more} more: `remuda ps`, or `--json`, shows all of them"));
    let replicas: Vec<String> = replicas.chain(more).collect();
    format!(
        "{} is {}\n{}",
        workload.name,
        workload.id,
        replicas.join("\n")
    )
}
