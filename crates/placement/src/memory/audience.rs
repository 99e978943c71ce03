//! The pools where what some requests ask of class and place holds: of these classes, in these
//! countries, this near.

use remuda_types::{Class, Country};
use smallvec::SmallVec;

use crate::bits::Bits;
use crate::fleet::Stock;
use crate::log::Position;
use crate::pool::PoolId;
use crate::request::{Near, Request};
use crate::view::admits;

/// What requests ask of class and place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    classes: SmallVec<[Class; 4]>,
    countries: SmallVec<[Country; 8]>,
    near: Option<Near>,
}

/// The pools there.
#[derive(Clone, Debug, Default)]
pub(super) struct Audience {
    pools: Bits,
    read: Position,
}

impl Spot {
    /// What the request asks of class and place, if it asks anything.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let any = request.classes.is_empty() && request.countries.is_empty();
        (!any || request.near.is_some()).then(|| Self {
            classes: SmallVec::from_slice(&request.classes),
            countries: SmallVec::from_slice(&request.countries),
            near: request.near,
        })
    }
}

impl Audience {
    /// The pools there, those counted that came to be lately.
    pub(super) fn follow(&mut self, stock: &Stock, request: &Request) -> &Bits {
        if let Some(founded) = stock.founded.since(self.read) {
            founded.for_each(|pool| self.note(stock, request, pool));
        } else {
            let all = (0..).zip(&stock.pools).map(|(pool, _)| pool);
            all.for_each(|pool| self.note(stock, request, pool));
        }
        self.read = stock.founded.end();
        &self.pools
    }

    fn note(&mut self, stock: &Stock, request: &Request, pool: PoolId) {
        if admits(request, &stock.pools[pool as usize].common) {
            self.pools.insert(pool);
        } else {
            self.pools.remove(pool);
        }
    }
}
