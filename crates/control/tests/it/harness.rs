//! A control that runs, and what tests ask of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use remuda_control::http::keys::mint;
use remuda_control::{Config, Running, start};
use remuda_journal::Claim;
use remuda_link::https;
use remuda_network::Command;
use remuda_network::command::{EnrolNode, IssueKey, ObservedPhase};
use remuda_network::policy::Policy;
use remuda_network::state::{KeyOwner, Scope};
use remuda_types::{Capacity, Class, NodeKey, Price};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A control in a folder of its own.
pub(crate) struct Control {
    pub(crate) running: Running,
    pub(crate) operator: String,
    dir: TempDir,
    policy: Policy,
    client: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self.body
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// A text field of a body.
#[track_caller]
pub(crate) fn text(value: &Value, field: &str) -> String {
    let found = value[field].as_str();
    found
        .unwrap_or_else(|| panic!("no text `{field}` in {value:#}"))
        .to_owned()
}

pub(crate) fn config(dir: &Path, policy: Policy) -> Config {
    Config {
        data_dir: dir.to_owned(),
        http: "127.0.0.1:0".parse().unwrap(),
        iroh: "127.0.0.1:0".parse().unwrap(),
        public_url: "http://control.test".to_owned(),
        claim: Claim::Alone,
        policy,
        liveness: remuda_liveness::Policy::default(),
        adopt_within: Duration::from_secs(1),
        gateway_admission: "admit".to_owned(),
        snapshot_every: 1_000,
    }
}

impl Control {
    pub(crate) async fn start() -> Self {
        Self::start_with(Policy::default()).await
    }

    pub(crate) async fn start_with(policy: Policy) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = start(config(dir.path(), policy.clone())).await.unwrap();
        let operator = operator_key(&running).await;
        Self {
            running,
            operator,
            dir,
            policy,
            client: https::client(reqwest::Client::builder()).unwrap(),
        }
    }

    /// Stops it and starts it again in the same folder.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(|_| ()).await
    }

    /// Stops it, has something done in its folder, and starts it again.
    pub(crate) async fn restart_after(self, meanwhile: impl FnOnce(&Path)) -> Self {
        let Self {
            running,
            operator,
            dir,
            policy,
            client,
        } = self;
        running.stop().await;
        meanwhile(dir.path());
        let running = start(config(dir.path(), policy.clone())).await.unwrap();
        Self {
            running,
            operator,
            dir,
            policy,
            client,
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn request(&self, method: Method, key: &str, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.running.http);
        let request = self.client.request(method, url);
        if key.is_empty() {
            request
        } else {
            request.bearer_auth(key)
        }
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> Answer {
        answer(self.request(Method::GET, key, path)).await
    }

    pub(crate) async fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, key, path).json(body)).await
    }

    pub(crate) async fn delete(&self, key: &str, path: &str) -> Answer {
        answer(self.request(Method::DELETE, key, path)).await
    }

    /// As the operator; must succeed.
    pub(crate) async fn make(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(&self.operator, path, body).await;
        assert!(answer.status.is_success(), "{path}: {:#}", answer.body);
        answer.body
    }

    /// A key of `owner`.
    pub(crate) async fn key(&self, owner: &str, scopes: &[&str]) -> String {
        let body = json!({"owner": owner, "scopes": scopes});
        text(&self.make("/v1/keys", &body).await, "secret")
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    Answer {
        status,
        headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

async fn operator_key(running: &Running) -> String {
    let command = running.core.clock().command_id();
    let minted = mint(command);
    let issue = IssueKey {
        owner: KeyOwner::Operator,
        digest: minted.digest,
        scopes: [Scope::Read, Scope::Deploy, Scope::Supply, Scope::Admin].into(),
        expires: None,
        requests_per_minute: 0,
    };
    running
        .core
        .submit(command, Command::IssueKey(Box::new(issue)), Vec::new())
        .await
        .unwrap();
    minted.text
}

/// A provider with nodes and a project with money.
pub(crate) struct Market {
    pub(crate) provider: String,
    pub(crate) provider_key: String,
    pub(crate) site: String,
    pub(crate) tenant: String,
    pub(crate) project: String,
    pub(crate) project_key: String,
}

impl Market {
    pub(crate) async fn open(control: &Control) -> Self {
        let provider = text(
            &control
                .make("/v1/providers", &json!({"name": "Ranch"}))
                .await,
            "id",
        );
        let bond = json!({"amount_usd": "1000"});
        control
            .make(&format!("/v1/providers/{provider}/bond"), &bond)
            .await;
        let provider_key = control.key(&provider, &["read", "supply", "admin"]).await;
        let site =
            json!({"name": "Seoul 1", "country": "KR", "latitude": 37.5, "longitude": 127.0});
        let sites = format!("/v1/providers/{provider}/sites");
        let site = text(
            &control.post(&provider_key, &sites, &site).await.expect(201),
            "id",
        );
        let tenant = text(
            &control.make("/v1/tenants", &json!({"name": "Acme"})).await,
            "id",
        );
        let paid = json!({"amount_usd": "100"});
        control
            .make(&format!("/v1/tenants/{tenant}/top-ups"), &paid)
            .await;
        let project = json!({"name": "chat"});
        let project = control
            .make(&format!("/v1/tenants/{tenant}/projects"), &project)
            .await;
        let project = text(&project, "id");
        let budget = json!({"amount_usd": "50"});
        control
            .make(&format!("/v1/projects/{project}/budget"), &budget)
            .await;
        let project_key = control.key(&project, &["read", "deploy", "admin"]).await;
        Self {
            provider,
            provider_key,
            site,
            tenant,
            project,
            project_key,
        }
    }

    /// A node that is up; no daemon is behind it. `number` makes its key.
    pub(crate) async fn node(&self, control: &Control, number: u8, price: u64) -> NodeKey {
        let node = NodeKey([number; 32]);
        let capacity = Capacity {
            cpu_milli: 4_000,
            memory_mib: 8_192,
            disk_mib: 10_000,
            ..Capacity::default()
        };
        let enrol = EnrolNode {
            node,
            provider: self.provider.parse().unwrap(),
            site: self.site.parse().unwrap(),
            class: Class::CPU,
            capacity,
            price: Price::from_micros_per_hour(price),
        };
        let core = &control.running.core;
        core.submit_own(Command::EnrolNode(Box::new(enrol)))
            .await
            .unwrap();
        core.submit_own(Command::NodeConnected { node, capacity })
            .await
            .unwrap();
        node
    }

    /// The operator offers the model `tiny`.
    pub(crate) async fn model(&self, control: &Control) {
        let path = control.file("tiny.gguf");
        std::fs::write(&path, b"GGUF tiny").unwrap();
        control
            .make("/v1/models", &json!({"name": "tiny", "path": path}))
            .await;
    }

    /// Deploys `chat` and returns the answer's body.
    pub(crate) async fn deploy(&self, control: &Control, replicas: u32) -> Value {
        let spec = json!({"name": "chat", "replicas": replicas, "model": {"name": "tiny"}});
        control
            .post(&self.project_key, "/v1/workloads", &spec)
            .await
            .expect(201)
    }

    /// One replica of `chat` that is ready, on a node of its own with this price; its placement.
    pub(crate) async fn ready_replica(&self, control: &Control, price: u64) -> Value {
        self.model(control).await;
        self.node(control, 1, price).await;
        let deployed = self.deploy(control, 1).await;
        let placement = deployed["replicas"][0]["placement"].clone();
        observe(control, &placement, ObservedPhase::Ready).await;
        placement
    }
}

/// What the node of a placement reports.
pub(crate) async fn observe(control: &Control, placement: &Value, observed: ObservedPhase) {
    let command = Command::ObserveReplica {
        node: text(placement, "node").parse().unwrap(),
        lease: text(placement, "lease").parse().unwrap(),
        epoch: placement["epoch"].as_u64().unwrap(),
        observed,
        since: control.running.core.clock().now(),
    };
    control.running.core.submit_own(command).await.unwrap();
}
