//! `remuda audit verify` finds what was altered, and says so by its exit code.

use rusqlite::Connection;

use crate::against_control::Network;
use crate::program::Program;

#[test]
fn an_altered_journal_is_found() {
    let network = Network::start();
    let program = network.operator();
    program.json(&["tenant", "create", "acme"]);
    let dir = network.data_dir();
    let dir = dir.to_str().unwrap();
    let _host = network.stop();

    let offline = Program::new();
    let whole = offline.json(&["audit", "verify", dir]);
    assert!(whole["records"].as_u64().unwrap() >= 2, "{whole}");
    let head = whole["head"].as_str().unwrap();
    assert_eq!(
        offline.json(&["audit", "verify", dir, "--head", head]),
        whole
    );
    let other = "0".repeat(64);
    assert_eq!(
        offline
            .run(&["audit", "verify", dir, "--head", &other])
            .code,
        8
    );

    let journal = Connection::open(format!("{dir}/journal.db")).unwrap();
    let update = "UPDATE batch SET payload = CAST(payload || x'00' AS BLOB) WHERE first_seq = 1";
    assert_eq!(journal.execute(update, []).unwrap(), 1);
    drop(journal);
    let said = offline.run(&["audit", "verify", dir]);
    assert_eq!(said.code, 8, "{}", said.stderr);
    assert!(
        said.stderr.contains("its hash does not match its content"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_folder_without_a_journal_is_named() {
    let program = Program::new();
    let said = program.run(&["audit", "verify", "nothing-here"]);
    assert_eq!(said.code, 2);
    assert!(
        said.stderr.contains("next: name control's data folder"),
        "{}",
        said.stderr
    );
}

#[test]
fn any_past_state_is_rebuilt() {
    let network = Network::start();
    let program = network.operator();
    program.json(&["tenant", "create", "acme"]);
    let before = program.json(&["status"])["seq"].as_u64().unwrap();
    let tenant = program.json(&["tenant", "top-up", "acme", "12.5"]);
    assert_eq!(tenant["prepaid_usd"], "12.500000");
    let dir = network.data_dir();
    let dir = dir.to_str().unwrap();
    let _host = network.stop();

    let at = |seq: &str| Program::new().json(&["replay", "--data-dir", dir, "--to", seq]);
    let last = (before + 1).to_string();
    let (past, now) = (at(&before.to_string()), at(&last));
    assert_eq!(past["counts"]["tenants"], 1);
    assert_eq!(past["balances"], serde_json::json!({}));
    assert_eq!(now["balances"].as_object().unwrap().len(), 2);
    assert_eq!(now["ledger_total_micros"], "0");
    assert_ne!(past["digest"], now["digest"]);
    assert_eq!(at(&last), now, "the same history is the same state");
    let beyond = ["replay", "--data-dir", dir, "--to", "999999"];
    let beyond = Program::new().run(&beyond);
    assert_eq!(beyond.code, 2);
    let end = format!("the journal ends with record {last}");
    assert!(beyond.stderr.contains(&end), "{}", beyond.stderr);
}
