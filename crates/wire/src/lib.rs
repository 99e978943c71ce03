//! What travels between Remuda's programs: frames and messages, versioned, without behaviour.
//!
//! Every message is one length-prefixed CBOR map with integer keys that are never reused; a reader
//! ignores keys it does not know and refuses variants it does not know. The version of a protocol
//! is in its ALPN. What does not belong here: sockets, decisions, anything that waits.
#![forbid(unsafe_code)]

pub mod api;
pub mod frame;
pub mod gateway;
pub mod grant;
pub mod infer;
pub mod node;
pub mod probe;
pub mod spec;

/// Node to control: sessions, reports, assignments.
pub const ALPN_NODE: &[u8] = b"remuda/node/1";
/// Gateway to control: routes, tranches, usage.
pub const ALPN_GATEWAY: &[u8] = b"remuda/gateway/1";
/// Gateway to node: inference streams.
pub const ALPN_INFER: &[u8] = b"remuda/infer/1";
/// Anyone to node: is the daemon there?
pub const ALPN_PROBE: &[u8] = b"remuda/probe/1";
