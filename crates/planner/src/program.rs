//! The linear program as the solver holds it, between one solve and the next.
//!
//! Amounts that change from plan to plan are bounds of columns of their own: `Σ_d x_jd + u_j = b_j`
//! with `b_j` fixed at what is demanded, `Σ_j x_jd = s_d` with `s_d` up to what is free. So the
//! program keeps its rows and its basis, and is solved again from where the last solve ended.
//!
//! Columns `x_jd` are added as they prove to be of use: of all the pairs that may be, a plan uses
//! about as many as there are classes and cells.

use highs::{Col, HighsModelStatus, HighsStatus, Model, Row, RowProblem, Sense};
use remuda_types::Price;

use crate::problem::{DemandId, Problem, SupplyId};

/// Thousandths of one whole GPU: the solver counts in GPUs.
const WHOLE_GPU_MILLI: f64 = 1e3;
/// Micro-USD of one dollar: the solver counts in dollars.
const DOLLAR_MICROS: f64 = 1e6;

/// The primal simplex, among the solver's options.
const PRIMAL: i32 = 4;

/// The program.
pub(crate) struct Program {
    /// `None` only while the solver has it, or when it was lost to an error.
    model: Option<Model>,
    demands: Vec<DemandRow>,
    supplies: Vec<SupplyRow>,
    arcs: Vec<Arc>,
}

#[derive(Clone, Copy)]
struct DemandRow {
    row: Row,
    demanded: Col,
}

#[derive(Clone, Copy)]
struct SupplyRow {
    row: Row,
    taken: Col,
}

/// A pair that the program knows of.
#[derive(Clone, Copy)]
pub(crate) struct Arc {
    pub(crate) demand: DemandId,
    pub(crate) supply: SupplyId,
    col: Col,
}

/// What came out of a solve.
pub(crate) struct Outcome {
    /// How much of each pair, in thousandths of a GPU.
    pub(crate) amounts: Vec<(DemandId, SupplyId, u64)>,
    /// What one more GPU-hour of each cell would be worth.
    pub(crate) duals: Vec<Price>,
    /// How often the solver changed its basis.
    pub(crate) iterations: u64,
}

/// Why there is no outcome.
pub(crate) enum Fault {
    /// The solver refused a call.
    Refused(HighsStatus),
    /// It stopped without an optimum.
    Stopped(HighsModelStatus),
}

impl From<HighsStatus> for Fault {
    fn from(status: HighsStatus) -> Self {
        Self::Refused(status)
    }
}

impl Program {
    /// A program with all the rows of the problem, in which nothing is served yet.
    pub(crate) fn new(problem: &Problem) -> Result<Self, Fault> {
        let mut columns = RowProblem::new();
        let demanded: Vec<_> = problem
            .demands()
            .iter()
            .map(|of| {
                let gpus = gpus(of.gpu_milli);
                let demanded = columns.add_column(0.0, gpus..=gpus);
                (demanded, columns.add_column(dollars(of.unserved), 0.0..))
            })
            .collect();
        let taken = problem
            .supplies()
            .iter()
            .map(|of| columns.add_column(0.0, 0.0..=gpus(of.gpu_milli)));
        let taken: Vec<_> = taken.collect();
        let mut model = columns.try_optimise(Sense::Minimise)?;
        set_up(&mut model);
        let mut program = Self {
            model: None,
            demands: Vec::new(),
            supplies: Vec::new(),
            arcs: Vec::new(),
        };
        for (demanded, unserved) in demanded {
            let row = model.try_add_row(0.0..=0.0, [(demanded, -1.0), (unserved, 1.0)])?;
            program.demands.push(DemandRow { row, demanded });
        }
        for taken in taken {
            let row = model.try_add_row(0.0..=0.0, [(taken, -1.0)])?;
            program.supplies.push(SupplyRow { row, taken });
        }
        program.model = Some(model);
        Ok(program)
    }

    /// Takes on the amounts of a problem that is the same but for these.
    pub(crate) fn set_amounts(&mut self, problem: &Problem) {
        let Some(model) = &mut self.model else { return };
        for (row, demand) in self.demands.iter().zip(problem.demands()) {
            let gpus = gpus(demand.gpu_milli);
            model.change_column_bounds(row.demanded, gpus..=gpus);
        }
        for (row, supply) in self.supplies.iter().zip(problem.supplies()) {
            model.change_column_bounds(row.taken, 0.0..=gpus(supply.gpu_milli));
        }
    }

    /// Lets a class take of a cell.
    pub(crate) fn add(
        &mut self,
        demand: DemandId,
        supply: SupplyId,
        price: Price,
    ) -> Result<(), Fault> {
        let model = self
            .model
            .as_mut()
            .ok_or(Fault::Stopped(HighsModelStatus::NotSet))?;
        let rows = [
            (self.demands[demand].row, 1.0),
            (self.supplies[supply].row, 1.0),
        ];
        let col = model.try_add_column(dollars(price), 0.0.., rows)?;
        self.arcs.push(Arc {
            demand,
            supply,
            col,
        });
        Ok(())
    }

    /// The pairs that the program knows of.
    pub(crate) fn arcs(&self) -> &[Arc] {
        &self.arcs
    }

    /// The best that the pairs known allow.
    pub(crate) fn solve(&mut self) -> Result<Outcome, Fault> {
        let model = self
            .model
            .take()
            .ok_or(Fault::Stopped(HighsModelStatus::NotSet))?;
        let solved = model.try_solve()?;
        if solved.status() != HighsModelStatus::Optimal {
            return Err(Fault::Stopped(solved.status()));
        }
        let solution = solved.get_solution();
        let outcome = Outcome {
            amounts: self
                .arcs
                .iter()
                .map(|arc| {
                    (
                        arc.demand,
                        arc.supply,
                        whole(solution[arc.col] * WHOLE_GPU_MILLI),
                    )
                })
                .collect(),
            duals: self
                .supplies
                .iter()
                .zip(solution.dual_rows().iter().skip(self.demands.len()))
                .map(|(_, dual)| Price::from_micros_per_hour(whole(-dual * DOLLAR_MICROS)))
                .collect(),
            iterations: u64::try_from(solved.simplex_iteration_count()).unwrap_or_default(),
        };
        self.model = Some(solved.into());
        Ok(outcome)
    }
}

/// One thread, no randomness, and no limit of time: the same calls have the same answers.
///
/// The primal simplex: what a column is added to stays feasible, and the dual took thirty times as
/// long.
fn set_up(model: &mut Model) {
    model.make_quiet();
    model.set_option("threads", 1);
    model.set_option("parallel", "off");
    model.set_option("solver", "simplex");
    model.set_option("simplex_strategy", PRIMAL);
    model.set_option("random_seed", 0);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "amounts are checked to be at most 2^42"
)]
fn gpus(gpu_milli: u64) -> f64 {
    gpu_milli as f64 / WHOLE_GPU_MILLI
}

#[expect(
    clippy::cast_precision_loss,
    reason = "prices are checked to be at most 10^12"
)]
fn dollars(price: Price) -> f64 {
    price.micros_per_hour() as f64 / DOLLAR_MICROS
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is below zero by the solver's tolerance is none, and nothing is near 2^64"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
