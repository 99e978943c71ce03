//! The tree of commands, and the way from it to one of them.

use std::io;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command::{
    audit, completions, control, deploy, engine, events, gateway, key, ledger, logs, model, node,
    offers, order, profile, project, provider, replay, reservation, schema, sim, status, tenant,
    top, workload,
};
use crate::context::Context;
use crate::environment::Environment;
use crate::error::{Failure, Report};
use crate::exit::{self, Exit};
use crate::telemetry::{self, LogFormat};
use crate::{bench, up};

/// Remuda: a GPU cloud made of machines it does not own.
#[derive(Debug, Parser)]
#[command(name = "remuda", version, after_help = exit::HELP, max_term_width = 100)]
#[command(disable_help_subcommand = true, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command has.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Print results as JSON: one document, or one object a line for streams
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[arg(
        long,
        global = true,
        help = "Use this profile of the config file [env: REMUDA_PROFILE]",
        value_name = "NAME"
    )]
    pub(crate) profile: Option<String>,
    #[arg(
        long,
        global = true,
        help = "Where control's HTTP API is [env: REMUDA_URL]",
        value_name = "URL"
    )]
    pub(crate) url: Option<String>,
    #[arg(
        long,
        global = true,
        help = "The API key; others on this machine can see it here [env: REMUDA_KEY]",
        value_name = "KEY"
    )]
    pub(crate) key: Option<String>,
    #[arg(
        long,
        global = true,
        help = "The config file [env: REMUDA_CONFIG]",
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,
    /// What to log on stderr, as in `debug` or `warn,remuda_control=debug`
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How log lines look: `text` or `json`
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(Box<up::Args>),
    Down(up::DownArgs),
    Status(status::Args),
    Top(top::Args),
    #[command(subcommand)]
    Provider(provider::Command),
    #[command(subcommand)]
    Node(Box<node::Command>),
    Offers(offers::Args),
    #[command(subcommand)]
    Tenant(tenant::Command),
    #[command(subcommand)]
    Project(project::Command),
    #[command(subcommand)]
    Key(key::Command),
    Deploy(deploy::Args),
    #[command(subcommand)]
    Order(order::Command),
    #[command(subcommand)]
    Reservation(reservation::Command),
    #[command(subcommand)]
    Model(model::Command),
    Ps(workload::PsArgs),
    Logs(logs::Args),
    Scale(workload::ScaleArgs),
    Stop(workload::StopArgs),
    #[command(subcommand)]
    Ledger(ledger::Command),
    Events(events::Args),
    #[command(subcommand)]
    Audit(audit::Command),
    Replay(replay::Args),
    Bench(Box<bench::Args>),
    Sim(sim::Args),
    #[command(subcommand)]
    Profile(profile::Command),
    Schema(schema::Args),
    Completions(completions::Args),
    Control(Box<control::Args>),
    Gateway(Box<gateway::Args>),
    #[command(hide = true)]
    Engine(engine::Args),
}

impl Command {
    /// What is logged when `--log` does not say: programs that run for long tell what they do.
    fn log_filter(&self) -> &'static str {
        match self {
            Self::Control(_) | Self::Gateway(_) => "info",
            // llama.cpp tells a hundred lines of every model; these are what `remuda logs` shows.
            Self::Engine(_) => "info,llama-cpp-2=warn",
            Self::Node(command) if command.is_runner() => "info",
            Self::Up(_)
            | Self::Down(_)
            | Self::Status(_)
            | Self::Top(_)
            | Self::Provider(_)
            | Self::Node(_)
            | Self::Offers(_)
            | Self::Tenant(_)
            | Self::Project(_)
            | Self::Key(_)
            | Self::Deploy(_)
            | Self::Order(_)
            | Self::Reservation(_)
            | Self::Model(_)
            | Self::Ps(_)
            | Self::Logs(_)
            | Self::Scale(_)
            | Self::Stop(_)
            | Self::Ledger(_)
            | Self::Events(_)
            | Self::Audit(_)
            | Self::Replay(_)
            | Self::Bench(_)
            | Self::Sim(_)
            | Self::Profile(_)
            | Self::Schema(_)
            | Self::Completions(_) => "warn",
        }
    }
}

/// Does what was asked and prints why it failed, if it did.
pub(crate) fn run(cli: Cli, environment: Environment) -> Exit {
    let context = Context::new(cli.global, environment);
    match begin(cli.command, &context) {
        Ok(()) => Exit::Ok,
        Err(error) if is_broken_pipe(&error) => Exit::Ok,
        Err(error) => {
            let report = Report::of(&error);
            context.output.failed(&report);
            report.exit
        }
    }
}

fn begin(command: Command, context: &Context) -> anyhow::Result<()> {
    let filter = context
        .global
        .log
        .as_deref()
        .unwrap_or(command.log_filter());
    let format = context.global.log_format;
    telemetry::start(filter, format, context.output.has_color()).map_err(|error| {
        let way_out = "write it as in `--log debug` or `--log warn,remuda_control=debug`";
        Failure::new(Exit::Usage, "--log cannot be understood", way_out).caused_by(error)
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(dispatch(command, context));
    // What does not end by itself, as a read of stdin, must not keep the process.
    runtime.shutdown_background();
    done
}

async fn dispatch(command: Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Up(args) => Box::pin(up::run(*args, context)).await,
        Command::Down(args) => Box::pin(up::down(args, context)).await,
        Command::Status(args) => Box::pin(status::run(args, context)).await,
        Command::Top(args) => Box::pin(top::run(args, context)).await,
        Command::Provider(command) => Box::pin(provider::run(command, context)).await,
        Command::Node(command) => Box::pin(node::run(*command, context)).await,
        Command::Offers(args) => Box::pin(offers::run(args, context)).await,
        Command::Tenant(command) => Box::pin(tenant::run(command, context)).await,
        Command::Project(command) => Box::pin(project::run(command, context)).await,
        Command::Key(command) => Box::pin(key::run(command, context)).await,
        Command::Deploy(args) => Box::pin(deploy::run(args, context)).await,
        Command::Order(command) => Box::pin(order::run(command, context)).await,
        Command::Reservation(command) => Box::pin(reservation::run(command, context)).await,
        Command::Model(command) => Box::pin(model::run(command, context)).await,
        Command::Ps(args) => Box::pin(workload::ps(args, context)).await,
        Command::Logs(args) => Box::pin(logs::run(args, context)).await,
        Command::Scale(args) => Box::pin(workload::scale(args, context)).await,
        Command::Stop(args) => Box::pin(workload::stop(args, context)).await,
        Command::Ledger(command) => Box::pin(ledger::run(command, context)).await,
        Command::Events(args) => Box::pin(events::run(args, context)).await,
        Command::Audit(command) => audit::run(&command, context),
        Command::Replay(args) => replay::run(&args, context),
        Command::Bench(args) => Box::pin(bench::run(*args, context)).await,
        Command::Sim(args) => sim::run(&args, context),
        Command::Profile(command) => profile::run(command, context),
        Command::Schema(args) => schema::run(&args, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Control(args) => Box::pin(control::run(*args, context)).await,
        Command::Gateway(args) => Box::pin(gateway::run(*args, context)).await,
        Command::Engine(args) => Box::pin(engine::run(args)).await,
    }
}

/// Whoever read the results has enough of them.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(broken)
}
