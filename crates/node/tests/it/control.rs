//! A control that speaks the wire protocol and decides nothing.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use ed25519_dalek::{Signer, SigningKey};
use remuda_link::{Connection, Endpoint, SecretKey, Stream, bind};
use remuda_node::ControlAddress;
use remuda_types::{GatewayKey, NodeKey, Span, Time};
use remuda_wire::ALPN_NODE;
use remuda_wire::grant::{Grant, SIGNING_DOMAIN, SignedGrant};
use remuda_wire::node::{
    Assigned, Assignment, AssignmentStamp, ControlMessage, Hello, LogsRequest, NodeMessage,
    NodeReply, NodeRequest, Observed, ObservedState, Report, SessionRefused, Welcome,
};

use crate::rig::{lease, soon};

const SECRET: [u8; 32] = [7; 32];

/// What nodes are told when they come.
#[derive(Clone, Debug)]
pub struct Terms {
    pub processes_allowed: bool,
    pub refused: Option<SessionRefused>,
    /// How far control's clock is ahead of the system's.
    pub ahead: Span,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            processes_allowed: true,
            refused: None,
            ahead: Span::ZERO,
        }
    }
}

pub struct Control {
    endpoint: Endpoint,
    terms: Terms,
}

/// A session with a node, welcomed.
pub struct Session {
    pub hello: Hello,
    connection: Connection,
    messages: Stream<NodeMessage, ControlMessage>,
    generation: u64,
}

type Messages = Stream<NodeMessage, ControlMessage>;

async fn refuse(refused: SessionRefused, connection: &Connection, mut messages: Messages) {
    let refused = ControlMessage::Refused(refused);
    messages.sender.send(&refused).await.unwrap();
    // The node closes the connection once it has read this.
    messages.sender.finish();
    connection.closed().await;
}

impl Control {
    pub async fn start(terms: Terms) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), terms).await
    }

    /// A control at an address where one was before.
    pub async fn start_at(address: SocketAddr, terms: Terms) -> Self {
        let config = remuda_link::Config {
            key: SecretKey::from_bytes(&SECRET),
            bind: address,
            alpns: vec![ALPN_NODE.to_vec()],
            relays: Vec::new(),
            patience: remuda_link::Patience::default(),
            allowance: remuda_link::Allowance::PEER,
        };
        let bound = async {
            // The socket of a control that has just vanished is given back a little later.
            loop {
                match bind(config.clone()).await {
                    Ok(endpoint) => return endpoint,
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        let endpoint = soon("the address", bound).await;
        Self { endpoint, terms }
    }

    pub fn address(&self) -> ControlAddress {
        ControlAddress {
            id: self.endpoint.id(),
            addresses: self.endpoint.bound_sockets(),
        }
    }

    /// Control goes away; gives the address to come back to.
    pub async fn vanish(self) -> SocketAddr {
        let address = self.endpoint.bound_sockets()[0];
        self.endpoint.close().await;
        address
    }

    /// Welcomes the next node that comes, or refuses it and waits for another.
    pub async fn session(&mut self) -> Session {
        soon("a session", self.next_session()).await
    }

    async fn next_session(&mut self) -> Session {
        loop {
            let Some((hello, connection, mut messages)) = self.next_hello().await else {
                continue;
            };
            if let Some(refused) = self.terms.refused.clone() {
                refuse(refused, &connection, messages).await;
                continue;
            }
            let welcome = ControlMessage::Welcome(self.welcome());
            messages.sender.send(&welcome).await.unwrap();
            let generation = hello.holds.generation;
            return Session {
                hello,
                connection,
                messages,
                generation,
            };
        }
    }

    /// Refuses the next node that comes, by its terms; what it said.
    pub async fn refusal(&mut self) -> Hello {
        let refused = self.terms.refused.clone().unwrap();
        let coming = async {
            loop {
                if let Some((hello, connection, messages)) = self.next_hello().await {
                    refuse(refused, &connection, messages).await;
                    return hello;
                }
            }
        };
        soon("a node to refuse", coming).await
    }

    async fn next_hello(&mut self) -> Option<(Hello, Connection, Messages)> {
        let connection = self.endpoint.accept().await.unwrap().await.ok()?;
        let mut messages = Messages::accept(&connection).await.unwrap();
        let first = messages.receiver.receive().await.unwrap();
        let Some(NodeMessage::Hello(hello)) = first else {
            panic!("a session begins with a hello: {first:?}");
        };
        Some((*hello, connection, messages))
    }

    fn welcome(&self) -> Welcome {
        Welcome {
            clock: now() + self.terms.ahead,
            report_interval_ms: 50,
            processes_allowed: self.terms.processes_allowed,
            grant_key: *signer().verifying_key().as_bytes(),
        }
    }
}

impl Session {
    /// Assigns these replicas, as the next generation.
    pub async fn assign(&mut self, replicas: Vec<Assigned>) {
        self.generation += 1;
        self.assign_as(2, self.generation, replicas).await;
    }

    pub async fn assign_as(&mut self, epoch: u64, generation: u64, replicas: Vec<Assigned>) {
        let stamp = AssignmentStamp { epoch, generation };
        let assignment = ControlMessage::Assignment(Assignment { stamp, replicas });
        self.messages.sender.send(&assignment).await.unwrap();
    }

    /// The next message.
    pub async fn next(&mut self) -> NodeMessage {
        soon("a message", self.messages.receiver.receive())
            .await
            .unwrap()
            .unwrap()
    }

    /// The next report.
    pub async fn report(&mut self) -> Report {
        loop {
            if let NodeMessage::Report(report) = self.next().await {
                return report;
            }
        }
    }

    /// Reads reports until a replica is as it should be.
    pub async fn until(
        &mut self,
        what: &str,
        n: u128,
        epoch: u64,
        holds: impl Fn(&ObservedState) -> bool,
    ) -> Observed {
        let coming = async {
            loop {
                let found = find(&self.report().await.replicas, n, epoch);
                if let Some(found) = found.filter(|observed| holds(&observed.state)) {
                    return found;
                }
            }
        };
        soon(what, coming).await
    }

    pub async fn until_ready(&mut self, n: u128, epoch: u64) -> Observed {
        self.until("ready", n, epoch, |state| *state == ObservedState::Ready)
            .await
    }

    /// The replica's end.
    pub async fn until_ended(&mut self, n: u128, epoch: u64) -> remuda_wire::node::Exit {
        let ended = |state: &ObservedState| matches!(state, ObservedState::Ended(_));
        match self.until("an end", n, epoch, ended).await.state {
            ObservedState::Ended(exit) => exit,
            other => panic!("{other:?}"),
        }
    }

    /// Asks the node, on a stream of its own.
    pub async fn ask(&self, request: NodeRequest) -> NodeReply {
        let mut stream: Stream<NodeReply, NodeRequest> =
            Stream::open(&self.connection).await.unwrap();
        soon("an answer", stream.ask(&request)).await.unwrap()
    }

    pub async fn logs(&self, n: u128) -> Vec<String> {
        let request = LogsRequest {
            lease: lease(n),
            tail: 1_000,
        };
        match self.ask(NodeRequest::Logs(request)).await {
            NodeReply::Logs(lines) => lines,
            other => panic!("{other:?}"),
        }
    }

    /// The values that a replica has logged behind a word, once there are so many.
    pub async fn logged(&self, n: u128, word: &str, count: usize) -> Vec<String> {
        let prefix = format!("{word} ");
        let coming = async {
            loop {
                let lines = self.logs(n).await;
                let values = lines.iter().filter_map(|line| line.split_once(&prefix));
                let values: Vec<_> = values.map(|(_, value)| value.to_owned()).collect();
                if values.len() >= count {
                    return values;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon(word, coming).await
    }

    /// The process id of a replica's run, counted from 1.
    pub async fn pid(&self, n: u128, run: usize) -> i32 {
        self.logged(n, "pid", run).await[run - 1].parse().unwrap()
    }
}

/// A replica in a report.
pub fn find(replicas: &[Observed], n: u128, epoch: u64) -> Option<Observed> {
    replicas
        .iter()
        .find(|seen| (seen.lease, seen.lease_epoch) == (lease(n), epoch))
        .cloned()
}

/// Control's clock.
pub fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap())
}

pub fn signer() -> SigningKey {
    SigningKey::from_bytes(&SECRET)
}

/// A good grant for an hour.
pub fn grant(n: u128, lease_epoch: u64, gateway: GatewayKey, node: NodeKey) -> Grant {
    Grant {
        lease: lease(n),
        lease_epoch,
        gateway,
        node,
        expires: now() + Span::HOUR,
    }
}

pub fn sign(key: &SigningKey, grant: &Grant) -> SignedGrant {
    let grant = minicbor::to_vec(grant).unwrap();
    let message = [SIGNING_DOMAIN, &grant].concat();
    SignedGrant {
        signature: key.sign(&message).to_bytes().to_vec(),
        grant,
    }
}
