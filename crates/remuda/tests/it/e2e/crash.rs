//! Control is killed at random instants, hundreds of times: what was acknowledged is there, the
//! ledger balances, the journal verifies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use remuda_types::Money;
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::sync::Mutex;

use super::lone_control::Control;
use super::network::remuda;

const KILLS: u32 = 300;
const AMOUNT: &str = "0.000001";
const WRITERS: u32 = 4;

/// What control acknowledged: tenants by id, with the money they were told to have.
type Acknowledged = Arc<Mutex<BTreeMap<String, Money>>>;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_however_often_control_is_killed() {
    let home = tempdir().unwrap();
    let acknowledged = Acknowledged::default();
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let mut first_ready = None;
    for round in 0..KILLS {
        let mut control = Control::start(home.path()).await;
        first_ready.get_or_insert(control.ready_after);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let writer = Writer::new(&control, round * WRITERS + writer);
                tokio::spawn(writer.write(Arc::clone(&acknowledged)))
            })
            .collect();
        tokio::time::sleep(Duration::from_micros(u64::from(random.next_u32() % 80_000))).await;
        control.kill();
        for writer in writers {
            writer.abort();
        }
        if round % 25 == 24 || round + 1 == KILLS {
            check(&Control::start(home.path()).await, &acknowledged).await;
        }
    }
    println!(
        "control was ready {} ms after its first start",
        first_ready.unwrap().as_millis()
    );
    println!(
        "{} tenants acknowledged over {KILLS} kills",
        acknowledged.lock().await.len()
    );
    let verified = remuda(home.path())
        .args(["--json", "audit", "verify"])
        .arg(home.path().join("control"))
        .output()
        .unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
}

/// A client that writes as fast as it is answered.
struct Writer {
    http: reqwest::Client,
    url: String,
    key: String,
    number: u32,
}

impl Writer {
    fn new(control: &Control, number: u32) -> Self {
        let (http, url, key) = (
            control.http.clone(),
            control.url.clone(),
            control.key.clone(),
        );
        Self {
            http,
            url,
            key,
            number,
        }
    }

    async fn post(&self, path: &str, body: Value) -> Option<Value> {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.key);
        let answer = request.json(&body).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    /// Until control is gone.
    async fn write(self, acknowledged: Acknowledged) {
        let amount: Money = AMOUNT.parse().unwrap();
        for count in 0.. {
            let name = format!("t-{}-{count}", self.number);
            let Some(tenant) = self.post("/v1/tenants", json!({ "name": name })).await else {
                return;
            };
            let id = tenant["id"].as_str().unwrap().to_owned();
            acknowledged.lock().await.insert(id.clone(), Money::ZERO);
            let top_ups = format!("/v1/tenants/{id}/top-ups");
            if self
                .post(&top_ups, json!({ "amount_usd": AMOUNT }))
                .await
                .is_none()
            {
                return;
            }
            acknowledged.lock().await.insert(id, amount);
        }
    }
}

/// Everything acknowledged is there; what was under way may be, too.
async fn check(control: &Control, acknowledged: &Acknowledged) {
    let known = control.list("/v1/tenants").await;
    let known: BTreeMap<&str, Money> = known
        .iter()
        .map(|tenant| {
            let prepaid = tenant["prepaid_usd"].as_str().unwrap().parse().unwrap();
            (tenant["id"].as_str().unwrap(), prepaid)
        })
        .collect();
    for (id, amount) in acknowledged.lock().await.iter() {
        let prepaid = known.get(id.as_str()).copied();
        assert!(
            prepaid >= Some(*amount),
            "{id}: {amount} acknowledged, {prepaid:?} kept"
        );
    }
    let accounts = control.get("/v1/ledger/accounts").await;
    assert_eq!(accounts["total_micros"], 0);
}
