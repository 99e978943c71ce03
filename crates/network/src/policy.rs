//! The network's parameters. Every window is here, so that a test network runs them in seconds.

use minicbor::{Decode, Encode};
use remuda_placement::Congestion;
use remuda_types::{Money, Price, Span};

mod kin;
mod repack;

pub use kin::Kin;
pub use repack::Repack;

/// Parameters that the operator sets and every decision reads.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Policy {
    /// How long a lease holds its node before it must be granted again.
    #[n(0)]
    pub lease_term: Span,
    /// How much running time is reserved and settled at once.
    #[n(1)]
    pub slice: Span,
    /// A lease whose project cannot pay for this much more is ended.
    #[n(2)]
    pub slice_min: Span,
    /// How long earnings are held back before they are the provider's to withdraw.
    #[n(3)]
    pub holdback: Span,
    /// Earnings of one such span are released together.
    #[n(4)]
    pub holdback_bucket: Span,
    /// The platform's share of a charge, in basis points.
    #[n(5)]
    pub fee_bp: u32,
    /// The insurance pool's share of a charge, in basis points.
    #[n(6)]
    pub pool_bp: u32,
    /// How long a gateway may spend from a tranche.
    #[n(7)]
    pub tranche_ttl: Span,
    /// How far clocks of gateways and control may differ; no gateway spends within this of a tranche's deadline.
    #[n(8)]
    pub clock_drift: Span,
    /// The most a gateway gets at once.
    #[n(9)]
    pub tranche_max: Money,
    /// A tranche below this is not worth opening: the budget counts as exhausted.
    #[n(10)]
    pub tranche_min: Money,
    /// Between attempts to place a replica that found no node; doubles up to `replace_backoff_max`.
    #[n(11)]
    pub replace_backoff: Span,
    /// The longest wait between attempts.
    #[n(12)]
    pub replace_backoff_max: Span,
    /// How long a draining replica may finish what it has.
    #[n(13)]
    pub drain_grace: Span,
    /// How long before leaving a provider must say so to leave free of charge.
    #[n(14)]
    pub notice: Span,
    /// What moving one replica costs its tenant; part of the early-exit fee.
    #[n(15)]
    pub migration_cost: Money,
    /// Days of expected payout that a bond must cover at least.
    #[n(16)]
    pub bond_floor: Span,
    /// How long command ids are remembered; older ones are refused.
    #[n(17)]
    pub id_window: Span,
    /// Whether plain processes may run.
    #[n(18)]
    pub processes_allowed: bool,
    /// The most replicas one workload may have.
    #[n(19)]
    pub max_replicas: u32,
    /// The most live workloads one project may have.
    #[n(20)]
    pub max_workloads: u32,
    /// The most live API keys one project or provider may have.
    #[n(21)]
    pub max_keys: u32,
    /// Due items that one tick handles at most.
    #[n(22)]
    pub tick_limit: u32,
    /// How long a node may take to say that it knows of a lease; then its replica goes elsewhere.
    #[n(23)]
    pub accept_within: Span,
    /// How long a replica may stay unready; then it goes elsewhere. Fetching a large model counts.
    #[n(24)]
    pub start_within: Span,
    /// Between attempts to empty a draining node.
    #[n(25)]
    pub drain_retry: Span,
    /// How long after a tranche's deadline its last usage may arrive, control's own absence included; what is left is voided then.
    #[n(26)]
    pub post_grace: Span,
    /// How often placement gets a plan of the whole network; zero is never.
    #[n(30)]
    #[cbor(default)]
    pub plan_every: Span,
    /// How much more of every kind of demand a plan expects than is there, in hundredths.
    #[n(31)]
    #[cbor(default)]
    pub plan_headroom_percent: u32,
    /// Kinds of demand that a plan tells apart; of more, those with most.
    #[n(32)]
    #[cbor(default)]
    pub plan_classes_max: u32,
    /// The most quotas that a plan may set.
    #[n(33)]
    #[cbor(default)]
    pub plan_rows_max: u32,
    /// What a GPU-hour that is not served counts as in a plan.
    #[n(34)]
    #[cbor(default)]
    pub unserved_gpu_price: Price,
    /// How much dearer than its price a full site counts: `a·(e^(b·load) − 1)`, this is `a`, in
    /// thousandths.
    #[n(35)]
    #[cbor(default)]
    pub congestion_scale_milli: u32,
    /// And this is `b`, in thousandths.
    #[n(36)]
    #[cbor(default)]
    pub congestion_steepness_milli: u32,
    /// How long a standing order may stand.
    #[n(60)]
    #[cbor(default)]
    pub order_stands_max: Span,
    /// The longest wait between attempts to fill a standing order; the first is `replace_backoff`, and
    /// each is twice the one before.
    #[n(61)]
    #[cbor(default)]
    pub order_retry_max: Span,
    /// When a site has failed, and when two fail together.
    #[n(50)]
    #[cbor(default)]
    #[serde(flatten)]
    pub kin: Kin,
    /// When replicas are moved to where they would be put today.
    #[n(55)]
    #[cbor(default)]
    #[serde(flatten)]
    pub repack: Repack,
    /// Each `enterprise` workload has a warm standby for each started so many of its replicas; 0 is
    /// none.
    ///
    /// A standby is capacity that nobody pays for but the `spot` tenants who use it until it is
    /// called: it costs the network what it could not sell at once to others, and its provider
    /// nothing but the choice of tenants. The default keeps an instance's lack of a node far under
    /// the 0.1 % of `enterprise`'s promise even where each node is away 1 % of the time: of twelve
    /// replicas two or more then lack theirs 0.66 % of the time, and one instance of them 0.055 %.
    #[n(40)]
    #[cbor(default)]
    pub replicas_per_standby: u32,
    /// The longest wait between attempts to find a node for a standby; the first is
    /// `replace_backoff`, and each is twice the one before.
    #[n(41)]
    #[cbor(default)]
    pub standby_retry_max: Span,
    /// How far ahead the start of a reservation may lie.
    #[n(46)]
    #[cbor(default)]
    pub reserve_ahead_max: Span,
    /// How long a reservation may last.
    #[n(47)]
    #[cbor(default)]
    pub reserve_length_max: Span,
}

impl Policy {
    /// What congestion counts.
    pub fn congestion(&self) -> Congestion {
        Congestion::new(self.congestion_scale_milli, self.congestion_steepness_milli)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lease_term: Span::from_secs(30 * 86_400),
            slice: Span::DAY,
            slice_min: Span::from_secs(60),
            holdback: Span::from_secs(14 * 86_400),
            holdback_bucket: Span::DAY,
            fee_bp: 500,
            pool_bp: 100,
            tranche_ttl: Span::HOUR,
            clock_drift: Span::from_secs(5),
            tranche_max: Money::from_micros(5_000_000),
            tranche_min: Money::from_micros(1),
            replace_backoff: Span::from_secs(1),
            replace_backoff_max: Span::from_secs(60),
            drain_grace: Span::from_secs(30),
            notice: Span::from_secs(30 * 86_400),
            migration_cost: Money::from_micros(50_000),
            bond_floor: Span::from_secs(14 * 86_400),
            id_window: Span::from_secs(15 * 60),
            processes_allowed: false,
            max_replicas: 8_192,
            max_workloads: 1_000,
            max_keys: 1_000,
            tick_limit: 1_000,
            accept_within: Span::from_secs(60),
            start_within: Span::HOUR,
            drain_retry: Span::from_secs(10),
            post_grace: Span::from_secs(10 * 60),
            plan_every: Span::from_secs(5 * 60),
            plan_headroom_percent: 10,
            plan_classes_max: 2_000,
            plan_rows_max: 100_000,
            unserved_gpu_price: Price::from_micros_per_hour(40_000_000),
            congestion_scale_milli: 20,
            congestion_steepness_milli: 4_000,
            order_stands_max: Span::from_secs(90 * 86_400),
            order_retry_max: Span::from_secs(15 * 60),
            kin: Kin::default(),
            repack: Repack::default(),
            replicas_per_standby: 12,
            standby_retry_max: Span::HOUR,
            reserve_ahead_max: Span::from_secs(365 * 86_400),
            reserve_length_max: Span::from_secs(366 * 86_400),
        }
    }
}
