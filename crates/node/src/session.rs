//! The session with control: dialled for ever, broken off by nothing but the daemon's end.
//!
//! Inputs: control's messages, the view, the daemon's wish to leave. Outputs: reports, and inputs
//! for the reconciler. A session that breaks changes nothing of what runs here.

use std::sync::Arc;
use std::time::Duration;

use remuda_link::clock::system_now;
use remuda_link::{
    Allowance, Clock, Connection, DialError, Endpoint, Patience, Sender, Stream, StreamError,
    allow, dial,
};
use remuda_wire::ALPN_NODE;
use remuda_wire::frame::MAX_STATE_FRAME_BYTES;
use remuda_wire::node::{
    ControlMessage, Enrolment, Hello, Inventory, NodeMessage, NodeReply, NodeRequest,
    SessionRefused, Welcome,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::ControlAddress;
use crate::exit::chain;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::pause::Pauses;
use crate::reconcile::Input;
use crate::view::{View, holds};

mod backoff;
mod reports;

use backoff::Backoff;
use reports::Reports;

/// How long control may take to be reached, and to answer a hello.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long the last report may take to arrive.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);

/// Questions of control that are answered at once; the next waits.
const QUESTIONS_MAX: usize = 64;

/// What a session needs to know.
#[derive(Debug)]
pub(crate) struct Session {
    /// The node's endpoint.
    pub endpoint: Endpoint,
    /// Whom to dial.
    pub control: ControlAddress,
    /// Where the node can be dialled.
    pub addresses: Vec<std::net::SocketAddr>,
    /// Changes with every start.
    pub boot: u64,
    /// What the machine has.
    pub inventory: Inventory,
    /// The right to join.
    pub enrolment: Option<Enrolment>,
    /// How soon silence counts as broken.
    pub patience: Patience,
    /// What there is to report.
    pub view: watch::Receiver<Arc<View>>,
    /// Whether there is a session.
    pub connected: watch::Sender<bool>,
    /// The reconciler.
    pub inputs: mpsc::Sender<Input>,
    /// Control's clock.
    pub clock: Arc<Clock>,
    /// Whether the next hello shows the system's clock instead: the last was refused, perhaps because
    /// control's, as it was heard, stood still while the machine did.
    pub system_clock: bool,
    /// When this daemon stood still.
    pub pauses: Arc<Pauses>,
    /// What control may ask for.
    pub logs: Arc<Logs>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the daemon was asked to stop.
    pub leaving: CancellationToken,
    /// Cancelled when all has ended: the last report is due.
    pub stop: CancellationToken,
}

/// How a session ended.
#[derive(Debug, thiserror::Error)]
enum End {
    /// The daemon stops; control has the last report.
    #[error("the daemon stops")]
    Stopped,
    /// Control refused it.
    #[error("control refuses this node: {}", .0.detail)]
    Refused(SessionRefused),
    /// Control cannot be reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The session broke.
    #[error("the session with control broke")]
    Broken(#[from] StreamError),
    /// Control did not answer a hello.
    #[error("control did not answer within {} s", ANSWER_WITHIN.as_secs())]
    Silent,
    /// Control said something out of turn.
    #[error("control did not answer the hello with a welcome")]
    OutOfTurn,
}

type Messages = Stream<ControlMessage, NodeMessage>;

impl Session {
    /// Holds a session with control, one after the other, until the daemon stops (`None`) or
    /// control refuses the node for good (why).
    pub(crate) async fn keep(mut self) -> Option<String> {
        let mut backoff = Backoff::default();
        let mut reports = Reports::after(self.patience.idle);
        loop {
            let (stop, connected) = (self.stop.clone(), self.connected.subscribe());
            let ended = tokio::select! {
                ended = self.hold(&mut backoff, &mut reports) => ended,
                () = farewell_is_over(&stop, &connected) => return None,
            };
            self.note(false);
            match ended {
                End::Stopped => return None,
                End::Refused(SessionRefused {
                    detail,
                    retry: false,
                }) => return Some(detail),
                other => {
                    self.system_clock ^= matches!(other, End::Refused(_));
                    tracing::warn!(error = %chain(&other), "no session with control");
                }
            }
            tokio::select! {
                () = sleep(backoff.next()) => {}
                () = self.stop.cancelled() => return None,
            }
        }
    }

    async fn hold(&mut self, backoff: &mut Backoff, reports: &mut Reports) -> End {
        let begun = self.begin().await;
        let (connection, messages, terms) = match begun {
            Ok(begun) => begun,
            Err(end) => return end,
        };
        tracing::info!("control welcomes this node");
        self.note(true);
        backoff.reset();
        reports.begin();
        self.go_on(&connection, messages, &terms, reports)
            .await
            .unwrap_or_else(End::Broken)
    }

    fn note(&self, connected: bool) {
        self.metrics.session(connected);
        self.connected.send_replace(connected);
    }

    async fn begin(&self) -> Result<(Connection, Messages, Welcome), End> {
        let ControlAddress { id, addresses } = &self.control;
        let connection = dial(&self.endpoint, *id, addresses, ALPN_NODE, ANSWER_WITHIN).await?;
        allow(&connection, Allowance::PEER);
        let messages = Messages::open(&connection).await?;
        let mut messages = messages.up_to(MAX_STATE_FRAME_BYTES);
        let hello = NodeMessage::Hello(Box::new(self.hello()));
        let answer = timeout(ANSWER_WITHIN, messages.ask(&hello))
            .await
            .map_err(|_| End::Silent)?;
        match answer? {
            ControlMessage::Welcome(terms) => {
                self.clock.hear(terms.clock);
                self.tell(Input::Terms(terms.clone())).await;
                Ok((connection, messages, terms))
            }
            ControlMessage::Refused(refused) => Err(End::Refused(refused)),
            ControlMessage::Assignment(_) => Err(End::OutOfTurn),
        }
    }

    fn hello(&self) -> Hello {
        let view = Arc::clone(&self.view.borrow());
        Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot: self.boot,
            addresses: self.addresses.clone(),
            clock: if self.system_clock {
                system_now()
            } else {
                self.clock.now()
            },
            inventory: self.inventory.clone(),
            enrolment: self.enrolment.clone(),
            holds: holds(&view),
            replicas: view.report(),
            pauses: self.pauses.report(),
            leaving: self.leaving.is_cancelled(),
        }
    }

    /// Reports and listens until the session breaks or the daemon stops.
    async fn go_on(
        &mut self,
        connection: &Connection,
        messages: Messages,
        terms: &Welcome,
        reports: &mut Reports,
    ) -> Result<End, StreamError> {
        let Stream {
            mut sender,
            mut receiver,
        } = messages;
        let mut ticks = every(terms.report_interval_ms);
        let mut questions = JoinSet::new();
        let mut said_leaving = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => self.report(&mut sender, reports).await?,
                changed = self.view.changed() => match changed {
                    Ok(()) => self.report(&mut sender, reports).await?,
                    Err(_) => return Ok(End::Stopped),
                },
                () = self.leaving.cancelled(), if !said_leaving => {
                    said_leaving = true;
                    sender.send(&NodeMessage::Leaving).await?;
                }
                message = receiver.receive() => {
                    self.hear(message?.ok_or(StreamError::Ended)?).await;
                }
                asked = connection.accept_bi(), if questions.len() < QUESTIONS_MAX => {
                    let stream = Stream::new(asked?);
                    questions.spawn(answer(stream, Arc::clone(&self.logs)));
                }
                Some(_) = questions.join_next() => {}
                () = self.stop.cancelled() => {
                    self.report(&mut sender, reports).await?;
                    farewell(sender).await;
                    return Ok(End::Stopped);
                }
            }
        }
    }

    async fn report(
        &self,
        sender: &mut Sender<NodeMessage>,
        reports: &mut Reports,
    ) -> Result<(), StreamError> {
        let view = Arc::clone(&self.view.borrow());
        for report in reports.of(&view, self.clock.now()) {
            sender.send(&NodeMessage::Report(report)).await?;
        }
        let noted = reports.noted();
        if !noted.is_empty() {
            self.tell(Input::EndsNoted(noted)).await;
        }
        Ok(())
    }

    async fn hear(&self, message: ControlMessage) {
        match message {
            ControlMessage::Assignment(assignment) => {
                self.tell(Input::Assignment(assignment)).await;
            }
            ControlMessage::Welcome(terms) => {
                self.clock.hear(terms.clock);
                self.tell(Input::Terms(terms)).await;
            }
            ControlMessage::Refused(refused) => {
                tracing::warn!(
                    detail = refused.detail,
                    "control refuses a session it had accepted"
                );
            }
        }
    }

    async fn tell(&self, input: Input) {
        if self.inputs.send(input).await.is_err() {
            tracing::debug!("the reconciler has stopped before its session");
        }
    }
}

/// Waits until control has all that was sent.
async fn farewell(mut sender: Sender<NodeMessage>) {
    sender.finish();
    let stream = sender.into_inner();
    if timeout(FAREWELL_WITHIN, stream.stopped()).await.is_err() {
        tracing::debug!("control did not take the last report in time");
    }
}

/// Waits until the last report is said, or too late. Without a session there is nobody to say it to.
async fn farewell_is_over(stop: &CancellationToken, connected: &watch::Receiver<bool>) {
    stop.cancelled().await;
    if *connected.borrow() {
        sleep(2 * FAREWELL_WITHIN).await;
    }
}

fn every(report_interval_ms: u64) -> Interval {
    let mut ticks = interval(Duration::from_millis(report_interval_ms.clamp(20, 60_000)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Answers one question of control.
async fn answer(mut stream: Stream<NodeRequest, NodeReply>, logs: Arc<Logs>) {
    while let Ok(Some(request)) = stream.receiver.receive().await {
        let reply = match request {
            NodeRequest::Ping(ping) => NodeReply::Pong(ping),
            NodeRequest::Logs(wanted) => {
                let tail = usize::try_from(wanted.tail).unwrap_or(usize::MAX);
                logs.tail(wanted.lease, tail)
                    .map_or(NodeReply::Unknown, NodeReply::Logs)
            }
        };
        if let Err(error) = stream.sender.send(&reply).await {
            tracing::debug!(%error, "control left before its answer");
            return;
        }
    }
    stream.sender.finish();
}
