//! How the programs connect: the iroh endpoint and framed streams that control, nodes and gateways
//! use alike, whom they believe over HTTPS, and control's clock as nodes and gateways know it.
//!
//! One place decides how Remuda's programs speak over QUIC: which transports an endpoint binds, how
//! long silence may last, how frames are read and written. What is said is in `remuda-wire`; who
//! says it when is in the act crates. No decision about a peer belongs here.

pub mod clock;
pub mod endpoint;
pub mod https;
pub mod stream;

pub use clock::Clock;
pub use endpoint::{Allowance, BindError, Config, DialError, Patience, allow, bind, dial};
pub use https::ClientError;
pub use iroh::endpoint::{Connection, RecvStream, SendStream};
pub use iroh::{Endpoint, EndpointId, SecretKey};
pub use stream::{Receiver, Sender, Stream, StreamError};
