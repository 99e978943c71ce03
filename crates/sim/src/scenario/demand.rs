//! Who buys: how much, of what, and what tenants do beside deploying and stopping.

use remuda_network::state::Terms;
use remuda_types::{Share, Span, Tier};
use serde::Deserialize;

use super::bounds::{OFTEN_MIN, at_most, whole};
use super::{Chance, Factor, Length, ScenarioError};

/// The most replicas that a service of a scenario may have.
const REPLICAS_MAX: u32 = 1_000;

/// The most of anything that tenants may do in a day, beyond the load: what stands is looked at again
/// and again.
const PER_DAY_MAX: f64 = 10_000.0;

/// Who buys.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Demand {
    /// How much of all GPUs is in use, from 0 to 0.95.
    pub load: Chance,
    /// Shares of the load by tier; what they leave is `spot`.
    pub standard: Chance,
    /// See `standard`.
    pub enterprise: Chance,
    /// See `standard`.
    pub multi_site: Chance,
    /// The replicas that `multi-site` services need, in turn by GPUs.
    pub services: Vec<ServiceMix>,
    /// Replicas of a service beyond those it needs.
    pub spare: u32,
    /// The most of its replicas, in percent, that an owner or a site may have of such a service; where
    /// nothing is said, what the tier says.
    pub max_share_pct: Option<u32>,
    /// For comparison: what such a service has of it.
    pub redundancy: Redundancy,
    /// How long `standard` and `spot` workloads last on average.
    pub lifetime: Length,
    /// Reservations made in a day, beyond the load. Each begins after twice a `lifetime` and lasts for
    /// one, on average.
    pub reservations_per_day: f64,
    /// Standing orders placed in a day, beyond the load, each with the most that it may cost.
    pub orders_per_day: f64,
    /// Workloads scaled in a day, by one replica or two.
    pub scales_per_day: f64,
}

/// What `multi-site` services have of redundancy. Who buys what and when is drawn alike for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redundancy {
    /// What their tier says, and replicas to spare.
    #[default]
    Full,
    /// What their tier says, and no replica to spare.
    NoSpare,
    /// Neither: they are bought as `standard`, as many replicas as are needed, wherever it is
    /// cheapest.
    None,
}

impl Redundancy {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::NoSpare => "no-spare",
            Self::None => "none",
        }
    }
}

/// A size of service.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceMix {
    /// Replicas that it needs.
    pub needs: u32,
    /// Its share of the tier's GPUs, beside the other sizes' shares.
    pub share: Factor,
}

impl Default for Demand {
    fn default() -> Self {
        let mix = |needs, share| ServiceMix {
            needs,
            share: Factor(share),
        };
        Self {
            load: Chance(0.85),
            standard: Chance(0.4),
            enterprise: Chance(0.2),
            multi_site: Chance(0.25),
            services: vec![
                mix(1, 0.02),
                mix(2, 0.03),
                mix(4, 0.05),
                mix(12, 0.4),
                mix(24, 0.5),
            ],
            spare: 1,
            max_share_pct: None,
            redundancy: Redundancy::Full,
            lifetime: Length(Span::from_secs(10 * 86_400)),
            reservations_per_day: 0.0,
            orders_per_day: 0.0,
            scales_per_day: 0.0,
        }
    }
}

impl Demand {
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        if self.load.0 > 0.95 {
            let problem = format!(
                "{}: at most 0.95, or nothing that fails has a place to go",
                self.load.0
            );
            return Err(ScenarioError::value("demand.load", problem));
        }
        let shares = self.standard.0 + self.enterprise.0 + self.multi_site.0;
        if shares > 1.0 + 1e-9 {
            let problem =
                format!("standard, enterprise and multi_site make up {shares}: at most 1");
            return Err(ScenarioError::value("demand", problem));
        }
        self.check_services()?;
        self.max_share()?;
        if self.lifetime.0 < OFTEN_MIN {
            let (lifetime, least) = (self.lifetime, Length(OFTEN_MIN));
            let problem = format!("{lifetime}: at least {least} is expected");
            return Err(ScenarioError::value("demand.lifetime", problem));
        }
        for (field, value) in [
            ("demand.reservations_per_day", self.reservations_per_day),
            ("demand.orders_per_day", self.orders_per_day),
            ("demand.scales_per_day", self.scales_per_day),
        ] {
            at_most(field, value, PER_DAY_MAX)?;
        }
        Ok(())
    }

    /// What is bought where such a service is wanted, `spare` replicas and all: how many replicas, and
    /// on what terms.
    pub(crate) fn bought(&self, needed: u32, terms: &mut Terms) -> u32 {
        if self.redundancy == Redundancy::Full {
            return needed + self.spare;
        }
        if self.redundancy == Redundancy::None {
            terms.tier = Tier::Standard;
            (terms.max_owner_share, terms.max_site_share) = (None, None);
        }
        needed
    }

    /// The most that an owner and a site may have, as a share.
    pub(crate) fn max_share(&self) -> Result<Option<Share>, ScenarioError> {
        let Some(percent) = self.max_share_pct else {
            return Ok(None);
        };
        let share = Share::of_percent(percent).ok();
        let most = Tier::MultiSite.max_share_percent();
        let allowed = share.filter(|share| share.percent() <= most);
        allowed.map(Some).ok_or_else(|| {
            let problem = format!("{percent}: 1 to {most} percent is expected");
            ScenarioError::value("demand.max_share_pct", problem)
        })
    }

    fn check_services(&self) -> Result<(), ScenarioError> {
        if self.services.is_empty() || self.services.iter().all(|mix| mix.share.0 == 0.0) {
            let problem = "none: one size of service with a share above 0 is expected".to_owned();
            return Err(ScenarioError::value("demand.services", problem));
        }
        for mix in &self.services {
            let all = u64::from(mix.needs) + u64::from(self.spare);
            whole("demand.services.needs", u64::from(mix.needs), all)?;
            whole(
                "demand.spare with services.needs",
                all,
                u64::from(REPLICAS_MAX),
            )?;
        }
        Ok(())
    }
}
