//! The words every room shares: ids, money, time, hardware classes, places and shapes.
//!
//! Values here are small, integer and cannot be wrong once made: parse at the edge, carry the type.
//! What does not belong here: anything that decides, anything that does IO, anything only one crate needs.
#![forbid(unsafe_code)]

pub mod class;
pub mod constraint;
pub mod digest;
pub mod id;
pub mod lookup;
pub mod money;
mod parts;
pub mod place;
pub mod promise;
pub mod shape;
pub mod share;
pub mod table;
pub mod tier;
pub mod time;

pub use class::{Class, ClassChoice, ClassChoiceError, ClassError};
pub use constraint::Constraint;
pub use digest::{Digest, DigestError, Label};
pub use id::{
    ApiKeyId, ClaimId, CommandId, Entropy, GatewayKey, IdError, LeaseId, NodeKey, ProjectId,
    ProviderId, ReplicaId, RequestId, SiteId, TenantId, TrancheId, TransferId, WorkloadId,
};
pub use lookup::Lookup;
pub use money::{Money, MoneyError, Price};
pub use place::{Country, Place, PlaceError};
pub use promise::Credit;
pub use shape::{Capacity, Shape};
pub use share::{Share, ShareError};
pub use table::Table;
pub use tier::{Tier, Together, WorkloadKind};
pub use time::{Span, Time};
