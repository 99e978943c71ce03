//! Where the nodes stand: each in a network namespace of its own, on one bridge, so that a cable
//! can be pulled without anybody being told. Without the right to make namespaces, on loopback.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use super::fault::Fault;
use crate::up::{Host, Hosts};

/// A bridge that is given no address takes one of its cables', and another when that one is pulled:
/// then all nodes would lose sight of it.
const BRIDGE_ADDRESS: &str = "02:72:65:6d:75:64";

/// The network of a run; its namespaces and bridge are gone when it is dropped.
#[derive(Debug)]
pub(super) enum Topology {
    /// On a bridge.
    Bridged(Bridge),
    /// On loopback, and why.
    Loopback {
        /// What is missing for a bridge.
        why: String,
        /// How many nodes.
        nodes: usize,
    },
}

/// A bridge with one namespace for each node.
#[derive(Debug)]
pub(super) struct Bridge {
    run: u32,
    nodes: usize,
}

impl Topology {
    /// The best this machine allows.
    pub(super) fn build(nodes: usize) -> Self {
        let bridge = Bridge {
            run: std::process::id() % 100_000,
            nodes,
        };
        match bridge.set_up() {
            Ok(()) => Self::Bridged(bridge),
            Err(why) => Self::Loopback { why, nodes },
        }
    }

    /// The programs' addresses.
    pub(super) fn hosts(&self) -> Hosts {
        match self {
            Self::Loopback { nodes, .. } => Hosts::loopback(*nodes),
            Self::Bridged(bridge) => Hosts {
                centre: bridge.address(0),
                nodes: (0..bridge.nodes).map(|seat| bridge.host(seat)).collect(),
            },
        }
    }

    /// Whether a fault can be made, and if not, why.
    pub(super) fn can(&self, fault: Fault) -> Result<(), String> {
        match (self, fault) {
            (Self::Loopback { why, .. }, Fault::Cut) => Err(format!(
                "cutting a node off needs network namespaces: {why}"
            )),
            (Self::Bridged(_), _) | (_, Fault::Kill | Fault::Freeze) => Ok(()),
        }
    }

    /// Pulls a node's cable on the far side: both ends see their links up, nothing passes.
    pub(super) fn cut(&self, seat: usize) -> anyhow::Result<()> {
        self.bridged(|bridge| ip(&["link", "set", &bridge.cable(seat), "nomaster"]))
    }

    /// Plugs it in again.
    pub(super) fn join(&self, seat: usize) -> anyhow::Result<()> {
        self.bridged(|bridge| ip(&["link", "set", &bridge.cable(seat), "master", &bridge.name()]))
    }

    fn bridged(&self, act: impl Fn(&Bridge) -> Result<(), String>) -> anyhow::Result<()> {
        match self {
            Self::Bridged(bridge) => act(bridge).map_err(anyhow::Error::msg),
            Self::Loopback { why, .. } => anyhow::bail!("{why}"),
        }
    }
}

impl Bridge {
    fn name(&self) -> String {
        format!("rmd{}", self.run)
    }

    fn cable(&self, seat: usize) -> String {
        format!("rmd{}c{seat}", self.run)
    }

    fn namespace(&self, seat: usize) -> String {
        format!("rmd{}n{seat}", self.run)
    }

    /// Number 0 is the bridge itself.
    fn address(&self, number: usize) -> IpAddr {
        let net = u8::try_from(self.run % 200).unwrap_or_default();
        let host = u8::try_from(number + 1).unwrap_or(u8::MAX);
        IpAddr::from(Ipv4Addr::new(10, 213, net, host))
    }

    fn host(&self, seat: usize) -> Host {
        Host {
            address: self.address(seat + 1),
            namespace: Some(self.namespace(seat)),
        }
    }

    fn set_up(&self) -> Result<(), String> {
        let name = self.name();
        ip(&[
            "link",
            "add",
            &name,
            "address",
            BRIDGE_ADDRESS,
            "type",
            "bridge",
        ])?;
        ip(&[
            "address",
            "add",
            &format!("{}/24", self.address(0)),
            "dev",
            &name,
        ])?;
        ip(&["link", "set", &name, "up"])?;
        (0..self.nodes).try_for_each(|seat| self.set_up_node(seat))
    }

    fn set_up_node(&self, seat: usize) -> Result<(), String> {
        let (namespace, cable) = (self.namespace(seat), self.cable(seat));
        let address = format!("{}/24", self.address(seat + 1));
        ip(&["netns", "add", &namespace])?;
        ip(&[
            "link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
        ])?;
        ip(&["link", "set", &cable, "master", &self.name(), "up"])?;
        ip(&["-n", &namespace, "address", "add", &address, "dev", "eth0"])?;
        ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
        ip(&["-n", &namespace, "link", "set", "lo", "up"])
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let namespaces =
            (0..self.nodes).map(|seat| ip(&["netns", "delete", &self.namespace(seat)]));
        // A namespace goes with its last process; its cable goes now.
        let cables = (0..self.nodes).map(|seat| ip(&["link", "delete", &self.cable(seat)]));
        let removed = namespaces
            .chain(cables)
            .chain([ip(&["link", "delete", &self.name()])]);
        for why in removed.filter_map(Result::err) {
            tracing::debug!(%why, "not removed");
        }
    }
}

fn ip(words: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(words).output();
    let output = output.map_err(|error| format!("`ip` cannot be run ({error})"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("`ip {}` failed: {said}", words.join(" ")))
}
