//! A node as control sees it: its own key and endpoint, a hello, a report every interval, answers
//! to control's questions. It has nothing to run.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use remuda_link::{
    Allowance, Connection, Endpoint, EndpointId, Patience, SecretKey, Stream, StreamError,
};
use remuda_types::{Capacity, Class};
use remuda_wire::frame::MAX_STATE_FRAME_BYTES;
use remuda_wire::node::{
    Assignment, AssignmentStamp, ControlMessage, Enrolment, Hello, Inventory, NodeMessage,
    NodeReply, NodeRequest, Report,
};
use remuda_wire::{ALPN_NODE, ALPN_PROBE};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::clock;

/// How long control may take to be reached, and to answer a hello.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Control, and the right to join it.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) id: EndpointId,
    pub(super) address: SocketAddr,
    pub(super) enrolment: Enrolment,
}

/// A node that control has welcomed.
pub(super) struct Node {
    connection: Connection,
    messages: Stream<ControlMessage, NodeMessage>,
    report_interval: Duration,
}

impl Node {
    /// Begins a session of the endpoint's.
    pub(super) async fn join(endpoint: &Endpoint, control: &Control) -> anyhow::Result<Self> {
        let addresses = [control.address];
        let dialled = remuda_link::dial(endpoint, control.id, &addresses, ALPN_NODE, ANSWER_WITHIN);
        let connection = dialled.await?;
        remuda_link::allow(&connection, Allowance::PEER);
        let messages = Stream::open(&connection).await?;
        let mut messages = messages.up_to(MAX_STATE_FRAME_BYTES);
        let hello = hello(endpoint.bound_sockets(), control.enrolment.clone());
        let answer = timeout(ANSWER_WITHIN, messages.ask(&hello)).await??;
        let report_interval = match answer {
            ControlMessage::Welcome(terms) => Duration::from_millis(terms.report_interval_ms),
            ControlMessage::Refused(refused) => {
                anyhow::bail!("control refuses a node: {}", refused.detail)
            }
            ControlMessage::Assignment(_) => anyhow::bail!("control did not welcome a node"),
        };
        Ok(Self {
            connection,
            messages,
            report_interval,
        })
    }

    /// Reports from such a part of the interval on, and answers, until the session breaks.
    pub(super) async fn serve(self, phase: f64, reports: Arc<AtomicU64>) -> StreamError {
        let Err(error) = self.talk(phase, &reports).await;
        error
    }

    async fn talk(self, phase: f64, reports: &AtomicU64) -> Result<Infallible, StreamError> {
        let Stream {
            mut sender,
            mut receiver,
        } = self.messages;
        let first = Instant::now() + self.report_interval.mul_f64(phase);
        let mut ticks = interval_at(first, self.report_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seq, mut holds) = (0, AssignmentStamp::default());
        let mut questions = JoinSet::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    seq += 1;
                    sender.send(&NodeMessage::Report(report(seq, holds))).await?;
                    reports.fetch_add(1, Ordering::Relaxed);
                }
                message = receiver.receive() => match message?.ok_or(StreamError::Ended)? {
                    ControlMessage::Assignment(Assignment { stamp, .. }) => holds = stamp,
                    ControlMessage::Welcome(_) | ControlMessage::Refused(_) => {}
                },
                asked = self.connection.accept_bi() => {
                    questions.spawn(answer(Stream::new(asked?)));
                }
                Some(_) = questions.join_next() => {}
            }
        }
    }
}

/// An endpoint with a key of its own, as a node daemon has it.
pub(super) async fn bind() -> anyhow::Result<Endpoint> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let endpoint = remuda_link::bind(remuda_link::Config {
        key: SecretKey::from_bytes(&secret),
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        alpns: vec![ALPN_PROBE.to_vec()],
        relays: Vec::new(),
        patience: Patience::default(),
        allowance: Allowance::STRANGER,
    });
    Ok(endpoint.await?)
}

fn hello(addresses: Vec<SocketAddr>, enrolment: Enrolment) -> NodeMessage {
    let capacity = Capacity {
        cpu_milli: 8_000,
        memory_mib: 16_384,
        disk_mib: 65_536,
        ..Capacity::default()
    };
    NodeMessage::Hello(Box::new(Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: 1,
        addresses,
        clock: clock::now(),
        inventory: Inventory {
            class: Class::CPU,
            capacity,
            description: "a node of a benchmark".to_owned(),
        },
        enrolment: Some(enrolment),
        holds: AssignmentStamp::default(),
        replicas: Vec::new(),
        pauses: Vec::new(),
        leaving: false,
    }))
}

fn report(seq: u64, holds: AssignmentStamp) -> Report {
    Report {
        seq,
        clock: clock::now(),
        holds,
        replicas: Vec::new(),
    }
}

/// Answers one question of control.
async fn answer(mut stream: Stream<NodeRequest, NodeReply>) {
    while let Ok(Some(request)) = stream.receiver.receive().await {
        let reply = match request {
            NodeRequest::Ping(ping) => NodeReply::Pong(ping),
            NodeRequest::Logs(_) => NodeReply::Unknown,
        };
        if stream.sender.send(&reply).await.is_err() {
            return;
        }
    }
    stream.sender.finish();
}
