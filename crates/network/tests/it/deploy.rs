//! Workloads as they are deployed: where their replicas go, and what they hold.

use std::collections::BTreeSet;

use remuda_network::command::ObservedPhase;
use remuda_network::state::{EndReason, Phase, Terms};
use remuda_network::{Command, Event, Refusal};
use remuda_types::{Tier, WorkloadKind};

use crate::world::{World, lax, secs, terms};

fn spread() -> Terms {
    Terms {
        tier: Tier::MultiSite,
        ..terms(1)
    }
}

#[test]
fn replicas_go_to_the_cheapest_node_and_fill_it() {
    let mut world = World::new(lax());
    world.node(1, "2.00");
    let (_, cheap) = world.node(2, "1.00");
    let (_, project) = world.project(1, "100.00");
    let workload = world.deploy(project, &terms(1), 2);
    assert_eq!(world.state().nodes[&cheap].leases.len(), 2);
    let gpus = world
        .held(workload)
        .into_iter()
        .map(|(_, lease)| world.lease(lease.unwrap()).gpu_bits);
    assert_eq!(gpus.fold(0, |all, bits| all | bits), 0b11);
}

#[test]
fn who_scales_is_told_how_many_there_may_be() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    world.node(2, "1.00");
    let (_, project) = world.project(1, "100.00");
    let workload = world.deploy(project, &terms(1), 2);
    let replicas = 9;
    let scale = Command::Scale { workload, replicas };
    let refusal = world.try_run(&scale).unwrap_err();
    let Refusal::NoCapacity(why) = world.network.explain(refusal) else {
        panic!("there is room");
    };
    assert_eq!(
        why.to_string(),
        "placed 4 of 9; for the next: 2 nodes: 2 without 1 GPU free"
    );
    let way_out = why.relaxation.unwrap();
    assert_eq!(way_out.to_string(), "try 4 replicas");
}

#[test]
fn multi_site_replicas_have_owners_of_their_own() {
    let mut world = World::new(lax());
    for n in 1..=3 {
        world.node(n, "1.00");
    }
    let (_, project) = world.project(1, "100.00");
    let workload = world.deploy(project, &spread(), 2);
    world.run(Command::Scale {
        workload,
        replicas: 3,
    });
    let owners: BTreeSet<_> = world
        .state()
        .leases
        .values()
        .map(|lease| lease.provider)
        .collect();
    assert_eq!(owners.len(), 3);
    let text = world.refused(Command::Scale {
        workload,
        replicas: 4,
    });
    assert_eq!(
        text,
        "no capacity: placed 3 of 4; for the next: 3 nodes: 3 of an owner that has 1 already"
    );
}

#[test]
fn a_deployment_without_money_for_all_its_replicas_leaves_nothing_behind() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, project) = world.project(1, "0.01");
    let text = world.refused(Command::Deploy {
        project,
        terms: Box::new(terms(1)),
        replicas: 2,
    });
    assert_eq!(
        text,
        "the project's budget has 0.000000 USD left, 0.008334 are needed: fund it with `remuda ledger fund`"
    );
}

#[test]
fn a_service_that_ends_is_run_again_and_a_job_is_done() {
    for kind in [WorkloadKind::Service, WorkloadKind::Job] {
        let mut world = World::new(lax());
        world.node(1, "1.00");
        let (_, project) = world.project(1, "100.00");
        let workload = world.deploy(project, &Terms { kind, ..terms(1) }, 1);
        world.all_ready(workload);
        let lease = world.only(workload);
        world.see(lease, ObservedPhase::Ended(EndReason::Completed));
        let is_job = kind == WorkloadKind::Job;
        assert_eq!(world.state().workloads.contains_key(&workload), !is_job);
        world.tick_after(secs(10));
        assert_eq!(world.state().leases.len(), usize::from(!is_job));
    }
}

#[test]
fn a_job_is_over_with_its_last_rank() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let kind = WorkloadKind::Job;
    let workload = world.deploy(project, &Terms { kind, ..terms(1) }, 2);
    world.all_ready(workload);
    for (_, lease) in world.held(workload) {
        assert!(world.state().workloads.contains_key(&workload));
        world.see(lease.unwrap(), ObservedPhase::Ended(EndReason::Completed));
    }
    assert!(world.state().workloads.is_empty() && world.state().replicas.is_empty());
}

#[test]
fn what_cannot_start_is_tried_elsewhere_at_once_and_then_ever_later() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    world.node(2, "2.00");
    let (_, project) = world.project(1, "100.00");
    let workload = world.deploy(project, &terms(1), 1);
    let first = world.only(workload);
    let refused = ObservedPhase::Ended(EndReason::RuntimeRefused);
    let was_on = world.lease(first).node;
    world.see(first, refused);
    let second = world.only(workload);
    assert_ne!(world.lease(second).node, was_on);
    let events = world.see(second, refused);
    let Some(Event::ReplicaUnplaced { retry, .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(*retry, world.now + secs(4));
}

#[test]
fn an_older_epoch_is_fenced_off() {
    let mut world = World::new(lax());
    world.node(1, "1.00");
    let (_, project) = world.project(1, "100.00");
    let workload = world.deploy(project, &terms(1), 1);
    let (lease, node) = (world.only(workload), crate::world::key(1));
    let text = world.refused(Command::ObserveReplica {
        node,
        lease,
        epoch: 0,
        observed: ObservedPhase::Ready,
        since: world.now,
    });
    assert_eq!(
        text,
        "lease epoch 0 is not the current one (1): the replica was moved"
    );
    assert_eq!(world.phase(lease), Phase::Placed);
}
