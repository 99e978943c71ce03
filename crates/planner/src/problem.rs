//! What is to be planned, checked once: demand classes, supply cells, and who may go where.

use std::collections::BTreeSet;

use remuda_types::Price;

/// The most demand classes of one problem.
const DEMANDS_MAX: usize = 1 << 16;
/// The most supply cells of one problem.
const SUPPLIES_MAX: usize = 1 << 16;
/// The most GPUs of a class or a cell, and of all of them together, in thousandths: 4 billion GPUs.
const AMOUNT_MAX: u64 = 1 << 42;
/// The highest price of a GPU-hour: a million dollars.
const PRICE_MAX: Price = Price::from_micros_per_hour(1_000_000_000_000);

/// A demand class's place in the problem.
pub type DemandId = usize;
/// A supply cell's place in the problem.
pub type SupplyId = usize;

/// Demand that is limited alike, and so may be served by the same cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// How much of GPUs is asked for, in thousandths.
    pub gpu_milli: u64,
    /// The cells that will do; with none all of it stays unserved.
    pub cells: Vec<SupplyId>,
    /// What a GPU-hour that is not served costs.
    pub unserved: Price,
}

/// The GPUs of one class at one site, at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supply {
    /// What a GPU costs by the hour.
    pub price: Price,
    /// How much is free, in thousandths of a GPU; nothing where the cell is full.
    pub gpu_milli: u64,
}

/// A problem that has a solution: every limit was checked when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    demands: Vec<Demand>,
    supplies: Vec<Supply>,
}

/// Why there is nothing to plan, or no planning it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemError {
    /// No demand class, or none that asks for anything.
    #[error("nothing is demanded: give at least one class with gpu_milli above 0")]
    NoDemand,
    /// No cell, or none that has anything.
    #[error("nothing is supplied: give at least one cell with gpu_milli above 0")]
    NoSupply,
    /// More classes or cells than are planned at once.
    #[error("{count} {what} are more than the {limit} that are planned at once")]
    TooMany {
        /// Classes or cells.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A class names a cell that is not there.
    #[error("demand {demand} may go to cell {cell}, but there are {cells} cells")]
    UnknownCell {
        /// The class.
        demand: DemandId,
        /// What it names.
        cell: SupplyId,
        /// How many there are.
        cells: usize,
    },
    /// A class names a cell twice.
    #[error("demand {demand} names cell {cell} twice")]
    CellTwice {
        /// The class.
        demand: DemandId,
        /// What it names.
        cell: SupplyId,
    },
    /// A price is above what can be reckoned with.
    #[error("{what} {at} costs {} micro-USD an hour: the most is {}", price.micros_per_hour(), PRICE_MAX.micros_per_hour())]
    PriceTooHigh {
        /// A class not served, or a cell.
        what: &'static str,
        /// Which.
        at: usize,
        /// The price.
        price: Price,
    },
    /// Amounts for other classes or cells than the problem has.
    #[error("{given} amounts are given for {expected} {what}")]
    OtherShape {
        /// Demand or supply.
        what: &'static str,
        /// How many amounts.
        given: usize,
        /// How many there must be.
        expected: usize,
    },
    /// The amounts together are above what can be reckoned with.
    #[error("{what} come to more than {AMOUNT_MAX} thousandths of a GPU")]
    TooMuch {
        /// Demand or supply.
        what: &'static str,
    },
}

impl Problem {
    /// A problem of these classes and cells.
    pub fn new(demands: Vec<Demand>, supplies: Vec<Supply>) -> Result<Self, ProblemError> {
        few("demand classes", demands.len(), DEMANDS_MAX)?;
        few("supply cells", supplies.len(), SUPPLIES_MAX)?;
        let mut problem = Self { demands, supplies };
        for (at, supply) in problem.supplies.iter().enumerate() {
            cheap("cell", at, supply.price)?;
        }
        for (at, demand) in problem.demands.iter_mut().enumerate() {
            cheap("unserved demand", at, demand.unserved)?;
            known(at, demand, problem.supplies.len())?;
            demand.cells.sort_unstable();
        }
        problem.check_amounts()?;
        Ok(problem)
    }

    /// The same classes and cells with other amounts: what is still expected, and still free.
    pub fn with_amounts(
        &self,
        demanded_gpu_milli: &[u64],
        free_gpu_milli: &[u64],
    ) -> Result<Self, ProblemError> {
        same("demands", demanded_gpu_milli.len(), self.demands.len())?;
        same("supplies", free_gpu_milli.len(), self.supplies.len())?;
        let mut problem = self.clone();
        for (demand, &gpu_milli) in problem.demands.iter_mut().zip(demanded_gpu_milli) {
            demand.gpu_milli = gpu_milli;
        }
        for (supply, &gpu_milli) in problem.supplies.iter_mut().zip(free_gpu_milli) {
            supply.gpu_milli = gpu_milli;
        }
        problem.check_amounts()?;
        Ok(problem)
    }

    /// The demand classes.
    pub fn demands(&self) -> &[Demand] {
        &self.demands
    }

    /// The supply cells.
    pub fn supplies(&self) -> &[Supply] {
        &self.supplies
    }

    /// Whether the other has the same classes and cells, whatever their amounts.
    pub(crate) fn has_shape_of(&self, other: &Self) -> bool {
        let same =
            |(one, two): (&Demand, &Demand)| one.unserved == two.unserved && one.cells == two.cells;
        let prices = |problem: &Self| {
            problem
                .supplies
                .iter()
                .map(|of| of.price)
                .collect::<Vec<_>>()
        };
        self.demands.len() == other.demands.len()
            && self.demands.iter().zip(&other.demands).all(same)
            && prices(self) == prices(other)
    }

    fn check_amounts(&self) -> Result<(), ProblemError> {
        let demanded = total("demands", self.demands.iter().map(|of| of.gpu_milli))?;
        let supplied = total("supplies", self.supplies.iter().map(|of| of.gpu_milli))?;
        match (demanded, supplied) {
            (0, _) => Err(ProblemError::NoDemand),
            (_, 0) => Err(ProblemError::NoSupply),
            (_, _) => Ok(()),
        }
    }
}

fn few(what: &'static str, count: usize, limit: usize) -> Result<(), ProblemError> {
    if count > limit {
        return Err(ProblemError::TooMany { what, count, limit });
    }
    Ok(())
}

fn same(what: &'static str, given: usize, expected: usize) -> Result<(), ProblemError> {
    if given != expected {
        return Err(ProblemError::OtherShape {
            what,
            given,
            expected,
        });
    }
    Ok(())
}

fn cheap(what: &'static str, at: usize, price: Price) -> Result<(), ProblemError> {
    if price > PRICE_MAX {
        return Err(ProblemError::PriceTooHigh { what, at, price });
    }
    Ok(())
}

fn known(at: DemandId, demand: &Demand, cells: usize) -> Result<(), ProblemError> {
    let mut seen = BTreeSet::new();
    for &cell in &demand.cells {
        if cell >= cells {
            return Err(ProblemError::UnknownCell {
                demand: at,
                cell,
                cells,
            });
        }
        if !seen.insert(cell) {
            return Err(ProblemError::CellTwice { demand: at, cell });
        }
    }
    Ok(())
}

fn total(what: &'static str, mut amounts: impl Iterator<Item = u64>) -> Result<u64, ProblemError> {
    let sum = amounts.try_fold(0_u64, u64::checked_add);
    let sum = sum.filter(|&sum| sum <= AMOUNT_MAX);
    sum.ok_or(ProblemError::TooMuch { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOLLAR: Price = Price::from_micros_per_hour(1_000_000);

    fn demand(gpu_milli: u64, cells: &[SupplyId]) -> Demand {
        Demand {
            gpu_milli,
            cells: cells.to_vec(),
            unserved: DOLLAR,
        }
    }

    fn supply(gpu_milli: u64) -> Supply {
        Supply {
            price: DOLLAR,
            gpu_milli,
        }
    }

    fn refused(demands: Vec<Demand>, supplies: Vec<Supply>) -> ProblemError {
        Problem::new(demands, supplies).unwrap_err()
    }

    #[test]
    fn nothing_to_plan_is_refused() {
        assert_eq!(refused(vec![], vec![supply(1)]), ProblemError::NoDemand);
        let asks_nothing = vec![demand(0, &[0])];
        assert_eq!(
            refused(asks_nothing, vec![supply(1)]),
            ProblemError::NoDemand
        );
        assert_eq!(
            refused(vec![demand(1, &[])], vec![]),
            ProblemError::NoSupply
        );
        let all_full = vec![supply(0), supply(0)];
        assert_eq!(
            refused(vec![demand(1, &[0])], all_full),
            ProblemError::NoSupply
        );
    }

    #[test]
    fn a_full_cell_among_others_is_none_to_worry_about() {
        let problem = Problem::new(vec![demand(1, &[1, 0])], vec![supply(0), supply(1)]);
        assert_eq!(problem.unwrap().demands()[0].cells, [0, 1]);
    }

    #[test]
    fn other_amounts_are_for_all_classes_and_cells() {
        let problem = Problem::new(vec![demand(1, &[0])], vec![supply(1)]).unwrap();
        let error = problem.with_amounts(&[1, 2], &[1]).unwrap_err();
        assert_eq!(error.to_string(), "2 amounts are given for 1 demands");
        assert!(problem.with_amounts(&[1], &[]).is_err());
        assert_eq!(
            problem.with_amounts(&[0], &[1]),
            Err(ProblemError::NoDemand)
        );
        assert_eq!(problem.with_amounts(&[1], &[1]), Ok(problem));
    }

    #[test]
    fn cells_are_there_and_named_once() {
        let unknown = ProblemError::UnknownCell {
            demand: 1,
            cell: 2,
            cells: 2,
        };
        let two = || vec![supply(1), supply(1)];
        assert_eq!(
            refused(vec![demand(1, &[]), demand(1, &[2])], two()),
            unknown
        );
        let twice = ProblemError::CellTwice { demand: 0, cell: 1 };
        assert_eq!(refused(vec![demand(1, &[1, 0, 1])], two()), twice);
    }

    #[test]
    fn what_cannot_be_reckoned_with_is_refused() {
        let dear = Price::from_micros_per_hour(1_000_000_000_001);
        let error = refused(
            vec![demand(1, &[0])],
            vec![Supply {
                price: dear,
                gpu_milli: 1,
            }],
        );
        assert_eq!(
            error.to_string(),
            "cell 0 costs 1000000000001 micro-USD an hour: the most is 1000000000000"
        );
        let what = "demands";
        let wraps = vec![demand(u64::MAX, &[0]), demand(2, &[0])];
        assert_eq!(
            refused(wraps, vec![supply(1)]),
            ProblemError::TooMuch { what }
        );
        let above = vec![demand(AMOUNT_MAX, &[0]), demand(1, &[0])];
        assert_eq!(
            refused(above, vec![supply(1)]),
            ProblemError::TooMuch { what }
        );
        let many = vec![supply(1); SUPPLIES_MAX + 1];
        let error = refused(vec![demand(1, &[0])], many);
        assert!(
            error.to_string().starts_with("65537 supply cells are more"),
            "{error}"
        );
    }
}
