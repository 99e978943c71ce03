//! A control that keeps budgets, tranches and posts as the real one does, and can be stopped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use remuda_gateway::ControlAddress;
use remuda_link::{Allowance, Connection, Endpoint, Patience, SecretKey, Stream};
use remuda_types::{GatewayKey, Money, NodeKey, ProjectId, Span, Time, TrancheId};
use remuda_wire::ALPN_GATEWAY;
use remuda_wire::gateway::{
    GatewayRefused, GatewayReply, GatewayRequest, OpenTranche, PostUsage, RouteTable, Tranche,
};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

/// What control knows; it outlives a stop.
#[derive(Debug)]
pub(crate) struct State {
    /// What each project may still give to gateways.
    pub(crate) budgets: BTreeMap<ProjectId, i64>,
    pub(crate) tranches: BTreeMap<TrancheId, Open>,
    pub(crate) posts: Vec<PostUsage>,
    /// Posts with a number that control had taken already.
    pub(crate) doubled: Vec<PostUsage>,
    pub(crate) closed: Vec<TrancheId>,
    pub(crate) sightings: Vec<(NodeKey, bool)>,
    pub(crate) tranche_life: Span,
    /// The most that one tranche holds.
    pub(crate) tranche_most: i64,
    /// Answers to posts that get lost on the way.
    pub(crate) lose_answers: u32,
    /// Posts that are refused for good, as for a lease that control does not know.
    pub(crate) refuse_posts: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) gateway: GatewayKey,
    pub(crate) project: ProjectId,
    pub(crate) left: i64,
    pub(crate) seq: u64,
    pub(crate) deadline: Time,
}

/// A control that runs.
#[derive(Debug)]
pub(crate) struct Control {
    secret: SecretKey,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    table: watch::Sender<RouteTable>,
    probes: broadcast::Sender<NodeKey>,
    running: Option<(Endpoint, JoinHandle<()>)>,
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap())
}

impl Control {
    pub(crate) async fn start() -> Self {
        let state = State {
            budgets: BTreeMap::new(),
            tranches: BTreeMap::new(),
            posts: Vec::new(),
            doubled: Vec::new(),
            closed: Vec::new(),
            sightings: Vec::new(),
            tranche_life: Span::HOUR,
            tranche_most: 5_000_000,
            lose_answers: 0,
            refuse_posts: 0,
        };
        let mut control = Self {
            secret: SecretKey::from_bytes(&[9; 32]),
            address: "127.0.0.1:0".parse().unwrap(),
            state: Arc::new(Mutex::new(state)),
            table: watch::Sender::new(RouteTable::default()),
            probes: broadcast::Sender::new(16),
            running: None,
        };
        control.resume().await;
        control
    }

    /// Starts again where it was.
    pub(crate) async fn resume(&mut self) {
        let endpoint = self.bind().await;
        self.address = endpoint.bound_sockets()[0];
        let doors = Doors {
            state: self.state.clone(),
            table: self.table.clone(),
            probes: self.probes.clone(),
        };
        let task = tokio::spawn(accept(endpoint.clone(), doors));
        self.running = Some((endpoint, task));
    }

    /// The socket of an endpoint that was closed just now may take a moment to go.
    async fn bind(&self) -> Endpoint {
        let mut last = None;
        for _ in 0..100 {
            let bound = remuda_link::bind(remuda_link::Config {
                key: self.secret.clone(),
                bind: self.address,
                alpns: vec![ALPN_GATEWAY.to_vec()],
                relays: Vec::new(),
                patience: Patience::default(),
                allowance: Allowance::PEER,
            });
            match bound.await {
                Ok(endpoint) => return endpoint,
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("control's address stays taken: {last:?}");
    }

    pub(crate) async fn stop(&mut self) {
        let (endpoint, task) = self.running.take().unwrap();
        task.abort();
        endpoint.close().await;
    }

    pub(crate) fn address(&self) -> ControlAddress {
        ControlAddress {
            endpoint: self.secret.public(),
            addresses: vec![self.address],
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn publish(&self, table: RouteTable) {
        self.table.send_replace(table);
    }

    pub(crate) fn table(&self) -> RouteTable {
        self.table.borrow().clone()
    }

    pub(crate) fn ask_to_probe(&self, node: NodeKey) {
        self.probes.send(node).unwrap();
    }

    /// Waits until the posts satisfy a condition.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        for _ in 0..600 {
            if holds(&self.state()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("never came true: {what}; control knows {:#?}", self.state());
    }
}

impl State {
    /// Prompt tokens, completion tokens and micro-USD of all posts.
    pub(crate) fn used(&self) -> (u64, u64, i64) {
        let totals = || self.posts.iter().flat_map(|post| &post.totals);
        (
            totals().map(|total| total.prompt_tokens).sum(),
            totals().map(|total| total.completion_tokens).sum(),
            totals().map(|total| total.amount.as_micros()).sum(),
        )
    }

    pub(crate) fn requests(&self) -> u64 {
        self.posts
            .iter()
            .flat_map(|post| &post.totals)
            .map(|total| total.requests)
            .sum()
    }
}

#[derive(Clone)]
struct Doors {
    state: Arc<Mutex<State>>,
    table: watch::Sender<RouteTable>,
    probes: broadcast::Sender<NodeKey>,
}

async fn accept(endpoint: Endpoint, doors: Doors) {
    while let Some(incoming) = endpoint.accept().await {
        let doors = doors.clone();
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else {
                return;
            };
            while let Ok(stream) = Stream::accept(&connection).await {
                tokio::spawn(answer(doors.clone(), connection.clone(), stream));
            }
        });
    }
}

async fn answer(
    doors: Doors,
    connection: Connection,
    mut stream: Stream<GatewayRequest, GatewayReply>,
) {
    let gateway = GatewayKey(*connection.remote_id().as_bytes());
    let Ok(Some(request)) = stream.receiver.receive().await else {
        return;
    };
    let reply = match request {
        GatewayRequest::Watch(_) => return push(doors, &connection, stream).await,
        GatewayRequest::OpenTranche(wanted) => open(&doors, gateway, wanted),
        GatewayRequest::PostUsage(post) => match take(&doors, gateway, post) {
            Some(reply) => reply,
            None => return,
        },
        GatewayRequest::CloseTranche(close) => {
            let mut state = doors.state.lock().unwrap();
            if let Some(open) = state.tranches.remove(&close.tranche) {
                *state.budgets.entry(open.project).or_default() += open.left;
                state.closed.push(close.tranche);
            }
            GatewayReply::Done
        }
        GatewayRequest::Sighting(sighting) => {
            let mut state = doors.state.lock().unwrap();
            state.sightings.push((sighting.node, sighting.answered));
            GatewayReply::Done
        }
    };
    if stream.sender.send(&reply).await.is_ok() {
        stream.sender.finish();
    }
}

async fn push(
    doors: Doors,
    connection: &Connection,
    mut stream: Stream<GatewayRequest, GatewayReply>,
) {
    let (mut tables, mut probes) = (doors.table.subscribe(), doors.probes.subscribe());
    tables.mark_changed();
    loop {
        let reply = tokio::select! {
            Ok(()) = tables.changed() => {
                let table = RouteTable { clock: now(), ..tables.borrow_and_update().clone() };
                GatewayReply::Routes(Box::new(table))
            }
            Ok(node) = probes.recv() => GatewayReply::Probe(node),
            _ = connection.closed() => return,
        };
        if stream.sender.send(&reply).await.is_err() {
            return;
        }
    }
}

fn refused(code: &str) -> GatewayReply {
    let detail = format!("the fake control says {code}");
    GatewayReply::Refused(GatewayRefused {
        code: code.to_owned(),
        detail,
        retry: false,
    })
}

fn set_aside() -> GatewayReply {
    GatewayReply::Refused(GatewayRefused {
        code: "budget-set-aside".to_owned(),
        detail: "another gateway has the rest".to_owned(),
        retry: true,
    })
}

fn open(doors: &Doors, gateway: GatewayKey, wanted: OpenTranche) -> GatewayReply {
    let mut state = doors.state.lock().unwrap();
    let OpenTranche {
        tranche,
        project,
        amount,
    } = wanted;
    if let Some(open) = state.tranches.get(&tranche) {
        assert_eq!((open.gateway, open.project), (gateway, project));
        let amount = Money::from_micros(open.left);
        return GatewayReply::Tranche(Tranche {
            tranche,
            amount,
            deadline: open.deadline,
        });
    }
    let most = state.tranche_most;
    let budget = state.budgets.entry(project).or_default();
    let granted = amount.as_micros().min(most).min(*budget);
    if granted < 1 {
        let others = |open: &&Open| open.project == project && open.gateway != gateway;
        return if state
            .tranches
            .values()
            .filter(others)
            .any(|open| open.left > 0)
        {
            set_aside()
        } else {
            refused("budget-exhausted")
        };
    }
    *budget -= granted;
    let deadline = now() + state.tranche_life;
    state.tranches.insert(
        tranche,
        Open {
            gateway,
            project,
            left: granted,
            seq: 0,
            deadline,
        },
    );
    GatewayReply::Tranche(Tranche {
        tranche,
        amount: Money::from_micros(granted),
        deadline,
    })
}

/// None when the answer is to get lost.
fn take(doors: &Doors, gateway: GatewayKey, post: PostUsage) -> Option<GatewayReply> {
    let mut state = doors.state.lock().unwrap();
    let amount: i64 = post
        .totals
        .iter()
        .map(|total| total.amount.as_micros())
        .sum();
    if state.refuse_posts > 0 {
        state.refuse_posts -= 1;
        return Some(refused("not-found"));
    }
    let Some(open) = state.tranches.get_mut(&post.tranche) else {
        return Some(refused("not-found"));
    };
    assert_eq!(open.gateway, gateway, "a gateway posts in its own tranches");
    if post.seq <= open.seq {
        state.doubled.push(post);
        return Some(GatewayReply::Posted);
    }
    if post.seq != open.seq + 1 {
        return Some(refused("post-out-of-order"));
    }
    if amount > open.left {
        return Some(refused("tranche-overdrawn"));
    }
    open.seq = post.seq;
    open.left -= amount;
    state.posts.push(post);
    if state.lose_answers > 0 {
        state.lose_answers -= 1;
        return None;
    }
    Some(GatewayReply::Posted)
}
