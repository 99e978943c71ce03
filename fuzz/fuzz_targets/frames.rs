//! Frames of every protocol, as they come in from a peer.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use minicbor::{Decode, Encode};
use remuda_wire::frame::{self, Frames, MAX_FRAME_BYTES};
use remuda_wire::gateway::{GatewayReply, GatewayRequest, RouteTable};
use remuda_wire::grant::SignedGrant;
use remuda_wire::infer::{Ask, Open, Reply};
use remuda_wire::node::{ControlMessage, NodeMessage, NodeReply, NodeRequest};
use remuda_wire::probe::Ping;
use tokio_util::codec::Decoder;

fuzz_target!(|bytes: &[u8]| {
    read::<NodeMessage>(bytes);
    read::<ControlMessage>(bytes);
    read::<NodeRequest>(bytes);
    read::<NodeReply>(bytes);
    read::<GatewayRequest>(bytes);
    read::<GatewayReply>(bytes);
    read::<RouteTable>(bytes);
    read::<Open>(bytes);
    read::<Ask>(bytes);
    read::<Reply>(bytes);
    read::<Ping>(bytes);
    read::<SignedGrant>(bytes);
});

/// Reads frames until there are no more; what was read can be written, and reads as the same bytes.
fn read<M: for<'b> Decode<'b, ()> + Encode<()>>(bytes: &[u8]) {
    let mut codec = Frames::<M, ()>::up_to(1 << 20);
    let mut incoming = BytesMut::from(bytes);
    while let Ok(Some(message)) = codec.decode(&mut incoming) {
        let mut written = BytesMut::new();
        frame::write(&message, MAX_FRAME_BYTES, &mut written).unwrap();
        let again = Frames::<M, ()>::default().decode(&mut written.clone());
        let mut twice = BytesMut::new();
        frame::write(&again.unwrap().unwrap(), MAX_FRAME_BYTES, &mut twice).unwrap();
        assert_eq!(written, twice);
    }
}
