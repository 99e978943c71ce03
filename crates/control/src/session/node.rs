//! One node's session.
//!
//! Input: its reports, the follower's state. Output: commands for what changed, the node's whole
//! assignment whenever it is another, signs of life for the failure detector.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use remuda_journal::Seq;
use remuda_link::{Connection, Receiver, Sender, Stream};
use remuda_network::absence::{self, Gap, Testimony};
use remuda_network::command::{EnrolNode, ObservedPhase};
use remuda_network::state::{EndReason, KeyOwner, Phase, Presence, Scope};
use remuda_network::{Command, Network};
use remuda_types::{Capacity, Digest, LeaseId, NodeKey, ProviderId, Span, Time};
use remuda_wire::frame::MAX_STATE_FRAME_BYTES;
use remuda_wire::node::{
    Assigned, ControlMessage, Enrolment, ExitReason, Hello, NodeMessage, Observed, ObservedState,
    Pause, SessionRefused, Welcome,
};
use tokio::time::timeout;

use super::{Doors, NodeSession, assignment};
use crate::core::Core;
use crate::sequencer::SubmitError;

type Outbox = Sender<ControlMessage>;
type Inbox = Receiver<NodeMessage>;

/// How far a node's clock may be off.
const CLOCK_OFF_MAX: Span = Span::from_secs(30);

/// How long a connection may take to say who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// How long a node that was refused may take to read why.
const REFUSAL_READ_WITHIN: Duration = Duration::from_secs(10);

/// Addresses of a node that are passed on; who dials it tries them all at once.
const ADDRESSES_MAX: usize = 8;

/// Reports that are looked into: so many at once, and so many a second. More are signs of life and
/// nothing else, so that no node fills the journal.
const REPORTS_AT_ONCE: u64 = 32;
const REPORTS_A_SECOND: u64 = 4;

/// What is left of them, in thousandths of a report.
#[derive(Debug)]
struct Allowance {
    left: u64,
    at: Time,
}

impl Allowance {
    const FULL: u64 = REPORTS_AT_ONCE * 1_000;

    const fn new(now: Time) -> Self {
        let left = Self::FULL;
        Self { left, at: now }
    }

    fn take(&mut self, now: Time) -> bool {
        let earned = now
            .since(self.at)
            .as_millis()
            .saturating_mul(REPORTS_A_SECOND);
        self.left = self.left.saturating_add(earned).min(Self::FULL);
        self.at = now;
        let enough = self.left >= 1_000;
        if enough {
            self.left -= 1_000;
        }
        enough
    }
}

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
    let Ok(Some((hello, mut sender, receiver))) = timeout(HELLO_WITHIN, hello(&connection)).await
    else {
        return;
    };
    if let Err(refused) = admit(&doors, node, &hello).await {
        tracing::warn!(%node, detail = refused.detail, "a node's session is refused");
        if sender.send(&ControlMessage::Refused(refused)).await.is_ok() {
            sender.finish();
            // Closed here, the refusal could be lost on its way.
            drop(timeout(REFUSAL_READ_WITHIN, connection.closed()).await);
        }
        return;
    }
    run(&doors, node, hello, &connection, (sender, receiver)).await;
}

/// The node's first words.
async fn hello(connection: &Connection) -> Option<(Hello, Outbox, Inbox)> {
    let stream = Stream::<NodeMessage, ControlMessage>::accept(connection).await;
    let stream = stream.ok()?.up_to(MAX_STATE_FRAME_BYTES);
    let Stream {
        sender,
        mut receiver,
    } = stream;
    match receiver.receive().await {
        Ok(Some(NodeMessage::Hello(mut hello))) => {
            hello.addresses.truncate(ADDRESSES_MAX);
            Some((*hello, sender, receiver))
        }
        Ok(Some(NodeMessage::Report(_) | NodeMessage::Leaving) | None) | Err(_) => None,
    }
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
    check_epoch(&doors.core, hello)?;
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
    let returned = is_back(&doors.core, node, hello).then_some(Command::NodeReturned { node });
    for command in [Some(connected), returned].into_iter().flatten() {
        let done = doors.core.submit_own(command).await;
        done.map_err(|error| refusal(&error))?;
    }
    Ok(())
}

/// Whether a node that drains because its daemon was to stop has another now.
fn is_back(core: &Core, node: NodeKey, hello: &Hello) -> bool {
    let leaves = |network: &Network| network.state().nodes.get(&node).is_some_and(|of| of.leaves);
    !hello.leaving && core.read(leaves)
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

/// A node that follows a newer control takes no word from this one: its journal is an older copy,
/// or another control has taken over.
fn check_epoch(core: &Core, hello: &Hello) -> Result<(), SessionRefused> {
    let (held, own) = (hello.holds.epoch, core.epoch());
    if held <= own {
        return Ok(());
    }
    Err(refused(
        format!(
            "the node follows control's epoch {held}, this control has epoch {own}: start it on the newest journal"
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
    let last_seen = match doors.sessions.node(&node) {
        Some(before) if before.boot == hello.boot => None,
        Some(before) => Some(Time::from_millis(before.heard_ms.load(Ordering::Relaxed))),
        None => served_until(&doors.core, node, hello),
    };
    if let Some(last_seen) = last_seen {
        submit(&doors.core, Command::NodeSuspected { node, last_seen }).await;
    }
}

/// Control was restarted and does not know what the node did meanwhile: the node's own word is
/// taken.
fn served_until(core: &Core, node: NodeKey, hello: &Hello) -> Option<Time> {
    let (from, to) = (core.recovered(), core.clock().now());
    let (away, told) = (Gap { from, to }, testimony(hello, to));
    core.read(|network| absence::served_until(network.state(), node, away, &told))
}

fn testimony(hello: &Hello, now: Time) -> Testimony {
    let replicas = hello.replicas.iter();
    let ready = replicas.filter(|seen| seen.state == ObservedState::Ready);
    Testimony {
        ready: ready.map(|seen| (seen.lease, seen.since)).collect(),
        pauses: hello.pauses.iter().map(|pause| gap(*pause, now)).collect(),
    }
}

/// When a pause was, by control's clock.
fn gap(pause: Pause, now: Time) -> Gap {
    let to = now - Span::from_millis(pause.ended_ms_ago);
    let from = to - Span::from_millis(pause.lasted_ms);
    Gap { from, to }
}

/// Leases that the network holds for ready and the node does not: it starts them anew.
async fn note_unready(core: &Core, node: NodeKey, replicas: &[Observed]) {
    let ready = |lease: &LeaseId| {
        replicas
            .iter()
            .any(|seen| seen.lease == *lease && seen.state == ObservedState::Ready)
    };
    let believed = core.read(|network| believed(network, node));
    for (lease, epoch) in believed.into_iter().filter(|(lease, _)| !ready(lease)) {
        let observed = ObservedPhase::Starting;
        submit(
            core,
            Command::ObserveReplica {
                node,
                lease,
                epoch,
                observed,
                since: core.clock().now(),
            },
        )
        .await;
    }
}

/// The leases that a node is believed to serve, with their epochs.
fn believed(network: &Network, node: NodeKey) -> Vec<(LeaseId, u64)> {
    let believed = absence::believed(network.state(), node);
    believed.map(|(id, lease)| (id, lease.epoch)).collect()
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
    halves: (Outbox, Inbox),
) {
    let heard_ms = Arc::new(AtomicU64::new(doors.core.clock().now().as_millis()));
    let session = NodeSession {
        boot: hello.boot,
        number: 0,
        connection: Some(connection.clone()),
        addresses: hello.addresses,
        description: hello.inventory.description,
        heard_ms: Arc::clone(&heard_ms),
    };
    let number = doors.sessions.node_joined(node, session);
    tracing::info!(%node, "a node is connected");
    // From here on it is watched, so that whatever breaks, its end is noticed.
    doors.detector.joined(node).await;
    let talk = talk(
        doors,
        node,
        (hello.inventory.capacity, hello.replicas),
        halves,
        &heard_ms,
    );
    let parting = talk.await;
    if doors.sessions.node_parted(node, number) {
        part(doors, node, parting).await;
    }
}

/// Says hello, then hears and tells until either side leaves.
async fn talk(
    doors: &Doors,
    node: NodeKey,
    (capacity, replicas): (Capacity, Vec<Observed>),
    (mut sender, receiver): (Outbox, Inbox),
    heard_ms: &AtomicU64,
) -> Parting {
    let welcome = ControlMessage::Welcome(welcome(doors));
    if sender.send(&welcome).await.is_err() {
        return Parting::Broken;
    }
    note_unready(&doors.core, node, &replicas).await;
    observe(&doors.core, node, &replicas).await;
    tokio::select! {
        parting = listen(doors, node, (capacity, receiver), heard_ms) => parting,
        () = tell(&doors.core, node, sender) => Parting::Broken,
    }
}

fn welcome(doors: &Doors) -> Welcome {
    let core = &doors.core;
    let report_interval = core.config().liveness.settings().report_interval;
    Welcome {
        clock: core.clock().now(),
        report_interval_ms: report_interval.as_millis(),
        processes_allowed: core.read(|network| network.state().policy.processes_allowed),
        grant_key: doors.sessions.grant_key(),
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
    (capacity, mut receiver): (Capacity, Inbox),
    heard_ms: &AtomicU64,
) -> Parting {
    let mut leaving = false;
    let mut allowance = Allowance::new(doors.core.clock().now());
    loop {
        match receiver.receive().await {
            Ok(Some(NodeMessage::Report(report))) => {
                let now = doors.core.clock().now();
                heard_ms.store(now.as_millis(), Ordering::Relaxed);
                doors.detector.report(node).await;
                if allowance.take(now) {
                    return_if_lost(&doors.core, node, capacity).await;
                    observe(&doors.core, node, &report.replicas).await;
                }
            }
            Ok(Some(NodeMessage::Leaving)) => {
                leaving = true;
                submit(&doors.core, Command::NodeLeaving { node }).await;
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

/// A verdict may have been on its way when the node came back: whoever reports is there.
async fn return_if_lost(core: &Core, node: NodeKey, capacity: Capacity) {
    let gone = core.read(|network| {
        let node = network.state().nodes.get(&node);
        node.is_some_and(|node| matches!(node.presence, Presence::Lost(_) | Presence::Away(_)))
    });
    if gone {
        submit(core, Command::NodeConnected { node, capacity }).await;
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
            let message = ControlMessage::Assignment(message);
            if let Err(error) = sender.send(&message).await {
                tracing::info!(%node, %error, "a node was not told its assignment");
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
            since: observed.since,
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
        .is_some_and(|node| node.last_seen().is_some());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_told_in_ages_ends_that_long_before_it_was_told() {
        let now = Time::from_millis(160_000);
        let gap = |lasted_ms, ended_ms_ago| {
            let pause = Pause {
                lasted_ms,
                ended_ms_ago,
            };
            let Gap { from, to } = gap(pause, now);
            (from.as_millis(), to.as_millis())
        };
        assert_eq!(gap(5_000, 58_000), (97_000, 102_000));
        assert_eq!(gap(4_000, 0), (156_000, 160_000));
        assert_eq!(gap(u64::MAX, 0), (0, 160_000));
        assert_eq!(gap(u64::MAX, u64::MAX), (0, 0));
    }
}
