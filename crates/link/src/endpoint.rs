//! Endpoints: bound to addresses the operator names, with no outside relay or DNS unless asked for.

use std::net::SocketAddr;
use std::time::Duration;

use iroh::endpoint::{Connection, IdleTimeout, QuicTransportConfig, VarInt, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode, RelayUrl, SecretKey};

/// What an endpoint is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// The key that names this program.
    pub key: SecretKey,
    /// Where to listen.
    pub bind: SocketAddr,
    /// Protocols that are accepted.
    pub alpns: Vec<Vec<u8>>,
    /// Relays that the operator runs; none means direct connections only.
    pub relays: Vec<RelayUrl>,
    /// How long silence may last.
    pub patience: Patience,
    /// What a peer may do on a connection, until it is [`allow`]ed more.
    pub allowance: Allowance,
}

/// What a peer may do on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Streams that it may have open at once.
    pub streams: u32,
    /// Bytes of all its streams that it may send before they are read.
    pub unread_bytes: u32,
}

impl Allowance {
    /// For a known peer: a stream for each request in flight.
    pub const PEER: Self = Self {
        streams: 4_096,
        unread_bytes: u32::MAX >> 2,
    };

    /// For anybody who may connect.
    pub const STRANGER: Self = Self {
        streams: 16,
        unread_bytes: 256 << 10,
    };
}

/// How soon a silent peer is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Between keep-alives.
    pub keep_alive: Duration,
    /// Silence after which a connection counts as broken.
    pub idle: Duration,
}

impl Default for Patience {
    /// A connection is given up after 3 s: later than the failure detector's own silence, so that
    /// the detector's probes and not this decide.
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_millis(750),
            idle: Duration::from_secs(3),
        }
    }
}

/// Why an endpoint could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on UDP {address}: {detail}")]
    Address {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        detail: String,
    },
}

/// Why a peer could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No connection came about.
    #[error("cannot reach {peer}: {detail}")]
    Unreachable {
        /// Whom.
        peer: EndpointId,
        /// What was tried.
        detail: String,
    },
    /// No connection came about in time.
    #[error("cannot reach {peer} within {} ms", .within.as_millis())]
    TimedOut {
        /// Whom.
        peer: EndpointId,
        /// How long was waited.
        within: Duration,
    },
}

/// Binds an endpoint.
pub async fn bind(config: Config) -> Result<Endpoint, BindError> {
    let address = config.bind;
    let failed = |detail: String| BindError::Address { address, detail };
    let relay_mode = if config.relays.is_empty() {
        RelayMode::Disabled
    } else {
        RelayMode::custom(config.relays)
    };
    Endpoint::builder(presets::Minimal)
        .secret_key(config.key)
        .alpns(config.alpns)
        .relay_mode(relay_mode)
        .transport_config(transport(config.patience, config.allowance))
        .clear_ip_transports()
        .bind_addr(address)
        .map_err(|error| failed(error.to_string()))?
        .bind()
        .await
        .map_err(|error| failed(format!("{error:#}")))
}

/// Lets the peer of a connection do more than the endpoint's own [`Allowance`].
pub fn allow(connection: &Connection, allowance: Allowance) {
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(allowance.streams));
    connection.set_receive_window(VarInt::from_u32(allowance.unread_bytes));
}

fn transport(patience: Patience, allowance: Allowance) -> QuicTransportConfig {
    QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(allowance.streams))
        .receive_window(VarInt::from_u32(allowance.unread_bytes))
        .keep_alive_interval(patience.keep_alive)
        .default_path_keep_alive_interval(patience.keep_alive)
        .default_path_max_idle_timeout(patience.idle)
        .max_idle_timeout(IdleTimeout::try_from(patience.idle).ok())
        .build()
}

/// Connects to a peer at any of `addresses` (and through the relays, if there are some).
pub async fn dial(
    endpoint: &Endpoint,
    peer: EndpointId,
    addresses: &[SocketAddr],
    alpn: &[u8],
    within: Duration,
) -> Result<Connection, DialError> {
    let address = addresses
        .iter()
        .fold(EndpointAddr::new(peer), |to, socket| {
            to.with_ip_addr(*socket)
        });
    match tokio::time::timeout(within, endpoint.connect(address, alpn)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(DialError::Unreachable {
            peer,
            detail: format!("{error:#}"),
        }),
        Err(_) => Err(DialError::TimedOut { peer, within }),
    }
}
