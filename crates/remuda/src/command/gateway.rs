//! `remuda gateway`: the door to models, in this process.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use remuda_gateway::{Config, ControlAddress, Limits, Policies};
use serde::Serialize;

use super::joining::Control;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::shutdown;

/// Run a gateway: the OpenAI-compatible door through which requests reach replicas
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where its key, its spool and its last routes are kept [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Where clients connect
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7410")]
    http: SocketAddr,
    /// Where its iroh endpoint listens (UDP)
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:0")]
    bind: SocketAddr,
    /// Where `/metrics` is served, for operators only: it names projects and what they have left
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Control's endpoint; asked of control's HTTP API if not given
    #[arg(long, value_name = "KEY@ADDRESS")]
    control: Option<Control>,
    /// The file with the secret for joining, which control made; needed the first time only
    #[arg(long, value_name = "FILE")]
    admission_file: Option<PathBuf>,
    /// How clients reach it [default: http:// and the address of `--http`]
    #[arg(long, value_name = "URL", value_parser = crate::settings::url)]
    public_url: Option<reqwest::Url>,
    /// Where the heads of model files are kept [default: the user's cache folder]
    #[arg(long, value_name = "DIR")]
    model_cache: Option<PathBuf>,
    /// Completion tokens when the client does not say how many
    #[arg(long, value_name = "COUNT")]
    default_max_tokens: Option<u32>,
    /// How long requests in flight may go on when it stops, as in `30s`
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    drain: Option<Duration>,
}

/// What a program that started this one needs to know, as the first line of stdout.
#[derive(Debug, Serialize)]
struct Started {
    gateway: String,
    http: SocketAddr,
    url: String,
}

pub(crate) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let asked = shutdown::Asked::listen()?;
    let metrics = args.metrics;
    let config = config(args, context).await?;
    let running = remuda_gateway::start(config)
        .await
        .context("the gateway did not start")?;
    if let Some(address) = metrics {
        running.serve_metrics(address).await?;
    }
    let started = Started {
        gateway: running.key.to_string(),
        http: running.http,
        url: format!("http://{}", running.http),
    };
    context.output.item(&started, |started| {
        format!("{} serves {}", started.gateway, started.url)
    })?;
    let failure = tokio::select! {
        () = asked.once() => None,
        failure = running.failed() => Some(failure),
    };
    tracing::info!("the gateway stops");
    asked.or_again(running.stop()).await;
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

async fn config(args: Args, context: &Context) -> anyhow::Result<Config> {
    let control = Control::find(args.control, context).await?;
    let state_dir = args
        .state_dir
        .unwrap_or_else(|| context.environment.data_dir().join("gateway"));
    let admission = args.admission_file.map(|path| {
        fs::read_to_string(&path).map_err(|error| {
            let message = format!("cannot read the secret in {}", path.display());
            let way_out = "name the file that holds it with --admission-file";
            Failure::new(Exit::Usage, message, way_out).caused_by(error)
        })
    });
    let admission = admission
        .transpose()?
        .map(|secret| secret.trim().to_owned());
    let public_url = args
        .public_url
        .map_or_else(|| format!("http://{}", args.http), String::from);
    let defaults = Limits::default();
    Ok(Config {
        state_dir,
        http: args.http,
        bind: args.bind,
        control: ControlAddress {
            endpoint: control.endpoint,
            addresses: control.addresses,
        },
        admission,
        public_url: public_url.trim_end_matches('/').to_owned(),
        model_cache: args
            .model_cache
            .unwrap_or_else(|| context.environment.cache_dir().join("models")),
        policies: Policies::default(),
        limits: Limits {
            default_max_tokens: args
                .default_max_tokens
                .unwrap_or(defaults.default_max_tokens),
            drain: args.drain.unwrap_or(defaults.drain),
            ..defaults
        },
    })
}
