//! The nodes as a search sees them: in pools, whose prices follow their sites' load.

use std::collections::BTreeMap;
use std::sync::Arc;

use remuda_types::{Class, NodeKey, Price, ProviderId, Shape, SiteId};

use super::error::OfferError;
use super::ladder::{Ladder, Row, Rung};
use super::node::Node;
use crate::brief::Brief;
use crate::congestion::{self, Toll};
use crate::free::Free;
use crate::log::Log;
use crate::plan::Plan;
use crate::pool::{Common, KindId, Offering, Pool, PoolId};
use crate::quote::quote_of;
use crate::rates::{self, Utmost};
use crate::request::Request;
use crate::worth::Outlook;

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

/// What a search asks of a pool first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    utmost: Utmost,
    toll: Toll,
}

/// A state that an open node of a pool came to be in, and that has more of something than the one
/// before had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub(crate) brief: Brief,
    pub(crate) pool: PoolId,
}

impl Note {
    /// What a shape costs at least on any node of the pool, congestion counted.
    pub(crate) fn bound(&self, shape: &Shape) -> u64 {
        self.toll.of(self.utmost.rates.bound(shape))
    }

    /// Whether what the pool's nodes are may do for the request; if not, none of them does.
    pub(crate) fn may_suit(&self, request: &Request) -> bool {
        let least = self.utmost.rates.bound(request.shape());
        let is_affordable = |max: Price| least <= max.micros_per_hour();
        request.shape().gpu_memory_mib <= self.utmost.gpu_memory_mib
            && request.max_price.is_none_or(is_affordable)
    }

    fn rows(&self, pool: PoolId) -> [Row; 2] {
        let rates = self.utmost.rates;
        let rates = [rates.per_gpu_milli(), rates.per_cpu_milli()];
        rates.map(|rate| (self.toll.on_rate(rate), pool))
    }
}

/// What pools are ordered by the rate of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A thousandth of a GPU.
    Gpu,
    /// A thousandth of a core.
    Cpu,
}

impl By {
    const fn asked(self, shape: &Shape) -> u64 {
        match self {
            Self::Gpu => shape.gpu_milli,
            Self::Cpu => shape.cpu_milli,
        }
    }
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

    /// What a search asks of each pool first.
    pub(crate) fn board(&self) -> &[Note] {
        &self.board
    }

    /// The order in which a shape's least cost is nearest to its cost: by what it takes most of, on
    /// the first pool that is wanted.
    pub(crate) fn order(&self, shape: &Shape, wanted: impl Fn(PoolId) -> bool) -> By {
        let first = self.next((By::Gpu, Rung::default()), shape, None, wanted);
        let rates = first.map(|(pool, _)| self.board[pool as usize].utmost.rates);
        let by_gpu = rates.map(|rates| rates::bound(rates.per_gpu_milli(), shape.gpu_milli));
        let by_cpu = rates.map(|rates| rates::bound(rates.per_cpu_milli(), shape.cpu_milli));
        if by_gpu >= by_cpu { By::Gpu } else { By::Cpu }
    }

    const fn ladder(&self, by: By) -> &Ladder {
        match by {
            By::Gpu => &self.by_gpu,
            By::Cpu => &self.by_cpu,
        }
    }

    /// The next pool in this order that is wanted, unless all that are left cost more than `most`.
    pub(crate) fn next(
        &self,
        (by, rung): (By, Rung),
        shape: &Shape,
        most: Option<u64>,
        wanted: impl Fn(PoolId) -> bool,
    ) -> Option<(PoolId, Rung)> {
        // What a rate is at least is rounded once more than what a price is.
        let least = |rate| rates::bound(rate, by.asked(shape)).saturating_sub(1);
        let is_too_dear = |rate| most.is_some_and(|most| least(rate) > most);
        let stops = |(rate, pool): Row| wanted(pool) || is_too_dear(rate);
        let ((rate, pool), rung) = self.ladder(by).next(rung, stops)?;
        (!is_too_dear(rate)).then_some((pool, rung))
    }

    /// The pools of each class at each site, by site and class.
    pub(crate) fn cells(&self) -> impl Iterator<Item = ((SiteId, Class), &[PoolId])> {
        let cells = self.by_cell.iter();
        cells.map(|(&at, &cell)| (at, &self.cells[cell].pools[..]))
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
            self.refresh(self.cells[cell].pools[at]);
        }
    }

    /// Notes what a pool costs now, and puts it in its places.
    fn refresh(&mut self, id: PoolId) {
        let (old, new) = (self.board[id as usize], self.note(id));
        if old == new {
            return;
        }
        self.board[id as usize] = new;
        let (old, new) = (old.rows(id), new.rows(id));
        if old != new {
            self.withdraw(old);
            self.list(new);
        }
    }

    fn note(&self, id: PoolId) -> Note {
        let pool = &self.pools[id as usize];
        let step = self.cells[pool.cell].step;
        Note {
            utmost: pool.utmost,
            toll: Toll::at(self.plan.congestion(), step, pool.utmost.dearest),
        }
    }

    fn list(&mut self, [by_gpu, by_cpu]: [Row; 2]) {
        self.by_gpu.insert(by_gpu);
        self.by_cpu.insert(by_cpu);
    }

    fn withdraw(&mut self, [by_gpu, by_cpu]: [Row; 2]) {
        self.by_gpu.remove(by_gpu);
        self.by_cpu.remove(by_cpu);
    }

    /// What a shape counts as on such nodes of the pool when places are compared.
    pub(crate) fn cost(&self, pool: &Pool, offering: &Offering, shape: &Shape) -> u64 {
        let step = self.cells[pool.cell].step;
        self.cost_at(step, offering, shape)
    }

    /// The same where the load is at this step.
    pub(crate) fn cost_at(&self, step: u8, offering: &Offering, shape: &Shape) -> u64 {
        let effective = self.plan.congestion().effective(offering.price, step);
        quote_of(effective, &offering.capacity, shape).micros_per_hour()
    }

    /// What is in use of the cell, and how much there is.
    pub(crate) fn load(&self, cell: usize) -> (u128, u128) {
        (self.cells[cell].used, self.cells[cell].total)
    }

    /// Whether what is noted of the pools is what they say when asked.
    pub(crate) fn is_in_order(&self) -> bool {
        let mut by_gpu = Vec::new();
        let mut by_cpu = Vec::new();
        for &id in self.by_common.values() {
            let note = self.note(id);
            let utmost = self.pools[id as usize].utmost_anew();
            if self.board[id as usize] != note || note.utmost != utmost {
                return false;
            }
            let rows = note.rows(id);
            by_gpu.push(rows[0]);
            by_cpu.push(rows[1]);
        }
        by_gpu.sort_unstable();
        by_cpu.sort_unstable();
        self.by_gpu.rows().eq(by_gpu) && self.by_cpu.rows().eq(by_cpu)
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
