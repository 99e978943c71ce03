//! `remuda up` and `remuda down`: a whole network on this machine, from nothing to serving.
//!
//! Every program is a child process of its own, run from this same binary, and speaks to the others
//! over iroh on loopback. What is there already is found again; what is missing is made. The
//! [`crate::tour`] shows what the network does.

mod cast;
mod chat;
mod claim;
mod feed;
mod layout;
mod local;
mod market;
mod model;
mod ports;
mod process;
mod profile;
mod programs;
mod silence;
mod test_policy;
mod wait;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::future::{join_all, select_all};
use nix::sys::signal::{Signal, kill};
use serde_json::json;
use tokio::time::sleep;

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::progress;
use crate::shutdown::Asked;
use crate::tour;

pub(crate) use cast::{SEATS, Seat};
pub(crate) use chat::{Door, Piece, Question};
pub(crate) use feed::{Loss, bookmark};
pub(crate) use layout::Layout;
pub(crate) use local::{Local, client};
pub(crate) use market::Buyer;
pub(crate) use model::ModelFile;
pub(crate) use ports::Ports;
pub(crate) use programs::{Host, Hosts, Programs};
pub(crate) use silence::{Silence, silence_after};
pub(crate) use wait::until;

use claim::Claim;
use profile::Naming;

/// How long a program that ended stays away: long enough to see the others take over.
const AWAY: Duration = Duration::from_secs(5);

/// How long `down` waits for an order to be followed.
const DOWN_WITHIN: Duration = Duration::from_secs(30);

/// Start a whole network on this machine: control, a gateway and three nodes
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show what it does: a model served on while its node is killed, and who pays
    #[arg(long)]
    tour: bool,
    /// Leave when all is done instead of staying up
    #[arg(long)]
    exit: bool,
    /// The model: a GGUF file or where to fetch one [default: the one `make model` fetches]
    #[arg(long, value_name = "FILE|URL")]
    model: Option<String>,
    /// Where everything is kept [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The first of the ports: control's is this one, the gateway's this and 10
    #[arg(long, value_name = "PORT", default_value_t = ports::BASE,
          value_parser = clap::value_parser!(u16).range(1_024..=i64::from(ports::BASE_MAX)))]
    port_base: u16,
}

/// Stop what `remuda up` started
#[derive(Debug, clap::Args)]
pub(crate) struct DownArgs {
    /// Where it keeps everything [default: the named profile's, or the user's data folder]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// A network that serves, and what it took.
#[expect(clippy::struct_field_names, reason = "the time it took to be ready")]
struct Ready {
    local: Local,
    buyer: Buyer,
    model: String,
    naming: Naming,
    ready_ms: u64,
}

pub(crate) async fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let asked = Asked::listen()?;
    let layout = Layout::make(&state_dir(args.state_dir.clone(), context))?;
    let _claim = Claim::take(&layout)?;
    let ports = Ports::from(args.port_base);
    ports.check(u16::try_from(SEATS.len()).unwrap_or(u16::MAX))?;
    let programs = Programs {
        binary: std::env::current_exe()?,
        log: context.global.log.clone(),
        layout,
        ports,
        hosts: Hosts::loopback(SEATS.len()),
    };
    let naming = Naming::check(context, &programs.operator_key())?;
    let model = ModelFile::find(args.model.as_deref(), context).await?;
    let mut ready = tokio::select! {
        ready = start(programs, &model, naming, context) => ready?,
        () = asked.once() => return Ok(()),
    };
    context.output.item(&summary(&ready), |_| told(&ready))?;
    let stayed = tokio::select! {
        stayed = stay(&args, &mut ready, context) => stayed,
        () = asked.once() => Ok(()),
    };
    let wheel = progress::wheel(context.output, "stopping");
    asked.or_again(ready.local.stop()).await;
    wheel.finish_and_clear();
    stayed
}

fn state_dir(given: Option<PathBuf>, context: &Context) -> PathBuf {
    given.unwrap_or_else(|| context.environment.data_dir())
}

/// Starts everything, with a word on where it is, and tells the command line.
async fn start(
    programs: Programs,
    model: &ModelFile,
    naming: Naming,
    context: &Context,
) -> anyhow::Result<Ready> {
    let since = Instant::now();
    let wheel = progress::wheel(context.output, "starting a network");
    let (local, buyer, model) = network(programs, model).await?;
    naming.keep(&local, &buyer)?;
    wheel.finish_and_clear();
    Ok(Ready {
        local,
        buyer,
        model,
        naming,
        ready_ms: millis(since.elapsed()),
    })
}

/// Starts control alone.
pub(crate) async fn control(programs: Programs) -> anyhow::Result<Local> {
    test_policy::write(&programs.layout)?;
    Local::start(programs).await
}

/// Starts everything and finds or makes everybody; says who buys, and the model's name.
pub(crate) async fn network(
    programs: Programs,
    model: &ModelFile,
) -> anyhow::Result<(Local, Buyer, String)> {
    let mut local = control(programs).await?;
    let model = local.market().model(&model.registration()).await?;
    let buyer = local.market().buyer().await?;
    for seat in 0..SEATS.len() {
        local.start_node(seat).await?;
    }
    local.start_gateway().await?;
    let up = join_all((0..SEATS.len()).map(|seat| local.node_up(seat))).await;
    up.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    Ok((local, buyer, model.name))
}

/// The tour, then staying for as long as nobody says that it is enough.
async fn stay(args: &Args, ready: &mut Ready, context: &Context) -> anyhow::Result<()> {
    if args.tour {
        let Ready {
            local,
            buyer,
            model,
            ..
        } = ready;
        Box::pin(tour::give(local, buyer, model, context)).await?;
    }
    if args.exit {
        return Ok(());
    }
    let runs = runs(ready).await?;
    context.output.note(&how_to_use(ready, runs));
    look_after(&mut ready.local, context).await
}

/// Whether the model is deployed already, by a tour or before.
async fn runs(ready: &Ready) -> anyhow::Result<bool> {
    let workloads = ready.local.client.workloads(&[]).await?;
    Ok(workloads
        .iter()
        .any(|workload| workload.name == ready.model))
}

/// Starts programs again that end, for ever.
async fn look_after(local: &mut Local, context: &Context) -> anyhow::Result<()> {
    loop {
        let ends = local.processes().map(|process| {
            Box::pin(async move { (process.name().to_owned(), process.ended().await) })
        });
        let ((name, end), _, _) = select_all(ends).await;
        let away = AWAY.as_secs();
        context
            .output
            .note(&format!("{name} {end}; it is started again in {away} s"));
        sleep(AWAY).await;
        let revived = local.revive().await?.join(", ");
        context.output.note(&format!("started again: {revived}"));
    }
}

fn summary(ready: &Ready) -> serde_json::Value {
    let programs = &ready.local.programs;
    json!({
        "control_url": programs.control_url(),
        "gateway_url": programs.gateway_url(),
        "operator_key_file": programs.operator_key(),
        "tenant_key_file": ready.buyer.key_file,
        "project": ready.buyer.project,
        "model": ready.model,
        "profile": ready.naming.name,
        "running": programs.layout.running(),
        "control_ready_ms": ready.local.control_ready_ms,
        "ready_ms": ready.ready_ms,
    })
}

fn told(ready: &Ready) -> String {
    let programs = &ready.local.programs;
    let ready_after = format!(
        "The network is up after {} ms (control after {} ms): {} programs.",
        ready.ready_ms,
        ready.local.control_ready_ms,
        ready.local.processes().count(),
    );
    let programs_of = ready
        .local
        .processes()
        .map(|process| format!("  {:<15} process {}", process.name(), process.pid()));
    let logs = format!("Their logs are in {}", programs.layout.logs().display());
    let lines: Vec<_> = std::iter::once(ready_after)
        .chain(programs_of)
        .chain([logs])
        .collect();
    lines.join("\n")
}

fn how_to_use(ready: &Ready, deployed: bool) -> String {
    let (gateway, key) = (
        ready.local.programs.gateway_url(),
        ready.buyer.key_file.display(),
    );
    let (model, name, flag) = (&ready.model, &ready.naming.name, ready.naming.flag());
    let deploy = if deployed {
        String::new()
    } else {
        format!("  remuda model deploy {model} --replicas 2 --tier multi-site{flag}\n")
    };
    format!(
        "
It stays up until Ctrl-C. The command line knows it as the profile `{name}`:
  remuda status{flag}
{deploy}  curl {gateway}/v1/chat/completions -H \"Authorization: Bearer $(cat {key})\" \\
    -H 'content-type: application/json' \\
    -d '{{\"model\":\"{model}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"What is a remuda?\"}}]}}'
Kill one of its nodes with `kill -9`, and see what happens: it is started again after {} s.
",
        AWAY.as_secs(),
    )
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) async fn down(args: DownArgs, context: &Context) -> anyhow::Result<()> {
    let named = profile::named_folder(context)?;
    let layout = Layout::of(&state_dir(args.state_dir.or(named), context))?;
    let Some(pid) = claim::held_by(&layout)? else {
        let stopped = json!({ "stopped": false });
        let text = format!("nothing runs on {}", layout.root().display());
        return Ok(context.output.show(&stopped, |_| text)?);
    };
    let wheel = progress::wheel(context.output, "waiting for the network to stop");
    kill(pid, Signal::SIGTERM).map_err(|error| {
        let message = format!("process {pid} cannot be asked to stop");
        let way_out = "ask as the user who started it";
        Failure::new(Exit::Unauthorised, message, way_out).caused_by(error)
    })?;
    until("the end of `remuda up`", DOWN_WITHIN, || async {
        Ok::<_, Failure>(claim::held_by(&layout)?.is_none().then_some(()))
    })
    .await?;
    wheel.finish_and_clear();
    let folder = layout.root();
    let stopped = json!({ "stopped": true, "pid": pid.as_raw(), "state_dir": folder });
    let text = format!("stopped the network in {}", folder.display());
    Ok(context.output.show(&stopped, |_| text)?)
}
