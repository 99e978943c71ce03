//! `remuda node run`: the node daemon, in this process.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use remuda_engine::kernels;
use remuda_node::{CapacityOverrides, Config, ControlAddress, Policy};
use remuda_types::{Class, Price, SiteId};
use remuda_wire::node::Enrolment;
use serde::Serialize;

use super::super::joining::Control;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::shutdown;

/// Arguments of the daemon.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where its key, its assignment and its logs are kept [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Control's endpoint; asked of control's HTTP API if not given
    #[arg(long, value_name = "KEY@ADDRESS")]
    control: Option<Control>,
    /// Where gateways and probes connect (UDP)
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:0")]
    bind: SocketAddr,
    /// Where others can dial it, when that is not what it is bound to
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    advertise: Vec<SocketAddr>,
    /// Joining: the file with a provider's key that has the scope `supply`
    #[arg(long, value_name = "FILE", requires_all = ["site", "price"])]
    provider_key_file: Option<PathBuf>,
    /// Joining: where the machine stands
    #[arg(long, requires = "provider_key_file")]
    site: Option<SiteId>,
    /// Joining: the price of the whole machine, in dollars an hour
    #[arg(long, value_name = "USD", requires = "provider_key_file")]
    price: Option<Price>,
    /// The hardware class, when it is not to be found out
    #[arg(long)]
    class: Option<Class>,
    /// Offer no more than so many thousandths of a CPU core
    #[arg(long, value_name = "COUNT")]
    cpu_milli: Option<u64>,
    /// Offer no more memory than this, in MiB
    #[arg(long, value_name = "COUNT")]
    memory_mib: Option<u64>,
    /// Offer no more disk than this, in MiB
    #[arg(long, value_name = "COUNT")]
    disk_mib: Option<u64>,
    /// Where models are kept [default: the user's cache folder]
    #[arg(long, value_name = "DIR")]
    model_cache: Option<PathBuf>,
    /// Run no models
    #[arg(long)]
    no_engine: bool,
    /// Where `/metrics` and `/health` are served
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// How long control has to move the leases away when it stops, as in `60s`
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    leave_grace: Option<Duration>,
}

/// What a program that started this one needs to know, as the first line of stdout.
#[derive(Debug, Serialize)]
struct Started {
    node: String,
    addresses: Vec<SocketAddr>,
    metrics: Option<SocketAddr>,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let asked = shutdown::Asked::listen()?;
    let config = config(args, context).await?;
    let running = remuda_node::start(config)
        .await
        .context("the node did not start")?;
    let started = Started {
        node: running.key().to_string(),
        addresses: running.addresses().to_vec(),
        metrics: running.metrics(),
    };
    context.output.item(&started, text)?;
    let refused = tokio::select! {
        () = asked.once() => None,
        refused = running.refused() => Some(refused),
    };
    tracing::info!("the node stops");
    asked.or_again(running.stop()).await;
    refused.map_or(Ok(()), |refused| {
        let way_out =
            "join with `--provider-key-file`, `--site` and `--price`, as the provider may";
        Err(Failure::new(Exit::Refused, refused.to_string(), way_out).into())
    })
}

fn text(started: &Started) -> String {
    let addresses: Vec<String> = started.addresses.iter().map(ToString::to_string).collect();
    format!("{} listens on {}", started.node, addresses.join(", "))
}

async fn config(args: Args, context: &Context) -> anyhow::Result<Config> {
    let enrolment = enrolment(&args)?;
    let control = Control::find(args.control, context).await?;
    let state_dir = args
        .state_dir
        .unwrap_or_else(|| context.environment.data_dir().join("node"));
    let control = ControlAddress {
        id: control.endpoint,
        addresses: control.addresses,
    };
    let mut config = Config::new(state_dir, control);
    config.bind = args.bind;
    config.advertise = args.advertise;
    config.enrolment = enrolment;
    config.class = args.class;
    config.capacity = CapacityOverrides {
        cpu_milli: args.cpu_milli,
        memory_mib: args.memory_mib,
        disk_mib: args.disk_mib,
    };
    let cache = || context.environment.cache_dir().join("models");
    config.model_cache = args.model_cache.unwrap_or_else(cache);
    if !args.no_engine {
        let program = std::env::current_exe().context("where this program lies is not known")?;
        config.engine = vec![program.into(), "engine".into()];
    }
    config
        .environment
        .clone_from(&context.environment.inherited);
    let (name, off) = kernels::ENVIRONMENT;
    config.environment.push((name.into(), off.into()));
    config.metrics = args.metrics;
    let defaults = Policy::default();
    config.policy.leave_grace = args.leave_grace.unwrap_or(defaults.leave_grace);
    Ok(config)
}

fn enrolment(args: &Args) -> anyhow::Result<Option<Enrolment>> {
    let (Some(path), Some(site), Some(price)) = (&args.provider_key_file, args.site, args.price)
    else {
        return Ok(None);
    };
    let key = fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read the provider's key in {}", path.display());
        let way_out = "name the file that holds it with --provider-key-file";
        Failure::new(Exit::Usage, message, way_out).caused_by(error)
    })?;
    Ok(Some(Enrolment {
        provider_key: key.trim().to_owned(),
        site,
        price,
    }))
}
