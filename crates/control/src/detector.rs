//! The failure detector's task.
//!
//! Input: signs of life and their absence, from sessions and gateways. Output: probes, and the
//! commands that verdicts are. The decisions are `remuda-liveness`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use remuda_liveness::{Output, Probe, Transition, Vantage, Vantages, Verdict};
use remuda_network::Command;
use remuda_network::state::Presence;
use remuda_types::{NodeKey, Time};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::core::Core;
use crate::core::vitals::Part;
use crate::sequencer::SubmitError;
use crate::session::Sessions;

/// Inputs that may wait.
const INPUTS: usize = 65_536;

/// While control cannot write, a verdict is tried again this often.
const RETRY: Duration = Duration::from_millis(500);

/// The longest sleep, so that a clock that was set is noticed.
const SLEEP_MAX_MS: u64 = 1_000;

#[derive(Clone, Copy, Debug)]
enum Input {
    Joined(NodeKey),
    Report(NodeKey),
    Broken(NodeKey),
    Left(NodeKey),
    Sighting(NodeKey, bool),
    Answered(Probe),
    Failed(Probe),
    Gateways(usize),
    Adopt,
}

/// Where signs of life go.
#[derive(Clone, Debug)]
pub(crate) struct DetectorHandle {
    inputs: mpsc::Sender<Input>,
}

/// The task.
pub(crate) struct Detector {
    decide: remuda_liveness::Detector,
    core: Core,
    sessions: Sessions,
    inputs: mpsc::Sender<Input>,
    verdicts: mpsc::UnboundedSender<Transition>,
    tasks: TaskTracker,
    /// Nodes that the state believes in and that were not heard since control came back.
    unheard: BTreeSet<NodeKey>,
}

impl DetectorHandle {
    async fn send(&self, input: Input) {
        // The task is gone only when control stops.
        self.inputs.send(input).await.unwrap_or_default();
    }

    pub(crate) async fn joined(&self, node: NodeKey) {
        self.send(Input::Joined(node)).await;
    }

    pub(crate) async fn report(&self, node: NodeKey) {
        self.send(Input::Report(node)).await;
    }

    pub(crate) async fn connection_broken(&self, node: NodeKey) {
        self.send(Input::Broken(node)).await;
    }

    pub(crate) async fn left(&self, node: NodeKey) {
        self.send(Input::Left(node)).await;
    }

    pub(crate) async fn sighting(&self, node: NodeKey, answered: bool) {
        self.send(Input::Sighting(node, answered)).await;
    }

    pub(crate) async fn gateways(&self, count: usize) {
        self.send(Input::Gateways(count)).await;
    }
}

impl Detector {
    /// Starts the task.
    pub(crate) fn spawn(
        tasks: &TaskTracker,
        core: Core,
        sessions: Sessions,
        stop: CancellationToken,
    ) -> DetectorHandle {
        let (inputs, inbox) = mpsc::channel(INPUTS);
        let (verdicts, due) = mpsc::unbounded_channel();
        let handle = DetectorHandle {
            inputs: inputs.clone(),
        };
        let vitals = core.vitals().clone();
        let submitting = until(stop.clone(), submit_all(core.clone(), due));
        tasks.spawn(vitals.task(Part::Detector, stop.clone(), submitting));
        tasks.spawn(until(
            stop.clone(),
            adopt_later(core.config().adopt_within, inputs.clone()),
        ));
        let detector = Self {
            unheard: BTreeSet::new(),
            decide: remuda_liveness::Detector::new(core.config().liveness),
            core,
            sessions,
            inputs,
            verdicts,
            tasks: tasks.clone(),
        };
        let detecting = until(stop.clone(), detector.run(inbox));
        tasks.spawn(vitals.task(Part::Detector, stop, detecting));
        handle
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Input>) {
        loop {
            let input = tokio::select! {
                input = inbox.recv() => Some(input),
                () = tokio::time::sleep(self.until_deadline()) => None,
            };
            match input {
                Some(Some(input)) => self.take(input),
                Some(None) => return,
                None => {}
            }
            while let Ok(input) = inbox.try_recv() {
                self.take(input);
            }
            let outputs = self.decide.tick(self.now());
            self.act(outputs);
        }
    }

    fn now(&self) -> Time {
        self.core.clock().now()
    }

    fn until_deadline(&self) -> Duration {
        let wait = self
            .decide
            .next_deadline()
            .map(|due| due.since(self.now()).as_millis());
        Duration::from_millis(wait.unwrap_or(SLEEP_MAX_MS).min(SLEEP_MAX_MS))
    }

    fn take(&mut self, input: Input) {
        let now = self.now();
        let outputs = match input {
            Input::Joined(node) => {
                self.unheard.remove(&node);
                self.decide.joined(node, now)
            }
            Input::Report(node) => self.decide.report(node, now),
            Input::Broken(node) => self.decide.connection_broken(node, now),
            Input::Left(node) => self.decide.left(node),
            Input::Sighting(node, answered) => self.decide.sighting(node, answered, now),
            Input::Answered(probe) => self.decide.probe_answered(probe, now),
            Input::Failed(probe) => self.decide.probe_failed(probe, now),
            Input::Gateways(gateways) => {
                self.decide.set_vantages(Vantages { gateways });
                Vec::new()
            }
            Input::Adopt => self.adopt(now),
        };
        self.act(outputs);
    }

    /// Watches nodes that the state believes in but that have not come back.
    fn adopt(&mut self, now: Time) -> Vec<Output> {
        let missing: Vec<NodeKey> = self.core.read(|network| {
            let nodes = network.state().nodes.iter();
            let believed = nodes.filter(|(_, node)| match node.presence {
                Presence::Up(_) | Presence::Suspect(_) | Presence::Draining(_) => true,
                Presence::Away(_) => !node.leases.is_empty(),
                Presence::Lost(_) | Presence::Left(_) => false,
            });
            believed.map(|(id, _)| *id).collect()
        });
        let unseen = missing
            .into_iter()
            .filter(|node| self.decide.verdict(node).is_none());
        self.unheard = unseen.collect();
        let unheard = self.unheard.clone().into_iter();
        unheard
            .flat_map(|node| self.decide.joined(node, now))
            .collect()
    }

    fn act(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Probe(probe) => self.probe(probe),
                Output::Verdict(transition) => {
                    tracing::info!(
                        node = %transition.node, from = %transition.from, to = %transition.to,
                        evidence = %transition.evidence, "verdict"
                    );
                    self.end_if_lost(&transition);
                    let transition = self.last_seen_at_most(transition);
                    self.verdicts.send(transition).unwrap_or_default();
                }
                Output::Isolated { .. } => {
                    tracing::warn!("no node is heard at all: verdicts are held");
                }
                Output::Reached { .. } => tracing::info!("nodes are heard again"),
                Output::Paused { late, .. } => {
                    tracing::warn!(%late, "control itself was paused: all nodes get a fresh window");
                }
            }
        }
    }

    /// One that stood still or was cut off for just long enough may have its session yet. In that
    /// one it would go on reporting, taken for up by the network and watched by nobody.
    fn end_if_lost(&self, transition: &Transition) {
        match transition.to {
            Verdict::Lost => self.sessions.end(&transition.node),
            Verdict::Alive | Verdict::Suspect => {}
        }
    }

    /// What was never heard since control came back is not paid for the time since.
    fn last_seen_at_most(&self, transition: Transition) -> Transition {
        if self.unheard.contains(&transition.node) {
            Transition {
                last_seen: self.core.recovered(),
                ..transition
            }
        } else {
            transition
        }
    }

    fn probe(&self, probe: Probe) {
        match probe.vantage {
            Vantage::Gateway => self.sessions.probe_from_gateway(probe.node, probe.attempt),
            Vantage::Control => {
                let (sessions, inputs) = (self.sessions.clone(), self.inputs.clone());
                self.tasks.spawn(async move {
                    let answered = sessions.ping(probe.node, u64::from(probe.attempt)).await;
                    let input = if answered {
                        Input::Answered(probe)
                    } else {
                        Input::Failed(probe)
                    };
                    inputs.send(input).await.unwrap_or_default();
                });
            }
        }
    }
}

async fn until(stop: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        () = stop.cancelled() => {}
    }
}

async fn adopt_later(within: Duration, inputs: mpsc::Sender<Input>) {
    tokio::time::sleep(within).await;
    inputs.send(Input::Adopt).await.unwrap_or_default();
}

/// Verdicts as commands, in order. Of each node only the newest matters.
async fn submit_all(core: Core, mut due: mpsc::UnboundedReceiver<Transition>) {
    let mut waiting: BTreeMap<NodeKey, Transition> = BTreeMap::new();
    loop {
        if waiting.is_empty() {
            let Some(first) = due.recv().await else {
                return;
            };
            waiting.insert(first.node, first);
        }
        while let Ok(next) = due.try_recv() {
            waiting.insert(next.node, next);
        }
        waiting = submit_wave(&core, waiting).await;
        if !waiting.is_empty() {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Submits one verdict of each node, all at once, so that the loss of a site is one batch. Returns
/// those that could not be written down.
async fn submit_wave(
    core: &Core,
    wave: BTreeMap<NodeKey, Transition>,
) -> BTreeMap<NodeKey, Transition> {
    let submitted = wave.into_values().map(async |transition| {
        let answer = core.submit_own(command(&transition)).await;
        matches!(answer, Err(SubmitError::ReadOnly { .. })).then_some((transition.node, transition))
    });
    join_all(submitted).await.into_iter().flatten().collect()
}

const fn command(transition: &Transition) -> Command {
    let (node, last_seen) = (transition.node, transition.last_seen);
    match transition.to {
        Verdict::Alive => Command::NodeCleared { node },
        Verdict::Suspect => Command::NodeSuspected { node, last_seen },
        Verdict::Lost => Command::NodeLost { node, last_seen },
    }
}
