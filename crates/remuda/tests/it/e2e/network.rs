//! A whole network on this machine, as `remuda up` starts it, in a folder and on ports of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use remuda_link::https;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_remuda");

/// The name of the model that every network has.
pub(crate) const MODEL: &str = "model";

/// How long anything may take.
pub(crate) const WITHIN: Duration = Duration::from_secs(90);

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told its model by the environment"
)]
pub(crate) fn model_path() -> PathBuf {
    std::env::var_os("REMUDA_TEST_MODEL").map(PathBuf::from).expect(
        "REMUDA_TEST_MODEL must name a GGUF file: run `make test`, which fetches one and sets it",
    )
}

/// Whether this user may make namespaces without asking.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0)
}

/// The first of some ports that no other test uses: tests run in processes of their own.
pub(crate) fn port_base() -> u16 {
    let slot = u16::try_from(std::process::id() % 200).unwrap();
    (0..200)
        .map(|tried| 10_000 + (slot + tried) % 200 * 100)
        .find(|base| std::net::TcpListener::bind(("127.0.0.1", *base)).is_ok())
        .unwrap()
}

/// The command line, in an environment of its own.
pub(crate) fn remuda(home: &Path) -> Command {
    let mut command = Command::new(BINARY);
    for (name, folder) in [
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_CACHE_HOME", "cache"),
    ] {
        command.env(name, home.join(folder));
    }
    for name in [
        "REMUDA_URL",
        "REMUDA_KEY",
        "REMUDA_PROFILE",
        "REMUDA_CONFIG",
    ] {
        command.env_remove(name);
    }
    command
}

/// A network that runs.
pub(crate) struct Network {
    pub(crate) home: TempDir,
    up: Child,
    info: Value,
    http: reqwest::Client,
}

impl Network {
    /// Starts one and waits until it serves.
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    /// Starts one on what an earlier one left.
    pub(crate) fn start_in(home: TempDir) -> Self {
        let model = home.path().join(format!("{MODEL}.gguf"));
        if !model.exists() {
            std::os::unix::fs::symlink(model_path().canonicalize().unwrap(), &model).unwrap();
        }
        let mut up = remuda(home.path())
            .args(["--json", "up", "--model"])
            .arg(&model)
            .args(["--port-base", &port_base().to_string()])
            .arg("--state-dir")
            .arg(home.path().join("state"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(up.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let info = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error}: `remuda up` said {line:?}"));
        Self {
            home,
            up,
            info,
            http: https::client(reqwest::Client::builder()).unwrap(),
        }
    }

    /// A field of what `remuda up` said.
    pub(crate) fn info(&self, field: &str) -> &str {
        self.info[field].as_str().unwrap()
    }

    pub(crate) fn gateway_url(&self) -> &str {
        self.info("gateway_url")
    }

    pub(crate) fn operator_key(&self) -> String {
        read(self.info("operator_key_file"))
    }

    pub(crate) fn tenant_key(&self) -> String {
        read(self.info("tenant_key_file"))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// Runs the command line against this network.
    pub(crate) fn remuda(&self, words: &[&str]) -> Output {
        remuda(self.home.path())
            .arg("--json")
            .args(words)
            .output()
            .unwrap()
    }

    /// As [`Network::remuda`]; what it printed. It must not fail.
    pub(crate) fn told(&self, words: &[&str]) -> Value {
        let output = self.remuda(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "remuda {words:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What control answers; it must be a success.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.try_get(path).await.unwrap()
    }

    pub(crate) async fn try_get(&self, path: &str) -> Result<Value, reqwest::Error> {
        let url = format!("{}{path}", self.info("control_url"));
        let answer = self
            .http
            .get(url)
            .bearer_auth(self.operator_key())
            .send()
            .await?;
        answer.error_for_status()?.json().await
    }

    /// The sum over all accounts.
    pub(crate) async fn total_micros(&self) -> i64 {
        self.get("/v1/ledger/accounts").await["total_micros"]
            .as_i64()
            .unwrap()
    }

    /// Has the model run on two nodes, and waits until both serve. The prices are per million.
    pub(crate) async fn deploy(&self, completion_price: &str) {
        self.told(&[
            "model",
            "deploy",
            MODEL,
            "--replicas",
            "2",
            "--tier",
            "multi-site",
            "--prompt-price",
            "0.10",
            "--completion-price",
            completion_price,
        ]);
        self.ready().await;
    }

    /// Waits until all replicas are ready.
    pub(crate) async fn ready(&self) {
        self.until("ready replicas", || async {
            let workloads = self.try_get("/v1/workloads").await.ok()?;
            let replicas = workloads["data"][0]["replicas"].as_array()?.clone();
            (replicas.len() == 2 && replicas.iter().all(|r| r["phase"] == "ready")).then_some(())
        })
        .await;
    }

    /// Waits until so many nodes take leases.
    pub(crate) async fn nodes_up(&self, count: usize) {
        self.until("nodes", || async {
            let nodes = self.try_get("/v1/nodes").await.ok()?;
            let up = nodes["data"]
                .as_array()?
                .iter()
                .filter(|node| node["presence"] == "up");
            (up.count() >= count).then_some(())
        })
        .await;
    }

    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        look: impl Fn() -> F,
    ) -> T {
        let since = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(
                since.elapsed() < WITHIN,
                "no {what} within {WITHIN:?}; {}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.state().join("logs"))
            .unwrap()
            .flatten()
        {
            let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(15).collect();
            text.push_str(&format!("\n--- {}\n", entry.file_name().display()));
            lines
                .iter()
                .rev()
                .for_each(|line| text.push_str(&format!("{line}\n")));
        }
        text
    }

    /// The process of a program, as it runs now.
    pub(crate) fn pid(&self, name: &str) -> Pid {
        let running: Value = serde_json::from_str(&read(self.info("running"))).unwrap();
        let programs = running["programs"].as_array().unwrap();
        let program = programs
            .iter()
            .find(|program| program["name"] == name)
            .unwrap();
        Pid::from_raw(i32::try_from(program["pid"].as_i64().unwrap()).unwrap())
    }

    pub(crate) fn kill(&self, name: &str) {
        kill(self.pid(name), Signal::SIGKILL).unwrap();
    }

    /// The programs of the nodes that serve a request now.
    pub(crate) async fn serving(&self) -> Vec<String> {
        const GAUGE: &str = "remuda_node_requests_in_flight ";
        let base: u16 = self
            .info("control_url")
            .rsplit_once(':')
            .unwrap()
            .1
            .parse()
            .unwrap();
        let mut serving = Vec::new();
        for (port, site) in (base + 30..).zip(["seoul", "frankfurt", "oregon"]) {
            let url = format!("http://127.0.0.1:{port}/metrics");
            let Ok(answer) = self.http.get(url).send().await else {
                continue;
            };
            let text = answer.text().await.unwrap_or_default();
            let count = text.lines().find_map(|line| line.strip_prefix(GAUGE));
            if count.is_some_and(|count| count.trim() != "0") {
                serving.push(format!("node-{site}"));
            }
        }
        serving
    }

    /// The door, with the tenant's key.
    pub(crate) fn door(&self) -> super::chat::Door {
        super::chat::Door::new(self.gateway_url(), &self.tenant_key())
    }

    /// Starts another gateway of this network, which says where it serves.
    pub(crate) fn second_gateway(&self) -> (Child, String) {
        let base: u16 = self
            .info("control_url")
            .rsplit_once(':')
            .unwrap()
            .1
            .parse()
            .unwrap();
        let mut child = remuda(self.home.path())
            .args(["--json", "gateway", "--http"])
            .arg(format!("127.0.0.1:{}", base + 12))
            .args(["--bind", "127.0.0.1:0", "--state-dir"])
            .arg(self.home.path().join("second-gateway"))
            .arg("--admission-file")
            .arg(self.state().join("control").join("gateway.admission"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let started: Value = serde_json::from_str(&line).unwrap_or_else(|_| json!({}));
        (child, started["url"].as_str().unwrap().to_owned())
    }

    /// Stops it in order, and keeps its folder.
    pub(crate) fn stop(mut self) -> TempDir {
        self.end();
        let home = tempfile::tempdir().unwrap();
        std::mem::replace(&mut self.home, home)
    }

    fn end(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.up.id()).unwrap());
        let _done = kill(pid, Signal::SIGTERM);
        let since = Instant::now();
        while self.up.try_wait().unwrap().is_none() {
            if since.elapsed() > Duration::from_secs(40) {
                self.up.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        self.end();
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}
