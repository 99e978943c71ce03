//! What of the network's policy is another than by default. What a policy may be, `network` says; what
//! is added here is only that a run under it comes to an end.

use remuda_network::policy::{Kin, Repack};
use remuda_network::{Command, Network, Refusal, policy};
use remuda_types::{CommandId, Entropy, Span, Time};
use serde::Deserialize;

use super::bounds::{OFTEN_MIN, never_or_rarer};
use super::{Length, ScenarioError};

/// A plan of a large network takes as long as thousands of decisions, and a run has years of them.
const PLAN_EVERY: Span = Span::HOUR;
const PLAN_EVERY_IF_LARGE: Span = Span::from_secs(6 * 3_600);

/// From so many GPUs on a network is large.
const LARGE_GPUS: u64 = 10_000;

/// Parameters of the network.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How much running time is reserved and settled at once.
    pub slice: Option<Length>,
    /// How long a lease holds its node before it must be granted again.
    pub lease_term: Option<Length>,
    /// How long before leaving a provider must say so.
    pub notice: Option<Length>,
    /// How often the whole network is planned; where nothing is said every hour, and every six in a
    /// network of 10,000 GPUs or more; 0 is never.
    pub plan_every: Option<Length>,
    /// How much more often than by chance sites must fail together to be kept apart, in
    /// thousandths; at 0 nothing is learned.
    pub kin_lift_milli: Option<u32>,
    /// How long a gateway may spend from a tranche.
    pub tranche_ttl: Option<Length>,
    /// Between looks for replicas that would gain from a move; by default never.
    pub repack_every: Option<Length>,
}

impl Policy {
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        let policy = Command::SetPolicy(Box::new(self.of_network(LARGE_GPUS)));
        let id = CommandId::new(Time::EPOCH, Entropy([0; 10]));
        let decided = Network::default().decide(Time::EPOCH, id, &policy);
        decided.map_err(|refusal| self.refused(refusal))?;
        for (field, length) in [
            ("policy.slice", self.slice),
            ("policy.tranche_ttl", self.tranche_ttl),
        ] {
            if let Some(length) = length.filter(|length| length.0 < OFTEN_MIN) {
                let problem = format!("{length}: at least {} is expected", Length(OFTEN_MIN));
                return Err(ScenarioError::value(field, problem));
            }
        }
        never_or_rarer("policy.plan_every", self.plan_every.unwrap_or_default())?;
        never_or_rarer("policy.repack_every", self.repack_every.unwrap_or_default())
    }

    /// What the network says of it, by the names of a scenario.
    fn refused(&self, refusal: Refusal) -> ScenarioError {
        match refusal {
            Refusal::Invalid { field, problem } => {
                let policy = self.of_network(LARGE_GPUS);
                let (slice, term) = (Length(policy.slice), Length(policy.lease_term));
                let problem = if field == "slice" {
                    format!("{slice}, and policy.lease_term {term}: {problem}")
                } else {
                    format!("not possible: {problem}")
                };
                ScenarioError::value(format!("policy.{field}"), problem)
            }
            other => ScenarioError::value("policy", format!("refused: {other}")),
        }
    }

    /// The policy of a network of so many GPUs.
    pub(crate) fn of_network(&self, gpus: u64) -> policy::Policy {
        let plan_every = if gpus < LARGE_GPUS {
            PLAN_EVERY
        } else {
            PLAN_EVERY_IF_LARGE
        };
        let or = |length: Option<Length>, default: Span| length.map_or(default, |l| l.0);
        let default = policy::Policy::default();
        policy::Policy {
            max_workloads: u32::MAX,
            slice: or(self.slice, default.slice),
            lease_term: or(self.lease_term, default.lease_term),
            notice: or(self.notice, default.notice),
            plan_every: or(self.plan_every, plan_every),
            kin: Kin {
                lift_milli: self.kin_lift_milli.unwrap_or(default.kin.lift_milli),
                ..default.kin
            },
            tranche_ttl: or(self.tranche_ttl, default.tranche_ttl),
            repack: Repack {
                every: or(self.repack_every, default.repack.every),
                ..default.repack
            },
            ..default
        }
    }
}
