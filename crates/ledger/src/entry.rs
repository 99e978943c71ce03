//! What may be entered in the ledger. Entries are facts: encoded in events, never changed.
//!
//! *Debit* is the account that money leaves, *credit* the account that money enters, whoever owns
//! them; amounts are never negative. Zero is an amount: a fee may round to nothing.

use std::fmt;

use minicbor::{Decode, Encode};
use remuda_types::{Money, Time, TransferId};

use crate::account::Account;

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// Moves money at once.
    #[n(0)]
    Transfer {
        /// Chosen by the caller.
        #[n(0)]
        id: TransferId,
        /// Where the money leaves.
        #[n(1)]
        debit: Account,
        /// Where the money enters.
        #[n(2)]
        credit: Account,
        /// How much.
        #[n(3)]
        amount: Money,
        /// What for.
        #[n(4)]
        purpose: Purpose,
    },
    /// Sets money aside: it stays on the debit account but can no longer be spent there.
    #[n(1)]
    Reserve {
        /// Chosen by the caller; names the reservation while it is open.
        #[n(0)]
        id: TransferId,
        /// Where the money will leave.
        #[n(1)]
        debit: Account,
        /// Where the money will enter.
        #[n(2)]
        credit: Account,
        /// How much at most.
        #[n(3)]
        amount: Money,
        /// What for.
        #[n(4)]
        purpose: Purpose,
        /// When [`Ledger::expired`](crate::Ledger::expired) begins to list it; never, if `None`.
        #[n(5)]
        expires: Option<Time>,
    },
    /// Moves `amount` of a reservation, frees the rest and closes it.
    #[n(2)]
    Post {
        /// The reservation.
        #[n(0)]
        id: TransferId,
        /// How much moves: at most what is still reserved.
        #[n(1)]
        amount: Money,
    },
    /// Frees a reservation and closes it. Nothing moves. This is also how one expires.
    #[n(3)]
    Void {
        /// The reservation.
        #[n(0)]
        id: TransferId,
    },
    /// Moves `amount` of a reservation and keeps the rest reserved, as a tranche is spent.
    /// The reservation stays open, even at zero, until a post or a void closes it.
    #[n(4)]
    PostPart {
        /// The reservation.
        #[n(0)]
        id: TransferId,
        /// How much moves: at most what is still reserved.
        #[n(1)]
        amount: Money,
    },
}

/// An open reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pending {
    /// Where the money will leave.
    #[n(0)]
    pub debit: Account,
    /// Where the money will enter.
    #[n(1)]
    pub credit: Account,
    /// What is still reserved.
    #[n(2)]
    pub amount: Money,
    /// What for.
    #[n(3)]
    pub purpose: Purpose,
    /// From when on it is due to be voided; never, if `None`.
    #[n(4)]
    pub expires: Option<Time>,
}

/// Why money moves, as statements say it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A tenant pays in.
    #[n(0)]
    TopUp,
    /// A tenant gives a project money to spend.
    #[n(1)]
    BudgetFunding,
    /// A project's unspent money goes back to its tenant.
    #[n(2)]
    BudgetReturn,
    /// A provider deposits a bond.
    #[n(3)]
    BondDeposit,
    /// A provider gets its bond back.
    #[n(4)]
    BondReturn,
    /// The next slice of a lease is set aside.
    #[n(5)]
    LeaseSlice,
    /// Money is set aside for a gateway to spend.
    #[n(6)]
    Tranche,
    /// A provider earns.
    #[n(7)]
    Usage,
    /// The platform's share of usage.
    #[n(8)]
    PlatformFee,
    /// The insurance pool's share of usage.
    #[n(9)]
    PoolFee,
    /// Earnings leave the holdback.
    #[n(10)]
    HoldbackRelease,
    /// A provider forfeits earnings or bond.
    #[n(11)]
    Forfeiture,
    /// A tenant is paid for a loss.
    #[n(12)]
    TenantCompensation,
    /// A tenant is credited for a missed service level.
    #[n(13)]
    SlaCredit,
    /// An earlier transfer is set right.
    #[n(14)]
    Correction,
    /// A provider is paid out.
    #[n(15)]
    Payout,
}

impl Entry {
    /// The transfer's own id, or that of the reservation it acts on.
    pub const fn id(&self) -> TransferId {
        match self {
            Self::Transfer { id, .. }
            | Self::Reserve { id, .. }
            | Self::Post { id, .. }
            | Self::Void { id }
            | Self::PostPart { id, .. } => *id,
        }
    }
}

impl Purpose {
    /// The purpose in words, for statements.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TopUp => "top-up",
            Self::BudgetFunding => "budget funding",
            Self::BudgetReturn => "budget return",
            Self::BondDeposit => "bond deposit",
            Self::BondReturn => "bond return",
            Self::LeaseSlice => "lease slice",
            Self::Tranche => "tranche",
            Self::Usage => "usage",
            Self::PlatformFee => "platform fee",
            Self::PoolFee => "pool fee",
            Self::HoldbackRelease => "holdback release",
            Self::Forfeiture => "forfeiture",
            Self::TenantCompensation => "tenant compensation",
            Self::SlaCredit => "SLA credit",
            Self::Correction => "correction",
            Self::Payout => "payout",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
