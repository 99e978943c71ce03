//! What is refused, in the words that people read.

use remuda_ledger::Rail;
use remuda_network::state::{KeyOwner, Terms};
use remuda_network::{Command, Policy, command::IssueKey};
use remuda_types::{
    Capacity, Digest, GatewayKey, Money, ProjectId, ProviderId, Shape, Span, Time, TrancheId,
    WorkloadId,
};

use crate::world::{World, key, label, lax, per_hour, terms, usd};

fn furnished() -> (World, ProviderId, ProjectId) {
    let mut world = World::new(lax());
    let (provider, _) = world.node(1, "1.00");
    let (_, project) = world.project(1, "10.00");
    (world, provider, project)
}

#[test]
fn names_that_are_taken() {
    let (mut world, provider, project) = furnished();
    world.deploy(project, &terms(1), 1);
    let site = Command::RegisterSite {
        provider,
        label: label(1),
        country: "KR".parse().unwrap(),
        place: remuda_types::Place::from_degrees(0.0, 0.0).unwrap(),
    };
    let tenant = world.state().projects[&project].tenant;
    let again = Command::Deploy {
        project,
        terms: Box::new(terms(1)),
        replicas: 1,
    };
    for (kind, command) in [
        ("provider", Command::RegisterProvider { label: label(1) }),
        ("site", site),
        ("tenant", Command::CreateTenant { label: label(1) }),
        (
            "project",
            Command::CreateProject {
                tenant,
                label: label(1),
            },
        ),
        ("workload", again),
    ] {
        assert_eq!(
            world.refused(command),
            format!("a {kind} of this name exists already: choose another name, or use that one")
        );
    }
}

#[test]
fn things_that_are_not_there() {
    let (mut world, ..) = furnished();
    let (workload, project) = (WorkloadId::from_u128(7), ProjectId::from_u128(7));
    for (text, command) in [
        (
            format!("there is no workload {workload}"),
            Command::StopWorkload { workload },
        ),
        (
            format!("there is no node {}", key(7)),
            Command::DrainNode { node: key(7) },
        ),
        (
            format!("there is no project {project}"),
            Command::FundBudget {
                project,
                amount: usd("1.00"),
            },
        ),
        (
            format!("there is no gateway {}", GatewayKey([7; 32])),
            Command::OpenTranche {
                gateway: GatewayKey([7; 32]),
                tranche: TrancheId::from_u128(1),
                project,
                amount: usd("1.00"),
            },
        ),
    ] {
        assert_eq!(world.refused(command), text);
    }
}

#[test]
fn deployments_that_make_no_sense() {
    let (mut world, _, project) = furnished();
    let odd = Terms {
        shape: Shape {
            gpu_milli: 1_500,
            ..Shape::default()
        },
        ..terms(1)
    };
    let mut refused = |terms: &Terms, replicas| {
        let terms = Box::new(terms.clone());
        world.refused(Command::Deploy {
            project,
            terms,
            replicas,
        })
    };
    assert_eq!(
        refused(&odd, 1),
        "gpu_milli 1500 is not a whole number of GPUs: above 1000 give a multiple of 1000"
    );
    assert_eq!(
        refused(&terms(1), 0),
        "replicas: 0: at least one is expected; `remuda stop` ends a workload"
    );
    assert_eq!(
        refused(&terms(1), 8_193),
        "max_replicas is limited to 8192: deploy several workloads; if they are to stand on one \
         fabric, fewer with more GPUs each"
    );
    assert_eq!(
        refused(&terms(1), 3),
        "no capacity: placed 2 of 3; for the next: 1 node: 1 without 1 GPU free"
    );
}

#[test]
fn a_project_full_of_workloads() {
    let (mut world, _, project) = furnished();
    world.run(Command::SetPolicy(Box::new(Policy {
        max_workloads: 1,
        ..lax()
    })));
    let workload = world.deploy(project, &terms(1), 1);
    let another = |n| Command::Deploy {
        project,
        terms: Box::new(terms(n)),
        replicas: 1,
    };
    assert_eq!(
        world.refused(another(2)),
        "max_workloads is limited to 1: stop workloads that are not used, or use another project"
    );
    world.run(Command::StopWorkload { workload });
    world.run(another(2));
}

#[test]
fn a_workload_that_is_stopping() {
    let (mut world, _, project) = furnished();
    let workload = world.deploy(project, &terms(1), 1);
    world.all_ready(workload);
    world.run(Command::StopWorkload { workload });
    let text = world.refused(Command::Scale {
        workload,
        replicas: 2,
    });
    assert_eq!(
        text,
        "the workload is stopping: deploy it again when it is gone"
    );
}

#[test]
fn a_bond_that_is_short() {
    let (mut world, provider, _) = furnished();
    world.run(Command::SetPolicy(Box::default()));
    world.bond(provider, "300.00");
    let site = *world.state().sites.keys().next().unwrap();
    let text = world.refused(World::enrol(provider, site, key(2), per_hour("1.00")));
    assert_eq!(
        text,
        "the bond is 300.000000 USD, 631.680000 are needed with this node: deposit 331.680000 more with `remuda provider bond`"
    );
    world.bond(provider, "331.68");
    world.run(World::enrol(provider, site, key(2), per_hour("1.00")));
}

#[test]
fn money_that_is_not_there_or_is_none_or_too_much() {
    let (mut world, provider, project) = furnished();
    let tenant = world.state().projects[&project].tenant;
    let amount = usd("0.01");
    assert_eq!(
        world.refused(Command::FundBudget { project, amount }),
        format!(
            "tenant-prepaid:{tenant} has 0.000000 dollars available of the 0.010000 needed: top it up, or ask for less"
        )
    );
    let top_up = |amount, rail| Command::TopUp {
        tenant,
        amount,
        rail,
    };
    assert_eq!(
        world.refused(top_up(Money::ZERO, Rail::Bank)),
        "amount: 0.000000 USD: an amount above zero is expected"
    );
    // Both rails together: no account can ever hold more than there is.
    world.run(Command::DepositBond {
        provider,
        amount: usd("9000000000000.00"),
        rail: Rail::Chain,
    });
    assert_eq!(
        world.refused(top_up(usd("300000000000.00"), Rail::Bank)),
        "rail:bank would hold or owe more than 9,223,372,036,854 dollars: move less"
    );
}

#[test]
fn nodes_and_keys_that_cannot_be() {
    let (mut world, provider, _) = furnished();
    let (other, site) = (
        world.provider(2),
        *world.state().sites.keys().next().unwrap(),
    );
    let text = world.refused(World::enrol(other, site, key(2), per_hour("1.00")));
    assert_eq!(text, "the site belongs to another provider");
    let Command::EnrolNode(mut empty) = World::enrol(provider, site, key(2), per_hour("1.00"))
    else {
        unreachable!("that is what it makes")
    };
    empty.capacity = Capacity::default();
    assert_eq!(
        world.refused(Command::EnrolNode(empty)),
        "capacity: a node without CPU or memory can run nothing"
    );
    let useless = IssueKey {
        owner: KeyOwner::Operator,
        digest: Digest::default(),
        scopes: [].into(),
        expires: Some(Time::EPOCH),
        requests_per_minute: 0,
    };
    assert_eq!(
        world.refused(Command::IssueKey(Box::new(useless))),
        "scopes: a key needs at least one scope"
    );
}

#[test]
fn policies_under_which_the_clock_would_run_on_the_spot() {
    let (mut world, ..) = furnished();
    let mut refused = |change: fn(&mut Policy)| {
        let mut policy = Box::new(lax());
        change(&mut policy);
        world.refused(Command::SetPolicy(policy))
    };
    assert_eq!(
        refused(|p| p.fee_bp = 9_901),
        "fee_bp: fee and pool together are 10001 basis points, over the whole charge"
    );
    assert_eq!(
        refused(|p| p.lease_term = Span::HOUR),
        "slice: a slice is no longer than the lease term"
    );
    assert_eq!(
        refused(|p| p.slice_min = Span::ZERO),
        "slice_min: a time above zero is expected"
    );
    assert_eq!(
        refused(|p| p.replace_backoff = Span::ZERO),
        "replace_backoff: a time above zero is expected"
    );
    assert_eq!(
        refused(|p| p.migration_cost = Money::from_micros(-1)),
        "migration_cost: an amount is never below zero"
    );
    assert_eq!(
        refused(|p| p.tick_limit = 0),
        "tick_limit: 0: nothing would ever be settled or placed again"
    );
}

#[test]
fn a_model_is_another_file_only_for_whoever_knows_which_it_was() {
    let (mut world, ..) = furnished();
    let (first, second, third) = (Digest([1; 32]), Digest([2; 32]), Digest([3; 32]));
    let add = |digest, replaces| Command::AddModel {
        label: label(9),
        digest,
        bytes: 7,
        replaces,
    };
    let text = world.refused(add(first, Some(second)));
    assert_eq!(text, "replaces: there is no model of this name to replace");
    world.run(add(first, None));
    world.run(add(first, None));
    let text = world.refused(add(second, None));
    assert!(
        text.starts_with(&format!("the name stands for the file {first}: choose")),
        "{text}"
    );
    world.run(add(second, Some(first)));
    // Two who replace the same file: the later one is told.
    world.refused(add(third, Some(first)));
    assert_eq!(world.state().models[&label(9)].digest, second);
}
