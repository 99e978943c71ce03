//! What is to run here: the newest assignment, and the refusal of older ones.

use std::collections::BTreeMap;
use std::fmt;

use minicbor::{Decode, Encode};
use remuda_types::{Digest, LeaseId, ReplicaId, Time, WorkloadId};

use crate::observed::LeaseAt;

/// Which assignment: control's epoch first, then its count of this node's assignments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct Stamp {
    /// Control's epoch; a newer control has a higher one.
    #[n(0)]
    pub epoch: u64,
    /// Counts this node's assignments within the epoch.
    #[n(1)]
    pub generation: u64,
}

/// One replica that is to run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Assigned {
    /// Its lease.
    #[n(0)]
    pub lease: LeaseId,
    /// Advances when the lease is granted anew: whatever runs under an older one is fenced off.
    #[n(1)]
    pub lease_epoch: u64,
    /// Which replica.
    #[n(2)]
    pub replica: ReplicaId,
    /// Of which workload.
    #[n(3)]
    pub workload: WorkloadId,
    /// When the lease ends whatever happens, by control's clock.
    #[n(4)]
    pub hard_end: Time,
    /// Run or drain.
    #[n(5)]
    pub wanted: Wanted,
    /// What it is made of.
    #[n(6)]
    pub spec_digest: Digest,
}

/// What is wanted of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Wanted {
    /// Run it.
    #[n(0)]
    Run,
    /// Take nothing new; stop when idle or at the deadline.
    #[n(1)]
    Drain {
        /// When it is stopped though it is not idle.
        #[n(0)]
        deadline: Time,
    },
}

/// All that is to run here, as of one stamp.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Assignment {
    #[n(0)]
    stamp: Stamp,
    #[cbor(n(1), with = "replicas")]
    replicas: BTreeMap<LeaseId, Assigned>,
}

/// The newest assignment that was accepted, if there was one. Persist it whenever it changes, and
/// load it before the first plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Desired {
    #[n(0)]
    held: Option<Assignment>,
}

/// What became of an assignment that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is held from now on.
    Newer,
    /// It was held already; nothing changed.
    Same,
}

/// An assignment was refused: a newer one is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "assignment {offered} is older than {held}, which this node holds; control must offer a newer one"
)]
pub struct Stale {
    /// What the node holds.
    pub held: Stamp,
    /// What it was offered.
    pub offered: Stamp,
}

/// An assignment names a lease twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the assignment names {0} twice; a lease holds one replica")]
pub struct Doubled(pub LeaseId);

impl Assignment {
    /// An assignment of these replicas.
    pub fn new(
        stamp: Stamp,
        replicas: impl IntoIterator<Item = Assigned>,
    ) -> Result<Self, Doubled> {
        let mut by_lease = BTreeMap::new();
        for assigned in replicas {
            if by_lease.insert(assigned.lease, assigned).is_some() {
                return Err(Doubled(assigned.lease));
            }
        }
        Ok(Self {
            stamp,
            replicas: by_lease,
        })
    }

    /// Which assignment it is.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The replicas, by lease.
    pub fn replicas(&self) -> impl Iterator<Item = &Assigned> {
        self.replicas.values()
    }

    /// What is assigned under a lease.
    pub fn get(&self, lease: &LeaseId) -> Option<&Assigned> {
        self.replicas.get(lease)
    }
}

impl Desired {
    /// Holds `offered` if it is newer than what is held.
    pub fn accept(&mut self, offered: Assignment) -> Result<Accepted, Stale> {
        let (held, offered_stamp) = (self.stamp(), offered.stamp);
        if held == Some(offered_stamp) {
            return Ok(Accepted::Same);
        }
        if let Some(held) = held.filter(|held| *held > offered_stamp) {
            return Err(Stale {
                held,
                offered: offered_stamp,
            });
        }
        self.held = Some(offered);
        Ok(Accepted::Newer)
    }

    /// What is held; nothing on a node that was never assigned anything.
    pub fn assignment(&self) -> Option<&Assignment> {
        self.held.as_ref()
    }

    /// Which assignment is held.
    pub fn stamp(&self) -> Option<Stamp> {
        self.held.as_ref().map(Assignment::stamp)
    }
}

impl Assigned {
    /// The lease at the epoch it is assigned under.
    pub fn at(&self) -> LeaseAt {
        LeaseAt {
            lease: self.lease,
            epoch: self.lease_epoch,
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.generation)
    }
}

mod replicas {
    //! An array of what is assigned; a lease named twice is refused.

    use std::collections::BTreeMap;

    use minicbor::encode::Write;
    use minicbor::{Decoder, Encode, Encoder};
    use remuda_types::LeaseId;

    use super::Assigned;

    pub(super) fn encode<C, W: Write>(
        replicas: &BTreeMap<LeaseId, Assigned>,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(replicas.len() as u64)?;
        replicas
            .values()
            .try_for_each(|assigned| assigned.encode(e, ctx))
    }

    pub(super) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<BTreeMap<LeaseId, Assigned>, minicbor::decode::Error> {
        let mut replicas = BTreeMap::new();
        for assigned in d.array_iter::<Assigned>()? {
            let assigned = assigned?;
            if replicas.insert(assigned.lease, assigned).is_some() {
                return Err(minicbor::decode::Error::message(
                    "an assignment names a lease twice",
                ));
            }
        }
        Ok(replicas)
    }
}
