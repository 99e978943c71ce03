//! The config file: profiles, where a key goes, and every fault at once.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use crate::program::{NOWHERE, Program};

const CONFIG: &str = ".config/remuda/config.toml";

/// What one request to `program` carried in its head.
fn head_sent(program: &Program, listener: TcpListener, arguments: &[&str]) -> String {
    let answers = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 8_192];
        let read = stream.read(&mut request).unwrap();
        stream
            .write_all(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        String::from_utf8_lossy(&request[..read]).to_lowercase()
    });
    let said = program.run(arguments);
    assert_ne!(said.code, 0);
    answers.join().unwrap()
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[test]
fn profiles_are_kept_listed_and_chosen() {
    let program = Program::new();
    program.file("my.key", "rk_secret\n");
    program.json(&[
        "profile",
        "set",
        "lab",
        "--url",
        "http://lab.example:7400",
        "--key-file",
        "my.key",
    ]);
    program.json(&[
        "profile",
        "set",
        "prod",
        "--url",
        "https://prod.example",
        "--key",
        "rk_prod",
    ]);
    let listed = program.json(&["profile", "use", "prod"]);
    insta::assert_json_snapshot!(listed);
    let said = program.run(&["profile", "ls"]);
    assert!(
        !said.stdout.contains("rk_"),
        "keys are not shown: {}",
        said.stdout
    );
}

#[test]
fn the_file_is_its_users_alone_and_comments_stay() {
    let program = Program::new();
    let path = program.file(
        CONFIG,
        "# mine\n[profiles.a]\nurl = \"http://a.example\" # here\n",
    );
    program.json(&[
        "profile",
        "set",
        "b",
        "--url",
        "http://b.example",
        "--key",
        "rk_b",
    ]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("# mine") && text.contains("# here") && text.contains("rk_b"),
        "{text}"
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn changing_one_field_keeps_the_others() {
    let program = Program::new();
    program.json(&[
        "profile",
        "set",
        "a",
        "--url",
        "http://a.example",
        "--key",
        "rk_a",
    ]);
    let listed = program.json(&[
        "profile",
        "set",
        "a",
        "--gateway-url",
        "http://a.example:7410",
    ]);
    assert_eq!(listed[0]["url"], "http://a.example/");
    assert_eq!(listed[0]["key"], "kept");
    assert_eq!(listed[0]["gateway_url"], "http://a.example:7410/");
}

#[test]
fn all_faults_are_reported_together() {
    let program = Program::new();
    program.file(
        CONFIG,
        "profile = \"x\"\ncolour = true\n\n[profiles.a]\nurl = \"ftp://a\"\nproject = \"wl_1\"\nkey = 7\n\n[profiles.b]\nurls = \"http://b\"\nkey = \"k\"\nkey_file = \"f\"\n",
    );
    insta::assert_snapshot!(program.run(&["ps"]).failure(&program));
    program.file(CONFIG, "[profiles.a\n");
    insta::assert_snapshot!(program.run(&["ps"]).failure(&program));
}

#[test]
fn a_profile_that_is_not_there_is_named() {
    let program = Program::new();
    insta::assert_snapshot!(program.run(&["ps", "--profile", "lab"]).failure(&program));
    insta::assert_snapshot!(program.run(&["profile", "use", "lab"]).failure(&program));
}

#[test]
fn a_flag_goes_before_the_environment_before_the_profile() {
    let (at_flag, flag) = listener();
    let program = Program::new()
        .with("REMUDA_URL", NOWHERE)
        .with("REMUDA_KEY", "rk_env");
    program.file(
        CONFIG,
        "profile = \"a\"\n[profiles.a]\nurl = \"http://127.0.0.1:9\"\nkey = \"rk_a\"\n",
    );
    let head = head_sent(&program, at_flag, &["ps", "--url", &flag]);
    assert!(head.contains("authorization: bearer rk_env"), "{head}");

    let (at_env, env) = listener();
    let program = Program::new().with("REMUDA_URL", env);
    let head = head_sent(&program, at_env, &["ps", "--key", "rk_flag"]);
    assert!(head.contains("authorization: bearer rk_flag"), "{head}");
}

#[test]
fn a_stored_key_goes_only_where_it_belongs() {
    let (at_own, own) = listener();
    let config = format!("profile = \"a\"\n[profiles.a]\nurl = \"{own}\"\nkey = \"rk_a\"\n");
    let program = Program::new();
    program.file(CONFIG, &config);
    assert!(head_sent(&program, at_own, &["ps"]).contains("bearer rk_a"));

    let (at_other, other) = listener();
    let head = head_sent(&program, at_other, &["ps", "--url", &other]);
    assert!(!head.contains("authorization"), "{head}");
}
