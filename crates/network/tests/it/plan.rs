//! Plans: adopted one after another, followed, and refused when they are of another network.

use remuda_network::command::NewPlan;
use remuda_network::placement::{Cell, Plan, Quota};
use remuda_network::state::Terms;
use remuda_network::{Command, Outlook};
use remuda_types::{NodeKey, SiteId};

use crate::world::{World, lax, terms};

fn plan(number: u64, quotas: Vec<Quota>) -> Command {
    Command::AdoptPlan(Box::new(NewPlan {
        number,
        quotas,
        packing: Plan::default(),
    }))
}

fn quota(world: &World, terms: &Terms, node: NodeKey, gpu_milli: u64) -> Quota {
    Quota {
        class: terms.demand_class().unwrap(),
        cell: world.network.index().fleet().cell_of(node).unwrap(),
        gpu_milli,
    }
}

/// A node at each of two sites, the first of them the cheaper one.
fn two_nodes() -> (World, [NodeKey; 2], remuda_types::ProjectId) {
    let mut world = World::new(lax());
    let (_, cheap) = world.node(1, "1.00");
    let (_, dear) = world.node(2, "2.00");
    let (_, project) = world.project(1, "100.00");
    (world, [cheap, dear], project)
}

fn node_of(world: &World, workload: remuda_types::WorkloadId) -> NodeKey {
    let lease = world.only(workload);
    world.state().leases[&lease].node
}

#[test]
fn a_plan_is_followed_and_counts_what_was_placed_before() {
    let (mut world, [cheap, dear], project) = two_nodes();
    let before = world.deploy(project, &terms(1), 1);
    assert_eq!(node_of(&world, before), cheap);
    let quotas = vec![
        quota(&world, &terms(1), cheap, 1_000),
        quota(&world, &terms(1), dear, 1_000),
    ];
    world.run(plan(1, quotas));
    let next = world.deploy(project, &terms(2), 1);
    assert_eq!(node_of(&world, next), dear, "the cheap one's quota is full");
    let last = world.deploy(project, &terms(3), 1);
    assert_eq!(node_of(&world, last), cheap, "without a quota, the price");
}

#[test]
fn only_the_next_plan_is_adopted_and_only_one_of_this_network() {
    let (mut world, [cheap, _], _) = two_nodes();
    world.run(plan(1, vec![]));
    let stale = "the plan is not the next one: make it anew: another was adopted meanwhile";
    assert_eq!(world.refused(plan(1, vec![])), stale);
    assert_eq!(world.refused(plan(3, vec![])), stale);
    let site = SiteId::from_u128(7);
    let elsewhere = Quota {
        cell: Cell {
            site,
            class: "cpu".parse().unwrap(),
        },
        ..quota(&world, &terms(1), cheap, 1)
    };
    assert_eq!(
        world.refused(plan(2, vec![elsewhere])),
        format!("there is no site {site}")
    );
    let row = quota(&world, &terms(1), cheap, 1);
    let many = world.refused(plan(2, vec![row; 100_001]));
    assert!(many.contains("plan_rows_max"), "{many}");
}

#[test]
fn what_runs_and_what_waits_is_the_outlook() {
    let (mut world, [cheap, _], project) = two_nodes();
    let web = world.deploy(project, &terms(1), 2);
    world.all_ready(web);
    world.deploy(project, &terms(2), 2);
    let lost = Command::NodeLost {
        node: cheap,
        last_seen: world.now,
    };
    world.run(lost);
    let outlook = Outlook::of(world.state());
    assert_eq!(outlook.expected.values().sum::<u64>(), 4);
    let class = terms(1).demand_class().unwrap();
    assert_eq!(outlook.waiting.get(&class), Some(&2_000));
}
