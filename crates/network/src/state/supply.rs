//! Who sells: providers, their sites and nodes.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use remuda_placement::Cell;
use remuda_types::{
    Capacity, Class, Country, Label, LeaseId, Money, NodeKey, Place, Price, ProviderId, SiteId,
    Span, Time,
};

use super::State;

/// An owner of nodes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Provider {
    /// Its name.
    #[n(0)]
    pub label: Label,
    /// Since when.
    #[n(1)]
    pub joined: Time,
    /// Whether it is staying.
    #[n(2)]
    pub standing: Standing,
    /// Earnings not yet released, by the start of their bucket.
    #[n(3)]
    pub held: BTreeMap<Time, Money>,
}

/// Whether a provider is staying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Sells.
    #[n(0)]
    Active,
    /// Gave notice; gone at the given time.
    #[n(1)]
    Leaving(#[n(0)] Time),
    /// Gone since then.
    #[n(2)]
    Left(#[n(0)] Time),
}

/// A place where nodes stand.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Site {
    /// Its owner.
    #[n(0)]
    pub provider: ProviderId,
    /// Its name.
    #[n(1)]
    pub label: Label,
    /// Its country.
    #[n(2)]
    pub country: Country,
    /// Its coordinates.
    #[n(3)]
    pub place: Place,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Node {
    /// Its owner.
    #[n(0)]
    pub provider: ProviderId,
    /// Where it stands.
    #[n(1)]
    pub site: SiteId,
    /// Its kind.
    #[n(2)]
    pub class: Class,
    /// What it has in all.
    #[n(3)]
    pub capacity: Capacity,
    /// Price of the whole node.
    #[n(4)]
    pub price: Price,
    /// Since when.
    #[n(5)]
    pub enrolled: Time,
    /// Whether it is there.
    #[n(6)]
    pub presence: Presence,
    /// Its live leases.
    #[n(7)]
    pub leases: BTreeSet<LeaseId>,
    /// When it was last tried to empty it, since it drains.
    #[n(8)]
    pub drain_tried: Option<Time>,
    /// Since when it is silent, if it does so while it drains.
    #[n(9)]
    pub silent_since: Option<Time>,
    /// It drains because its daemon is to stop, and for nothing else.
    #[n(10)]
    #[cbor(default)]
    pub leaves: bool,
}

/// The longest between two attempts to empty a node that drains.
const DRAIN_RETRY_MAX: Span = Span::from_secs(60);

impl Node {
    /// When it was heard last, if it is silent.
    pub const fn last_seen(&self) -> Option<Time> {
        match self.presence {
            Presence::Suspect(at) => Some(at),
            Presence::Draining(_) => self.silent_since,
            Presence::Away(_) | Presence::Up(_) | Presence::Lost(_) | Presence::Left(_) => None,
        }
    }

    /// What it is from now on.
    pub(crate) fn becomes(&mut self, presence: Presence) {
        (self.presence, self.drain_tried) = (presence, None);
        (self.silent_since, self.leaves) = (None, false);
    }

    /// When it is tried next to empty it, if it drains and has something: the longer it took so far,
    /// the later.
    pub(crate) fn drain_due(&self, first_retry: Span) -> Option<Time> {
        let Presence::Draining(since) = self.presence else {
            return None;
        };
        let tried = self.drain_tried.unwrap_or(since);
        let quarter = Span::from_millis(tried.since(since).as_millis() / 4);
        let pause = quarter.min(DRAIN_RETRY_MAX).max(first_retry);
        (!self.leases.is_empty()).then(|| tried + pause)
    }
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Enrolled, no session yet, or its session ended in order.
    #[n(0)]
    Away(#[n(0)] Time),
    /// Has a session; takes leases.
    #[n(1)]
    Up(#[n(0)] Time),
    /// Silent since then; keeps its leases, gets no new ones.
    #[n(2)]
    Suspect(#[n(0)] Time),
    /// Has a session; gives its leases up.
    #[n(3)]
    Draining(#[n(0)] Time),
    /// Judged gone; has no leases.
    #[n(4)]
    Lost(#[n(0)] Time),
    /// Its owner took it away for good.
    #[n(5)]
    Left(#[n(0)] Time),
}

impl Presence {
    /// Whether new leases may be placed on the node.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Up(_))
    }

    /// Whether the node has a session, as far as is known.
    pub const fn has_session(self) -> bool {
        matches!(self, Self::Up(_) | Self::Suspect(_) | Self::Draining(_))
    }

    /// The word used in the API and the CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Away(_) => "away",
            Self::Up(_) => "up",
            Self::Suspect(_) => "suspect",
            Self::Draining(_) => "draining",
            Self::Lost(_) => "lost",
            Self::Left(_) => "left",
        }
    }

    /// Since when.
    pub const fn since(self) -> Time {
        match self {
            Self::Away(at)
            | Self::Up(at)
            | Self::Suspect(at)
            | Self::Draining(at)
            | Self::Lost(at)
            | Self::Left(at) => at,
        }
    }
}

impl State {
    /// What a node fills up together with, and may be on one fabric with.
    pub(crate) fn cell_of(&self, node: NodeKey) -> Option<Cell> {
        let node = self.nodes.get(&node)?;
        Some(Cell {
            site: node.site,
            class: node.class,
        })
    }
}
