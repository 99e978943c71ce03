//! `remuda model`: the catalogue of models, and the shortest way to one that runs.

use clap::Subcommand;
use remuda_types::{Country, Digest, Shape, Tier};
use remuda_wire::api::WorkloadSpec;
use remuda_wire::api::model::AddModel;
use remuda_wire::api::workload::{ModelSpec, PlacementSpec, copies_fault};

use super::amount::Amount;
use super::deploy;
use super::wait::Wait;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::up::ModelFile;
use crate::{find, progress, view};

/// Models: add, list, deploy
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Offer a model: a GGUF file on control's machine
    Add {
        /// Its name: 1 to 63 of `a-z`, `0-9`, `-`, `.` and `_`
        name: String,
        /// The file as control's machine names it, or where to fetch it to this machine
        #[arg(value_name = "FILE|URL")]
        file: String,
        /// The file that the name stands for now, to have new workloads use this one
        #[arg(long, value_name = "DIGEST")]
        replaces: Option<Digest>,
    },
    /// List models
    Ls,
    /// Have a model run
    Deploy(Box<Deploy>),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Deploy {
    /// A model of the catalogue
    model: String,
    /// The workload's name, by which clients ask for it; the model's if not given
    #[arg(long)]
    name: Option<String>,
    /// How many copies
    #[arg(long, default_value_t = 1)]
    replicas: u32,
    /// The promise: spot, standard, enterprise, multi-site
    #[arg(long, default_value = "standard")]
    tier: Tier,
    /// Tokens of context for each request
    #[arg(long, default_value_t = 2_048)]
    context_tokens: u32,
    /// Requests that one copy serves at once
    #[arg(long, default_value_t = 4)]
    slots: u32,
    /// Threads of the engine on nodes without an accelerator
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Thousandths of a CPU core for each copy
    #[arg(long, default_value_t = 500)]
    cpu_milli: u64,
    /// Main memory for each copy, in MiB
    #[arg(long, default_value_t = 512)]
    memory_mib: u64,
    /// Thousandths of a GPU for each copy
    #[arg(long, default_value_t = 0)]
    gpu_milli: u64,
    /// Only in these countries: two letters each, in capitals
    #[arg(long = "country", value_name = "COUNTRY", value_delimiter = ',')]
    countries: Vec<Country>,
    /// The most one copy may cost, in dollars an hour
    #[arg(long, value_name = "USD")]
    max_price: Option<Amount>,
    /// Dollars for a million prompt tokens
    #[arg(long, value_name = "USD", default_value = "0")]
    prompt_price: String,
    /// Dollars for a million completion tokens
    #[arg(long, value_name = "USD", default_value = "0")]
    completion_price: String,
    /// The project that pays: id or name; the profile's or the key's own if not given
    #[arg(long)]
    project: Option<String>,
    #[command(flatten)]
    wait: Wait,
}

pub(crate) async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let client = context.client()?;
    match command {
        Command::Add {
            name,
            file,
            replaces,
        } => {
            let path = path(file, context).await?;
            let wheel = progress::wheel(context.output, format!("control reads {path}"));
            let model = client.add_model(&AddModel { name, path }, replaces).await?;
            wheel.finish_and_clear();
            let table = |model: &_| view::models(std::slice::from_ref(model));
            Ok(context.output.table(&model, table)?)
        }
        Command::Ls => Ok(context
            .output
            .table(&client.models().await?, |models| view::models(models))?),
        Command::Deploy(deploy) => {
            let spec = checked(&deploy)?;
            let project = match &deploy.project {
                Some(project) => Some(find::project(&client, project).await?),
                None => context.target()?.project,
            };
            let workload = client.deploy(project, &spec).await?;
            deploy::finish(&client, context, workload, &deploy.wait).await
        }
    }
}

/// Control may run elsewhere: what does not exist here is passed on as it is.
async fn path(file: String, context: &Context) -> anyhow::Result<String> {
    if file.starts_with("http://") || file.starts_with("https://") {
        return Ok(ModelFile::find(Some(&file), context)
            .await?
            .registration()
            .path);
    }
    match std::fs::canonicalize(&file) {
        Ok(absolute) => Ok(absolute.display().to_string()),
        Err(_) => Ok(file),
    }
}

/// The spec, unless the tier's promise cannot be kept with so few copies.
fn checked(deploy: &Deploy) -> Result<WorkloadSpec, Failure> {
    if let Some((_, detail)) = copies_fault(deploy.tier, deploy.replicas) {
        let message = format!("--replicas {detail}");
        let way_out = "add `--replicas 2`, or `--tier enterprise`";
        return Err(Failure::new(Exit::Usage, message, way_out));
    }
    Ok(spec(deploy))
}

fn spec(deploy: &Deploy) -> WorkloadSpec {
    WorkloadSpec {
        name: deploy.name.clone().unwrap_or_else(|| deploy.model.clone()),
        tier: deploy.tier,
        replicas: deploy.replicas,
        resources: Shape {
            cpu_milli: deploy.cpu_milli,
            memory_mib: deploy.memory_mib,
            gpu_milli: deploy.gpu_milli,
            ..Shape::default()
        },
        placement: PlacementSpec {
            countries: deploy.countries.clone(),
            max_price_usd_per_hour: deploy.max_price.map(|price| price.usd().to_string()),
            ..PlacementSpec::default()
        },
        model: Some(ModelSpec {
            name: deploy.model.clone(),
            context_tokens: deploy.context_tokens,
            slots: deploy.slots,
            threads: deploy.threads,
            prompt_usd_per_million: deploy.prompt_price.clone(),
            completion_usd_per_million: deploy.completion_price.clone(),
        }),
        process: None,
        tags: std::collections::BTreeMap::new(),
    }
}
