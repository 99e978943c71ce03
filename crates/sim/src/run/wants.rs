//! What is to run: drawn from the world's demand, each under a name of its own. Who wants it, how many
//! of it and when does not belong here.

use remuda_network::state::{Terms, TokenPrices};
use remuda_placement::Request;
use remuda_types::{Shape, Share, Tier, Together, WorkloadKind};

use super::ground::label;
use crate::world::Demand;

/// The least that a `multi-site` replica asks: any class of the world has it.
const REPLICA: Shape = Shape {
    gpu_milli: 1_000,
    gpu_memory_mib: 0,
    cpu_milli: 4_000,
    memory_mib: 16_384,
    disk_mib: 0,
};

/// Draws what is to run.
#[derive(Debug)]
pub(crate) struct Wants {
    demand: Demand,
    /// What tokens of `multi-site` services cost, where gateways sell them.
    tokens: Option<TokenPrices>,
    /// The most that an owner or a site may have of them.
    max_share: Option<Share>,
    /// The number that the last one is named by.
    named: u64,
}

impl Wants {
    /// Names come after this number.
    pub(crate) fn new(
        seed: u64,
        (tokens, max_share): (Option<TokenPrices>, Option<Share>),
        named: u64,
    ) -> Self {
        Self {
            demand: Demand::new(seed, 0),
            tokens,
            max_share,
            named,
        }
    }

    /// The terms of the next. A service on many sites is small, and wanted anywhere.
    pub(crate) fn terms(&mut self, tier: Tier) -> Option<Terms> {
        let mut request = if tier.spreads_owners() {
            Request::new(REPLICA).ok()?
        } else {
            self.with_gpu()?
        };
        if tier == Tier::Enterprise {
            (request.countries, request.near) = (Vec::new(), None);
        }
        self.named += 1;
        Some(Terms {
            kind: WorkloadKind::Service,
            label: label(self.named),
            spec: label(self.named),
            tier,
            shape: *request.shape(),
            classes: request.classes,
            countries: request.countries,
            max_price: None,
            near: request.near,
            tokens: self.tokens.filter(|_| tier.spreads_owners()),
            model: None,
            together: Together::default(),
            max_owner_share: self.max_share.filter(|_| tier.spreads_owners()),
            max_site_share: self.max_share.filter(|_| tier.spreads_owners()),
        })
    }

    /// The next request of the world's demand that asks for a GPU or a part of one.
    fn with_gpu(&mut self) -> Option<Request> {
        loop {
            let request = self.demand.draw()?;
            if request.shape().gpu_milli > 0 {
                return Some(request);
            }
        }
    }
}
