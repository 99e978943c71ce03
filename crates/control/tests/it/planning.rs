//! Plans of the network, made by a control that runs: adopted, told and measured.

use std::time::Duration;

use remuda_network::command::EnrolNode;
use remuda_network::state::Terms;
use remuda_network::{Command, Policy};
use remuda_types::{Capacity, Label, NodeKey, Price, Shape, Span, Tier, Together, WorkloadKind};
use serde_json::Value;

use crate::harness::{Control, Market};

/// A node of two GPUs that is up.
async fn gpu_node(control: &Control, market: &Market, number: u8, price_dimes: u64) -> NodeKey {
    let node = NodeKey([number; 32]);
    let capacity = Capacity {
        gpus: 2,
        gpu_memory_mib: 81_920,
        cpu_milli: 8_000,
        memory_mib: 65_536,
        ..Capacity::default()
    };
    let enrol = EnrolNode {
        node,
        provider: market.provider.parse().unwrap(),
        site: market.site.parse().unwrap(),
        class: "h100-sxm-80".parse().unwrap(),
        capacity,
        price: Price::from_micros_per_hour(price_dimes * 100_000),
    };
    let core = &control.running.core;
    let enrolled = Command::EnrolNode(Box::new(enrol));
    core.submit_own(enrolled).await.unwrap();
    let connected = Command::NodeConnected { node, capacity };
    core.submit_own(connected).await.unwrap();
    node
}

async fn deploy(control: &Control, market: &Market, number: u8) {
    let terms = Terms {
        kind: WorkloadKind::Service,
        label: Label([number; 16]),
        spec: Label([number; 16]),
        tier: Tier::Standard,
        shape: Shape {
            gpu_milli: 2_000,
            ..Shape::default()
        },
        classes: vec![],
        countries: vec![],
        max_price: None,
        near: None,
        tokens: None,
        model: None,
        together: Together::default(),
        max_owner_share: None,
        max_site_share: None,
    };
    let command = Command::Deploy {
        project: market.project.parse().unwrap(),
        terms: Box::new(terms),
        replicas: 1,
    };
    control.running.core.submit_own(command).await.unwrap();
}

/// Waits for a plan that says so.
async fn planned(control: &Control, is_it: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..300 {
        let plan = control.get("", "/v1/network").await.expect(200)["plan"].clone();
        if is_it(&plan) {
            return plan;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no such plan");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_says_how_far_it_is_from_the_cheapest() {
    let policy = Policy {
        plan_every: Span::from_millis(50),
        ..Policy::default()
    };
    let control = Control::start_with(policy).await;
    let market = Market::open(&control).await;
    let network = control.get("", "/v1/network").await.expect(200);
    assert_eq!(network["plan"], Value::Null, "nothing runs yet");

    // The cheap node comes when the dear one is taken.
    gpu_node(&control, &market, 1, 3).await;
    deploy(&control, &market, 1).await;
    let plan = planned(&control, |plan| plan["gap_ppm"] == 0).await;
    assert!(plan["number"].as_u64().unwrap() >= 1);
    // A tenth more than runs is looked out for, and there is no place for it.
    assert_eq!(plan["unserved_gpu_milli"], 200);
    gpu_node(&control, &market, 2, 2).await;
    planned(&control, |plan| plan["gap_ppm"] == 500_000).await;

    let metrics = control.request(reqwest::Method::GET, "", "/metrics");
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("remuda_cost_gap_ppm 500000.0"),
        "{metrics}"
    );
    let control = control.restart().await;
    let plan = planned(&control, Value::is_object).await;
    assert!(
        plan["number"].as_u64().unwrap() >= 2,
        "it is in the journal"
    );
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy_is_followed_at_once() {
    // The default is minutes; none at all is asked for first.
    let never = Policy {
        plan_every: Span::ZERO,
        ..Policy::default()
    };
    let control = Control::start_with(never.clone()).await;
    let market = Market::open(&control).await;
    gpu_node(&control, &market, 1, 3).await;
    deploy(&control, &market, 1).await;
    for plan_every in [Span::HOUR, Span::from_millis(50)] {
        let policy = Policy {
            plan_every,
            ..never.clone()
        };
        let set = Command::SetPolicy(Box::new(policy));
        control.running.core.submit_own(set).await.unwrap();
    }
    planned(&control, |plan| plan["number"].as_u64() > Some(1)).await;
    control.running.stop().await;
}
