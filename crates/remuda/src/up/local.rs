//! A whole network on this machine, as children of this process: started in order, looked after,
//! stopped in order.

use std::time::{Duration, Instant};

use nix::unistd::Pid;
use remuda_link::https;
use remuda_types::NodeKey;
use remuda_wire::api::node::Node;
use serde_json::json;
use tokio::time::sleep;

use super::cast::SEATS;
use super::layout;
use super::market::{Market, Seller};
use super::process::{Process, Program};
use super::programs::Programs;
use super::wait;
use crate::client::Client;
use crate::error::Failure;
use crate::exit::Exit;
use crate::settings::{Key, Target};

/// How long a program may take to be ready.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// How long a program may take to stop before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// A network that runs.
#[derive(Debug)]
pub(crate) struct Local {
    /// How its programs are started.
    pub(crate) programs: Programs,
    /// As the operator.
    pub(crate) client: Client,
    /// From control's start to its first answer.
    pub(crate) control_ready_ms: u64,
    /// Control's name, for the programs that connect to it.
    endpoint: String,
    http: reqwest::Client,
    control: Process,
    gateway: Option<Process>,
    nodes: Vec<Place>,
}

/// A seat of the cast: who owns its node, and the node if it runs.
#[derive(Debug)]
struct Place {
    seller: Option<Seller>,
    process: Option<Process>,
}

impl Local {
    /// Starts control and waits until it answers.
    pub(crate) async fn start(programs: Programs) -> anyhow::Result<Self> {
        let since = Instant::now();
        let control = launch(programs.control()).await?;
        let anonymous = client(&programs, None)?;
        alive_until(&control, || async {
            Ok(anonymous
                .ready()
                .await
                .is_ok_and(|ready| ready.writable)
                .then_some(()))
        })
        .await?;
        let control_ready_ms = super::millis(since.elapsed());
        let operator = operator_key(&programs, &control).await?;
        let client = client(&programs, Some(operator))?;
        let endpoint = client.network().await?.endpoint;
        let nodes = SEATS
            .iter()
            .map(|_| Place {
                seller: None,
                process: None,
            })
            .collect();
        let http = https::client(reqwest::Client::builder())?;
        let gateway = None;
        let local = Self {
            programs,
            client,
            control_ready_ms,
            endpoint,
            http,
            control,
            gateway,
            nodes,
        };
        local.note_running()?;
        Ok(local)
    }

    /// Control's process.
    pub(crate) const fn control(&self) -> Pid {
        self.control.pid()
    }

    /// As the operator sees who takes part.
    pub(crate) fn market(&self) -> Market<'_> {
        Market {
            client: &self.client,
            layout: &self.programs.layout,
        }
    }

    /// Registers the owner of a seat if need be and starts its node.
    pub(crate) async fn start_node(&mut self, seat: usize) -> anyhow::Result<()> {
        let seller = self.market().seller(&SEATS[seat]).await?;
        let program = self
            .programs
            .node(&self.endpoint, seat, &SEATS[seat], &seller);
        let process = launch(program).await?;
        self.nodes[seat] = Place {
            seller: Some(seller),
            process: Some(process),
        };
        self.note_running()
    }

    /// Starts the gateway and waits until it serves.
    pub(crate) async fn start_gateway(&mut self) -> anyhow::Result<()> {
        let process = launch(self.programs.gateway(&self.endpoint)).await?;
        let url = format!("{}/health", self.programs.gateway_url());
        alive_until(&process, || async {
            let answer = self
                .http
                .get(&url)
                .timeout(Duration::from_secs(1))
                .send()
                .await;
            Ok(answer
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(()))
        })
        .await?;
        self.gateway = Some(process);
        self.note_running()
    }

    /// Waits until a seat's node takes leases.
    pub(crate) async fn node_up(&self, seat: usize) -> anyhow::Result<NodeKey> {
        let Place {
            seller: Some(seller),
            process: Some(process),
        } = &self.nodes[seat]
        else {
            anyhow::bail!("the node at {} was not started", SEATS[seat].site);
        };
        alive_until(process, || async {
            let nodes = self.client.nodes().await?;
            // One that drains is there too, and is left to drain.
            let is_there = |node: &Node| ["up", "draining"].contains(&node.presence.as_str());
            let is_it = |node: &&Node| node.site == seller.site && is_there(node);
            Ok(nodes.iter().find(is_it).map(|node| node.id))
        })
        .await
    }

    /// Who owns a seat's node.
    pub(crate) fn seller(&self, seat: usize) -> Option<&Seller> {
        self.nodes[seat].seller.as_ref()
    }

    /// A seat's node, if it was started.
    pub(crate) fn node(&self, seat: usize) -> Option<&Process> {
        self.nodes[seat].process.as_ref()
    }

    /// The seat whose node serves a request now; the first, where there are several.
    pub(crate) async fn serving(&self) -> anyhow::Result<usize> {
        wait::until("a node that serves", READY_WITHIN, || async {
            for seat in 0..self.nodes.len() {
                if self.in_flight(seat).await > 0 {
                    return Ok(Some(seat));
                }
            }
            Ok::<_, Failure>(None)
        })
        .await
    }

    /// Requests that a seat's node serves, as it says itself; none where it says nothing.
    async fn in_flight(&self, seat: usize) -> u64 {
        const GAUGE: &str = "remuda_node_requests_in_flight ";
        let url = self.programs.node_metrics_url(seat);
        let answer = self
            .http
            .get(url)
            .timeout(Duration::from_millis(500))
            .send()
            .await;
        let Ok(answer) = answer else { return 0 };
        let text = answer.text().await.unwrap_or_default();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(GAUGE)?.trim().parse().ok());
        value.unwrap_or_default()
    }

    /// Every program that was started.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        let nodes = self.nodes.iter().filter_map(|place| place.process.as_ref());
        [&self.control]
            .into_iter()
            .chain(&self.gateway)
            .chain(nodes)
    }

    /// Starts again what has ended; says what that was.
    pub(crate) async fn revive(&mut self) -> anyhow::Result<Vec<String>> {
        let (programs, endpoint) = (&self.programs, &self.endpoint);
        let mut revived = again(&mut self.control, || programs.control()).await?;
        if let Some(gateway) = &mut self.gateway {
            revived.extend(again(gateway, || programs.gateway(endpoint)).await?);
        }
        for (seat, place) in self.nodes.iter_mut().enumerate() {
            if let Place {
                seller: Some(seller),
                process: Some(process),
            } = place
            {
                let program = || programs.node(endpoint, seat, &SEATS[seat], seller);
                revived.extend(again(process, program).await?);
            }
        }
        self.note_running()?;
        Ok(revived)
    }

    /// Keeps, for programs that look at it, what runs.
    fn note_running(&self) -> anyhow::Result<()> {
        let process = |process: &Process| {
            json!({
                "name": process.name(),
                "pid": process.pid().as_raw(),
                "log": process.log(),
            })
        };
        let running = json!({
            "up": std::process::id(),
            "control_url": self.programs.control_url(),
            "gateway_url": self.programs.gateway_url(),
            "operator_key_file": self.programs.operator_key(),
            "programs": self.processes().map(process).collect::<Vec<_>>(),
        });
        let path = self.programs.layout.running();
        Ok(layout::write(
            &path,
            &serde_json::to_string_pretty(&running)?,
        )?)
    }

    /// Stops everything: the door first, then control, so that it takes the nodes' going for no
    /// loss, then the nodes.
    pub(crate) async fn stop(self) {
        if let Some(gateway) = &self.gateway {
            gateway.stop(STOP_WITHIN).await;
        }
        self.control.stop(STOP_WITHIN).await;
        let nodes = self.nodes.iter().filter_map(|place| place.process.as_ref());
        futures::future::join_all(nodes.map(|node| node.stop(STOP_WITHIN))).await;
    }
}

/// A client of the network's control.
pub(crate) fn client(programs: &Programs, key: Option<Key>) -> anyhow::Result<Client> {
    let url = programs.control_url().parse()?;
    Ok(Client::new(&Target {
        url,
        key,
        project: None,
        gateway_url: None,
    })?)
}

async fn operator_key(programs: &Programs, control: &Process) -> anyhow::Result<Key> {
    let path = programs.operator_key();
    let text = alive_until(control, || async { Ok(layout::read(&path)?) }).await?;
    Ok(text.parse()?)
}

/// Starts a program again if it has ended; says its name then.
async fn again(
    process: &mut Process,
    program: impl FnOnce() -> Program,
) -> anyhow::Result<Vec<String>> {
    if process.end().is_none() {
        return Ok(Vec::new());
    }
    *process = launch(program()).await?;
    Ok(vec![process.name().to_owned()])
}

async fn launch(program: Program) -> anyhow::Result<Process> {
    let name = program.name.clone();
    Process::start(program).await.map_err(|error| {
        let message = format!("{name} cannot be started");
        let way_out = "look whether this binary is still where it was";
        Failure::new(Exit::Internal, message, way_out)
            .caused_by(error)
            .into()
    })
}

/// Waits for something of a program; gives up at once when the program ends.
async fn alive_until<T, F>(process: &Process, look: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let what = format!(
        "{} being ready (its log is {})",
        process.name(),
        process.log().display()
    );
    tokio::select! {
        found = wait::until(&what, READY_WITHIN, look) => found,
        end = process.ended() => {
            // Its last words may still be on their way to the disk.
            sleep(Duration::from_millis(50)).await;
            let words = process.last_words();
            let message = format!("{} {end}:\n{words}", process.name());
            let way_out = format!("its log is {}", process.log().display());
            Err(Failure::new(Exit::Internal, message, way_out).into())
        }
    }
}
