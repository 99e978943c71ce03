//! One node's session.
//!
//! Input: its reports, the follower's state. Output: commands for what changed, the node's whole
//! assignment whenever it is another, signs of life for the failure detector.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remuda_journal::Seq;
use remuda_link::{Connection, Receiver, Sender, Stream};
use remuda_network::command::{EnrolNode, ObservedPhase};
use remuda_network::state::{EndReason, KeyOwner, Phase, Presence, Scope};
use remuda_network::{Command, Network};
use remuda_types::{Digest, LeaseId, NodeKey, ProviderId, Span, Time};
use remuda_wire::node::{
    Assigned, ControlMessage, Enrolment, ExitReason, Hello, NodeMessage, Observed, ObservedState,
    SessionRefused, Welcome,
};

use super::{Doors, NodeSession, assignment};
use crate::core::Core;
use crate::sequencer::SubmitError;

type Outbox = Sender<ControlMessage>;
type Inbox = Receiver<NodeMessage>;

/// How far a node's clock may be off.
const CLOCK_OFF_MAX: Span = Span::from_secs(30);

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parting {
    /// The node said that it leaves.
    Orderly,
    /// The connection broke.
    Broken,
}

/// Serves one node until its session ends.
pub(super) async fn serve(doors: Doors, connection: Connection) {
    let node = NodeKey(*connection.remote_id().as_bytes());
    let Ok(stream) = Stream::<NodeMessage, ControlMessage>::accept(&connection).await else {
        return;
    };
    let Stream {
        mut sender,
        mut receiver,
    } = stream;
    let Ok(Some(NodeMessage::Hello(hello))) = receiver.receive().await else {
        return;
    };
    if let Err(refused) = admit(&doors, node, &hello).await {
        tracing::warn!(%node, detail = refused.detail, "a node's session is refused");
        if sender.send(&ControlMessage::Refused(refused)).await.is_ok() {
            sender.finish();
            connection.closed().await;
        }
        return;
    }
    run(&doors, node, *hello, &connection, (sender, receiver)).await;
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "callers pass texts and errors alike"
)]
fn refused(detail: impl ToString, retry: bool) -> SessionRefused {
    SessionRefused {
        detail: detail.to_string(),
        retry,
    }
}

/// Lets a known node in, or enrols a new one.
async fn admit(doors: &Doors, node: NodeKey, hello: &Hello) -> Result<(), SessionRefused> {
    check_clock(&doors.core, hello)?;
    check_alone(doors, node, hello).await?;
    if doors
        .core
        .read(|network| network.state().nodes.contains_key(&node))
    {
        settle_restart(doors, node, hello).await;
    } else {
        enrol(&doors.core, node, hello).await?;
    }
    let connected = Command::NodeConnected {
        node,
        capacity: hello.inventory.capacity,
    };
    doors
        .core
        .submit_own(connected)
        .await
        .map(|_| ())
        .map_err(|error| refusal(&error))
}

fn refusal(error: &SubmitError) -> SessionRefused {
    let retry = match error {
        SubmitError::ReadOnly { .. } | SubmitError::Stopping => true,
        SubmitError::Refused(_) => false,
    };
    refused(error, retry)
}

fn check_clock(core: &Core, hello: &Hello) -> Result<(), SessionRefused> {
    let now = core.clock().now();
    let off = now
        .since(hello.clock)
        .saturating_add(hello.clock.since(now));
    if off <= CLOCK_OFF_MAX {
        return Ok(());
    }
    let way = if hello.clock > now {
        "ahead of"
    } else {
        "behind"
    };
    Err(refused(
        format!(
            "the node's clock is {off} {way} control's, {CLOCK_OFF_MAX} are allowed: set it (NTP)"
        ),
        true,
    ))
}

/// Two machines with one key cannot both be the node. The same daemon may come back at once; a
/// restarted one when the session before it no longer answers.
async fn check_alone(doors: &Doors, node: NodeKey, hello: &Hello) -> Result<(), SessionRefused> {
    let other = doors
        .sessions
        .node(&node)
        .filter(|session| session.boot != hello.boot);
    let still_there = match other.and_then(|session| session.connection) {
        Some(_) => doors.sessions.ping(node, hello.boot).await,
        None => false,
    };
    if !still_there {
        return Ok(());
    }
    Err(refused(
        "another machine is connected with this node's key: give each machine its own state folder",
        false,
    ))
}

/// A daemon that was restarted served nothing after its last report, and its replicas are not ready
/// until it says so again.
async fn settle_restart(doors: &Doors, node: NodeKey, hello: &Hello) {
    let before = doors
        .sessions
        .node(&node)
        .filter(|session| session.boot != hello.boot);
    if let Some(before) = before {
        let last_seen = Time::from_millis(before.heard_ms.load(Ordering::Relaxed));
        submit(&doors.core, Command::NodeSuspected { node, last_seen }).await;
    }
}

/// Leases that the network holds for ready and the node does not: it starts them anew.
async fn note_unready(core: &Core, node: NodeKey, replicas: &[Observed]) {
    let ready = |lease: &LeaseId| {
        replicas
            .iter()
            .any(|seen| seen.lease == *lease && seen.state == ObservedState::Ready)
    };
    let believed: Vec<_> = core.read(|network| {
        let leases = network
            .state()
            .nodes
            .get(&node)
            .into_iter()
            .flat_map(|node| &node.leases);
        let leases = leases.filter_map(|id| network.state().leases.get(id).map(|l| (*id, l)));
        let charged =
            leases.filter(|(_, lease)| matches!(lease.phase, Phase::Ready | Phase::Suspect));
        charged.map(|(id, lease)| (id, lease.epoch)).collect()
    });
    for (lease, epoch) in believed.into_iter().filter(|(lease, _)| !ready(lease)) {
        let observed = ObservedPhase::Starting;
        submit(
            core,
            Command::ObserveReplica {
                node,
                lease,
                epoch,
                observed,
            },
        )
        .await;
    }
}

async fn enrol(core: &Core, node: NodeKey, hello: &Hello) -> Result<(), SessionRefused> {
    let Some(enrolment) = &hello.enrolment else {
        let detail = "this node is not known here: join it with a provider's key and a site";
        return Err(refused(detail, false));
    };
    let provider = core.read(|network| owner(network, core, enrolment))?;
    let terms = EnrolNode {
        node,
        provider,
        site: enrolment.site,
        class: hello.inventory.class,
        capacity: hello.inventory.capacity,
        price: enrolment.price,
    };
    let enrolled = core.submit_own(Command::EnrolNode(Box::new(terms))).await;
    enrolled.map(|_| ()).map_err(|error| refusal(&error))
}

/// Whose key it is, if it may add nodes.
fn owner(
    network: &Network,
    core: &Core,
    enrolment: &Enrolment,
) -> Result<ProviderId, SessionRefused> {
    let digest = Digest::of(enrolment.provider_key.as_bytes());
    let key = network
        .index()
        .key(&digest)
        .and_then(|id| network.state().keys.get(&id));
    let key = key.filter(|key| key.is_valid(core.clock().now()));
    match key.map(|key| (key.owner, key.scopes.contains(&Scope::Supply))) {
        Some((KeyOwner::Provider(provider), true)) => Ok(provider),
        Some((KeyOwner::Provider(_), false)) => Err(refused(
            "the provider's key lacks the scope `supply`: issue one that has it",
            false,
        )),
        Some((KeyOwner::Operator | KeyOwner::Project(_), _)) | None => Err(refused(
            "the key is no provider's, or it expired or was revoked",
            false,
        )),
    }
}

async fn run(
    doors: &Doors,
    node: NodeKey,
    hello: Hello,
    connection: &Connection,
    (mut sender, receiver): (Outbox, Inbox),
) {
    let welcome = Welcome {
        clock: doors.core.clock().now(),
        report_interval_ms: doors
            .core
            .config()
            .liveness
            .settings()
            .report_interval
            .as_millis(),
        processes_allowed: doors
            .core
            .read(|network| network.state().policy.processes_allowed),
        grant_key: doors.sessions.grant_key(),
    };
    if sender
        .send(&ControlMessage::Welcome(welcome))
        .await
        .is_err()
    {
        return;
    }
    let heard_ms = Arc::new(AtomicU64::new(doors.core.clock().now().as_millis()));
    let number = doors.sessions.node_joined(
        node,
        NodeSession {
            boot: hello.boot,
            number: 0,
            connection: Some(connection.clone()),
            addresses: hello.addresses,
            description: hello.inventory.description,
            heard_ms: Arc::clone(&heard_ms),
        },
    );
    tracing::info!(%node, "a node is connected");
    doors.detector.joined(node).await;
    note_unready(&doors.core, node, &hello.replicas).await;
    observe(&doors.core, node, &hello.replicas).await;
    let parting = tokio::select! {
        parting = listen(doors, node, receiver, &heard_ms) => parting,
        () = tell(&doors.core, node, sender) => Parting::Broken,
    };
    if doors.sessions.node_parted(node, number) {
        part(doors, node, parting).await;
    }
}

async fn part(doors: &Doors, node: NodeKey, parting: Parting) {
    tracing::info!(%node, ?parting, "a node's session ended");
    let idle = doors.core.read(|network| {
        network
            .state()
            .nodes
            .get(&node)
            .is_some_and(|node| node.leases.is_empty())
    });
    if parting == Parting::Orderly && idle {
        doors.detector.left(node).await;
        submit(&doors.core, Command::NodeDisconnected { node }).await;
    } else {
        doors.detector.connection_broken(node).await;
    }
}

/// Hears the node until its session ends.
async fn listen(
    doors: &Doors,
    node: NodeKey,
    mut receiver: Inbox,
    heard_ms: &AtomicU64,
) -> Parting {
    let mut leaving = false;
    loop {
        match receiver.receive().await {
            Ok(Some(NodeMessage::Report(report))) => {
                heard_ms.store(doors.core.clock().now().as_millis(), Ordering::Relaxed);
                doors.detector.report(node).await;
                observe(&doors.core, node, &report.replicas).await;
            }
            Ok(Some(NodeMessage::Leaving)) => {
                leaving = true;
                submit(&doors.core, Command::DrainNode { node }).await;
            }
            Ok(Some(NodeMessage::Hello(_))) => {}
            Ok(None) | Err(_) => {
                return if leaving {
                    Parting::Orderly
                } else {
                    Parting::Broken
                };
            }
        }
    }
}

/// Tells the node its assignment whenever it is another; ends when the node no longer listens.
async fn tell(core: &Core, node: NodeKey, mut sender: Outbox) {
    let mut changes = core.changes();
    let mut told: Option<Vec<Assigned>> = None;
    loop {
        let Seq(generation) = *changes.borrow_and_update();
        let replicas = assignment::of(core, node);
        if told.as_ref() != Some(&replicas) {
            let message = assignment::stamped(core, generation, replicas.clone());
            if sender
                .send(&ControlMessage::Assignment(message))
                .await
                .is_err()
            {
                return;
            }
            told = Some(replicas);
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Turns what the node sees into commands, where the network sees something else.
async fn observe(core: &Core, node: NodeKey, replicas: &[Observed]) {
    for observed in replicas {
        let Some(phase) = core.read(|network| news(network, node, observed)) else {
            continue;
        };
        let command = Command::ObserveReplica {
            node,
            lease: observed.lease,
            epoch: observed.lease_epoch,
            observed: phase,
        };
        submit(core, command).await;
    }
}

async fn submit(core: &Core, command: Command) {
    match core.submit_own(command).await {
        Ok(_) => {}
        // The node reports again in a second; whatever still differs is submitted then.
        Err(error) => tracing::debug!(%error, "a node's observation was not taken"),
    }
}

/// What the network does not know yet of a replica; nothing for leases it has ended.
fn news(network: &Network, node: NodeKey, observed: &Observed) -> Option<ObservedPhase> {
    let state = network.state();
    let lease = state.leases.get(&observed.lease)?;
    if lease.node != node || lease.epoch != observed.lease_epoch {
        return None;
    }
    let suspect = state
        .nodes
        .get(&node)
        .is_some_and(|n| matches!(n.presence, Presence::Suspect(_)));
    let seen = seen(&observed.state)?;
    let known = match (seen, lease.phase) {
        (ObservedPhase::Ended(_), _) => false,
        (_, Phase::Draining(_)) => true,
        (ObservedPhase::Preparing, phase) => phase == Phase::Preparing,
        (ObservedPhase::Starting, phase) => phase == Phase::Starting,
        (ObservedPhase::Ready, phase) => phase == Phase::Ready || suspect,
        (ObservedPhase::Unhealthy, phase) => phase == Phase::Suspect,
    };
    (!known).then_some(seen)
}

fn seen(state: &ObservedState) -> Option<ObservedPhase> {
    match state {
        ObservedState::Preparing(_) => Some(ObservedPhase::Preparing),
        ObservedState::Starting => Some(ObservedPhase::Starting),
        ObservedState::Ready => Some(ObservedPhase::Ready),
        ObservedState::Unhealthy => Some(ObservedPhase::Unhealthy),
        ObservedState::Draining => None,
        ObservedState::Ended(exit) => Some(ObservedPhase::Ended(end(exit.reason))),
    }
}

const fn end(reason: ExitReason) -> EndReason {
    match reason {
        ExitReason::Stopped => EndReason::Stopped,
        ExitReason::Completed => EndReason::Completed,
        ExitReason::Crashed => EndReason::Crashed,
        ExitReason::OutOfMemory => EndReason::OutOfMemory,
        ExitReason::PrepareFailed => EndReason::PrepareFailed,
        ExitReason::NeverReady => EndReason::NeverReady,
        ExitReason::LeaseEnded => EndReason::TermOver,
        ExitReason::RuntimeRefused => EndReason::RuntimeRefused,
        ExitReason::DaemonRestarted => EndReason::NodeRestarted,
    }
}
