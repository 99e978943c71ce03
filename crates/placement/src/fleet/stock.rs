//! The nodes as a search sees them: in pools, whose prices follow their sites' load.

mod prices;

use std::collections::BTreeMap;
use std::sync::Arc;

use remuda_types::{Class, NodeKey, ProviderId, SiteId};

use super::error::OfferError;
use super::ladder::Ladder;
use super::node::Node;
use crate::brief::Brief;
use crate::free::Free;
use crate::log::Log;
use crate::plan::Plan;
use crate::pool::{Common, KindId, Offering, Pool, PoolId};
use crate::worth::Outlook;

use prices::Note;

/// So many outlooks are shared by pools; beyond it they are made anew.
const OUTLOOKS_MAX: usize = 1_024;
/// So many of the last improvements are kept for those who follow them; 16 bytes each.
const NEWS_MAX: usize = 1 << 14;
/// So many of the last pools that came to be.
const FOUNDED_MAX: usize = 1 << 12;

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
    /// Numbers of pools that no node is in, and of cells that no pool is in.
    unused: Vec<PoolId>,
    unused_cells: Vec<usize>,
    /// What a search asks of each pool first.
    board: Vec<Note>,
    /// The pools by what a thousandth of a GPU costs at least, and by what one of a core does.
    by_gpu: Ladder,
    by_cpu: Ladder,
    /// What came to be free where it was not.
    pub(crate) news: Log<News>,
    /// Pools that came to be, under new numbers or old ones.
    pub(crate) founded: Log<PoolId>,
}

/// A state that an open node of a pool came to be in, and that has more of something than the one
/// before had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub(crate) brief: Brief,
    pub(crate) pool: PoolId,
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

    pub(crate) const fn sites(&self) -> &BTreeMap<SiteId, Owner> {
        &self.sites
    }

    #[cfg(test)]
    pub(crate) fn forget_sites(&mut self) {
        self.sites.clear();
    }

    /// As if more had come about since than is kept.
    #[cfg(test)]
    pub(crate) fn forget_news(&mut self) {
        self.news.forget();
        self.founded.forget();
    }

    /// The pools of each class at each site, by site and class.
    pub(crate) fn cells(&self) -> impl Iterator<Item = ((SiteId, Class), &[PoolId])> {
        let cells = self.by_cell.iter();
        cells.map(|(&at, &cell)| (at, &self.cells[cell].pools[..]))
    }

    /// The pool of nodes that have this in common.
    pub(crate) fn pool_like(&self, common: &Common) -> Option<&Pool> {
        let found = self.by_common.get(common);
        found.map(|id| &self.pools[*id as usize])
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

    /// Sees to it that the pool's states are valued under the plan that holds now.
    pub(crate) fn make_current(&mut self, id: PoolId) {
        if self.pools[id as usize].plan != self.plans {
            let class = self.pools[id as usize].common.class;
            let (plan, outlooks) = (&self.plan, &mut self.outlooks);
            let outlook = |memory_mib| outlook(plan, outlooks, (class, memory_mib));
            self.pools[id as usize].see(outlook, self.plans);
        }
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

    /// The pool and kind of nodes like these, made if there are none.
    pub(crate) fn kind(&mut self, common: Common, offering: Offering) -> (PoolId, KindId) {
        let pool = self.pool(common);
        // A kind that is made is seen as the pool's others are.
        self.make_current(pool);
        let found = &mut self.pools[pool as usize];
        if let Some(kind) = found.kind_of(&offering) {
            return (pool, kind);
        }
        let gpus = (found.common.class, offering.capacity.gpu_memory_mib);
        let outlook = outlook(&self.plan, &mut self.outlooks, gpus);
        let kind = found.add_kind(offering, outlook);
        self.refresh(pool);
        (pool, kind)
    }

    fn pool(&mut self, common: Common) -> PoolId {
        if let Some(&pool) = self.by_common.get(&common) {
            return pool;
        }
        let cell = self.cell(common.site, common.class);
        let id = self.number(Pool::new(common.clone(), cell, self.plans));
        self.by_common.insert(common, id);
        self.cells[cell].pools.push(id);
        self.founded.push(id, FOUNDED_MAX);
        let rows = self.board[id as usize].rows(id);
        self.list(rows);
        id
    }

    fn number(&mut self, pool: Pool) -> PoolId {
        if let Some(id) = self.unused.pop() {
            self.pools[id as usize] = pool;
            return id;
        }
        self.board.push(Note::default());
        self.pools.push(pool);
        PoolId::try_from(self.pools.len() - 1).unwrap_or(PoolId::MAX)
    }

    /// Forgets a kind that its last node has left, and its pool if that was its last kind.
    pub(crate) fn retire_if_empty(&mut self, id: PoolId, kind: KindId) {
        let pool = &mut self.pools[id as usize];
        pool.retire_if_empty(kind);
        if pool.nodes > 0 {
            self.refresh(id);
        } else if self.by_common.remove(&pool.common).is_some() {
            let cell = pool.cell;
            let (site, class) = (pool.common.site, pool.common.class);
            self.cells[cell].pools.retain(|&other| other != id);
            self.withdraw(self.board[id as usize].rows(id));
            self.board[id as usize] = Note::default();
            self.unused.push(id);
            if self.cells[cell].pools.is_empty() {
                self.by_cell.remove(&(site, class));
                self.unused_cells.push(cell);
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
    pub(crate) fn put_in(&mut self, key: NodeKey, node: &mut Node) {
        let pool = &mut self.pools[node.pool as usize];
        let (site, provider) = (pool.common.site, pool.common.provider);
        let owner = Owner { provider, nodes: 0 };
        self.sites.entry(site).or_insert(owner).nodes += 1;
        pool.count_in(node.kind, node.open);
        let (used, total) = node.load(pool.kind(node.kind));
        let cell = pool.cell;
        if node.open {
            node.slot = pool.enter(key, node.kind, &node.free);
            self.tell(node.pool, &node.free);
        }
        self.cells[cell].used += used;
        self.cells[cell].total += total;
        self.weigh(cell);
    }

    /// Counts a node out.
    pub(crate) fn take_out(&mut self, key: NodeKey, node: &Node) {
        let pool = &mut self.pools[node.pool as usize];
        let site = pool.common.site;
        if let Some(owner) = self.sites.get_mut(&site) {
            owner.nodes -= 1;
            if owner.nodes == 0 {
                self.sites.remove(&site);
            }
        }
        pool.count_out(node.kind, node.open);
        let (used, total) = node.load(pool.kind(node.kind));
        let cell = pool.cell;
        if node.open {
            pool.leave(key, node.slot);
        }
        self.cells[cell].used -= used;
        self.cells[cell].total -= total;
        self.weigh(cell);
    }

    /// Takes note of what is free on a node now.
    pub(crate) fn change(&mut self, key: NodeKey, node: &mut Node, free: Free) {
        let pool = &mut self.pools[node.pool as usize];
        let (before, _) = node.load(pool.kind(node.kind));
        if node.open {
            pool.leave(key, node.slot);
            node.slot = pool.enter(key, node.kind, &free);
        }
        let improved = node.open && free.has_more_than(&node.free);
        node.free = free;
        let (after, _) = node.load(pool.kind(node.kind));
        let cell = pool.cell;
        self.cells[cell].used = self.cells[cell].used - before + after;
        self.weigh(cell);
        if improved {
            self.tell(node.pool, &node.free);
        }
    }

    fn tell(&mut self, pool: PoolId, free: &Free) {
        let brief = Brief::of(free);
        self.news.push(News { brief, pool }, NEWS_MAX);
    }
}

/// What the plan says of such GPUs.
fn outlook(
    plan: &Plan,
    known: &mut BTreeMap<(Class, u64), Arc<Outlook>>,
    gpus: (Class, u64),
) -> Arc<Outlook> {
    if known.len() > OUTLOOKS_MAX {
        known.clear();
    }
    let new = || Arc::new(plan.outlook(gpus.0, gpus.1));
    Arc::clone(known.entry(gpus).or_insert_with(new))
}
