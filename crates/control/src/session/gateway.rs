//! One gateway's session: a stream for each request, and one on which route tables are pushed.

use std::sync::PoisonError;
use std::time::Duration;

use remuda_link::{Connection, Sender, Stream};
use remuda_network::state::Tranche;
use remuda_network::{Command, Refusal, event};
use remuda_types::{Digest, GatewayKey, ProjectId};
use remuda_wire::frame::MAX_STATE_FRAME_BYTES;
use remuda_wire::gateway::{
    self as wire, GatewayRefused, GatewayReply, GatewayRequest, OpenTranche, PostUsage, RouteTable,
    UsageTotal, Watch,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Doors, GatewaySession, routes};
use crate::sequencer::SubmitError;

/// Tables are made at most this often; what changes meanwhile is in the next one.
const TABLE_INTERVAL: Duration = Duration::from_millis(10);

/// Probes that may wait for a gateway.
const PUSHES: usize = 256;

/// Requests of one gateway that may be under way.
const REQUESTS_MAX: usize = 1_024;

/// How long a stream may take to say what it is for.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// Serves one gateway until its connection ends.
pub(super) async fn serve(doors: Doors, connection: Connection) {
    let gateway = GatewayKey(*connection.remote_id().as_bytes());
    // Dropped with the connection, and every request still under way with it.
    let mut requests = JoinSet::new();
    while let Ok(stream) = Stream::<GatewayRequest, GatewayReply>::accept(&connection).await {
        if requests.len() >= REQUESTS_MAX {
            // Dropped, the stream is reset: the gateway asks again.
            continue;
        }
        let stream = stream.up_to(MAX_STATE_FRAME_BYTES);
        let (doors, connection) = (doors.clone(), connection.clone());
        requests.spawn(async move { answer(&doors, gateway, &connection, stream).await });
        while requests.try_join_next().is_some() {}
    }
}

async fn answer(
    doors: &Doors,
    gateway: GatewayKey,
    connection: &Connection,
    mut stream: Stream<GatewayRequest, GatewayReply>,
) {
    let Ok(Ok(Some(request))) = timeout(REQUEST_WITHIN, stream.receiver.receive()).await else {
        return;
    };
    let reply = match request {
        GatewayRequest::Watch(watch) => {
            return watched(doors, gateway, connection, watch, stream.sender).await;
        }
        // Its word keeps nodes alive, and its posts move money.
        _ if !is_admitted(doors, gateway) => Ok(GatewayReply::Refused(not_admitted())),
        GatewayRequest::OpenTranche(wanted) => open_tranche(doors, gateway, wanted).await,
        GatewayRequest::PostUsage(post) => post_usage(doors, gateway, post).await,
        GatewayRequest::CloseTranche(close) => {
            let command = Command::CloseTranche {
                gateway,
                tranche: close.tranche,
            };
            submit(doors, command).await.map(|()| GatewayReply::Done)
        }
        GatewayRequest::Sighting(sighting) => {
            doors
                .detector
                .sighting(sighting.node, sighting.answered)
                .await;
            Ok(GatewayReply::Done)
        }
    };
    let reply = reply.unwrap_or_else(|error| GatewayReply::Refused(refused(&error)));
    // A gateway that went away asks again when it is back.
    if stream.sender.send(&reply).await.is_ok() {
        stream.sender.finish();
    }
}

fn refused(error: &SubmitError) -> GatewayRefused {
    let (code, retry) = match error {
        SubmitError::Refused(refusal) => (refusal.code(), false),
        SubmitError::ReadOnly { .. } => ("read-only", true),
        SubmitError::Stopping => ("stopping", true),
    };
    GatewayRefused {
        code: code.to_owned(),
        detail: error.to_string(),
        retry,
    }
}

async fn submit(doors: &Doors, command: Command) -> Result<(), SubmitError> {
    doors.core.submit_own(command).await.map(|_| ())
}

async fn open_tranche(
    doors: &Doors,
    gateway: GatewayKey,
    wanted: OpenTranche,
) -> Result<GatewayReply, SubmitError> {
    let OpenTranche {
        tranche,
        project,
        amount,
    } = wanted;
    let command = Command::OpenTranche {
        gateway,
        tranche,
        project,
        amount,
    };
    match submit(doors, command).await {
        Err(SubmitError::Refused(Refusal::BudgetExhausted { .. }))
            if others_hold_some(doors, gateway, project) =>
        {
            return Ok(GatewayReply::Refused(set_aside()));
        }
        submitted => submitted?,
    }
    let open = doors
        .core
        .read(|network| network.state().tranches.get(&tranche).cloned());
    Ok(match open {
        Some(open) => GatewayReply::Tranche(wire::Tranche {
            tranche,
            amount: open.left,
            deadline: open.deadline,
        }),
        None => GatewayReply::Refused(GatewayRefused {
            code: "tranche-over".to_owned(),
            detail: "the tranche is over already: ask for another".to_owned(),
            retry: false,
        }),
    })
}

/// Whether another gateway has some of the budget in hand and may give it back.
fn others_hold_some(doors: &Doors, gateway: GatewayKey, project: ProjectId) -> bool {
    let others = |tranche: &Tranche| {
        tranche.project == project && tranche.gateway != gateway && !tranche.left.is_zero()
    };
    let core = &doors.core;
    core.read(|network| network.state().tranches.values().any(others))
}

fn set_aside() -> GatewayRefused {
    GatewayRefused {
        code: "budget-set-aside".to_owned(),
        detail: "what is left of the budget is in other gateways' hands: try again later"
            .to_owned(),
        retry: true,
    }
}

async fn post_usage(
    doors: &Doors,
    gateway: GatewayKey,
    post: PostUsage,
) -> Result<GatewayReply, SubmitError> {
    let PostUsage {
        tranche,
        seq,
        totals,
        rows,
    } = post;
    let totals = totals.into_iter().map(total).collect();
    let command = Command::PostUsage {
        gateway,
        tranche,
        seq,
        totals,
        rows,
    };
    submit(doors, command).await.map(|()| GatewayReply::Posted)
}

const fn total(total: UsageTotal) -> event::UsageTotal {
    event::UsageTotal {
        lease: total.lease,
        key: total.key,
        requests: total.requests,
        prompt_tokens: total.prompt_tokens,
        completion_tokens: total.completion_tokens,
        amount: total.amount,
    }
}

/// Pushes tables and probes until the gateway is gone.
async fn watched(
    doors: &Doors,
    gateway: GatewayKey,
    connection: &Connection,
    watch: Watch,
    mut sender: Sender<GatewayReply>,
) {
    if let Err(refused) = admit(doors, gateway, &watch).await {
        if sender.send(&GatewayReply::Refused(refused)).await.is_ok() {
            sender.finish();
        }
        return;
    }
    let (push, mut pushes) = mpsc::channel(PUSHES);
    let number = join(doors, gateway, watch.public_url, push);
    doors
        .detector
        .gateways(doors.sessions.gateways().len())
        .await;
    tracing::info!(%gateway, "a gateway is connected");
    tokio::select! {
        () = push_all(doors, gateway, &mut sender, &mut pushes) => {}
        _ = connection.closed() => {}
    }
    leave(doors, gateway, number);
    doors
        .detector
        .gateways(doors.sessions.gateways().len())
        .await;
    tracing::info!(%gateway, "a gateway's session ended");
}

fn is_admitted(doors: &Doors, gateway: GatewayKey) -> bool {
    let core = &doors.core;
    core.read(|network| network.state().gateways.contains(&gateway))
}

fn not_admitted() -> GatewayRefused {
    GatewayRefused {
        code: "not-admitted".to_owned(),
        detail: "this gateway is not known here: start it with the network's admission secret"
            .to_owned(),
        retry: false,
    }
}

async fn admit(doors: &Doors, gateway: GatewayKey, watch: &Watch) -> Result<(), GatewayRefused> {
    if is_admitted(doors, gateway) {
        return Ok(());
    }
    let digest = |secret: &String| Digest::of(secret.as_bytes());
    // Of digests, how long a comparison takes tells nothing about the secret.
    let expected = digest(&doors.core.config().gateway_admission);
    if watch.admission.as_ref().map(digest) != Some(expected) {
        return Err(not_admitted());
    }
    submit(doors, Command::AdmitGateway { gateway })
        .await
        .map_err(|error| refused(&error))
}

fn join(
    doors: &Doors,
    gateway: GatewayKey,
    public_url: String,
    push: mpsc::Sender<GatewayReply>,
) -> u64 {
    let gateways = &doors.sessions.inner.gateways;
    let mut gateways = gateways.write().unwrap_or_else(PoisonError::into_inner);
    let number = gateways
        .get(&gateway)
        .map_or(1, |before| before.number.wrapping_add(1));
    gateways.insert(
        gateway,
        GatewaySession {
            number,
            public_url,
            push,
        },
    );
    number
}

fn leave(doors: &Doors, gateway: GatewayKey, number: u64) {
    let gateways = &doors.sessions.inner.gateways;
    let mut gateways = gateways.write().unwrap_or_else(PoisonError::into_inner);
    if gateways
        .get(&gateway)
        .is_some_and(|session| session.number == number)
    {
        gateways.remove(&gateway);
    }
}

async fn push_all(
    doors: &Doors,
    gateway: GatewayKey,
    sender: &mut Sender<GatewayReply>,
    pushes: &mut mpsc::Receiver<GatewayReply>,
) {
    let (mut state, mut sessions) = (doors.core.changes(), doors.sessions.changes());
    let mut told: Option<RouteTable> = None;
    loop {
        state.mark_unchanged();
        sessions.mark_unchanged();
        let table = routes::table(doors, gateway);
        if told.as_ref().is_none_or(|told| !routes::same(told, &table)) {
            let routes = GatewayReply::Routes(Box::new(table.clone()));
            if let Err(error) = sender.send(&routes).await {
                tracing::info!(%gateway, %error, "a gateway was not told its routes");
                return;
            }
            told = Some(table);
        }
        let next = loop {
            tokio::select! {
                changed = state.changed() => break changed.is_ok(),
                changed = sessions.changed() => break changed.is_ok(),
                Some(push) = pushes.recv() => {
                    if sender.send(&push).await.is_err() {
                        return;
                    }
                }
            }
        };
        if !next {
            return;
        }
        tokio::time::sleep(TABLE_INTERVAL).await;
    }
}
