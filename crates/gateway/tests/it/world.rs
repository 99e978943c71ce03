//! A network in one process: control, nodes, gateways, one project with a model and a key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remuda_gateway::{Config, ControlAddress, Limits, Policies, Running};
use remuda_routing::{pick, stream, tranche};
use remuda_types::{
    ApiKeyId, Digest, LeaseId, Money, ProjectId, ReplicaId, Span, Time, WorkloadId,
};
use remuda_wire::gateway::{KeyEntry, ModelRoute, ReplicaRoute, RouteState, RouteTable};
use remuda_wire::grant::SignedGrant;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::control::Control;
use crate::gguf;
use crate::http::{self, Events};
use crate::node::Node;

pub(crate) const PROJECT: ProjectId = ProjectId::from_u128(1);
pub(crate) const KEY: ApiKeyId = ApiKeyId::from_u128(2);
pub(crate) const SECRET: &str = "rk_test_secret";
pub(crate) const MODEL: &str = "small";
/// Tokens of the prompt that [`World::chat`] sends: `<|im_start|>user\nhi<|im_end|>\n…`.
pub(crate) const PROMPT: u64 = 21;
/// A prompt token costs 1 micro-USD, a completion token 2.
pub(crate) const fn price(prompt: u64, completion: u64) -> i64 {
    (prompt + 2 * completion).cast_signed()
}

/// All of it.
pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) nodes: Vec<Node>,
    pub(crate) gateways: Vec<Running>,
    /// Where the newest gateway's metrics are.
    pub(crate) operators: Option<SocketAddr>,
    pub(crate) client: Client,
    pub(crate) dir: TempDir,
}

pub(crate) fn lease(at: usize) -> LeaseId {
    LeaseId::from_u128(100 + at as u128)
}

pub(crate) fn digest() -> Digest {
    Digest::of(&gguf::head())
}

/// A configuration in a hurry.
pub(crate) fn config_at(dir: &Path, name: &str, control: ControlAddress) -> Config {
    Config {
        state_dir: dir.join(name),
        http: "127.0.0.1:0".parse().unwrap(),
        bind: "127.0.0.1:0".parse().unwrap(),
        control,
        admission: None,
        public_url: format!("http://{name}.test"),
        model_cache: models(dir),
        policies: Policies {
            purse: tranche::Policy {
                least: Money::from_micros(100_000),
                after_denial: Span::from_millis(300),
                ask_again: Span::from_millis(500),
                ..Policies::default().purse
            },
            stream: stream::Policy {
                // Machines that test are slow: only what a test is about may look dead.
                min_stall: Span::from_secs(20),
                min_probe: Span::from_secs(10),
                first_token_timeout: Span::from_secs(20),
                dispatch_timeout: Span::from_secs(10),
                ..stream::Policy::default()
            },
            balancer: pick::Policy::default(),
            queue: Policies::default().queue,
            kept: Policies::default().kept,
        },
        limits: Limits {
            checkpoint_every: Duration::from_millis(50),
            post_every: Duration::from_millis(50),
            tranche_wait: Duration::from_secs(5),
            drain: Duration::from_secs(5),
            ..Limits::default()
        },
    }
}

fn models(dir: &Path) -> PathBuf {
    dir.join("models")
}

impl World {
    /// A network of so many nodes, without a gateway yet.
    pub(crate) async fn without_gateway(nodes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(models(dir.path())).unwrap();
        let file = models(dir.path()).join(format!("{}.gguf", digest()));
        std::fs::write(file, gguf::head()).unwrap();
        let control = Control::start().await;
        control.state().budgets.insert(PROJECT, 10_000_000);
        let mut world = Self {
            control,
            nodes: Vec::new(),
            gateways: Vec::new(),
            operators: None,
            client: http::client(),
            dir,
        };
        for _ in 0..nodes {
            world.add_node().await;
        }
        world.publish((0..nodes).collect());
        world
    }

    /// A network of so many nodes and one gateway.
    pub(crate) async fn new(nodes: usize) -> Self {
        Self::with(nodes, |_| {}).await
    }

    /// The same, with a gateway that is configured otherwise.
    pub(crate) async fn with(nodes: usize, change: impl FnOnce(&mut Config)) -> Self {
        let mut world = Self::without_gateway(nodes).await;
        world.add_gateway("gateway", change).await;
        world
    }

    pub(crate) async fn add_node(&mut self) -> Node {
        let secret = 50 + u8::try_from(self.nodes.len()).unwrap();
        let node = Node::start(secret, digest()).await;
        self.nodes.push(node.clone());
        node
    }

    pub(crate) async fn add_gateway(&mut self, name: &str, change: impl FnOnce(&mut Config)) {
        let mut config = config_at(self.dir.path(), name, self.control.address());
        change(&mut config);
        let running = Box::pin(remuda_gateway::start(config)).await.unwrap();
        let http = running.http;
        let operators = running.serve_metrics("127.0.0.1:0".parse().unwrap());
        self.operators = Some(operators.await.unwrap());
        self.gateways.push(running);
        self.until_ready(http).await;
    }

    pub(crate) async fn until_ready(&self, http: SocketAddr) {
        for _ in 0..400 {
            let ready = self.client.get(format!("http://{http}/ready")).send().await;
            if ready.is_ok_and(|ready| ready.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the gateway never became ready");
    }

    /// Lets these nodes serve the model.
    pub(crate) fn publish(&self, serving: Vec<usize>) {
        self.control.publish(self.table(serving));
    }

    pub(crate) fn table(&self, serving: Vec<usize>) -> RouteTable {
        let replicas = serving.into_iter().map(|at| self.replica(at)).collect();
        let model = ModelRoute {
            workload: WorkloadId::from_u128(7),
            project: PROJECT,
            name: MODEL.to_owned(),
            created: Time::from_millis(1_700_000_000_000),
            model: digest(),
            url: "http://127.0.0.1:9/never".to_owned(),
            model_bytes: 0,
            context_tokens: 100_000,
            prompt_micros_per_million: 1_000_000,
            completion_micros_per_million: 2_000_000,
            replicas,
        };
        let key = KeyEntry {
            key: KEY,
            digest: Digest::of(SECRET.as_bytes()),
            project: PROJECT,
            expires: None,
            inference: true,
            requests_per_minute: 0,
        };
        RouteTable {
            epoch: 1,
            seq: 1,
            models: vec![model],
            keys: vec![key],
            ..Default::default()
        }
    }

    fn replica(&self, at: usize) -> ReplicaRoute {
        let node = &self.nodes[at];
        ReplicaRoute {
            lease: lease(at),
            lease_epoch: 1,
            replica: ReplicaId::from_u128(at as u128),
            node: node.key,
            addresses: vec![node.address],
            country: "KR".parse().unwrap(),
            state: RouteState::Ready,
            grant: SignedGrant {
                grant: vec![1],
                signature: vec![2],
            },
            slots: 8,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.url_of(0, path)
    }

    pub(crate) fn url_of(&self, gateway: usize, path: &str) -> String {
        format!("http://{}{path}", self.gateways[gateway].http)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).bearer_auth(SECRET)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client
            .post(self.url(path))
            .bearer_auth(SECRET)
            .json(body)
    }

    /// Asks for a chat answer; `changes` are parameters over the usual ones.
    pub(crate) async fn chat(&self, changes: Value) -> Response {
        self.post("/v1/chat/completions", &chat(changes))
            .send()
            .await
            .unwrap()
    }

    /// Asks for a streamed chat answer.
    pub(crate) async fn stream(&self, mut changes: Value) -> Events {
        changes["stream"] = true.into();
        Events::of(self.chat(changes).await)
    }

    pub(crate) async fn metrics(&self) -> String {
        let operators = self.operators.unwrap();
        self.client
            .get(format!("http://{operators}/metrics"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }
}

/// The body of a chat request.
pub(crate) fn chat(changes: Value) -> Value {
    let mut body = json!({
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 8,
        "seed": 7,
    });
    let Value::Object(changes) = changes else {
        panic!("an object")
    };
    for (name, value) in changes {
        body[name] = value;
    }
    body
}
