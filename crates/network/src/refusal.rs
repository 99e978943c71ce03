//! Why a command is refused: typed, with a stable code and the way out in the text.

use remuda_placement::Unplaced;
use remuda_types::{Digest, Money, Span, Time, WorkloadId};

use crate::state::Terms;

/// Why a command is refused. A refused command changed nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// There is no such thing.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// "provider", "workload", …
        kind: &'static str,
        /// As it was given.
        id: String,
    },
    /// The name is taken.
    #[error("a {kind} of this name exists already: choose another name, or use that one")]
    NameTaken {
        /// "provider", "workload", …
        kind: &'static str,
    },
    /// A model's name stands for another file.
    #[error(
        "the name stands for the file {known}: choose another name, or say that it is to be \
         replaced (`--replaces {known}`; over HTTP, `if-match: \"{known}\"`); what runs keeps its own"
    )]
    OtherFile {
        /// The file that it stands for.
        known: Digest,
    },
    /// A field's value makes no sense.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong, and what is expected.
        problem: String,
    },
    /// No node fits, and this is why.
    #[error("no capacity: {0}")]
    NoCapacity(Box<Unplaced>),
    /// What is wanted does not fit, and why was not asked yet: it takes a look at every state that
    /// nodes are in, for which nobody who decides waits.
    /// [`Network::explain`](crate::Network::explain) says it.
    #[error("no capacity: no node has room for it")]
    NoRoom(Box<Wanted>),
    /// What is asked for makes no sense on any fleet.
    #[error("{0}")]
    Request(#[from] remuda_placement::RequestError),
    /// Money is missing.
    #[error("{0}")]
    Money(#[from] remuda_ledger::Refusal),
    /// A project's budget is used up.
    #[error(
        "the project's budget has {available} USD left, {needed} are needed: fund it with `remuda ledger fund`"
    )]
    BudgetExhausted {
        /// What is there.
        available: Money,
        /// What is needed.
        needed: Money,
    },
    /// A provider's bond does not cover its nodes.
    #[error(
        "the bond is {posted} USD, {needed} are needed with this node: deposit {missing} more with `remuda provider bond`"
    )]
    BondShort {
        /// What was deposited.
        posted: Money,
        /// What is needed.
        needed: Money,
        /// The difference.
        missing: Money,
    },
    /// Something is another owner's.
    #[error("{kind} belongs to another {owner}")]
    NotYours {
        /// "node", "tranche", …
        kind: &'static str,
        /// "provider", "gateway", …
        owner: &'static str,
    },
    /// The thing is in a state in which this cannot be done.
    #[error("{kind} is {state}: {way_out}")]
    WrongState {
        /// "provider", "node", …
        kind: &'static str,
        /// Its state.
        state: &'static str,
        /// What can be done.
        way_out: &'static str,
    },
    /// The sender holds an old epoch.
    #[error("lease epoch {given} is not the current one ({current}): the replica was moved")]
    StaleEpoch {
        /// As it was given.
        given: u64,
        /// What it is.
        current: u64,
    },
    /// A gateway posted more than its tranche holds.
    #[error("the post of {posted} USD is over the {left} left in the tranche")]
    TrancheOverdrawn {
        /// What was posted.
        posted: Money,
        /// What is left.
        left: Money,
    },
    /// A post came out of order.
    #[error("post {given} does not follow post {last} of this tranche")]
    PostOutOfOrder {
        /// As it was given.
        given: u64,
        /// The last one.
        last: u64,
    },
    /// The command's id is older than what is remembered, so it may have been done already.
    #[error(
        "the command is older than {window}: look whether it was done, then send it with a new id"
    )]
    TooOld {
        /// How long ids are remembered.
        window: Span,
    },
    /// The command's id is of a time that has not come.
    #[error("the command's id is {ahead} ahead of control's clock: set the sender's clock")]
    FromTheFuture {
        /// How far.
        ahead: Span,
    },
    /// A named limit was met.
    #[error("{limit} is limited to {maximum}: {way_out}")]
    LimitMet {
        /// The policy's name for it.
        limit: &'static str,
        /// Its value.
        maximum: u64,
        /// What can be done.
        way_out: &'static str,
    },
}

/// What there is no room for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// What was asked for.
    pub terms: Terms,
    /// So many times, those counted that there are.
    pub replicas: u32,
    /// Where, or when.
    pub room: Room,
}

/// Where or when there is to be room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// At once.
    Now,
    /// At once, beside the replicas that this workload has.
    Beside(WorkloadId),
    /// From a time on and before another.
    Within {
        /// From when on.
        from: Time,
        /// Before when.
        to: Time,
    },
}

impl Refusal {
    /// The stable code of the HTTP API.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::NameTaken { .. } | Self::OtherFile { .. } => "name-taken",
            Self::Invalid { .. } | Self::Request(_) => "invalid",
            Self::NoCapacity(_) | Self::NoRoom(_) => "no-capacity",
            Self::Money(_) => "insufficient-funds",
            Self::BudgetExhausted { .. } => "budget-exhausted",
            Self::BondShort { .. } => "bond-short",
            Self::NotYours { .. } => "not-yours",
            Self::WrongState { .. } => "wrong-state",
            Self::StaleEpoch { .. } => "stale-epoch",
            Self::TrancheOverdrawn { .. } => "tranche-overdrawn",
            Self::PostOutOfOrder { .. } => "post-out-of-order",
            Self::TooOld { .. } => "command-too-old",
            Self::FromTheFuture { .. } => "command-from-the-future",
            Self::LimitMet { .. } => "limit-met",
        }
    }

    pub(crate) fn not_found(kind: &'static str, id: impl ToString + Copy) -> Self {
        Self::NotFound {
            kind,
            id: id.to_string(),
        }
    }
}
