//! The best node for a request: pool by pool, those first that may be the cheapest, and in each the
//! best state.
//!
//! Sites that are shunned come after all others. Where quotas are set, the cells with most left for
//! the request come first. Then, and among these, the order of preference is that of [`Rank`]. A pool is passed over only where it has no room, or
//! where none of its nodes can be as cheap as the best so far; so the answer is that of a scan over
//! all nodes, and a property test holds it to that.

use remuda_types::NodeKey;
use smallvec::SmallVec;

use crate::fleet::{Fleet, Rung, Stock};
use crate::free::{Free, Slack};
use crate::memory::Recalled;
use crate::pool::{Kind, KindId, Pool, PoolId, Slot};
use crate::quotas::Cell;
use crate::request::Request;
use crate::view::{Taken, admits, keeps_away, shuns, suits};
use crate::worth::Loss;

/// So few pools are looked at one by one, instead of being picked out of all.
const FEW: usize = 16;

/// What a node is preferred by; the least is the best. First what it costs, congestion counted;
/// then what it loses for what is expected; then how much is left on it; then which GPUs; then its
/// key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) cost: u64,
    pub(crate) loss: Loss,
    pub(crate) slack: Slack,
    pub(crate) free: Free,
    pub(crate) node: NodeKey,
}

/// Where to look.
#[derive(Clone, Copy)]
pub(crate) enum Where<'a> {
    /// In the whole fleet.
    Anywhere,
    /// In these pools only, which admit the request.
    Pools(&'a [PoolId]),
}

/// What is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) request: &'a Request,
    /// Where the earlier members of the group are.
    pub(crate) taken: &'a Taken,
    pub(crate) place: Where<'a>,
    /// Whether sites that are shunned are left out.
    apart: bool,
    /// So few pools are looked at one by one.
    few: usize,
}

impl<'a> Sought<'a> {
    /// A node for one more replica of the request's.
    pub(crate) const fn one_more(request: &'a Request, taken: &'a Taken, place: Where<'a>) -> Self {
        Self {
            request,
            taken,
            place,
            apart: false,
            few: FEW,
        }
    }

    /// The best node: one that is not at a site that is shunned, if there is any.
    pub(crate) fn best(self, fleet: &mut Fleet) -> Option<Rank> {
        if self.request.shun.is_empty() && self.taken.kin.is_empty() {
            return self.best_of_all(fleet);
        }
        let apart = Self {
            apart: true,
            ..self
        };
        let apart = apart.best_of_all(fleet);
        apart.or_else(|| self.best_of_all(fleet))
    }

    fn best_of_all(self, fleet: &mut Fleet) -> Option<Rank> {
        let stock = &mut fleet.stock;
        let mut search = Search {
            sought: self,
            recalled: fleet.memory.recall(stock, self.request),
            best: None,
        };
        match self.place {
            Where::Pools(pools) => search.visit_each(stock, pools),
            Where::Anywhere if let Some(fabric) = self.request.fabric => {
                let pools = stock.pools_of(&[fabric], self.request);
                search.visit_each(stock, &pools);
            }
            Where::Anywhere => {
                for cells in fleet.quotas.tiers(self.request) {
                    let mut pools = stock.pools_of(&cells, self.request);
                    pools.retain(|pool| search.recalled.is_open(*pool));
                    search.visit_each(stock, &pools);
                    if search.best.is_some() {
                        return search.best;
                    }
                }
                search.visit_all(stock);
            }
        }
        search.best
    }
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

/// A search on its way.
struct Search<'a, 'm> {
    sought: Sought<'a>,
    recalled: Recalled<'m>,
    best: Option<Rank>,
}

impl Search<'_, '_> {
    fn visit_each(&mut self, stock: &mut Stock, pools: &[PoolId]) {
        for pool in pools {
            self.visit(stock, *pool);
        }
    }

    fn visit_all(&mut self, stock: &mut Stock) {
        let few = self.sought.few;
        let open = self.recalled.open().take(few.saturating_add(1));
        let mut open: SmallVec<[PoolId; FEW + 1]> = open.collect();
        if open.len() > few {
            self.climb(stock);
        } else {
            let shape = self.sought.request.shape();
            open.sort_unstable_by_key(|pool| stock.board()[*pool as usize].bound(shape));
            self.visit_each(stock, &open);
        }
    }

    /// Visits pools from the cheapest, until no other can be the best.
    fn climb(&mut self, stock: &mut Stock) {
        let shape = self.sought.request.shape();
        let by = stock.order(shape, |pool| self.recalled.is_open(pool));
        let mut rung = Rung::default();
        loop {
            let wanted = |pool| self.recalled.is_open(pool);
            let most = self.best.as_ref().map(|best| best.cost);
            let Some((pool, next)) = stock.next((by, rung), shape, most, wanted) else {
                return;
            };
            self.visit(stock, pool);
            rung = next;
        }
    }

    /// Looks for the best node in a pool, unless none there can be the best.
    fn visit(&mut self, stock: &mut Stock, id: PoolId) {
        let Sought {
            request,
            taken,
            apart,
            ..
        } = self.sought;
        let (note, pool) = (&stock.board()[id as usize], &stock.pools[id as usize]);
        let is_too_dear = self.is_beaten_by(note.bound(request.shape()));
        if is_too_dear || !note.may_suit(request) || keeps_away(request, taken, &pool.common) {
            return;
        }
        if apart && shuns(request, taken, pool.common.site) {
            return;
        }
        stock.make_current(id);
        if !self.look(stock, &stock.pools[id as usize]) {
            self.recalled.known.open.remove(id);
        }
    }

    fn is_beaten_by(&self, cost: u64) -> bool {
        self.best.as_ref().is_some_and(|best| best.cost < cost)
    }

    /// Looks at the states of a pool; says whether any has room.
    fn look(&mut self, stock: &Stock, pool: &Pool) -> bool {
        let (mut has_room, mut cost) = (false, None);
        for slot in pool.roomy(self.recalled.known.asked) {
            if slot.free.has_room(&self.sought.request.ask) {
                has_room = true;
                let (kind, cost) = match cost {
                    Some(known @ (kind, _)) if kind == slot.kind => known,
                    _ => *cost.insert((slot.kind, self.cost(stock, pool, slot.kind))),
                };
                self.weigh(pool.kind(kind), slot, cost);
            }
        }
        has_room
    }

    fn cost(&self, stock: &Stock, pool: &Pool, kind: KindId) -> u64 {
        stock.cost(pool, &pool.kind(kind).offering, self.sought.request.shape())
    }

    /// Takes a state that has room, and would cost this, if it is the best so far.
    fn weigh(&mut self, kind: &Kind, slot: &Slot, cost: u64) {
        let request = self.sought.request;
        if self.is_beaten_by(cost) || !suits(request, &kind.offering) {
            return;
        }
        let Some(node) = slot.first_beside(&request.avoid.nodes) else {
            return;
        };
        let loss = kind.outlook().loss(slot.value, &slot.free, &request.ask);
        let rank = Rank {
            cost,
            loss,
            slack: slot.free.slack(),
            free: slot.free.clone(),
            node,
        };
        if self.best.as_ref().is_none_or(|best| rank < *best) {
            self.best = Some(rank);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
