//! Who is no gateway of the network: its word moves nothing.

use std::time::Duration;

use remuda_link::{Config, Patience, SecretKey, Stream};
use remuda_types::NodeKey;
use remuda_wire::ALPN_GATEWAY;
use remuda_wire::gateway::{GatewayReply, GatewayRequest, Sighting, Watch};
use tempfile::tempdir;

use super::lone_control::Control;

/// A stranger's connection to control.
async fn stranger(control: &Control) -> (remuda_link::Endpoint, remuda_link::Connection) {
    let bind = "127.0.0.1:0".parse().unwrap();
    let endpoint = remuda_link::bind(Config {
        key: SecretKey::from_bytes(&[7; 32]),
        bind,
        alpns: Vec::new(),
        relays: Vec::new(),
        patience: Patience::default(),
    });
    let endpoint = endpoint.await.unwrap();
    let (peer, addresses) = control.endpoint();
    let within = Duration::from_secs(5);
    let connection = remuda_link::dial(&endpoint, peer, &addresses, ALPN_GATEWAY, within).await;
    (endpoint, connection.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_say_that_a_node_lives() {
    let home = tempdir().unwrap();
    let control = Control::start(home.path()).await;
    let (_endpoint, connection) = stranger(&control).await;
    let sighting = GatewayRequest::Sighting(Sighting {
        node: NodeKey([1; 32]),
        answered: true,
    });
    let watch = GatewayRequest::Watch(Watch {
        admission: Some("guessed".to_owned()),
        public_url: String::new(),
        version: String::new(),
    });
    for request in [sighting, watch] {
        let mut stream = Stream::<GatewayReply, GatewayRequest>::open(&connection)
            .await
            .unwrap();
        match stream.ask(&request).await.unwrap() {
            GatewayReply::Refused(refused) => assert_eq!(refused.code, "not-admitted"),
            other => panic!("{other:?}"),
        }
    }
}
