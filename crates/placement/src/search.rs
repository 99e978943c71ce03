//! The best node for a request: pool by pool, the cheapest first, and in each the best state.
//!
//! The order of preference is that of [`Rank`]. Pools whose cost is the same are all looked at, so
//! the answer is that of a scan over all nodes; a property test holds it to that.

use remuda_types::NodeKey;

use crate::fleet::{Fleet, Stock};
use crate::memory::{Audience, Best, Offered, Recalled};
use crate::pool::PoolId;
use crate::quotas::Cell;
use crate::request::Request;
use crate::view::{Taken, admits, keeps_away, suits};

/// Where fewer than one pool in so many is at the places asked for, those are looked at one by one
/// instead of being picked out of all.
const FEW: usize = 8;

/// What a node is preferred by; the least is the best. First what it costs, congestion counted;
/// then what it loses for what is expected; then how much is left on it; then which GPUs; then its
/// key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) cost: u64,
    pub(crate) offered: Offered,
}

/// Where to look.
pub(crate) enum Where<'a> {
    /// In the whole fleet.
    Anywhere,
    /// In these pools only.
    Pools(&'a [PoolId]),
}

impl Rank {
    pub(crate) const fn node(&self) -> NodeKey {
        self.offered.node
    }
}

/// The best node for one more replica of the request's.
pub(crate) fn best(
    fleet: &mut Fleet,
    request: &Request,
    taken: &Taken,
    place: &Where<'_>,
) -> Option<(Rank, PoolId)> {
    let recalled = fleet.memory.recall(&fleet.stock, request);
    let audience = recalled.audience;
    let mut search = Search {
        request,
        taken,
        recalled,
        best: None,
    };
    let stock = &mut fleet.stock;
    if matches!(place, Where::Anywhere) {
        for cells in fleet.quotas.tiers(request) {
            let pools = stock.pools_of(&cells, request);
            search.one_by_one(stock, &pools);
            if search.best.is_some() {
                return search.best;
            }
        }
    }
    match (place, audience) {
        (Where::Pools(pools), _) => search.one_by_one(stock, pools),
        (Where::Anywhere, Some(audience)) if is_few(audience, stock) => {
            search.one_by_one(stock, audience.pools());
        }
        (Where::Anywhere, _) => {
            for market in 0..stock.markets().len() {
                search.walk(stock, market);
            }
        }
    }
    search.best
}

impl Stock {
    /// The pools of these cells that such a request ever goes to.
    fn pools_of(&self, cells: &[Cell], request: &Request) -> Vec<PoolId> {
        let pools = cells
            .iter()
            .flat_map(|cell| self.pools_at(cell.site, cell.class));
        let goes_there = |id: &PoolId| admits(request, &self.pools[*id as usize].common);
        pools.copied().filter(goes_there).collect()
    }
}

fn is_few(audience: &Audience, stock: &Stock) -> bool {
    audience.pools().len() * FEW < stock.pools.len()
}

/// A search on its way.
struct Search<'a> {
    request: &'a Request,
    taken: &'a Taken,
    recalled: Recalled<'a>,
    best: Option<(Rank, PoolId)>,
}

impl Search<'_> {
    /// Walks the pools of one kind of node from the cheapest, until no other can be the best.
    fn walk(&mut self, stock: &mut Stock, market: usize) {
        let mut passed = 0;
        while let Some((at, pool, cost)) = self.next(stock, market, passed) {
            if self.is_beaten_by(cost) {
                return;
            }
            self.look(stock, pool, cost);
            passed = at + 1;
        }
    }

    /// The next pool on the market that may have room: its row, and what it costs.
    fn next(&self, stock: &Stock, market: usize, from: usize) -> Option<(usize, PoolId, u64)> {
        let (request, market) = (self.request, &stock.markets()[market]);
        let wanted = request.classes.is_empty() || request.classes.contains(&market.class);
        if from == 0 && !(wanted && market.could_take(&request.ask)) {
            return None;
        }
        let audience = self.recalled.audience;
        let there = |pool| audience.is_none_or(|audience| audience.has(pool));
        let rows = (from..).zip(market.rows().get(from..)?);
        let mut open =
            rows.filter(|(_, (_, pool))| there(*pool) && self.may_have_room(stock, *pool));
        let (at, (price, pool)) = open.next()?;
        Some((at, *pool, market.cost(*price, request.shape())))
    }

    /// Looks at pools in the order of what they cost.
    fn one_by_one(&mut self, stock: &mut Stock, pools: &[PoolId]) {
        let open = pools
            .iter()
            .filter(|pool| self.may_have_room(stock, **pool));
        let costs = open.filter_map(|&id| {
            let pool = &stock.pools[id as usize];
            suits(self.request, &pool.common).then(|| (pool.cost(self.request.shape()), id))
        });
        let mut costs: Vec<_> = costs.collect();
        costs.sort_unstable();
        for (cost, id) in costs {
            if self.is_beaten_by(cost) {
                return;
            }
            self.look(stock, id, cost);
        }
    }

    fn may_have_room(&self, stock: &Stock, pool: PoolId) -> bool {
        let note = &stock.board()[pool as usize];
        note.most.may_have(self.request.ask.gpus())
            && !self.recalled.known.is_full(pool, note.improved)
    }

    fn is_beaten_by(&self, cost: u64) -> bool {
        self.best.as_ref().is_some_and(|(best, _)| best.cost < cost)
    }

    /// Looks for the best node in a pool.
    fn look(&mut self, stock: &mut Stock, id: PoolId, cost: u64) {
        let Recalled { known, shelves, .. } = &mut self.recalled;
        let improved = stock.board()[id as usize].improved;
        let pool = stock.current(id);
        let common = &pool.common;
        if !suits(self.request, common) || keeps_away(self.request, self.taken, common) {
            return;
        }
        let shelf = shelves.shelf(known.id, id, pool.states());
        match shelf.best(pool, &self.request.ask, &self.request.avoid.nodes) {
            Best::None => known.note_full(id, improved),
            Best::Avoided => {}
            Best::Node(offered) => {
                let found = (Rank { cost, offered }, id);
                self.best = self.best.take().into_iter().chain([found]).min();
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
