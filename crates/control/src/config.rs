//! What control is started with. Parsed by the binary; nothing here reads the environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Nodes that had a session when control stopped have this long to come back before they are
    /// suspected: control coming back adopts, it never sweeps.
    pub adopt_within: Duration,
    /// A gateway that knows this may spend tranches.
    pub gateway_admission: String,
    /// Records between snapshots.
    pub snapshot_every: u64,
}

/// What verdicts may take beyond the failure detector's own bound until they are decided.
const VERDICT_MARGIN: Duration = Duration::from_secs(2);

impl Config {
    /// [`Config::adopt_within`], where nobody says otherwise.
    pub const ADOPT_WITHIN: Duration = Duration::from_secs(10);

    /// How long a control that comes back settles nothing: by then it has heard its nodes or knows
    /// that they are gone, and charges nobody for what was not served while it was away.
    pub(crate) fn adopting(&self) -> Duration {
        let verdict = self.liveness.detection_bound().as_millis();
        self.adopt_within + Duration::from_millis(verdict) + VERDICT_MARGIN
    }
}
