//! What tenants ask for beside deploying and stopping: capacity for later, capacity as soon as there is
//! any, and more or less of what they have.
//!
//! What is drawn is drawn from a stream of its own, so that what tenants deploy stays as it is. What
//! does not belong here: how much is wanted in all, which is `tenants`'.

mod ask;
mod book;
mod draw;

use remuda_network::Command;
use remuda_types::{CommandId, Span, WorkloadId};

use super::service::Kind;

pub(crate) use book::Book;
pub(crate) use draw::Wishes;

/// What a tenant asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    /// From a time on and before another.
    Reservation,
    /// As soon as there is room for it.
    Order,
    /// More or less of what runs.
    Scale,
}

impl Sort {
    pub(crate) const ALL: [Self; 3] = [Self::Reservation, Self::Order, Self::Scale];
}

/// Something that a tenant does.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// The next of its sort is asked for.
    Next(Sort),
    /// It is asked, perhaps again.
    Ask(Box<Asked>),
    /// It is not wanted any more: cancelled, or stopped if it runs.
    Withdraw(WorkloadId),
}

/// Something that is asked, and how it came to be.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) sort: Sort,
    pub(crate) command: Command,
    /// Chosen when it is first tried; each further try has the same.
    pub(crate) id: CommandId,
    /// What it is to be sold as.
    pub(crate) kind: Kind,
    /// For how long what comes of an order is wanted.
    pub(crate) lifetime: Span,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bookings {
    /// Reservations made.
    pub made: u64,
    /// Of these, so many had a lease for every replica within five seconds of their time.
    pub begun_whole: u64,
    /// So many had them later: control was away, or what was kept for them had been lost.
    pub begun_late: u64,
    /// So many never had.
    pub begun_in_part: u64,
    /// Reservations that the budget could not pay for when they were to begin.
    pub lapsed: u64,
    /// Reservations cancelled, or stopped before their time was over.
    pub cancelled: u64,
    /// Reservations that lasted until their time was over.
    pub over: u64,
    /// Standing orders placed.
    pub placed: u64,
    /// Of these, so many found room at once.
    pub filled_at_once: u64,
    /// So many found it later.
    pub filled_later: u64,
    /// So many found none in time.
    pub unfilled: u64,
    /// So many were cancelled before they found any.
    pub recalled: u64,
    /// Workloads scaled.
    pub scaled: u64,
    /// Any of these refused for want of room.
    pub without_room: u64,
    /// Any of these refused for another reason: what it was about was gone, or its time was past.
    pub refused: u64,
}
