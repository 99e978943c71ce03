//! What the pools cost, and the orders in which they are looked at.

use remuda_types::{Price, Shape};

use super::{Cell, Stock};
use crate::congestion::{self, Toll};
use crate::fleet::ladder::{Ladder, Row, Rung};
use crate::pool::{Offering, Pool, PoolId};
use crate::quote::quote_of;
use crate::rates::{self, Utmost};
use crate::request::Request;

/// What a search asks of a pool first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    utmost: Utmost,
    toll: Toll,
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

    pub(super) fn rows(&self, pool: PoolId) -> [Row; 2] {
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

impl Stock {
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

    /// Prices a cell anew when its load passed a step.
    pub(super) fn weigh(&mut self, cell: usize) {
        let Cell { used, total, .. } = self.cells[cell];
        let step = congestion::step(used, total);
        if step != self.cells[cell].step {
            self.cells[cell].step = step;
            self.price(cell);
        }
    }

    pub(super) fn price(&mut self, cell: usize) {
        for at in 0..self.cells[cell].pools.len() {
            self.refresh(self.cells[cell].pools[at]);
        }
    }

    /// Notes what a pool costs now, and puts it in its places.
    pub(super) fn refresh(&mut self, id: PoolId) {
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

    pub(super) fn list(&mut self, [by_gpu, by_cpu]: [Row; 2]) {
        self.by_gpu.insert(by_gpu);
        self.by_cpu.insert(by_cpu);
    }

    pub(super) fn withdraw(&mut self, [by_gpu, by_cpu]: [Row; 2]) {
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
