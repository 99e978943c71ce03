//! What is remembered of earlier searches, so that the next ones are fast.
//!
//! Nothing here can change an answer: what is remembered is checked against the pools before it is
//! used, and what was not asked for in a long while is forgotten and worked out anew.

mod audience;
mod generations;
mod shelf;

use crate::ask::Ask;
use crate::fleet::Stock;
use crate::pool::PoolId;
use crate::request::Request;

pub(crate) use audience::Audience;
use audience::Spot;
use generations::Generations;
use shelf::Shelf;
pub(crate) use shelf::{Best, Offered};

/// How many states all shelves of a generation remember together: 48 bytes each.
const SHELF_BUDGET: usize = 1 << 20;
/// How many pools are noted as full for all asks of a generation together: 8 bytes each.
const FULL_BUDGET: usize = 1 << 22;
/// How many pools all audiences of a generation have together: 4 bytes each, and a bit.
const AUDIENCE_BUDGET: usize = 1 << 21;

/// Shelves and audiences for what was asked lately.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) shelves: Shelves,
    audiences: Generations<Spot, Audience>,
    asks: Generations<Ask, Known>,
    next_ask: AskId,
}

/// A number for what a replica asks of its node.
pub(crate) type AskId = u32;

/// What is known of an ask.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: AskId,
    /// When each pool that had no room had last got some; none ever did at zero.
    full: Vec<u64>,
}

/// Shelves by what they are for.
#[derive(Clone, Debug)]
pub(crate) struct Shelves(Generations<(AskId, PoolId), Shelf>);

/// What a search may use.
pub(crate) struct Recalled<'a> {
    pub(crate) known: &'a mut Known,
    pub(crate) shelves: &'a mut Shelves,
    /// The pools at the places asked for, if places are asked for.
    pub(crate) audience: Option<&'a Audience>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            shelves: Shelves(Generations::new(SHELF_BUDGET)),
            audiences: Generations::new(AUDIENCE_BUDGET),
            asks: Generations::new(FULL_BUDGET),
            next_ask: 0,
        }
    }
}

impl Memory {
    /// What is remembered that is of use for the request.
    pub(crate) fn recall(&mut self, stock: &Stock, request: &Request) -> Recalled<'_> {
        let audience = Spot::of(request).map(|spot| {
            let new = |_: &Spot| Audience::default();
            let audience = self.audiences.get(spot, stock.pools.len(), new);
            audience.follow(stock, request);
            &*audience
        });
        let next = &mut self.next_ask;
        let new = |_: &Ask| {
            *next = next.wrapping_add(1);
            Known {
                id: *next,
                full: Vec::new(),
            }
        };
        Recalled {
            known: self.asks.get(request.ask, stock.pools.len(), new),
            shelves: &mut self.shelves,
            audience,
        }
    }
}

impl Known {
    /// Whether the pool had no room, and nothing got free there since `improved`.
    pub(crate) fn is_full(&self, pool: PoolId, improved: u64) -> bool {
        let noted = self.full.get(pool as usize);
        noted.is_some_and(|&noted| noted == improved)
    }

    /// Notes that the pool has no room, and had none since `improved`.
    pub(crate) fn note_full(&mut self, pool: PoolId, improved: u64) {
        let at = pool as usize;
        if at >= self.full.len() {
            self.full.resize(at + 1, 0);
        }
        self.full[at] = improved;
    }
}

impl Shelves {
    /// The shelf of a pool for an ask.
    pub(crate) fn shelf(&mut self, ask: AskId, pool: PoolId, states: usize) -> &mut Shelf {
        self.0.get((ask, pool), states.max(8), |_| Shelf::default())
    }
}
