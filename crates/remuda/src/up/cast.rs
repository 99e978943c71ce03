//! Who takes part in the network that `remuda up` starts: three owners at three sites, one buyer.

/// A place with one node, and who owns it.
#[derive(Debug)]
pub(crate) struct Seat {
    /// The site's name; the node's program is called after it.
    pub(crate) site: &'static str,
    /// The owner's name. One who has left is followed by another: `cascade-2`.
    pub(crate) owner: &'static str,
    /// ISO 3166-1 alpha-2.
    pub(crate) country: &'static str,
    /// Degrees north.
    pub(crate) latitude: f64,
    /// Degrees east.
    pub(crate) longitude: f64,
    /// Price of the whole node.
    pub(crate) price_usd_per_hour: &'static str,
}

/// The seats, in the order of their ports.
pub(crate) const SEATS: [Seat; 3] = [
    Seat {
        site: "seoul",
        owner: "hangang",
        country: "KR",
        latitude: 37.5665,
        longitude: 126.978,
        price_usd_per_hour: "0.90",
    },
    Seat {
        site: "frankfurt",
        owner: "mainufer",
        country: "DE",
        latitude: 50.1109,
        longitude: 8.6821,
        price_usd_per_hour: "0.80",
    },
    Seat {
        site: "oregon",
        owner: "cascade",
        country: "US",
        latitude: 45.5946,
        longitude: -121.1787,
        price_usd_per_hour: "0.70",
    },
];

/// What each owner deposits: more than fourteen days of the dearest node's payout.
pub(crate) const BOND_USD: &str = "500";

/// Who buys.
pub(crate) const TENANT: &str = "acme";

/// The buyer's project.
pub(crate) const PROJECT: &str = "demo";

/// What the project may spend when it starts, and below which it is filled up again.
pub(crate) const BUDGET_USD: &str = "25";
pub(crate) const BUDGET_LOW_USD: &str = "10";

/// The model that the network starts with, where its file does not say.
pub(crate) const MODEL: &str = "smollm2-135m";
