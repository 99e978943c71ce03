//! What was reserved and has begun is scaled: what is kept for it serves it.

use remuda_network::Command;
use remuda_network::command::ObservedPhase;
use remuda_network::state::Terms;
use remuda_types::{LeaseId, ProjectId, Tier, WorkloadId};

use crate::world::{World, lax, secs, terms};

/// A reservation of two replicas that has begun, on all that its node has.
fn begun(tier: Tier) -> (World, ProjectId, WorkloadId) {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    world.node(2, "2.00");
    let (_, project) = world.project(1, "1000.00");
    let terms = Terms { tier, ..terms(1) };
    let events = world.run(Command::Reserve {
        project,
        terms: Box::new(terms),
        replicas: 2,
        from: world.now + secs(60),
        to: world.now + secs(7_200),
    });
    let remuda_network::Event::ReservationMade { workload, .. } = events[0] else {
        panic!("{events:?}")
    };
    world.tick_after(secs(60));
    world.all_ready(workload);
    (world, project, workload)
}

fn scale(workload: WorkloadId, replicas: u32) -> Command {
    Command::Scale { workload, replicas }
}

/// One replica goes, and its lease with it.
fn scaled_down(world: &mut World, workload: WorkloadId) {
    world.run(scale(workload, 1));
    world.tick_after(secs(30));
    assert_eq!(world.state().leases.len(), 1);
}

fn leases(world: &World, workload: WorkloadId) -> Vec<LeaseId> {
    let held = world.held(workload).into_iter();
    held.filter_map(|(_, lease)| lease).collect()
}

#[test]
fn what_is_kept_for_a_reservation_serves_it_when_it_is_scaled_up_again() {
    for tier in [Tier::Standard, Tier::Enterprise, Tier::MultiSite] {
        let (mut world, project, workload) = begun(tier);
        let nodes = |world: &World| {
            let leases = leases(world, workload).into_iter();
            let mut nodes: Vec<_> = leases.map(|lease| world.lease(lease).node).collect();
            nodes.sort_unstable();
            nodes
        };
        let before = nodes(&world);
        scaled_down(&mut world, workload);
        // All else is taken: nobody has what is kept.
        let mut others = 0;
        while world
            .try_run(&Command::Deploy {
                project,
                terms: Box::new(terms(10 + others)),
                replicas: 1,
            })
            .is_ok()
        {
            others += 1;
        }
        assert_eq!(others, 2, "{tier}");
        // What is kept for it counts.
        let refused = world.refused(scale(workload, 4));
        assert!(
            refused.starts_with("no capacity: placed 2 of 4"),
            "{refused}"
        );
        world.run(scale(workload, 2));
        assert_eq!(nodes(&world), before, "{tier}");
        for lease in leases(&world, workload) {
            world.see(lease, ObservedPhase::Ready);
        }
        let claims = world.state().claims.values();
        assert!(claims.into_iter().all(|claim| claim.replica.is_some()));
        // What was reserved is all there is.
        let refused = world.refused(scale(workload, 3));
        assert!(
            refused.starts_with("no capacity: placed 2 of 3; for the next: 2 nodes"),
            "{refused}"
        );
        // It ends when it was to.
        world.tick_after(secs(7_200));
        assert!(!world.state().workloads.contains_key(&workload));
        assert!(world.state().claims.is_empty());
    }
}

#[test]
fn what_is_kept_is_taken_before_what_is_free() {
    let (mut world, _, workload) = begun(Tier::Standard);
    scaled_down(&mut world, workload);
    world.node(3, "0.50");
    world.run(scale(workload, 2));
    let node = |lease| world.lease(lease).node;
    let nodes: Vec<_> = leases(&world, workload).into_iter().map(node).collect();
    assert_eq!(nodes, [crate::world::key(1); 2]);
}
