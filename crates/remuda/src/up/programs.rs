//! How each program of the network is started: this same binary, with other arguments.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use remuda_control::bootstrap;

use super::cast::Seat;
use super::layout::Layout;
use super::market::Seller;
use super::ports::Ports;
use super::process::Program;

/// When all stops, nobody is left to move a node's leases to.
const LEAVE_GRACE: &str = "1s";

/// Where the programs listen.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    /// Control and gateway.
    pub(crate) centre: IpAddr,
    /// The nodes, in the order of their seats.
    pub(crate) nodes: Vec<Host>,
}

/// Where a node runs.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Its address.
    pub(crate) address: IpAddr,
    /// Its network namespace, if it has one of its own.
    pub(crate) namespace: Option<String>,
}

/// Everything that the programs' arguments are made of.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// This binary.
    pub(crate) binary: PathBuf,
    /// What they log, where that is not the usual.
    pub(crate) log: Option<String>,
    /// Where they keep their data.
    pub(crate) layout: Layout,
    /// Their ports.
    pub(crate) ports: Ports,
    /// Their addresses.
    pub(crate) hosts: Hosts,
}

impl Hosts {
    /// Everything on loopback.
    pub(crate) fn loopback(nodes: usize) -> Self {
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let host = Host {
            address,
            namespace: None,
        };
        Self {
            centre: address,
            nodes: vec![host; nodes],
        }
    }
}

impl Programs {
    /// Control's HTTP API.
    pub(crate) fn control_url(&self) -> String {
        format!(
            "http://{}",
            SocketAddr::new(self.hosts.centre, self.ports.control())
        )
    }

    /// The gateway's door.
    pub(crate) fn gateway_url(&self) -> String {
        format!(
            "http://{}",
            SocketAddr::new(self.hosts.centre, self.ports.gateway())
        )
    }

    /// A node's metrics.
    pub(crate) fn node_metrics_url(&self, index: usize) -> String {
        let port = self
            .ports
            .node_metrics(u16::try_from(index).unwrap_or(u16::MAX));
        format!(
            "http://{}/metrics",
            SocketAddr::new(self.hosts.nodes[index].address, port)
        )
    }

    /// The operator's key, written by control at its first start.
    pub(crate) fn operator_key(&self) -> PathBuf {
        self.layout.control().join(bootstrap::OPERATOR_KEY_FILE)
    }

    /// Control.
    pub(crate) fn control(&self) -> Program {
        let centre = self.hosts.centre;
        let mut words = self.words(&["control"]);
        words.path("--data-dir", &self.layout.control());
        words.text("--http", SocketAddr::new(centre, self.ports.control()));
        words.text("--iroh", SocketAddr::new(centre, self.ports.control_iroh()));
        words.text("--public-url", self.control_url());
        words.path("--policy", &self.layout.policy());
        self.program("control", words)
    }

    /// The gateway.
    pub(crate) fn gateway(&self, control: &str) -> Program {
        let centre = self.hosts.centre;
        let mut words = self.words(&["gateway"]);
        words.path("--state-dir", &self.layout.gateway());
        words.text("--http", SocketAddr::new(centre, self.ports.gateway()));
        words.text("--bind", SocketAddr::new(centre, self.ports.gateway_iroh()));
        words.text(
            "--metrics",
            SocketAddr::new(centre, self.ports.gateway_metrics()),
        );
        words.text("--control", self.at(control));
        words.text("--public-url", self.gateway_url());
        words.path(
            "--admission-file",
            &self.layout.control().join(bootstrap::ADMISSION_FILE),
        );
        words.path("--model-cache", &self.layout.models());
        self.program("gateway", words)
    }

    /// A seat's node.
    pub(crate) fn node(
        &self,
        control: &str,
        index: usize,
        seat: &Seat,
        seller: &Seller,
    ) -> Program {
        let host = &self.hosts.nodes[index];
        let port = u16::try_from(index).unwrap_or(u16::MAX);
        let mut words = match &host.namespace {
            Some(namespace) => self.words_within(namespace),
            None => self.words(&[]),
        };
        words.plain("node");
        words.plain("run");
        words.path("--state-dir", &self.layout.node(&seller.name));
        words.text("--control", self.at(control));
        words.text(
            "--bind",
            SocketAddr::new(host.address, self.ports.node(port)),
        );
        words.text(
            "--metrics",
            SocketAddr::new(host.address, self.ports.node_metrics(port)),
        );
        words.path("--provider-key-file", &seller.key_file);
        words.text("--site", seller.site);
        words.text("--price", seat.price_usd_per_hour);
        words.path("--model-cache", &self.layout.models());
        words.text("--leave-grace", LEAVE_GRACE);
        self.program(&format!("node-{}", seat.site), words)
    }

    /// Control's endpoint as programs that connect to it are told.
    fn at(&self, control: &str) -> String {
        let address = SocketAddr::new(self.hosts.centre, self.ports.control_iroh());
        format!("{control}@{address}")
    }

    fn words(&self, first: &[&str]) -> Words {
        let mut words = Words(vec![self.binary.clone().into_os_string()]);
        if let Some(filter) = &self.log {
            words.text("--log", filter);
        }
        for word in first {
            words.plain(word);
        }
        words
    }

    /// `ip netns exec` becomes the program it starts, so the child's number is the program's.
    fn words_within(&self, namespace: &str) -> Words {
        let mut words = Words(
            ["ip", "netns", "exec", namespace]
                .map(OsString::from)
                .to_vec(),
        );
        words.0.extend(self.words(&[]).0);
        words
    }

    fn program(&self, name: &str, words: Words) -> Program {
        Program {
            name: name.to_owned(),
            command: words.0,
            log: self.layout.log(name),
        }
    }
}

/// A command line under construction.
struct Words(Vec<OsString>);

impl Words {
    fn plain(&mut self, word: &str) {
        self.0.push(word.into());
    }

    fn path(&mut self, flag: &str, path: &Path) {
        self.0.extend([flag.into(), path.as_os_str().to_owned()]);
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers pass numbers and texts alike"
    )]
    fn text(&mut self, flag: &str, value: impl ToString) {
        self.0.extend([flag.into(), value.to_string().into()]);
    }
}
