//! The pools where what some requests ask of a place holds: in these countries, this near.

use remuda_types::Country;

use crate::fleet::Stock;
use crate::pool::PoolId;
use crate::request::{Near, Request};
use crate::view::stands_well;

/// What requests ask of a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    countries: Vec<Country>,
    near: Option<Near>,
}

/// The pools there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audience {
    pools: Vec<PoolId>,
    /// One bit for each pool, there or not.
    bits: Vec<u64>,
    known: usize,
    reuses: u32,
}

impl Spot {
    /// What the request asks of a place, if it asks anything.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let anywhere = request.countries.is_empty() && request.near.is_none();
        (!anywhere).then(|| Self {
            countries: request.countries.clone(),
            near: request.near,
        })
    }
}

impl Audience {
    /// The pools there.
    pub(crate) fn pools(&self) -> &[PoolId] {
        &self.pools
    }

    /// Whether the pool is there.
    pub(crate) fn has(&self, pool: PoolId) -> bool {
        let word = self.bits.get(pool as usize / 64);
        word.is_some_and(|word| word >> (pool % 64) & 1 == 1)
    }

    /// Takes note of pools that are new.
    pub(super) fn follow(&mut self, stock: &Stock, request: &Request) {
        if self.reuses != stock.reuses() {
            *self = Self {
                reuses: stock.reuses(),
                ..Self::default()
            };
        }
        self.bits.resize(stock.pools.len().div_ceil(64), 0);
        for at in self.known..stock.pools.len() {
            if stands_well(request, &stock.pools[at].common) {
                self.pools.push(PoolId::try_from(at).unwrap_or(PoolId::MAX));
                self.bits[at / 64] |= 1 << (at % 64);
            }
        }
        self.known = stock.pools.len();
    }
}
