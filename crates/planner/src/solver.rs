//! Solving a problem, and solving it again when its amounts have changed.

use std::fmt::{self, Debug, Formatter};

use remuda_types::Price;

use crate::bound::Duals;
use crate::plan::{Plan, Quota};
use crate::problem::{DemandId, Problem, SupplyId};
use crate::program::{Fault, Outcome, Program};

/// So many more cells a class may take of after each round, those that would save most.
const MORE_CELLS: usize = 4;
/// A program that knows of so many pairs for each class and cell is begun anew: most are of plans
/// long gone.
const ARCS_PER_ROW_MAX: usize = 16;
/// Rounds in which no plan can need more: far above the dozens that are seen.
const ROUNDS_MAX: usize = 10_000;

/// A solver that remembers where it was: the next problem of the same shape is solved from there.
///
/// The same problems in the same order have the same plans, on every run.
#[derive(Default)]
pub struct Solver {
    last: Option<Last>,
    work: Work,
}

/// What solving took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How often the program was solved, with more pairs each time.
    pub rounds: usize,
    /// How many pairs of class and cell it knew in the end.
    pub arcs: usize,
    /// How often the solver changed its basis.
    pub iterations: u64,
}

struct Last {
    problem: Problem,
    program: Program,
    /// Of each class's cells in their order, which the program knows it may take of.
    known: Vec<Vec<bool>>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// The library refused a call.
    #[error("the solver refused the program: {status}")]
    Refused {
        /// What it says.
        status: String,
    },
    /// It gave up.
    #[error("the solver stopped without an optimum: {status}")]
    Stopped {
        /// What it says.
        status: String,
    },
}

impl Solver {
    /// A solver that has solved nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The plan that costs least.
    pub fn solve(&mut self, problem: &Problem) -> Result<Plan, SolveError> {
        let last = self.last.take();
        let mut now = match last.filter(|last| last.goes_on_with(problem)) {
            Some(last) => last.with_amounts_of(problem)?,
            None => Last::new(problem)?,
        };
        let plan = now.rounds(&mut self.work)?;
        self.last = Some(now);
        Ok(plan)
    }

    /// What the last solve took.
    pub fn work(&self) -> Work {
        self.work
    }
}

impl Last {
    fn new(problem: &Problem) -> Result<Self, Fault> {
        let unknown = problem
            .demands()
            .iter()
            .map(|of| vec![false; of.cells.len()]);
        let mut new = Self {
            problem: problem.clone(),
            program: Program::new(problem)?,
            known: unknown.collect(),
        };
        new.learn_first()?;
        Ok(new)
    }

    /// Whether the problem can be solved from here, and had better be.
    fn goes_on_with(&self, problem: &Problem) -> bool {
        let rows = problem.demands().len() + problem.supplies().len();
        self.program.arcs().len() <= rows * ARCS_PER_ROW_MAX && self.problem.has_shape_of(problem)
    }

    fn with_amounts_of(mut self, problem: &Problem) -> Result<Self, Fault> {
        self.program.set_amounts(problem);
        self.problem = problem.clone();
        self.learn_first()?;
        Ok(self)
    }

    /// Learns of the pairs of a plan that is not bad to begin with: those who may go to the fewest
    /// cells take first, each of the cheapest that has anything left, and a few more.
    fn learn_first(&mut self) -> Result<(), Fault> {
        let mut left: Vec<u64> = self
            .problem
            .supplies()
            .iter()
            .map(|of| of.gpu_milli)
            .collect();
        let mut order: Vec<DemandId> = (0..self.problem.demands().len()).collect();
        order.sort_by_key(|&demand| self.problem.demands()[demand].cells.len());
        for demand in order {
            let cells = self.first_cells(demand, &mut left);
            self.learn(demand, &cells)?;
        }
        Ok(())
    }

    fn first_cells(&self, demand: DemandId, left: &mut [u64]) -> Vec<SupplyId> {
        let mut asked = self.problem.demands()[demand].gpu_milli;
        let mut cells: Vec<_> = self
            .open_cells(demand)
            .filter(|&cell| left[cell] > 0)
            .collect();
        cells.sort_by_key(|&cell| self.problem.supplies()[cell].price);
        let mut more = MORE_CELLS;
        cells.retain(|&cell| {
            more -= usize::from(asked == 0 && more > 0);
            let takes = asked.min(left[cell]);
            asked -= takes;
            left[cell] -= takes;
            takes > 0 || more > 0
        });
        cells.retain(|&cell| !self.knows(demand, cell));
        cells
    }

    /// Solves with the pairs that are known, and learns of those that would make it cheaper, until
    /// there are none: then the plan is the best of all pairs.
    fn rounds(&mut self, work: &mut Work) -> Result<Plan, SolveError> {
        *work = Work::default();
        loop {
            let outcome = self.program.solve()?;
            work.rounds += 1;
            work.iterations += outcome.iterations;
            let duals = Duals::new(outcome.duals.clone());
            let learned = self.learn_all(&duals)?;
            if !learned || work.rounds == ROUNDS_MAX {
                work.arcs = self.program.arcs().len();
                let duals = self.with_full_cells(duals);
                return Ok(self.plan(outcome, duals));
            }
        }
    }

    /// Learns of the pairs that save most at these shadow prices; false when none does.
    fn learn_all(&mut self, duals: &Duals) -> Result<bool, Fault> {
        let mut learned = false;
        for demand in 0..self.problem.demands().len() {
            let cells = self.saving(demand, duals);
            learned |= !cells.is_empty();
            self.learn(demand, &cells)?;
        }
        Ok(learned)
    }

    fn learn(&mut self, demand: DemandId, cells: &[SupplyId]) -> Result<(), Fault> {
        for &cell in cells {
            if let Ok(at) = self.problem.demands()[demand].cells.binary_search(&cell) {
                self.known[demand][at] = true;
            }
            self.program
                .add(demand, cell, self.problem.supplies()[cell].price)?;
        }
        Ok(())
    }

    /// Whether the program knows that the class may take of the cell.
    fn knows(&self, demand: DemandId, cell: SupplyId) -> bool {
        let at = self.problem.demands()[demand].cells.binary_search(&cell);
        at.is_ok_and(|at| self.known[demand][at])
    }

    /// The cells of which the class may take, those that have anything.
    fn open_cells(&self, demand: DemandId) -> impl Iterator<Item = SupplyId> {
        let cells = self.problem.demands()[demand].cells.iter().copied();
        cells.filter(|&cell| self.problem.supplies()[cell].gpu_milli > 0)
    }

    /// The cells of which the class would rather take than of all those that it knows.
    fn saving(&self, demand: DemandId, duals: &Duals) -> Vec<SupplyId> {
        let of = &self.problem.demands()[demand];
        let at = |cell: &SupplyId| self.charged(*cell, duals);
        let (known, new): (Vec<_>, Vec<_>) = self
            .open_cells(demand)
            .partition(|&cell| self.knows(demand, cell));
        let unserved = of.unserved.micros_per_hour();
        let now = known.iter().map(at).fold(unserved, u64::min);
        let mut saving: Vec<_> = new.into_iter().filter(|cell| at(cell) < now).collect();
        saving.sort_by_key(at);
        saving.truncate(MORE_CELLS);
        saving
    }

    /// What the last GPU of a full cell is worth, of which the program says nothing: what it would
    /// save to whoever of all classes it would save most.
    fn with_full_cells(&self, mut duals: Duals) -> Duals {
        let supplies = self.problem.supplies();
        let full: Vec<bool> = supplies.iter().map(|of| of.gpu_milli == 0).collect();
        let mut worth = vec![0; supplies.len()];
        for (at, demand) in self.problem.demands().iter().enumerate() {
            let open = self.open_cells(at).map(|cell| self.charged(cell, &duals));
            let now = open.fold(demand.unserved.micros_per_hour(), u64::min);
            for &cell in demand.cells.iter().filter(|&&cell| full[cell]) {
                let saved = now.saturating_sub(supplies[cell].price.micros_per_hour());
                worth[cell] = worth[cell].max(saved);
            }
        }
        for cell in (0..supplies.len()).filter(|&cell| full[cell]) {
            duals.set(cell, Price::from_micros_per_hour(worth[cell]));
        }
        duals
    }

    /// What a GPU-hour of a cell costs, its shadow price included.
    fn charged(&self, cell: SupplyId, duals: &Duals) -> u64 {
        let price = self.problem.supplies()[cell].price.micros_per_hour();
        price.saturating_add(duals.of(cell).micros_per_hour())
    }

    /// What came out, held to what there is: the solver's tolerance may not become a quota.
    fn plan(&self, outcome: Outcome, duals: Duals) -> Plan {
        let mut asked: Vec<u64> = self
            .problem
            .demands()
            .iter()
            .map(|of| of.gpu_milli)
            .collect();
        let mut has: Vec<u64> = self
            .problem
            .supplies()
            .iter()
            .map(|of| of.gpu_milli)
            .collect();
        let mut amounts = outcome.amounts;
        amounts.sort_unstable();
        let quotas = amounts.into_iter().map(|(demand, supply, gpu_milli)| {
            let gpu_milli = gpu_milli.min(asked[demand]).min(has[supply]);
            asked[demand] -= gpu_milli;
            has[supply] -= gpu_milli;
            Quota {
                demand,
                supply,
                gpu_milli,
            }
        });
        let quotas = quotas.filter(|quota| quota.gpu_milli > 0).collect();
        Plan { quotas, duals }
    }
}

impl From<Fault> for SolveError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(status) => Self::Refused {
                status: format!("{status:?}"),
            },
            Fault::Stopped(status) => Self::Stopped {
                status: format!("{status:?}"),
            },
        }
    }
}

impl Debug for Solver {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Solver")
            .field("work", &self.work)
            .finish_non_exhaustive()
    }
}
