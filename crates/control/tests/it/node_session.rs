//! Control and a node that speaks to it, or does not.

use std::time::Duration;

use remuda_link::{
    Allowance, Config, Connection, Endpoint, EndpointId, Patience, SecretKey, Stream, bind, dial,
};
use remuda_types::{Capacity, Class, NodeKey, Price};
use remuda_wire::ALPN_NODE;
use remuda_wire::node::{
    AssignmentStamp, ControlMessage, Enrolment, Hello, Inventory, NodeMessage, Report,
};
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{Control, Market};

/// A node with a key of its own.
struct Node {
    endpoint: Endpoint,
    key: SecretKey,
}

type Messages = Stream<ControlMessage, NodeMessage>;

impl Node {
    async fn new() -> Self {
        let key = SecretKey::from_bytes(&[7; 32]);
        let config = Config {
            key: key.clone(),
            bind: "127.0.0.1:0".parse().unwrap(),
            alpns: Vec::new(),
            relays: Vec::new(),
            patience: Patience::default(),
            allowance: Allowance::PEER,
        };
        let endpoint = bind(config).await.unwrap();
        Self { endpoint, key }
    }

    fn id(&self) -> NodeKey {
        NodeKey(*self.key.public().as_bytes())
    }

    /// Begins a session.
    async fn join(&self, control: &Control, market: &Market) -> (Connection, Messages) {
        self.join_as(1, control, market).await
    }

    /// The same of another daemon of this node.
    async fn join_as(
        &self,
        boot: u64,
        control: &Control,
        market: &Market,
    ) -> (Connection, Messages) {
        let endpoint = &control.running.endpoint;
        let to: EndpointId = endpoint.id();
        let at = endpoint.bound_sockets();
        let within = Duration::from_secs(10);
        let dialled = dial(&self.endpoint, to, &at, ALPN_NODE, within);
        let connection = dialled.await.unwrap();
        let mut messages = Messages::open(&connection).await.unwrap();
        let hello = Hello {
            boot,
            ..self.hello(control, market)
        };
        let hello = NodeMessage::Hello(Box::new(hello));
        let answer = messages.ask(&hello).await.unwrap();
        assert!(matches!(answer, ControlMessage::Welcome(_)), "{answer:?}");
        (connection, messages)
    }

    fn hello(&self, control: &Control, market: &Market) -> Hello {
        let capacity = Capacity {
            cpu_milli: 4_000,
            memory_mib: 8_192,
            disk_mib: 10_000,
            ..Capacity::default()
        };
        Hello {
            version: "test".to_owned(),
            boot: 1,
            addresses: self.endpoint.bound_sockets(),
            clock: control.running.core.clock().now(),
            inventory: Inventory {
                class: Class::CPU,
                capacity,
                description: "test".to_owned(),
            },
            enrolment: Some(Enrolment {
                provider_key: market.provider_key.clone(),
                site: market.site.parse().unwrap(),
                price: Price::from_micros_per_hour(1),
            }),
            holds: AssignmentStamp::default(),
            replicas: Vec::new(),
            pauses: Vec::new(),
            leaving: false,
        }
    }
}

/// Waits until the network holds this of the node.
async fn presence(control: &Control, node: NodeKey, expected: &str) {
    let path = format!("/v1/nodes/{node}");
    loop {
        let seen = control.get(&control.operator, &path).await.expect(200);
        if seen["presence"] == expected {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// As one that stood still for less than a broken connection takes to be noticed: its endpoint
/// keeps the connection alive, and nobody answers.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_judged_lost_is_watched_again_by_a_new_session() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let node = Node::new().await;
    let (connection, messages) = node.join(&control, &market).await;
    presence(&control, node.id(), "lost").await;
    let closed = connection.closed().await.to_string();
    assert!(closed.contains("judged lost"), "{closed}");
    drop(messages);

    let (_connection, mut messages) = node.join(&control, &market).await;
    presence(&control, node.id(), "up").await;
    let report = Report {
        seq: 1,
        clock: control.running.core.clock().now(),
        holds: AssignmentStamp::default(),
        replicas: Vec::new(),
    };
    let report = NodeMessage::Report(report);
    messages.sender.send(&report).await.unwrap();
    // Silent again, it is found again: somebody watches it.
    presence(&control, node.id(), "lost").await;
    control.running.stop().await;
}

/// Its leases had no time to move, so that its session did not end in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_to_stop_and_is_started_again_takes_leases() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    let node = Node::new().await;
    let (connection, mut messages) = node.join(&control, &market).await;
    market.deploy(&control, 1).await;
    messages.sender.send(&NodeMessage::Leaving).await.unwrap();
    presence(&control, node.id(), "draining").await;
    connection.close(0_u32.into(), b"killed");

    let (connection, mut messages) = node.join_as(2, &control, &market).await;
    presence(&control, node.id(), "up").await;

    // What somebody else has it drain for lasts.
    let drain = format!("/v1/nodes/{}/drain", node.id());
    let drained = control.post(&control.operator, &drain, &json!({})).await;
    assert!(drained.status.is_success(), "{drained:?}");
    messages.sender.send(&NodeMessage::Leaving).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    connection.close(0_u32.into(), b"killed");
    let (_connection, _messages) = node.join_as(3, &control, &market).await;
    presence(&control, node.id(), "draining").await;
    control.running.stop().await;
}
