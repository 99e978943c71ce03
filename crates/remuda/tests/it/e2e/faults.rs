//! Every fault that a node can have while it serves, made once by the benchmark's own machinery:
//! killed, frozen, and cut off without a word. Each is noticed and replaced, no request fails, and
//! the text is what it would have been.

use serde_json::Value;
use tempfile::tempdir;

use super::network::{is_root, model_path, port_base, remuda};

#[test]
fn no_request_fails_when_a_node_is_killed_frozen_or_cut_off() {
    let home = tempdir().unwrap();
    // Only root may make the network namespaces in which a cable can be pulled.
    let faults: &[&str] = if is_root() {
        &["kill", "freeze", "cut"]
    } else {
        &["kill", "freeze"]
    };
    let output = remuda(home.path())
        .args(["--json", "bench", "failover", "--n", "1", "--fault"])
        .arg(faults.join(","))
        .args(["--port-base", &port_base().to_string(), "--model"])
        .arg(model_path())
        .arg("--dir")
        .arg(home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let figures: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let made: Vec<&Value> = figures.iter().map(|figure| &figure["fault"]).collect();
    assert_eq!(made, faults);
    for figure in &figures {
        assert_eq!(figure["n"], 1, "{figure}");
        assert_eq!(figure["failed_requests"], 0, "{figure}\n{said}");
    }
}
