//! Money over HTTP: accounts that sum to zero, statements that say what was not charged.

use std::time::Duration;

use remuda_network::Command;
use remuda_network::command::ObservedPhase;
use remuda_network::policy::Policy;
use remuda_network::state::EndReason;
use remuda_types::{Money, Span};
use serde_json::{Value, json};

use crate::harness::{Control, Market, observe, text};

fn micros(value: &Value, field: &str) -> i64 {
    text(value, field).parse::<Money>().unwrap().as_micros()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sees_all_money_and_it_sums_to_zero() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let all = control
        .get(&control.operator, "/v1/ledger/accounts")
        .await
        .expect(200);
    assert_eq!(all["total_micros"], 0);
    let accounts = all["data"].as_array().unwrap();
    let sum: i64 = accounts
        .iter()
        .map(|account| micros(account, "posted_usd"))
        .sum();
    assert_eq!(sum, 0);
    let named: Vec<_> = accounts
        .iter()
        .map(|account| text(account, "account"))
        .collect();
    assert!(named.contains(&"rail:bank".to_owned()), "{named:?}");

    let own = control
        .get(&market.project_key, "/v1/ledger/accounts")
        .await
        .expect(200);
    assert_eq!(own.get("total_micros"), None);
    let own: Vec<_> = own["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| text(account, "account"))
        .collect();
    let expected = [
        format!("tenant-prepaid:{}", market.tenant),
        format!("project-budget:{}", market.project),
    ];
    assert_eq!(own, expected);
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_shows_what_was_charged_and_what_was_not() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    market.model(&control).await;
    // 3,600 dollars an hour: a dollar a second for the whole node, an eighth for this shape.
    let bond = json!({"amount_usd": "2000000"});
    control
        .make(&format!("/v1/providers/{}/bond", market.provider), &bond)
        .await;
    market.node(&control, 1, 3_600_000_000).await;
    let deployed = market.deploy(&control, 1).await;
    let placement = &deployed["replicas"][0]["placement"];
    tokio::time::sleep(Duration::from_millis(60)).await;
    observe(&control, placement, ObservedPhase::Ready).await;
    tokio::time::sleep(Duration::from_millis(60)).await;

    let running = control
        .get(&market.project_key, "/v1/ledger/statement")
        .await
        .expect(200);
    assert_eq!(running["subject"], market.project);
    assert_eq!(
        running["charged"]["leases"]["ready_ms"], 0,
        "nothing is settled yet"
    );
    let accruing = &running["accruing"][0];
    assert_eq!(accruing["lease"], placement["lease"]);
    assert!(
        accruing["starting_ms"].as_u64().unwrap() >= 60,
        "{accruing:#}"
    );
    assert!(micros(accruing, "amount_usd") > 0, "{accruing:#}");

    observe(
        &control,
        placement,
        ObservedPhase::Ended(EndReason::Crashed),
    )
    .await;
    // The replica may have been placed again; that is not what is looked at.
    let path = format!("/v1/workloads/{}", text(&deployed, "id"));
    control.delete(&market.project_key, &path).await.expect(204);
    let over = control
        .get(&market.project_key, "/v1/ledger/statement")
        .await
        .expect(200);
    let leases = &over["charged"]["leases"];
    let (ready, amount) = (
        leases["ready_ms"].as_u64().unwrap(),
        micros(leases, "amount_usd"),
    );
    assert!(
        leases["starting_ms"].as_u64().unwrap() >= 60 && ready >= 60,
        "{leases:#}"
    );
    // An eighth of a dollar a second.
    assert_eq!(amount, i64::try_from(ready).unwrap() * 125, "{leases:#}");
    let lines = over["data"].as_array().unwrap();
    let slices = lines.iter().filter(|line| line["purpose"] == "lease slice");
    assert_eq!(
        slices.map(|line| micros(line, "amount_usd")).sum::<i64>(),
        -amount
    );

    let earned = control
        .get(&market.provider_key, "/v1/ledger/statement")
        .await
        .expect(200);
    let share = micros(&earned["earned"], "leases_usd");
    assert_eq!(
        share,
        amount - amount * 5 / 100 - amount / 100,
        "5 % fee and 1 % pool, rounded down"
    );
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_a_lease_pays_its_project() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    let bond = format!("/v1/providers/{}/bond", market.provider);
    control.make(&bond, &json!({"amount_usd": "100"})).await;
    market.ready_replica(&control, 360_000).await;
    let tenant = format!("/v1/tenants/{}", market.tenant);
    let other = control
        .make(&format!("{tenant}/projects"), &json!({"name": "other"}))
        .await;

    let leave = format!("/v1/providers/{}/leave", market.provider);
    let now = json!({"manner": "now"});
    control
        .post(&market.provider_key, &leave, &now)
        .await
        .expect(200);
    let paid = async |project: &str| {
        let path = format!("/v1/ledger/statement?project={project}");
        let statement = control.get(&control.operator, &path).await.expect(200);
        micros(&statement["charged"], "compensated_usd")
    };
    let compensated = paid(&market.project).await;
    assert!(compensated > 0);
    assert_eq!(paid(&text(&other, "id")).await, 0, "it had no lease there");
    let tenants = control.get(&control.operator, "/v1/tenants").await;
    let credit = micros(&tenants.expect(200)["data"][0], "credit_usd");
    assert_eq!(credit, compensated);
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn movements_are_paged() {
    let control = Control::start().await;
    let market = Market::open(&control).await;
    for _ in 0..4 {
        let more = json!({"amount_usd": "1"});
        control
            .make(&format!("/v1/projects/{}/budget", market.project), &more)
            .await;
    }
    let (mut amounts, mut path) = (Vec::new(), "/v1/ledger/statement?limit=2".to_owned());
    loop {
        let page = control.get(&market.project_key, &path).await.expect(200);
        amounts.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| text(line, "amount_usd")),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/ledger/statement?limit=2&cursor={cursor}");
    }
    assert_eq!(
        amounts,
        ["50.000000", "1.000000", "1.000000", "1.000000", "1.000000"]
    );
    let account = format!(
        "/v1/ledger/statement?account=tenant-prepaid:{}",
        market.tenant
    );
    let prepaid = control.get(&market.project_key, &account).await.expect(200);
    assert_eq!(prepaid["balances"][0]["available_usd"], "46.000000");
    control.running.stop().await;
}

fn short_slices() -> Policy {
    Policy {
        slice: Span::from_secs(1),
        slice_min: Span::from_millis(100),
        ..Policy::default()
    }
}

/// A control that comes back after slices were over many times, and where its replica was ready.
async fn returned() -> (Control, Market, Value) {
    let control = Control::start_with(short_slices()).await;
    let market = Market::open(&control).await;
    let placement = market.ready_replica(&control, 360_000).await;
    let away = Duration::from_secs(3);
    let control = control.restart_after(|_| std::thread::sleep(away)).await;
    (control, market, placement)
}

async fn leases_of(control: &Control, market: &Market) -> Value {
    let path = "/v1/ledger/statement";
    let statement = control.get(&market.project_key, path).await.expect(200);
    statement["charged"]["leases"].clone()
}

/// Asks for what was charged until it is as expected; a test that waits for ever has failed.
async fn charged_until(control: &Control, market: &Market, is_it: fn(&Value) -> bool) -> Value {
    loop {
        let leases = leases_of(control, market).await;
        if is_it(&leases) {
            return leases;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_that_comes_back_charges_nothing_of_which_it_knows_nothing() {
    let (control, market, placement) = returned().await;
    // Longer than a look at what is due takes.
    tokio::time::sleep(Duration::from_millis(500)).await;

    // As a session says it of a node that did not serve all along.
    let core = &control.running.core;
    let (node, last_seen) = (text(&placement, "node").parse().unwrap(), core.recovered());
    let suspected = Command::NodeSuspected { node, last_seen };
    core.submit_own(suspected).await.unwrap();
    let restarted = ObservedPhase::Ended(EndReason::NodeRestarted);
    observe(&control, &placement, restarted).await;
    let leases = leases_of(&control, &market).await;
    assert!(leases["ready_ms"].as_u64().unwrap() < 1_000, "{leases:#}");
    assert!(
        leases["suspect_ms"].as_u64().unwrap() >= 3_000,
        "{leases:#}"
    );
    control.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_come_back_with_control_is_judged_before_anything_is_settled() {
    let (control, market, _) = returned().await;
    let silent = |leases: &Value| {
        leases["silent_ms"]
            .as_u64()
            .is_some_and(|silent| silent > 0)
    };
    let leases = charged_until(&control, &market, silent).await;
    assert!(leases["ready_ms"].as_u64().unwrap() < 1_000, "{leases:#}");
    assert!(leases["silent_ms"].as_u64().unwrap() >= 3_000, "{leases:#}");

    // From then on slices are settled as ever.
    market.node(&control, 2, 360_000).await;
    let spec = json!({"name": "second", "model": {"name": "tiny"}});
    let deployed = control
        .post(&market.project_key, "/v1/workloads", &spec)
        .await
        .expect(201);
    let placement = &deployed["replicas"][0]["placement"];
    observe(&control, placement, ObservedPhase::Ready).await;
    let settled = |leases: &Value| {
        leases["ready_ms"]
            .as_u64()
            .is_some_and(|ready| ready > 1_000)
    };
    charged_until(&control, &market, settled).await;
    control.running.stop().await;
}
