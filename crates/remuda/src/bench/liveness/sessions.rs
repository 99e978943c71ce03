//! Sessions with a control that runs: a child of this process, as `remuda up` starts it, so that
//! its time on the CPUs is its own.
//!
//! Every session is a node's as control knows nodes: an ed25519 key and an endpoint of its own,
//! enrolled with a provider's key, on an authenticated connection over loopback that nothing else
//! shares. Nodes stand in this process, for their own cost is not what is measured.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use remuda_types::Price;
use remuda_wire::node::Enrolment;
use tokio::time::sleep;

use super::herd::Herd;
use super::node::Control;
use super::{Args, usage};
use crate::bench::folder;
use crate::context::Context;
use crate::up::{self, Hosts, Layout, Local, Ports, Programs, SEATS};

/// What has just been started or joined calms down for so long before it is measured.
const CALM: Duration = Duration::from_secs(3);

/// How long it may take until no node is doubted.
const ALL_UP_WITHIN: Duration = Duration::from_secs(10);

/// A node's price: one that needs next to no bond.
const PRICE: Price = Price::from_micros_per_hour(1);

/// What control used without and with sessions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    sessions: u32,
    idle: Window,
    busy: Window,
    reports: u64,
}

/// Time on the CPUs within a span.
#[derive(Clone, Copy, Debug)]
struct Window {
    span: Duration,
    cpu: Duration,
}

/// Holds the sessions and measures control.
pub(super) async fn measure(args: &Args, context: &Context) -> anyhow::Result<Held> {
    let parent = args.dir.clone();
    let parent = parent.unwrap_or_else(|| context.environment.data_dir());
    let folder = folder::make(&parent, "--dir")?;
    let programs = Programs {
        binary: std::env::current_exe()?,
        log: context.global.log.clone(),
        layout: Layout::make(folder.path())?,
        ports: Ports::from(args.port_base),
        hosts: Hosts::loopback(0),
    };
    let local = up::control(programs).await?;
    let mut herd = Herd::default();
    let held = hold(args, &local, &mut herd).await;
    // First, so that it takes the nodes' going for no loss.
    local.stop().await;
    herd.scatter().await;
    held
}

async fn hold(args: &Args, local: &Local, herd: &mut Herd) -> anyhow::Result<Held> {
    let span = Duration::from_secs(args.seconds);
    let control = control(local).await?;
    sleep(CALM).await;
    let idle = Window::measure(local.control(), span).await?;
    herd.gather(&control, args.sessions).await?;
    sleep(CALM).await;
    let before = herd.reports();
    let busy = Window::measure(local.control(), span).await?;
    let reports = herd.reports() - before;
    if let Some(error) = herd.broken() {
        return Err(error.context("a session broke while it was measured"));
    }
    all_up(local, args.sessions).await?;
    Ok(Held {
        sessions: args.sessions,
        idle,
        busy,
        reports,
    })
}

/// Control's endpoint, and a provider's right to join it.
async fn control(local: &Local) -> anyhow::Result<Control> {
    let seller = local.market().seller(&SEATS[0]).await?;
    let provider_key = std::fs::read_to_string(&seller.key_file)?;
    let (id, ports) = (local.client.network().await?.endpoint, local.programs.ports);
    Ok(Control {
        id: id.parse()?,
        address: SocketAddr::new(local.programs.hosts.centre, ports.control_iroh()),
        enrolment: Enrolment {
            provider_key: provider_key.trim_end().to_owned(),
            site: seller.site,
            price: PRICE,
        },
    })
}

/// Control itself must hold every node for alive; one may just have been questioned.
async fn all_up(local: &Local, sessions: u32) -> anyhow::Result<()> {
    let what = format!("control holding all {sessions} nodes for up");
    up::until(&what, ALL_UP_WITHIN, || async {
        let nodes = local.client.nodes().await?;
        let up = nodes.iter().filter(|node| node.presence == "up").count();
        Ok::<_, anyhow::Error>((up == sessions as usize).then_some(()))
    })
    .await
}

impl Window {
    async fn measure(pid: Pid, length: Duration) -> anyhow::Result<Self> {
        let (since, before) = (Instant::now(), usage::cpu_of(pid)?);
        sleep(length).await;
        Ok(Self {
            span: since.elapsed(),
            cpu: usage::cpu_of(pid)?.saturating_sub(before),
        })
    }

    /// Microseconds a second.
    fn us_per_s(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.span.as_secs_f64()
    }
}

impl Held {
    /// What a session adds to what control uses.
    pub(super) fn cpu_us_per_session_s(&self) -> f64 {
        (self.busy.us_per_s() - self.idle.us_per_s()) / f64::from(self.sessions)
    }

    pub(super) fn cpu_us_idle_s(&self) -> f64 {
        self.idle.us_per_s()
    }

    #[expect(clippy::cast_precision_loss, reason = "reports far below 2^52")]
    pub(super) fn reports_per_session_s(&self) -> f64 {
        self.reports as f64 / f64::from(self.sessions) / self.busy.span.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_control_uses_anyway_is_no_sessions_cost() {
        let window = |span, cpu| Window {
            span: Duration::from_secs(span),
            cpu: Duration::from_millis(cpu),
        };
        let held = Held {
            sessions: 500,
            idle: window(10, 20),
            busy: window(20, 1_040),
            reports: 10_000,
        };
        assert!((held.cpu_us_idle_s() - 2_000.0).abs() < 1e-6);
        assert!((held.cpu_us_per_session_s() - 100.0).abs() < 1e-6);
        assert!((held.reports_per_session_s() - 1.0).abs() < 1e-6);
    }
}
