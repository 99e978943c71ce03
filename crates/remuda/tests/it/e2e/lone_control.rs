//! Control alone: started, killed, asked.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use remuda_link::{
    Allowance, Config, Connection, Endpoint, EndpointId, Patience, SecretKey, https,
};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::network::{port_base, remuda};

/// A control that runs.
pub(crate) struct Control {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) ready_after: Duration,
    pub(crate) started: Value,
    pub(crate) http: reqwest::Client,
    pub(crate) key: String,
}

/// What `remuda control` needs to keep its data in `data_dir`.
pub(crate) fn command(home: &Path, data_dir: &Path, port: u16) -> Command {
    let mut command = remuda(home);
    command
        .args(["--json", "--log", "warn", "control", "--data-dir"])
        .arg(data_dir)
        .args(["--http", &format!("127.0.0.1:{port}")])
        .args(["--iroh", &format!("127.0.0.1:{}", port + 1)]);
    command
}

impl Control {
    /// Starts one and waits until it answers.
    pub(crate) async fn start(home: &Path) -> Self {
        let data_dir = home.join("control");
        Self::run(command(home, &data_dir, port_base())).await
    }

    /// Runs `command` and waits until it answers.
    pub(crate) async fn run(mut command: Command) -> Self {
        let since = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let started: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error}: control said {line:?}"));
        let url = started["url"].as_str().unwrap().to_owned();
        let http = https::client(reqwest::Client::builder()).unwrap();
        let ready = http.get(format!("{url}/v1/ready")).send().await.unwrap();
        let ready: Value = ready.json().await.unwrap();
        let ready_after = since.elapsed();
        assert_eq!(ready["writable"], true);
        let key = String::new();
        let mut control = Self {
            child,
            url,
            ready_after,
            started,
            http,
            key,
        };
        let file = control.started["operator_key_file"]
            .as_str()
            .unwrap()
            .to_owned();
        control.use_key_in(Path::new(&file));
        control
    }

    /// The key lies where control sees it: perhaps in another namespace than this one.
    fn use_key_in(&mut self, file: &Path) {
        let below_root = file.strip_prefix("/").unwrap();
        let file = Path::new("/proc")
            .join(self.child.id().to_string())
            .join("root")
            .join(below_root);
        self.key = std::fs::read_to_string(file).unwrap().trim().to_owned();
    }

    /// A request of the operator's.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.key)
    }

    /// Where nodes and gateways dial it.
    fn endpoint(&self) -> (EndpointId, Vec<SocketAddr>) {
        let peer = self.started["endpoint"].as_str().unwrap();
        let addresses = self.started["addresses"].as_array().unwrap().iter();
        let addresses = addresses.map(|address| address.as_str().unwrap().parse().unwrap());
        (peer.parse().unwrap(), addresses.collect())
    }

    /// A connection of somebody whose key is `secret`, and the endpoint that it lives by.
    pub(crate) async fn dialled(&self, secret: u8, alpn: &[u8]) -> (Endpoint, Connection) {
        let endpoint = remuda_link::bind(Config {
            key: SecretKey::from_bytes(&[secret; 32]),
            bind: "127.0.0.1:0".parse().unwrap(),
            alpns: Vec::new(),
            relays: Vec::new(),
            patience: Patience::default(),
            allowance: Allowance::PEER,
        });
        let endpoint = endpoint.await.unwrap();
        let (peer, addresses) = self.endpoint();
        let within = Duration::from_secs(5);
        let connection = remuda_link::dial(&endpoint, peer, &addresses, alpn, within).await;
        (endpoint, connection.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self
            .request(Method::POST, path)
            .json(body)
            .send()
            .await
            .unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    /// All items of a list.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = None::<String>;
        loop {
            let after = cursor
                .map(|cursor| format!("&cursor={cursor}"))
                .unwrap_or_default();
            let page = self.get(&format!("{path}?limit=500{after}")).await;
            items.extend(page["data"].as_array().unwrap().iter().cloned());
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return items;
            }
        }
    }

    /// Kills it, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
