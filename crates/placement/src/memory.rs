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
use crate::pool::PoolId;
use crate::request::Request;
use crate::view::{is_of_class, stands_well};

use audience::{Audience, Wish};
use generations::Generations;

/// How many bytes all asks of a generation may take, and all audiences of a kind.
const ASKS_BUDGET: usize = 1 << 24;
const AUDIENCES_BUDGET: usize = 1 << 24;
/// What one of them takes beside its bits, the entry of the map counted.
const EACH: usize = 256;

/// What is known of asks, classes and places that were asked for lately.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    asks: Generations<Ask, Known>,
    classes: Audiences,
    places: Audiences,
}

type Audiences = Generations<Wish, Audience>;

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
    /// The pools of the classes asked for, and those at the places, if any are asked for.
    pub(crate) of_class: Option<&'a Bits>,
    pub(crate) there: Option<&'a Bits>,
}

impl Recalled<'_> {
    /// The pools that may have room, and are where and what is asked for.
    pub(crate) fn open(&self) -> impl Iterator<Item = PoolId> + '_ {
        self.known.open.in_all([self.of_class, self.there])
    }

    pub(crate) fn is_open(&self, pool: PoolId) -> bool {
        let has = |bits: Option<&Bits>| bits.is_none_or(|bits| bits.has(pool));
        self.known.open.has(pool) && has(self.of_class) && has(self.there)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            asks: Generations::new(ASKS_BUDGET),
            classes: Generations::new(AUDIENCES_BUDGET),
            places: Generations::new(AUDIENCES_BUDGET),
        }
    }
}

impl Memory {
    /// What is remembered that is of use for the request, brought up to date.
    pub(crate) fn recall(&mut self, stock: &Stock, request: &Request) -> Recalled<'_> {
        let of_class = Wish::of_class(request);
        let of_class = of_class.map(|wish| {
            let audience = self.classes.get(wish, weight(stock), Audience::default);
            audience.follow(stock, |common| is_of_class(request, common))
        });
        let there = Wish::of_place(request);
        let there = there.map(|wish| {
            let audience = self.places.get(wish, weight(stock), Audience::default);
            audience.follow(stock, |common| stands_well(request, common))
        });
        let new = || Known::new(&request.ask);
        let known = self.asks.get(request.ask, weight(stock), new);
        known.follow(stock);
        Recalled {
            known,
            of_class,
            there,
        }
    }
}

/// How many bytes something takes that has a bit for each pool.
fn weight(stock: &Stock) -> usize {
    EACH + stock.pools.len() / 8
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
