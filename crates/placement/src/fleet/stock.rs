//! The nodes as a search sees them: in pools of nodes alike, whose prices follow their sites' load.

use std::collections::BTreeMap;
use std::sync::Arc;

use remuda_types::{Capacity, Class, NodeKey, Price, ProviderId, SiteId};

use super::error::OfferError;
use super::market::Market;
use super::node::Node;
use crate::congestion;
use crate::free::Free;
use crate::plan::Plan;
use crate::pool::{Common, Pool, PoolId};
use crate::room::Most;
use crate::worth::Outlook;

/// So many outlooks are shared by pools; beyond it they are made anew.
const OUTLOOKS_MAX: usize = 1_024;

/// The nodes, pool by pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stock {
    pub(crate) pools: Vec<Pool>,
    by_common: BTreeMap<Common, PoolId>,
    sites: BTreeMap<SiteId, Owner>,
    cells: Vec<Cell>,
    by_cell: BTreeMap<(SiteId, Class), usize>,
    plan: Plan,
    /// What the plan says of the nodes of each class and GPU memory.
    outlooks: BTreeMap<(Class, u64), Arc<Outlook>>,
    /// Counts plans.
    plans: u32,
    /// Numbers of pools that no node is in, and of cells and markets that no pool is in.
    unused: Vec<PoolId>,
    unused_cells: Vec<usize>,
    unused_markets: Vec<usize>,
    /// Counts numbers of pools that were used again: what was worked out for the old one is void.
    reuses: u32,
    /// Counts how often any pool got room that it had not.
    improvements: u64,
    /// What a search asks of each pool first.
    board: Vec<Note>,
    markets: Vec<Market>,
    by_kind: BTreeMap<(Class, Capacity), usize>,
}

/// What a search asks of a pool first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Note {
    /// The most that any of its nodes has free.
    pub(crate) most: Most,
    /// When it last got room that it had not: what was found full is so until this changes. No two
    /// pools, and no two times, have the same.
    pub(crate) improved: u64,
}

/// Who owns a site, and how many of the fleet's nodes stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) provider: ProviderId,
    pub(crate) nodes: usize,
}

/// The nodes of one class at one site: what fills up together.
#[derive(Clone, Debug, Default)]
struct Cell {
    used: u128,
    total: u128,
    step: u8,
    pools: Vec<PoolId>,
}

impl Stock {
    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Counts numbers of pools that were used again.
    pub(crate) const fn reuses(&self) -> u32 {
        self.reuses
    }

    pub(crate) const fn sites(&self) -> &BTreeMap<SiteId, Owner> {
        &self.sites
    }

    #[cfg(test)]
    pub(crate) fn forget_sites(&mut self) {
        self.sites.clear();
    }

    /// What a search asks of each pool first.
    pub(crate) fn board(&self) -> &[Note] {
        &self.board
    }

    /// The pools of each class and capacity, by price.
    pub(crate) fn markets(&self) -> &[Market] {
        &self.markets
    }

    /// The pools of each class at each site, by site and class.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &[PoolId]> {
        let cells = self.by_cell.values();
        cells.map(|&cell| &self.cells[cell].pools[..])
    }

    /// The pools of one class at one site.
    pub(crate) fn pools_at(&self, site: SiteId, class: Class) -> &[PoolId] {
        let cell = self.by_cell.get(&(site, class));
        cell.map_or(&[], |&cell| &self.cells[cell].pools)
    }

    pub(crate) fn set_plan(&mut self, plan: Plan) {
        self.plan = plan;
        self.outlooks.clear();
        self.plans = self.plans.wrapping_add(1);
        for cell in 0..self.cells.len() {
            self.price(cell);
        }
    }

    /// The pool, its states valued under the plan that holds now.
    pub(crate) fn current(&mut self, id: PoolId) -> &Pool {
        if self.pools[id as usize].plan != self.plans {
            let common = self.pools[id as usize].common.clone();
            let outlook = self.outlook(&common);
            self.pools[id as usize].see(outlook, self.plans);
        }
        &self.pools[id as usize]
    }

    /// What the plan says of such nodes.
    pub(crate) fn outlook(&mut self, common: &Common) -> Arc<Outlook> {
        if self.outlooks.len() > OUTLOOKS_MAX {
            self.outlooks.clear();
        }
        let kind = (common.class, common.capacity.gpu_memory_mib);
        let new = || Arc::new(self.plan.outlook(kind.0, kind.1));
        Arc::clone(self.outlooks.entry(kind).or_insert_with(new))
    }

    /// A site has one owner; it may pass to another with the only node that stands there.
    pub(crate) fn check_owner(
        &self,
        known: Option<&Node>,
        common: &Common,
    ) -> Result<(), OfferError> {
        let Some(owner) = self.sites.get(&common.site) else {
            return Ok(());
        };
        let stands_there =
            known.is_some_and(|node| self.pools[node.pool as usize].common.site == common.site);
        let alone = stands_there && owner.nodes == 1;
        if owner.provider == common.provider || alone {
            return Ok(());
        }
        Err(OfferError::SiteOfAnother {
            site: common.site,
            owner: owner.provider,
        })
    }

    /// The pool of nodes like these, made if there is none.
    pub(crate) fn pool(&mut self, common: Common) -> PoolId {
        if let Some(&pool) = self.by_common.get(&common) {
            return pool;
        }
        let cell = self.cell(common.site, common.class);
        let market = self.market(common.class, common.capacity);
        let effective = self.effective(common.price, cell);
        let outlook = self.outlook(&common);
        let pool = Pool::new(
            common.clone(),
            (cell, market),
            effective,
            (outlook, self.plans),
        );
        let id = self.number(pool);
        self.by_common.insert(common, id);
        self.cells[cell].pools.push(id);
        self.markets[market].list((effective, id));
        id
    }

    fn market(&mut self, class: Class, capacity: Capacity) -> usize {
        if let Some(&market) = self.by_kind.get(&(class, capacity)) {
            return market;
        }
        let market = self.unused_markets.pop().unwrap_or(self.markets.len());
        let new = Market::new(class, capacity);
        if market == self.markets.len() {
            self.markets.push(new);
        } else {
            self.markets[market] = new;
        }
        self.by_kind.insert((class, capacity), market);
        market
    }

    fn number(&mut self, mut pool: Pool) -> PoolId {
        if let Some(id) = self.unused.pop() {
            self.reuses = self.reuses.wrapping_add(1);
            pool.incarnation = self.reuses;
            self.pools[id as usize] = pool;
            return id;
        }
        self.board.push(Note::default());
        self.pools.push(pool);
        PoolId::try_from(self.pools.len() - 1).unwrap_or(PoolId::MAX)
    }

    /// Forgets a pool that its last node has left.
    pub(crate) fn retire_if_empty(&mut self, id: PoolId) {
        let pool = &self.pools[id as usize];
        if pool.nodes == 0 && self.by_common.remove(&pool.common).is_some() {
            let (cell, market) = (pool.cell, pool.market);
            let common = pool.common.clone();
            self.cells[cell].pools.retain(|&other| other != id);
            self.markets[market].withdraw((pool.effective, id));
            self.unused.push(id);
            if self.cells[cell].pools.is_empty() {
                self.by_cell.remove(&(common.site, common.class));
                self.unused_cells.push(cell);
            }
            if self.markets[market].rows().is_empty() {
                self.by_kind.remove(&(common.class, common.capacity));
                self.unused_markets.push(market);
            }
        }
    }

    fn cell(&mut self, site: SiteId, class: Class) -> usize {
        if let Some(&cell) = self.by_cell.get(&(site, class)) {
            return cell;
        }
        let cell = self.unused_cells.pop().unwrap_or(self.cells.len());
        if cell == self.cells.len() {
            self.cells.push(Cell::default());
        } else {
            self.cells[cell] = Cell::default();
        }
        self.by_cell.insert((site, class), cell);
        cell
    }

    /// Counts a node in.
    pub(crate) fn put_in(&mut self, key: NodeKey, node: &Node) {
        let pool = &mut self.pools[node.pool as usize];
        pool.nodes += 1;
        let (site, provider) = (pool.common.site, pool.common.provider);
        let owner = Owner { provider, nodes: 0 };
        self.sites.entry(site).or_insert(owner).nodes += 1;
        if node.open {
            pool.enter(key, &node.free);
        } else {
            pool.closed += 1;
        }
        let (used, total) = load(&pool.common.capacity, &node.free);
        let cell = pool.cell;
        self.cells[cell].used += used;
        self.cells[cell].total += total;
        self.weigh(cell);
        self.note(node.pool, true);
    }

    /// Counts a node out.
    pub(crate) fn take_out(&mut self, key: NodeKey, node: &Node) {
        let pool = &mut self.pools[node.pool as usize];
        pool.nodes -= 1;
        let site = pool.common.site;
        if let Some(owner) = self.sites.get_mut(&site) {
            owner.nodes -= 1;
            if owner.nodes == 0 {
                self.sites.remove(&site);
            }
        }
        if node.open {
            pool.leave(key, &node.free);
        } else {
            pool.closed -= 1;
        }
        let (used, total) = load(&pool.common.capacity, &node.free);
        let cell = pool.cell;
        self.cells[cell].used -= used;
        self.cells[cell].total -= total;
        self.weigh(cell);
        self.note(node.pool, false);
    }

    /// Takes note of what is free on a node now.
    pub(crate) fn change(&mut self, key: NodeKey, node: &mut Node, free: Free) {
        let pool = &mut self.pools[node.pool as usize];
        let (before, _) = load(&pool.common.capacity, &node.free);
        let (after, _) = load(&pool.common.capacity, &free);
        if node.open {
            pool.leave(key, &node.free);
            pool.enter(key, &free);
        }
        let more = free.gpu_milli() > node.free.gpu_milli()
            || free.cpu_milli() > node.free.cpu_milli()
            || free.memory_mib() > node.free.memory_mib()
            || free.disk_mib() > node.free.disk_mib();
        let cell = pool.cell;
        self.cells[cell].used = self.cells[cell].used - before + after;
        node.free = free;
        self.weigh(cell);
        if node.open {
            self.note(node.pool, more);
        }
    }

    /// Prices a cell anew when its load passed a step.
    fn weigh(&mut self, cell: usize) {
        let Cell { used, total, .. } = self.cells[cell];
        let step = congestion::step(used, total);
        if step != self.cells[cell].step {
            self.cells[cell].step = step;
            self.price(cell);
        }
    }

    fn price(&mut self, cell: usize) {
        for at in 0..self.cells[cell].pools.len() {
            let id = self.cells[cell].pools[at];
            let effective = self.effective(self.pools[id as usize].common.price, cell);
            let pool = &mut self.pools[id as usize];
            if pool.effective == effective {
                continue;
            }
            let market = &mut self.markets[pool.market];
            market.withdraw((pool.effective, id));
            pool.effective = effective;
            market.list((effective, id));
        }
    }

    fn effective(&self, price: Price, cell: usize) -> Price {
        self.plan
            .congestion()
            .effective(price, self.cells[cell].step)
    }

    /// Notes what a pool has now; `improved` if it may have room that it had not.
    fn note(&mut self, id: PoolId, improved: bool) {
        let note = &mut self.board[id as usize];
        note.most = self.pools[id as usize].room.most();
        if improved {
            self.improvements += 1;
            note.improved = self.improvements;
        }
    }
}

/// How much of a node is in use, and how much there is: of its GPUs, or of its CPU where it has
/// none.
fn load(capacity: &Capacity, free: &Free) -> (u128, u128) {
    let gpu_milli = u64::from(capacity.gpus) * 1_000;
    let (free, total) = match gpu_milli {
        0 => (free.cpu_milli(), capacity.cpu_milli),
        gpu_milli => (free.gpu_milli(), gpu_milli),
    };
    (u128::from(total - free), u128::from(total))
}
