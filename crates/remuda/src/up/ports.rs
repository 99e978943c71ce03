//! The ports of a network on this machine: fixed, so that they can be written down.
//!
//! | port | default | what |
//! |---|---|---|
//! | base | 7400/tcp | control's HTTP API |
//! | base + 1 | 7401/udp | control, for nodes and gateways |
//! | base + 10 | 7410/tcp | the gateway's door |
//! | base + 11 | 7411/udp | the gateway, for replicas |
//! | base + 15 | 7415/tcp | the gateway's metrics |
//! | base + 20, 21, 22 | 7420–7422/udp | the nodes |
//! | base + 30, 31, 32 | 7430–7432/tcp | the nodes' metrics |

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use crate::error::Failure;
use crate::exit::Exit;

/// The first port when nobody says otherwise.
pub(crate) const BASE: u16 = 7_400;

/// The highest first port: all others must be above it.
pub(crate) const BASE_MAX: u16 = 65_400;

/// The ports, counted from a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    base: u16,
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Tcp,
    Udp,
}

impl Ports {
    /// Ports from `base` on; it is at most [`BASE_MAX`].
    pub(crate) const fn from(base: u16) -> Self {
        Self { base }
    }

    /// Control's HTTP API.
    pub(crate) const fn control(self) -> u16 {
        self.base
    }

    /// Control's iroh endpoint (UDP).
    pub(crate) const fn control_iroh(self) -> u16 {
        self.base + 1
    }

    /// The gateway's door.
    pub(crate) const fn gateway(self) -> u16 {
        self.base + 10
    }

    /// The gateway's metrics.
    pub(crate) const fn gateway_metrics(self) -> u16 {
        self.base + 15
    }

    /// The gateway's iroh endpoint (UDP).
    pub(crate) const fn gateway_iroh(self) -> u16 {
        self.base + 11
    }

    /// A node's iroh endpoint (UDP), by its place in the cast.
    pub(crate) const fn node(self, index: u16) -> u16 {
        self.base + 20 + index
    }

    /// A node's metrics.
    pub(crate) const fn node_metrics(self, index: u16) -> u16 {
        self.base + 30 + index
    }

    /// Refuses when one of them is in use, and says which.
    pub(crate) fn check(self, nodes: u16) -> Result<(), Failure> {
        let fixed = [
            (Protocol::Tcp, self.control(), "control's HTTP API"),
            (Protocol::Udp, self.control_iroh(), "control's sessions"),
            (Protocol::Tcp, self.gateway(), "the gateway"),
            (Protocol::Udp, self.gateway_iroh(), "the gateway's streams"),
            (
                Protocol::Tcp,
                self.gateway_metrics(),
                "the gateway's metrics",
            ),
        ];
        let of_nodes = (0..nodes).flat_map(|index| {
            [
                (Protocol::Udp, self.node(index), "a node"),
                (Protocol::Tcp, self.node_metrics(index), "a node's metrics"),
            ]
        });
        fixed
            .into_iter()
            .chain(of_nodes)
            .try_for_each(|(protocol, port, what)| {
                protocol
                    .try_bind(port)
                    .map_err(|error| in_use(port, what, error))
            })
    }
}

impl Protocol {
    fn try_bind(self, port: u16) -> io::Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match self {
            Self::Tcp => TcpListener::bind(address).map(drop),
            Self::Udp => UdpSocket::bind(address).map(drop),
        }
    }
}

fn in_use(port: u16, what: &str, error: io::Error) -> Failure {
    let message = format!("port {port} ({what}) cannot be had");
    let other = if (8_400..8_500).contains(&port) {
        BASE
    } else {
        8_400
    };
    let way_out = format!("stop what has it, or use other ports: `remuda up --port-base {other}`");
    Failure::new(Exit::Refused, message, way_out).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_in_use_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused = Ports::from(port.min(BASE_MAX)).check(3);
        if port <= BASE_MAX {
            let text = refused.unwrap_err().to_string();
            assert_eq!(
                text,
                format!("port {port} (control's HTTP API) cannot be had")
            );
        }
    }
}
