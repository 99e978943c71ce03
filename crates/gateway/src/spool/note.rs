//! What is noted.

use remuda_routing::{Delivery, Rate};
use remuda_types::{ApiKeyId, Digest, Money, ProjectId, RequestId, Time, TrancheId};
use remuda_wire::gateway::PostUsage;

/// One note.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// Control is about to be asked for a tranche.
    Asked(Asked),
    /// Control gave it.
    Granted {
        tranche: TrancheId,
        amount: Money,
        deadline: Time,
    },
    /// Control has closed it, or never opened it.
    Closed(TrancheId),
    /// A request may cost this much.
    Reserved(Reserved),
    /// Requests have been delivered this much.
    Checkpoints(Vec<(RequestId, Delivery)>),
    /// A request cost this much.
    Billed(Box<Billed>),
    /// A request cost nothing.
    Free(RequestId),
    /// A post is about to be sent.
    Posting(Box<Posting>),
    /// Control has taken it.
    Acknowledged { tranche: TrancheId, seq: u64 },
}

/// A tranche that control is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) tranche: TrancheId,
    pub(crate) project: ProjectId,
    pub(crate) amount: Money,
}

/// A request that has reserved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserved {
    pub(crate) request: RequestId,
    pub(crate) tranche: TrancheId,
    pub(crate) key: ApiKeyId,
    pub(crate) rate: Rate,
    pub(crate) prompt_tokens: u32,
    pub(crate) amount: Money,
}

/// A request that has its bill.
#[derive(Clone, Debug)]
pub(crate) struct Billed {
    pub(crate) request: RequestId,
    pub(crate) tranche: TrancheId,
    pub(crate) key: ApiKeyId,
    pub(crate) rate: Rate,
    pub(crate) delivery: Delivery,
    /// Its place in the order in which bills were recorded.
    pub(crate) ordinal: u64,
}

/// A post and how many bills it sums: the oldest that no post had summed.
#[derive(Clone, Debug)]
pub(crate) struct Posting {
    pub(crate) post: PostUsage,
    pub(crate) bills: u64,
}

impl Billed {
    /// The digest of the row, for the chain in the post.
    pub(crate) fn digest(&self) -> Digest {
        let delivered = super::row::encode(&self.delivery);
        let amount = self.delivery.bill(self.rate).amount.as_micros();
        let parts: [&[u8]; 4] = [
            &self.request.as_u128().to_be_bytes(),
            &self.key.as_u128().to_be_bytes(),
            &amount.to_be_bytes(),
            &delivered,
        ];
        Digest::of(&parts.concat())
    }
}
