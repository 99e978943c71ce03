//! What control is started with. Parsed by the binary; nothing here reads the environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use remuda_journal::Claim;
use remuda_liveness::Policy as LivenessPolicy;
use remuda_network::Policy;

/// What control is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the journal, snapshots, projections and control's key are.
    pub data_dir: PathBuf,
    /// Where the HTTP API listens.
    pub http: SocketAddr,
    /// Where nodes and gateways connect (UDP).
    pub iroh: SocketAddr,
    /// How clients and nodes reach the HTTP API, without a slash at the end.
    pub public_url: String,
    /// Whether to take the journal from another control that has it.
    pub claim: Claim,
    /// The network's parameters; set at the first start and whenever they differ.
    pub policy: Policy,
    /// When silence is suspicious and when a node is lost.
    pub liveness: LivenessPolicy,
    /// A gateway that knows this may spend tranches.
    pub gateway_admission: String,
    /// Records between snapshots.
    pub snapshot_every: u64,
}
