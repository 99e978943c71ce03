//! `remuda control`: the control plane, in this process.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use remuda_control::{Config, Running, bootstrap};
use remuda_journal::Claim;
use serde::Serialize;

use crate::context::Context;
use crate::policy::{self, Policies};
use crate::shutdown;

/// Run the control plane: the truth about the network, and the one writer of it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the journal, the snapshots and control's key are kept [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the HTTP API listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7400")]
    http: SocketAddr,
    /// Where nodes and gateways connect (UDP)
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:7401")]
    iroh: SocketAddr,
    /// How clients and nodes reach the HTTP API [default: http:// and the address of `--http`]
    #[arg(long, value_name = "URL", value_parser = crate::settings::url)]
    public_url: Option<reqwest::Url>,
    /// The network's parameters and when nodes are lost, as TOML
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Take the journal from another control that has it open, and fence that one
    #[arg(long)]
    take_over: bool,
    /// Records between snapshots
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    snapshot_every: u64,
}

/// What a program that started this one needs to know, as the first line of stdout.
#[derive(Debug, Serialize)]
struct Started {
    http: SocketAddr,
    url: String,
    endpoint: String,
    addresses: Vec<SocketAddr>,
    operator_key_file: PathBuf,
    admission_file: PathBuf,
}

pub(crate) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let asked = shutdown::Asked::listen()?;
    let config = config(args, context)?;
    let running = remuda_control::start(config)
        .await
        .context("control did not start")?;
    bootstrap::operator_key(&running.core).await?;
    context.output.item(&Started::of(&running), Started::text)?;
    let failure = tokio::select! {
        () = asked.once() => None,
        failure = running.failed() => Some(failure),
    };
    tracing::info!("control stops");
    asked.or_again(running.stop()).await;
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

fn config(args: Args, context: &Context) -> anyhow::Result<Config> {
    let data_dir = args
        .data_dir
        .unwrap_or_else(|| context.environment.data_dir().join("control"));
    let policies = args.policy.as_deref().map(policy::load).transpose()?;
    let Policies { network, liveness } = policies.unwrap_or_default();
    let public_url = args
        .public_url
        .map_or_else(|| format!("http://{}", args.http), String::from);
    Ok(Config {
        gateway_admission: bootstrap::gateway_admission(&data_dir)?,
        data_dir,
        http: args.http,
        iroh: args.iroh,
        public_url: public_url.trim_end_matches('/').to_owned(),
        claim: if args.take_over {
            Claim::TakeOver
        } else {
            Claim::Alone
        },
        policy: network,
        liveness,
        adopt_within: Config::ADOPT_WITHIN,
        snapshot_every: args.snapshot_every,
    })
}

impl Started {
    fn of(running: &Running) -> Self {
        let data_dir = &running.core.config().data_dir;
        Self {
            http: running.http,
            url: format!("http://{}", running.http),
            endpoint: running.endpoint.id().to_string(),
            addresses: running.endpoint.addr().ip_addrs().copied().collect(),
            operator_key_file: data_dir.join(bootstrap::OPERATOR_KEY_FILE),
            admission_file: data_dir.join(bootstrap::ADMISSION_FILE),
        }
    }

    fn text(&self) -> String {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        format!(
            "control serves {}\nnodes and gateways: {} at {}\nthe operator's key: {}",
            self.url,
            self.endpoint,
            addresses.join(", "),
            self.operator_key_file.display()
        )
    }
}
