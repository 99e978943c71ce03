//! What is remembered of earlier searches, so that the next ones are fast.
//!
//! Nothing here can change an answer: what is remembered says which pools need no look, and follows
//! what the pools tell; what was not asked for in a long while is forgotten and worked out anew.

mod audience;
mod generations;

use crate::ask::Ask;
use crate::bits::Bits;
use crate::brief::Brief;
use crate::fleet::Stock;
use crate::log::Position;
use crate::request::Request;

use audience::{Audience, Spot};
use generations::Generations;

/// How many bytes all asks of a generation may take, and all audiences.
const ASKS_BUDGET: usize = 1 << 24;
const AUDIENCES_BUDGET: usize = 1 << 24;
/// What one of them takes beside its bits, the entry of the map counted.
const EACH: usize = 256;

/// What is known of asks and places that were asked for lately.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    asks: Generations<Ask, Known>,
    audiences: Generations<Spot, Audience>,
}

/// What is known of an ask.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// What it asks, packed.
    pub(crate) asked: Brief,
    /// Pools that may have room. The others have none.
    pub(crate) open: Bits,
    read: Position,
}

/// What a search may use.
pub(crate) struct Recalled<'a> {
    pub(crate) known: &'a mut Known,
    /// The pools of the classes and at the places asked for, if any are asked for.
    pub(crate) audience: Option<&'a Bits>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            asks: Generations::new(ASKS_BUDGET),
            audiences: Generations::new(AUDIENCES_BUDGET),
        }
    }
}

impl Memory {
    /// What is remembered that is of use for the request, brought up to date.
    pub(crate) fn recall(&mut self, stock: &Stock, request: &Request) -> Recalled<'_> {
        let weight = EACH + stock.pools.len() / 8;
        let audience = Spot::of(request).map(|spot| {
            let audience = self.audiences.get(spot, weight, Audience::default);
            audience.follow(stock, request)
        });
        let new = || Known::new(&request.ask);
        let known = self.asks.get(request.ask, weight, new);
        known.follow(stock);
        Recalled { known, audience }
    }
}

impl Known {
    fn new(ask: &Ask) -> Self {
        Self {
            asked: Brief::asked(ask),
            open: Bits::default(),
            read: 0,
        }
    }

    /// Opens the pools that came to have room.
    fn follow(&mut self, stock: &Stock) {
        if let Some(news) = stock.news.since(self.read) {
            for one in news.filter(|one| one.brief.may_have(self.asked)) {
                self.open.insert(one.pool);
            }
        } else {
            self.open = Bits::below(stock.pools.len());
        }
        self.read = stock.news.end();
    }
}
