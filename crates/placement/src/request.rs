//! What one replica asks for, and what makes a request wrong whatever the fleet is.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

pub use remuda_types::Together;
use remuda_types::{Class, Country, NodeKey, Place, Price, ProviderId, Shape, SiteId};

use crate::ask::Ask;
use crate::quotas::Cell;

/// What is asked for one replica. The shape is checked when the request is made; everything else
/// is free to set, and as made by [`Request::new`] constrains nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(crate) ask: Ask,
    /// Hardware classes that will do; empty means any class that has what the shape asks.
    pub classes: Vec<Class>,
    /// Countries that will do; empty means any.
    pub countries: Vec<Country>,
    /// The most the replica may cost by the hour.
    pub max_price: Option<Price>,
    /// How near to a place it must stand.
    pub near: Option<Near>,
    /// How many replicas an owner and a site may have.
    pub spread: Spread,
    /// The most that a refusal may say to let them have; nothing where any number will do.
    pub spread_max: Option<NonZeroU32>,
    /// How many they have already: those that earlier calls placed.
    pub siblings: Siblings,
    /// Whether the replicas of one group must stand together.
    pub together: Together,
    /// The fabric that its siblings are on, if it must stand with them.
    pub fabric: Option<Cell>,
    /// Where it must not go, for instance where its siblings are or where it just failed.
    pub avoid: Avoid,
    /// Sites where it goes only if no other place will do, for instance because they fail together
    /// with those of its siblings.
    pub shun: BTreeSet<SiteId>,
}

/// Within so many kilometres of a place, great-circle, the bound included.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
)]
#[cbor(map)]
pub struct Near {
    /// The place.
    #[n(0)]
    pub place: Place,
    /// The farthest that will do.
    #[n(1)]
    pub max_distance_km: u32,
}

/// How many replicas an owner and a site may have, those that earlier calls placed
/// ([`Siblings`]) counted; nothing where it does not matter.
///
/// Where any of it is set, replicas of a group also keep off sites that the fleet knows to fail
/// together with those of earlier members, as long as there is another place: one after another,
/// each off those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// The most that one owner may have. A site has one owner, so no site of its has more.
    pub per_owner: Option<NonZeroU32>,
    /// The most that one site may have.
    pub per_site: Option<NonZeroU32>,
}

/// How many replicas owners and sites have; who is not named has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Siblings {
    /// By owner.
    pub owners: BTreeMap<ProviderId, u32>,
    /// By site.
    pub sites: BTreeMap<SiteId, u32>,
}

/// Nodes, owners and sites that will not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Avoid {
    /// These nodes.
    pub nodes: BTreeSet<NodeKey>,
    /// All nodes of these owners.
    pub owners: BTreeSet<ProviderId>,
    /// All nodes at these sites.
    pub sites: BTreeSet<SiteId>,
}

/// How many replicas a group has: 1 to [`Replicas::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replicas(u32);

/// Why a request is wrong whatever the fleet is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Every field of the shape is zero.
    #[error("the shape asks for nothing: set gpu_milli, cpu_milli, memory_mib or disk_mib")]
    EmptyShape,
    /// More than one GPU, but not a whole number of them.
    #[error(
        "gpu_milli {gpu_milli} is not a whole number of GPUs: above 1000 give a multiple of 1000"
    )]
    FractionAboveOne {
        /// What was asked.
        gpu_milli: u64,
    },
    /// GPU memory without a GPU.
    #[error("gpu_memory_mib is set but gpu_milli is 0: ask for a GPU, or leave gpu_memory_mib out")]
    GpuMemoryWithoutGpu,
    /// One fabric is at one site, of one owner.
    #[error(
        "together is `fabric` and spread is set: one fabric is at one site, so take one of them out"
    )]
    FabricAndSpread,
    /// A group of none.
    #[error("replicas is 0: ask for at least 1")]
    NoReplicas,
    /// More replicas than one group may have.
    #[error("replicas is {replicas}: one group has at most {limit}; ask for several groups", limit = Replicas::MAX)]
    TooManyReplicas {
        /// What was asked.
        replicas: u32,
    },
}

impl Request {
    /// A request for `shape`, anywhere, at any price.
    pub fn new(shape: Shape) -> Result<Self, RequestError> {
        Ask::new(shape).map(Self::unconstrained)
    }

    fn unconstrained(ask: Ask) -> Self {
        Self {
            ask,
            classes: Vec::new(),
            countries: Vec::new(),
            max_price: None,
            near: None,
            spread: Spread::default(),
            spread_max: None,
            siblings: Siblings::default(),
            together: Together::Anywhere,
            fabric: None,
            avoid: Avoid::default(),
            shun: BTreeSet::new(),
        }
    }

    /// Whether a group can be asked for like this, whatever the fleet is.
    pub(crate) fn check_group(&self) -> Result<(), RequestError> {
        if self.spreads() && self.together == Together::Fabric {
            return Err(RequestError::FabricAndSpread);
        }
        Ok(())
    }

    /// Whether it matters how many replicas an owner or a site has.
    pub fn spreads(&self) -> bool {
        self.spread != Spread::default()
    }

    /// Whether one more replica keeps off this owner or this site: it is to be avoided, or has as
    /// many of its siblings as it may.
    pub fn keeps_off(&self, owner: ProviderId, site: SiteId) -> bool {
        self.avoid.owners.contains(&owner)
            || self.avoid.sites.contains(&site)
            || self.owner_is_full(owner, &Siblings::default())
            || self.site_is_full(site, &Siblings::default())
    }

    /// Whether an owner has as many replicas as it may, these counted beside the siblings.
    pub(crate) fn owner_is_full(&self, owner: ProviderId, more: &Siblings) -> bool {
        let most = self.spread.per_owner;
        most.is_some_and(|most| left(most, owner, (&self.siblings.owners, &more.owners)) == 0)
    }

    /// The same of a site.
    pub(crate) fn site_is_full(&self, site: SiteId, more: &Siblings) -> bool {
        let most = self.spread.per_site;
        most.is_some_and(|most| left(most, site, (&self.siblings.sites, &more.sites)) == 0)
    }

    /// How many more replicas a site may take, and its owner with it, these counted beside the
    /// siblings.
    pub(crate) fn may_take(&self, (owner, site): (ProviderId, SiteId), more: &Siblings) -> u32 {
        let Spread {
            per_owner,
            per_site,
        } = self.spread;
        let of_owner = |most| left(most, owner, (&self.siblings.owners, &more.owners));
        let at_site = |most| left(most, site, (&self.siblings.sites, &more.sites));
        let of_owner = per_owner.map_or(u32::MAX, of_owner);
        of_owner.min(per_site.map_or(u32::MAX, at_site))
    }

    /// The resources asked for.
    pub fn shape(&self) -> &Shape {
        self.ask.shape()
    }
}

/// How many are left of the most that one may have.
fn left<K: Copy + Ord>(
    most: NonZeroU32,
    one: K,
    has: (&BTreeMap<K, u32>, &BTreeMap<K, u32>),
) -> u32 {
    let of = |has: &BTreeMap<K, u32>| has.get(&one).copied().unwrap_or_default();
    most.get()
        .saturating_sub(of(has.0))
        .saturating_sub(of(has.1))
}

impl Spread {
    /// No two replicas with one owner, and none at one site.
    pub const ONE_EACH: Self = Self {
        per_owner: Some(NonZeroU32::MIN),
        per_site: Some(NonZeroU32::MIN),
    };
}

impl Siblings {
    /// Counts one more replica of an owner, at a site of its.
    pub fn add(&mut self, owner: ProviderId, site: SiteId) {
        self.add_many(owner, site, 1);
    }

    pub(crate) fn add_many(&mut self, owner: ProviderId, site: SiteId, replicas: u32) {
        let has = self.owners.entry(owner).or_default();
        *has = has.saturating_add(replicas);
        let has = self.sites.entry(site).or_default();
        *has = has.saturating_add(replicas);
    }

    /// How many an owner has.
    pub fn of_owner(&self, owner: ProviderId) -> u32 {
        self.owners.get(&owner).copied().unwrap_or_default()
    }

    /// How many are at a site.
    pub fn at_site(&self, site: SiteId) -> u32 {
        self.sites.get(&site).copied().unwrap_or_default()
    }
}

impl Replicas {
    /// The largest group: a gang of this many ranks is placed at once or not at all.
    pub const MAX: u32 = 8_192;

    /// The size of a group.
    pub fn new(replicas: u32) -> Result<Self, RequestError> {
        match replicas {
            0 => Err(RequestError::NoReplicas),
            1..=Self::MAX => Ok(Self(replicas)),
            _ => Err(RequestError::TooManyReplicas { replicas }),
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpus(gpu_milli: u64) -> Result<Request, RequestError> {
        Request::new(Shape {
            gpu_milli,
            ..Shape::default()
        })
    }

    #[test]
    fn shapes_are_checked() {
        assert_eq!(
            Request::new(Shape::default()),
            Err(RequestError::EmptyShape)
        );
        assert_eq!(
            gpus(1_500),
            Err(RequestError::FractionAboveOne { gpu_milli: 1_500 })
        );
        assert_eq!(
            gpus(u64::MAX),
            Err(RequestError::FractionAboveOne {
                gpu_milli: u64::MAX
            })
        );
        let memory_alone = Shape {
            gpu_memory_mib: 1,
            ..Shape::default()
        };
        assert_eq!(
            Request::new(memory_alone),
            Err(RequestError::GpuMemoryWithoutGpu)
        );
        assert!(
            [1, 999, 1_000, 8_000]
                .into_iter()
                .all(|milli| gpus(milli).is_ok())
        );
    }

    #[test]
    fn groups_are_checked() {
        assert_eq!(Replicas::new(0), Err(RequestError::NoReplicas));
        assert_eq!(Replicas::new(8_192).map(Replicas::get), Ok(8_192));
        let error = Replicas::new(8_193).unwrap_err();
        assert_eq!(
            error.to_string(),
            "replicas is 8193: one group has at most 8192; ask for several groups"
        );
    }
}
