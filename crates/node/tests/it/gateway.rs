//! A gateway that asks nodes.

use remuda_link::{Connection, Endpoint, Receiver, SecretKey, Sender, Stream, bind, dial};
use remuda_node::Running;
use remuda_types::{Digest, GatewayKey, RequestId};
use remuda_wire::grant::{Grant, SignedGrant};
use remuda_wire::infer::{Ask, Open, Refused, Reply, Sampler, Start};
use remuda_wire::probe::Ping;
use remuda_wire::{ALPN_INFER, ALPN_PROBE};

use crate::control::{sign, signer};
use crate::rig::{lease, soon};

pub struct Gateway {
    endpoint: Endpoint,
    connection: Connection,
}

/// A request in flight.
pub struct Request {
    pub asks: Sender<Ask>,
    pub replies: Receiver<Reply>,
}

impl Gateway {
    pub async fn dial(node: &Running, secret: u8) -> Self {
        let endpoint = bind(remuda_link::Config {
            key: SecretKey::from_bytes(&[secret; 32]),
            bind: "127.0.0.1:0".parse().unwrap(),
            alpns: Vec::new(),
            relays: Vec::new(),
            patience: remuda_link::Patience::default(),
            allowance: remuda_link::Allowance::PEER,
        })
        .await
        .unwrap();
        let connection = connect(&endpoint, node, ALPN_INFER).await;
        Self {
            endpoint,
            connection,
        }
    }

    /// Another connection, on which nothing is said.
    pub async fn connect(&self, node: &Running) -> Connection {
        connect(&self.endpoint, node, ALPN_INFER).await
    }

    pub fn key(&self) -> GatewayKey {
        GatewayKey(*self.endpoint.id().as_bytes())
    }

    /// Pings the daemon itself.
    pub async fn ping(&self, node: &Running, nonce: u64) -> u64 {
        let connection = connect(&self.endpoint, node, ALPN_PROBE).await;
        let mut stream: Stream<Ping, Ping> = Stream::open(&connection).await.unwrap();
        soon("a pong", stream.ask(&Ping { nonce }))
            .await
            .unwrap()
            .nonce
    }

    /// Opens a request under a grant that control signed.
    pub async fn open(&self, n: u128, grant: &Grant) -> Request {
        self.open_with(n, sign(&signer(), grant)).await
    }

    pub async fn open_with(&self, n: u128, grant: SignedGrant) -> Request {
        let (send, receive) = self.connection.open_bi().await.unwrap();
        let open = Open {
            lease: lease(n),
            grant,
            request: RequestId::from_u128(5),
        };
        let mut sender = Sender::<Open>::new(send);
        sender.send(&open).await.unwrap();
        Request {
            asks: Sender::new(sender.into_inner()),
            replies: Receiver::new(receive),
        }
    }

    /// What a request is refused with.
    pub async fn refusal(&self, n: u128, grant: SignedGrant) -> Refused {
        let mut request = self.open_with(n, grant).await;
        match request.next().await {
            Some(Reply::Refused(refused)) => refused,
            other => panic!("not refused: {other:?}"),
        }
    }
}

async fn connect(endpoint: &Endpoint, node: &Running, alpn: &[u8]) -> Connection {
    let key = remuda_link::EndpointId::from_bytes(&node.key().0).unwrap();
    let within = std::time::Duration::from_secs(30);
    dial(endpoint, key, node.addresses(), alpn, within)
        .await
        .unwrap()
}

impl Request {
    /// Asks for tokens.
    pub async fn start(&mut self, model: Digest, seed: u64, max_tokens: u32) {
        let start = Start {
            request: RequestId::from_u128(5),
            model,
            prompt: vec![1],
            generated: Vec::new(),
            sampler: Sampler::default(),
            seed,
            max_tokens,
            constraint: None,
            top_logprobs: 0,
        };
        self.asks.send(&Ask::Start(Box::new(start))).await.unwrap();
    }

    /// The next reply; nothing at the end.
    pub async fn next(&mut self) -> Option<Reply> {
        soon("a reply", self.replies.receive()).await.unwrap()
    }

    /// Waits until the request is broken off.
    pub async fn broken(&mut self) {
        let broken = async { while let Ok(Some(_)) = self.replies.receive().await {} };
        soon("the break", broken).await;
    }
}
