//! The disk under the journal fills up: writes are refused, reads are served, and writing works
//! again when there is space.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::lone_control::{Control, command};
use super::network::{is_root, port_base};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_serves_reads() {
    let home = tempdir().unwrap();
    let data_dir = home.path().join("disk");
    fs::create_dir(&data_dir).unwrap();
    let inner = command(home.path(), &data_dir, port_base());
    let mut control = start(&data_dir, &inner).await;

    let tenant = control
        .post("/v1/tenants", &json!({ "name": "before" }))
        .await;
    let disk = seen_by(&control, &data_dir);
    let ballast = disk.join("ballast");
    fill(&ballast);

    let refused = until_refused(&control).await;
    assert_eq!(refused["code"], "read-only", "{refused}");
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("no space left"),
        "{refused}"
    );
    // Reads are served meanwhile, and control says why it cannot write.
    let tenants = control.list("/v1/tenants").await;
    assert!(tenants.iter().any(|known| known["id"] == tenant["id"]));
    let ready = control.get("/v1/ready").await;
    assert_eq!(ready["writable"], false);
    assert_eq!(control.get("/v1/ledger/accounts").await["total_micros"], 0);
    assert!(
        control.child.try_wait().unwrap().is_none(),
        "control lives on"
    );

    fs::remove_file(&ballast).unwrap();
    let since = Instant::now();
    loop {
        let answer = create(&control, "after").await;
        if answer.0.is_success() {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "{}", answer.1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(control.get("/v1/ready").await["writable"], true);
    assert_eq!(control.get("/v1/ledger/accounts").await["total_micros"], 0);
}

/// Control on a small disk of its own, which only it and its namespace see.
async fn start(data_dir: &Path, inner: &Command) -> Control {
    let mut outer = Command::new("unshare");
    if !is_root() {
        outer.args(["--user", "--map-root-user"]);
    }
    outer
        .args(["--mount", "sh", "-ec"])
        .arg("mount -t tmpfs -o size=8m tmpfs \"$0\"; exec \"$@\"")
        .arg(data_dir)
        .arg(inner.get_program())
        .args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    Control::run(outer).await
}

/// The disk, as control's namespace has it.
fn seen_by(control: &Control, data_dir: &Path) -> PathBuf {
    let below_root = data_dir.strip_prefix("/").unwrap();
    PathBuf::from(format!("/proc/{}/root", control.child.id())).join(below_root)
}

fn fill(ballast: &Path) {
    // The last write fails, and leaves the disk full.
    drop(fs::write(ballast, vec![0; 8 << 20]));
}

async fn create(control: &Control, name: &str) -> (StatusCode, Value) {
    let body = json!({ "name": name });
    let answer = control
        .request(Method::POST, "/v1/tenants")
        .json(&body)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// What is left in pages that the journal has already is used first.
async fn until_refused(control: &Control) -> Value {
    for count in 0..10_000 {
        let (status, body) = create(control, &format!("tenant-{count}")).await;
        if !status.is_success() {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
            return body;
        }
    }
    panic!("the disk never filled up");
}
