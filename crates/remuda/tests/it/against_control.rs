//! The resource commands against a control of their own, through the program alone.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use insta::assert_json_snapshot;
use serde_json::Value;
use strum::VariantNames;

use crate::program::{Program, Running};

/// A control and whoever asks it.
pub(crate) struct Network {
    host: Program,
    control: Running,
}

impl Network {
    pub(crate) fn start() -> Self {
        let host = Program::new();
        host.file(
            "policy.toml",
            "[network]\nprocesses_allowed = true\nnotice = \"1h\"\n",
        );
        let control = host.start(&[
            "control",
            "--data-dir",
            "data",
            "--http",
            "127.0.0.1:0",
            "--iroh",
            "127.0.0.1:0",
            "--policy",
            "policy.toml",
        ]);
        Self { host, control }
    }

    pub(crate) fn url(&self) -> &str {
        self.control.started["url"].as_str().unwrap()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.host.home().join("data")
    }

    /// The operator.
    pub(crate) fn operator(&self) -> Program {
        let key = fs::read_to_string(self.data_dir().join("operator.key")).unwrap();
        self.with_key(key.trim())
    }

    fn with_key(&self, key: &str) -> Program {
        Program::new()
            .with("REMUDA_URL", self.url())
            .with("REMUDA_KEY", key)
    }

    /// Stops control; its folder stays.
    pub(crate) fn stop(self) -> Program {
        assert_eq!(self.control.stop(), 0);
        self.host
    }
}

/// What differs from run to run, and what is written for it in snapshots.
const UNSTEADY: [(&str, &[&str]); 9] = [
    ("[id]", &["id", "tenant", "provider", "subject", "transfer"]),
    ("[owner]", &["owner"]),
    ("[prefix]", &["prefix"]),
    (
        "[time]",
        &[
            "created_ms",
            "joined_ms",
            "leaves_ms",
            "expires_ms",
            "at_ms",
        ],
    ),
    ("[account]", &["account", "other"]),
    ("[seq]", &["seq"]),
    ("[url]", &["url"]),
    ("[secret]", &["secret"]),
    ("[version]", &["version"]),
];

fn steadied(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(steadied).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), steady_field(name, field)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn steady_field(name: &str, field: &Value) -> Value {
    let unsteady = UNSTEADY.iter().find(|(_, names)| names.contains(&name));
    unsteady.map_or_else(|| steadied(field), |(written, _)| (*written).into())
}

macro_rules! steady {
    ($value:expr) => {
        assert_json_snapshot!(steadied(&$value))
    };
}

fn id(of: &Value) -> String {
    of["id"].as_str().unwrap().to_owned()
}

#[test]
fn supply_is_registered_and_leaves() {
    let network = Network::start();
    let operator = network.operator();
    steady!(operator.json(&["status"]));
    steady!(operator.json(&["provider", "join", "ranch", "--bond", "100"]));
    steady!(operator.json(&["provider", "bond", "ranch", "50.25", "--rail", "chain"]));
    let site = ["provider", "site", "ranch", "seoul", "--country", "KR"];
    let place = ["--latitude", "37.5665", "--longitude", "126.978"];
    steady!(operator.json(&[&site[..], &place].concat()));
    steady!(operator.json(&["provider", "sites"]));
    steady!(operator.json(&["provider", "ls"]));
    assert_eq!(operator.json(&["node", "ls"]), serde_json::json!([]));
    assert_eq!(
        operator.json(&["offers", "--country", "KR"]),
        serde_json::json!([])
    );

    let empty = operator.run(&["node", "drain", "--site", "seoul"]);
    assert_eq!(empty.code, 3, "{}", empty.stderr);
    assert!(
        empty.stderr.contains("site: it has no node"),
        "{}",
        empty.stderr
    );
    let unknown = operator.run(&["node", "drain", "--site", "busan"]);
    assert_eq!(unknown.code, 4, "{}", unknown.stderr);
    assert!(
        unknown.stderr.contains("`remuda provider sites`"),
        "{}",
        unknown.stderr
    );

    let asked = operator.run(&["provider", "leave", "ranch", "--now"]);
    assert_eq!(
        asked.code, 2,
        "leaving at once is confirmed: {}",
        asked.stderr
    );
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    assert_eq!(
        operator.json(&["provider", "show", "ranch"])["standing"],
        "active"
    );
    let left = operator.json(&["provider", "leave", "ranch", "--now", "--yes"]);
    assert_eq!(left["standing"], "left");
}

#[test]
fn demand_is_paid_for() {
    let network = Network::start();
    let operator = network.operator();
    steady!(operator.json(&["tenant", "create", "acme"]));
    steady!(operator.json(&["tenant", "top-up", "acme", "20"]));
    let project = operator.json(&["project", "create", "acme", "search"]);
    steady!(project);
    let project = id(&project);
    steady!(operator.json(&["project", "fund", "search", "12.5"]));
    let listed = operator.json(&["project", "ls"]);
    assert_eq!(listed[0]["id"], project.as_str());
    steady!(operator.json(&["ledger", "accounts"]));
    steady!(operator.json(&["ledger", "statement", &project]));

    let short = operator.run(&["ledger", "fund", &project, "1000", "--json"]);
    assert_eq!(short.code, 3, "{}", short.stderr);
    assert!(
        short.stderr.contains("insufficient-funds"),
        "{}",
        short.stderr
    );
}

#[test]
fn keys_do_what_they_may() {
    let network = Network::start();
    let operator = network.operator();
    operator.json(&["tenant", "create", "acme"]);
    let project = id(&operator.json(&["project", "create", "acme", "search"]));
    let scopes = ["--scope", "read,deploy"];
    let issued = operator.json(&[&["key", "issue", "--owner", &project][..], &scopes].concat());
    steady!(issued);
    let tenant = network.with_key(issued["secret"].as_str().unwrap());

    assert_eq!(tenant.json(&["ps"]), serde_json::json!([]));
    let refused = tenant.run(&["provider", "join", "ranch"]);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    let listed = operator.json(&["key", "ls"]);
    assert_eq!(
        listed.as_array().unwrap().len(),
        2,
        "the operator's and the project's"
    );

    operator.json(&["key", "revoke", &id(&issued)]);
    let revoked = tenant.run(&["ps"]);
    assert_eq!(revoked.code, 5, "{}", revoked.stderr);
    assert_eq!(network.with_key("rk_none").run(&["ps"]).code, 5);
    let without = Program::new().with("REMUDA_URL", network.url());
    assert!(without.run(&["ps"]).stderr.contains("remuda profile set"));
    assert_eq!(
        without.json(&["status"])["writable"],
        true,
        "control itself needs no key"
    );
}

#[test]
fn what_cannot_run_is_refused_with_the_reason() {
    let network = Network::start();
    let operator = network.operator();
    operator.json(&["tenant", "create", "acme"]);
    let project = id(&operator.json(&["project", "create", "acme", "search"]));

    let unknown = operator.run(&["model", "deploy", "none", "--project", &project, "--json"]);
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("/model/name"), "{}", unknown.stderr);

    operator.file("app.yaml", "name: app\n\nmodel:\n  name: none\n");
    let unknown = operator.run(&["deploy", "app.yaml", "--project", &project]);
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    assert!(
        unknown.stderr.contains("app.yaml:4:3: model.name: "),
        "{}",
        unknown.stderr
    );

    operator.file("job.yaml", "name: job\nprocess:\n  command: [/bin/true]\n");
    let none = operator.run(&["deploy", "job.yaml", "--project", &project, "--json"]);
    assert_eq!(none.code, 3, "{}", none.stderr);
    assert!(none.stderr.contains("no-capacity"), "{}", none.stderr);

    for gone in [["stop", "chat"], ["logs", "chat"]] {
        assert_eq!(operator.run(&gone).code, 4, "{gone:?}");
    }
    let missing = operator.run(&["node", "show", "node_zz"]);
    assert_eq!(missing.code, 4, "{}", missing.stderr);
}

#[test]
fn what_is_wanted_later_is_refused_by_its_flags_and_given_up() {
    let network = Network::start();
    let operator = network.operator();
    operator.json(&["tenant", "create", "acme"]);
    operator.json(&["project", "create", "acme", "search"]);
    operator.file("app.yaml", "name: a\nprocess: {command: [date]}\n");
    let run = |words: &str| {
        let words = words.replace("SPEC", "app.yaml --project search");
        operator.run(&words.split(' ').collect::<Vec<_>>())
    };
    let soon = SystemTime::now() + Duration::from_hours(1);
    let soon = humantime::format_rfc3339_seconds(soon);
    for (words, problem) in [
        (
            "reservation make SPEC --from 2020-01-01T00:00:00Z --for 1h".to_owned(),
            "--from: it lies in the past",
        ),
        (
            "reservation make SPEC --from 9999-12-31T23:59:59Z --for 1h".to_owned(),
            "--from: over 365 days ahead",
        ),
        (
            format!("reservation make SPEC --from {soon} --for 1s"),
            "--for: 1 minute or more after the beginning is expected",
        ),
        (
            "order place SPEC --for 91d".to_owned(),
            "--for: a time that lies ahead is expected, by 90 days at most",
        ),
        (
            "order place SPEC --for 0s".to_owned(),
            "'--for <SPAN>': longer than 0 is expected",
        ),
    ] {
        let said = run(&words);
        assert_eq!(said.code, 2, "{words}: {}", said.stderr);
        assert!(said.stderr.contains(problem), "{words}: {}", said.stderr);
        assert!(!said.stderr.contains("app.yaml"), "{}", said.stderr);
    }
    let placed = run("order place SPEC --for 1h --json");
    let placed: Value = serde_json::from_str(&placed.stdout).unwrap();
    let given_up = operator.json(&["order", "cancel", &id(&placed)]);
    assert_eq!(given_up["state"], "cancelled");
    assert_eq!(operator.json(&["order", "ls"]), serde_json::json!([]));
}

#[test]
fn events_are_told_in_order() {
    let network = Network::start();
    let operator = network.operator();
    operator.json(&["tenant", "create", "acme"]);
    operator.json(&["tenant", "top-up", "acme", "1"]);
    let said = operator.run(&["events", "--json"]);
    let events: Vec<Value> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    insta::assert_json_snapshot!(kinds);
    let known = remuda_control::network::Event::VARIANTS;
    assert!(
        kinds.iter().all(|kind| known.contains(kind)),
        "`--type` takes them all"
    );

    let last = events[events.len() - 2]["id"].as_str().unwrap();
    let rest = operator.run(&["events", "--json", "--after", last]);
    assert_eq!(rest.stdout.lines().count(), 1, "{}", rest.stdout);
}

#[test]
fn the_operators_first_key_is_made_once() {
    let network = Network::start();
    let path = network.data_dir().join("operator.key");
    let first = fs::read_to_string(&path).unwrap();
    let host = network.stop();
    let again = [
        "control",
        "--data-dir",
        "data",
        "--http",
        "127.0.0.1:0",
        "--iroh",
        "127.0.0.1:0",
    ];
    let control = host.start(&again);
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    let url = control.started["url"].as_str().unwrap();
    let operator = Program::new()
        .with("REMUDA_URL", url)
        .with("REMUDA_KEY", first.trim());
    assert_eq!(operator.json(&["key", "ls"]).as_array().unwrap().len(), 1);

    let second = host.run(&again);
    assert_eq!(second.code, 1, "{}", second.stderr);
    assert!(
        second.stderr.contains("another control"),
        "{}",
        second.stderr
    );
}

#[test]
fn the_schema_that_control_publishes_is_the_one_that_is_printed() {
    let network = Network::start();
    let address = network.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /v1/schema/workload.json HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let published: Value = serde_json::from_str(body).unwrap();
    assert_eq!(Program::new().json(&["schema"]), published);
}

#[test]
fn top_tells_an_object_a_look() {
    let network = Network::start();
    let said = network
        .operator()
        .run(&["top", "--json", "--count", "2", "--every", "100ms"]);
    let looks: Vec<Value> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(looks.len(), 2);
    assert!(
        looks
            .iter()
            .all(|look| look["nodes"].is_array() && look["workloads"].is_array())
    );
}
