//! Exit codes: a program that calls this one can tell what happened without reading.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::Value;

use crate::program::{NOWHERE, Program, Said};

/// Answers one request, whatever it is, with `response`.
fn answering(response: String) -> (Program, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 8_192];
        let read = stream.read(&mut request).unwrap();
        assert!(read > 0);
        stream.write_all(response.as_bytes()).unwrap();
    });
    (Program::new().with("REMUDA_URL", url), answers)
}

fn problem(status: u16, code: &str, detail: &str) -> Said {
    let body = serde_json::json!({
        "type": format!("urn:remuda:problem:{code}"), "title": code, "status": status,
        "detail": detail, "instance": "req_00000000000000000000000001", "code": code,
    });
    answered(status, "application/problem+json", &body.to_string())
}

fn answered(status: u16, kind: &str, body: &str) -> Said {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let (program, answers) = answering(head + body);
    let said = program.run(&["node", "ls", "--json"]);
    answers.join().unwrap();
    said
}

fn error(said: &Said) -> Value {
    assert_eq!(said.stdout, "");
    let error: Value = serde_json::from_str(&said.stderr).unwrap();
    error["error"].clone()
}

#[test]
fn help_and_version_are_no_errors() {
    let program = Program::new();
    for arguments in [["--help"], ["--version"]] {
        let said = program.run(&arguments);
        assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    }
}

#[test]
fn wrong_usage_is_2() {
    let program = Program::new();
    let wrong: [&[&str]; 13] = [
        &[],
        &["fly"],
        &["ps", "--fast"],
        &["scale", "chat", "0"],
        &["tenant", "top-up", "acme", "-1"],
        &["key", "issue", "--scope", "everything"],
        &["deploy"],
        &["status", "--url", "not-a-url"],
        &["events", "--after", "abc"],
        &["events", "--type", "bogus"],
        &["ledger", "statement", "prj_bogus"],
        &["status", "--config", "not-there.toml"],
        &["replay", "--data-dir", "not-there"],
    ];
    for arguments in wrong {
        let said = program.run(arguments);
        assert_eq!(said.code, 2, "{arguments:?}: {}", said.stderr);
        assert_ne!(said.stderr, "", "{arguments:?}");
        let for_programs = program.run(&[arguments, &["--json"]].concat());
        assert_eq!(error(&for_programs)["code"], "usage", "{arguments:?}");
        assert_ne!(error(&for_programs)["message"], "", "{arguments:?}");
    }
}

#[test]
fn refusals_tell_who_and_what() {
    let cases = [
        (409, "no-capacity", 3),
        (402, "budget-exhausted", 3),
        (422, "invalid", 3),
        (503, "read-only", 3),
        (404, "not-found", 4),
        (401, "unauthenticated", 5),
        (403, "missing-scope", 5),
        (504, "timed-out", 7),
        (500, "internal", 1),
    ];
    for (status, code, exit) in cases {
        let said = problem(status, code, "what is wrong, and the way out");
        assert_eq!(said.code, exit, "{status} {code}");
        let error = error(&said);
        assert_eq!(error["code"], code);
        assert_eq!(error["message"], "what is wrong, and the way out");
        assert_eq!(error["request_id"], "req_00000000000000000000000001");
    }
}

#[test]
fn nobody_there_is_6_and_says_where_and_what_to_do() {
    let program = Program::new();
    let said = program.run(&["status", "--url", NOWHERE]);
    insta::assert_snapshot!(said.failure(&program));
}

#[test]
fn whoever_is_no_control_is_6() {
    assert_eq!(answered(200, "text/html", "<html>").code, 6);
    assert_eq!(answered(502, "text/html", "<html>").code, 6);
}

#[test]
fn an_error_for_people_names_the_request_and_the_way_out() {
    let body = r#"{"type":"urn:remuda:problem:no-capacity","title":"No capacity","status":409,
        "detail":"no capacity: 3 nodes: 3 not in KR","instance":"req_00000000000000000000000001",
        "code":"no-capacity"}"#;
    let head =
        "HTTP/1.1 409 X\r\ncontent-type: application/problem+json\r\nconnection: close\r\n\r\n";
    let (program, answers) = answering(format!("{head}{body}"));
    let said = program.run(&["node", "ls"]);
    answers.join().unwrap();
    insta::assert_snapshot!(said.failure(&program));
}
