//! Who is no gateway of the network: its word moves nothing.

use remuda_link::Stream;
use remuda_types::NodeKey;
use remuda_wire::ALPN_GATEWAY;
use remuda_wire::gateway::{GatewayReply, GatewayRequest, Sighting, Watch};
use tempfile::tempdir;

use super::lone_control::Control;

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_say_that_a_node_lives() {
    let home = tempdir().unwrap();
    let control = Control::start(home.path()).await;
    let (_endpoint, connection) = control.dialled(7, ALPN_GATEWAY).await;
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
