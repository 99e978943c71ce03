//! Route grants: control's signed permission for one gateway to use one replica.
//!
//! A grant lasts as long as its lease; an advanced epoch revokes it. Nodes verify it against
//! control's key, which they learnt when they joined.

use minicbor::{Decode, Encode};
use remuda_types::{GatewayKey, LeaseId, NodeKey, Time};

/// What is permitted. The signature covers this message's exact encoding.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Grant {
    /// The replica's lease.
    #[n(0)]
    pub lease: LeaseId,
    /// The lease's epoch; a node that knows a newer one refuses.
    #[n(1)]
    pub lease_epoch: u64,
    /// Who may use it.
    #[n(2)]
    pub gateway: GatewayKey,
    /// On which node.
    #[n(3)]
    pub node: NodeKey,
    /// Until when.
    #[n(4)]
    pub expires: Time,
}

/// A grant with control's signature.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SignedGrant {
    /// The encoded [`Grant`].
    #[cbor(n(0), with = "minicbor::bytes")]
    pub grant: Vec<u8>,
    /// Ed25519 over [`SIGNING_DOMAIN`] and `grant`.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

/// Separates these signatures from every other use of control's key.
pub const SIGNING_DOMAIN: &[u8] = b"remuda route grant v1";
