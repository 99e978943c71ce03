//! Plans and bounds held against the optimum, found by a flow algorithm that shares nothing with
//! the solver.

use proptest::collection::vec;
use proptest::prelude::*;
use remuda_types::Price;

use super::*;

fn price(micros: u64) -> Price {
    Price::from_micros_per_hour(micros)
}

/// Small problems with full cells, classes that may go nowhere, and ties.
fn problems() -> impl Strategy<Value = Problem> {
    (1_usize..6, 1_usize..6).prop_flat_map(|(demands, cells)| {
        let amount = prop_oneof![1 => Just(0), 4 => 1_u64..20_000];
        let supply = (0_u64..4_000_000, amount.clone());
        let may = vec(any::<bool>(), cells);
        let demand = (amount, may, 0_u64..6_000_000);
        (vec(demand, demands), vec(supply, cells)).prop_filter_map("nothing to plan", problem)
    })
}

type DrawnDemand = (u64, Vec<bool>, u64);

fn problem((demands, supplies): (Vec<DrawnDemand>, Vec<(u64, u64)>)) -> Option<Problem> {
    let demands = demands.into_iter().map(|(gpu_milli, may, unserved)| {
        let cells = may.iter().enumerate().filter(|(_, may)| **may);
        Demand {
            gpu_milli,
            cells: cells.map(|(cell, _)| cell).collect(),
            unserved: price(unserved),
        }
    });
    let supplies = supplies.into_iter().map(|(micros, gpu_milli)| Supply {
        price: price(micros),
        gpu_milli,
    });
    Problem::new(demands.collect(), supplies.collect()).ok()
}

/// An edge of the flow network, with its reverse beside it: to, capacity, cost.
type Edge = (usize, u64, i128);

/// Successive cheapest paths from the demand to the supply, each found by relaxing every edge.
fn optimum(problem: &Problem) -> Cost {
    let (demands, cells) = (problem.demands().len(), problem.supplies().len());
    let (source, sink) = (demands + cells, demands + cells + 1);
    let mut edges: Vec<(usize, Edge)> = Vec::new();
    let mut connect = |from, to, gpu_milli, cost: u64| {
        edges.push((from, (to, gpu_milli, i128::from(cost))));
        edges.push((to, (from, 0, -i128::from(cost))));
    };
    for (at, demand) in problem.demands().iter().enumerate() {
        connect(source, at, demand.gpu_milli, 0);
        connect(at, sink, u64::MAX, demand.unserved.micros_per_hour());
        for &cell in &demand.cells {
            let cost = problem.supplies()[cell].price.micros_per_hour();
            connect(at, demands + cell, u64::MAX, cost);
        }
    }
    for (at, supply) in problem.supplies().iter().enumerate() {
        connect(demands + at, sink, supply.gpu_milli, 0);
    }
    let mut total = 0;
    while let Some((path, cost)) = cheapest_path(&edges, source, sink) {
        let flow = path.iter().map(|&at| edges[at].1.1).min().unwrap();
        for at in path {
            edges[at].1.1 -= flow;
            edges[at ^ 1].1.1 += flow;
        }
        total += i128::from(flow) * cost;
    }
    Cost::from_nanos(u128::try_from(total).unwrap())
}

fn cheapest_path(
    edges: &[(usize, Edge)],
    source: usize,
    sink: usize,
) -> Option<(Vec<usize>, i128)> {
    let mut best: Vec<Option<(i128, usize)>> = vec![None; sink + 1];
    best[source] = Some((0, usize::MAX));
    for _ in 0..=sink {
        for (at, &(from, (to, left, cost))) in edges.iter().enumerate() {
            let Some((so_far, _)) = best[from].filter(|_| left > 0) else {
                continue;
            };
            if best[to].is_none_or(|(known, _)| so_far + cost < known) {
                best[to] = Some((so_far + cost, at));
            }
        }
    }
    let cost = best[sink]?.0;
    let (mut path, mut node) = (Vec::new(), sink);
    while node != source {
        let (_, edge) = best[node]?;
        path.push(edge);
        node = edges[edge].0;
    }
    Some((path, cost))
}

#[test]
fn the_cheap_cell_goes_to_who_can_go_nowhere_else() {
    let near = Demand {
        gpu_milli: 1_000,
        cells: vec![0],
        unserved: price(20_000_000),
    };
    let anywhere = Demand {
        cells: vec![0, 1],
        ..near.clone()
    };
    let supply = |micros| Supply {
        price: price(micros),
        gpu_milli: 1_000,
    };
    let supplies = vec![supply(1_000_000), supply(3_000_000)];
    let problem = Problem::new(vec![near, anywhere], supplies).unwrap();
    let plan = Solver::new().solve(&problem).unwrap();
    let quota = |demand, supply| Quota {
        demand,
        supply,
        gpu_milli: 1_000,
    };
    assert_eq!(plan.quotas, [quota(0, 0), quota(1, 1)]);
    assert_eq!(plan.cost(&problem).to_string(), "4.00 USD/h");
    assert!(plan.duals.of(0) >= price(2_000_000), "{:?}", plan.duals);
    let gap = Gap::of(&problem, plan.cost(&problem), &plan.duals);
    assert_eq!(gap.ppm(), Some(0), "{gap:?}");
}

#[test]
fn the_largest_numbers_are_reckoned_with() {
    let most = 1 << 42;
    let supply = |micros| Supply {
        price: price(micros),
        gpu_milli: most / 2,
    };
    let dear = 1_000_000_000_000;
    let demand = Demand {
        gpu_milli: most,
        cells: vec![0, 1],
        unserved: price(dear),
    };
    let problem = Problem::new(vec![demand], vec![supply(dear - 1), supply(1)]).unwrap();
    let plan = Solver::new().solve(&problem).unwrap();
    assert_eq!(invariant::check(&problem, &plan), Ok(()));
    let gap = Gap::of(&problem, plan.cost(&problem), &plan.duals);
    assert!(gap.bound <= gap.cost && gap.ppm() <= Some(1), "{gap:?}");
    let huge = Duals::new(vec![price(u64::MAX); 2]);
    assert_eq!(bound(&problem, &huge), Cost::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_plan_is_the_optimum_and_its_duals_prove_it(problem in problems()) {
        let plan = Solver::new().solve(&problem).unwrap();
        prop_assert_eq!(invariant::check(&problem, &plan), Ok(()));
        let optimum = optimum(&problem);
        prop_assert_eq!(plan.cost(&problem), optimum);
        prop_assert_eq!(bound(&problem, &plan.duals), optimum);
    }

    #[test]
    fn no_duals_at_all_bring_the_bound_above_the_optimum(
        problem in problems(),
        duals in vec(prop_oneof![0_u64..6_000_000, any::<u64>()], 0..8),
    ) {
        let duals = Duals::new(duals.into_iter().map(price).collect());
        prop_assert!(bound(&problem, &duals) <= optimum(&problem));
    }

    #[test]
    fn a_problem_solved_after_others_is_solved_as_well(
        problem in problems(),
        amounts in vec((vec(0_u64..20_000, 5), vec(0_u64..20_000, 5)), 1..4),
    ) {
        let mut solver = Solver::new();
        solver.solve(&problem).unwrap();
        for (demanded, free) in amounts {
            let (demanded, free) = (&demanded[..problem.demands().len()], &free[..problem.supplies().len()]);
            let Ok(next) = problem.with_amounts(demanded, free) else { continue };
            let plan = solver.solve(&next).unwrap();
            prop_assert_eq!(invariant::check(&next, &plan), Ok(()));
            prop_assert_eq!(plan.cost(&next), optimum(&next));
            prop_assert_eq!(bound(&next, &plan.duals), plan.cost(&next));
        }
    }
}
