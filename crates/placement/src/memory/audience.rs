//! The pools of which something that requests ask holds, whatever the pools have free: that they
//! are of these classes, or stand in these countries and this near.

use remuda_types::{Class, Country};
use smallvec::SmallVec;

use crate::bits::Bits;
use crate::fleet::Stock;
use crate::log::Position;
use crate::pool::{Common, PoolId};
use crate::request::{Near, Request};

/// What requests ask of pools.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wish {
    Classes(SmallVec<[Class; 4]>),
    Place(SmallVec<[Country; 8]>, Option<Near>),
}

/// The pools of which a wish holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Audience {
    pools: Bits,
    read: Position,
}

impl Wish {
    /// What the request asks of class, if it asks anything.
    pub(super) fn of_class(request: &Request) -> Option<Self> {
        let classes = &request.classes;
        (!classes.is_empty()).then(|| Self::Classes(SmallVec::from_slice(classes)))
    }

    /// What the request asks of place, if it asks anything.
    pub(super) fn of_place(request: &Request) -> Option<Self> {
        let anywhere = request.countries.is_empty() && request.near.is_none();
        let countries = || SmallVec::from_slice(&request.countries);
        (!anywhere).then(|| Self::Place(countries(), request.near))
    }
}

impl Audience {
    /// The pools of which the wish holds, those counted that came to be lately.
    pub(super) fn follow(&mut self, stock: &Stock, holds_of: impl Fn(&Common) -> bool) -> &Bits {
        let mut note = |pool: PoolId| {
            if holds_of(&stock.pools[pool as usize].common) {
                self.pools.insert(pool);
            } else {
                self.pools.remove(pool);
            }
        };
        if let Some(founded) = stock.founded.since(self.read) {
            founded.for_each(note);
        } else {
            (0..).zip(&stock.pools).for_each(|(pool, _)| note(pool));
        }
        self.read = stock.founded.end();
        &self.pools
    }
}
