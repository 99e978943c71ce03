//! A batch of facts in the making.
//!
//! State does not change while a command is decided. Capacity and money that earlier facts of the
//! same batch free or take are tracked here: capacity by holding it in the index and giving it back
//! at the end (which costs nothing where no later step looks), money by the sum of the entries so far.

mod claims;
mod grants;
mod trail;

use remuda_ledger::{Account, Entry};
use remuda_placement::{DemandClass, GpuSet, NodeOffer, OfferError, Placement};
use remuda_types::{
    CommandId, LeaseId, Money, NodeKey, ReplicaId, Shape, Time, TransferId, WorkloadId,
};

use crate::event::Event;
use crate::index::{Index, Kept, Layer, done};
use crate::state::{Lease, Replica, State, Terms};

/// Few commands make more events.
const USUAL_EVENTS: usize = 6;

use claims::Changes;
use trail::Trail;

pub(super) use grants::Granted;
use grants::Grants;

/// A batch in the making.
pub(super) struct Draft<'a> {
    pub(super) state: &'a State,
    pub(super) now: Time,
    pub(super) id: CommandId,
    pub(super) index: &'a mut Index,
    events: Vec<Event>,
    undo: Vec<Undo>,
    moved: Trail<Account, i64>,
    ended: Trail<LeaseId, ()>,
    /// Leases of which this batch began another slice.
    renewed: Trail<LeaseId, ()>,
    over: Trail<WorkloadId, ()>,
    granted: Grants,
    claims: Changes,
    ordinal: u32,
    /// Whether leases may be ended for another's sake. Not while control does not know yet what its
    /// nodes served in its absence: they would be charged for all of it.
    pub(super) spares_spot: bool,
    /// For so many leases on nodes that drain this batch may still look for another node.
    moves: usize,
}

/// For so many leases at most one batch looks for another node when theirs drain: each is a search, and
/// all else waits. The rest stay until their nodes are tried again.
const MOVES_AT_ONCE: usize = 2_000;

enum Undo {
    Kept(NodeKey, Kept),
    Unkept(NodeKey, Kept),
    Held(NodeKey, Shape, GpuSet, Layer),
    Released(NodeKey, Shape, GpuSet, Layer),
    CountedIn(DemandClass, NodeKey, u64),
    CountedOut(DemandClass, NodeKey, u64),
    Closed(NodeKey),
    Offered(NodeOffer),
    Added(NodeKey),
}

impl Undo {
    /// What was just done can be undone; there is nobody else to change the index meanwhile.
    fn apply(self, index: &mut Index) {
        match self {
            Self::Held(node, shape, gpus, layer) => {
                done(index.release(node, (&shape, gpus), layer));
            }
            Self::Released(node, shape, gpus, layer) => {
                done(index.hold(node, (&shape, gpus), layer));
            }
            Self::CountedIn(class, node, milli) => index.fleet.count_out(class, node, milli),
            Self::CountedOut(class, node, milli) => index.fleet.count_in(class, node, milli),
            Self::Kept(node, kept) => done(index.unkeep(node, &kept)),
            Self::Unkept(node, kept) => done(index.keep(node, &kept)),
            Self::Closed(node) => done(index.set_open(node, true)),
            Self::Offered(offer) => done(index.offer(&offer)),
            Self::Added(node) => done(index.remove(node)),
        }
    }
}

/// Where a batch stood.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    events: usize,
    undo: usize,
    granted: usize,
    moved: usize,
    ended: usize,
    over: usize,
    claims: claims::Mark,
    ordinal: u32,
}

impl<'a> Draft<'a> {
    pub(super) fn new(state: &'a State, index: &'a mut Index, now: Time, id: CommandId) -> Self {
        Self {
            state,
            now,
            id,
            index,
            events: Vec::with_capacity(USUAL_EVENTS),
            undo: Vec::new(),
            moved: Trail::default(),
            ended: Trail::default(),
            renewed: Trail::default(),
            over: Trail::default(),
            granted: Grants::default(),
            claims: Changes::default(),
            ordinal: 0,
            spares_spot: false,
            moves: MOVES_AT_ONCE,
        }
    }

    /// The facts; the index is as it was.
    pub(super) fn finish(mut self) -> Vec<Event> {
        while let Some(undo) = self.undo.pop() {
            undo.apply(self.index);
        }
        self.index.settle();
        self.events
    }

    /// How many more leases may move from nodes that drain.
    pub(super) const fn moves_left(&self) -> usize {
        self.moves
    }

    /// Leaves so many out of those that are to move from nodes that drain as are too many for a batch.
    pub(super) fn limit_moves<T>(&mut self, moves: &mut Vec<T>) {
        moves.truncate(self.moves);
        self.moves -= moves.len();
    }

    /// Where the batch stands, to come back to.
    pub(super) fn mark(&mut self) -> Mark {
        Mark {
            events: self.events.len(),
            undo: self.undo.len(),
            granted: self.granted.len(),
            moved: self.moved.mark(),
            ended: self.ended.mark(),
            over: self.over.mark(),
            claims: self.claims.mark(),
            ordinal: self.ordinal,
        }
    }

    /// Takes back all that was decided since.
    pub(super) fn back_to(&mut self, mark: Mark) {
        while self.undo.len() > mark.undo {
            if let Some(undo) = self.undo.pop() {
                undo.apply(self.index);
            }
        }
        self.events.truncate(mark.events);
        self.granted.truncate(mark.granted);
        self.moved.back_to(mark.moved);
        self.ended.back_to(mark.ended);
        self.over.back_to(mark.over);
        self.claims.back_to(mark.claims);
        self.ordinal = mark.ordinal;
    }

    /// The facts so far.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    pub(super) fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// A number that no other thing of this command has.
    pub(super) fn ordinal(&mut self) -> u32 {
        self.ordinal = self.ordinal.saturating_add(1);
        self.ordinal
    }

    pub(super) fn transfer_id(&mut self) -> TransferId {
        let ordinal = self.ordinal();
        TransferId::derived(self.id, ordinal)
    }

    /// Adds linked entries to the batch.
    pub(super) fn move_money(&mut self, entries: Vec<Entry>) {
        for entry in &entries {
            self.track(entry);
        }
        if !entries.is_empty() {
            self.push(Event::MoneyMoved { entries });
        }
    }

    /// What an account can still give, the batch so far counted.
    pub(super) fn available(&self, account: Account) -> Money {
        let moved = self.moved.get(&account).unwrap_or_default();
        self.state
            .ledger
            .balance(account)
            .available()
            .saturating_add(Money::from_micros(moved))
    }

    fn track(&mut self, entry: &Entry) {
        match *entry {
            Entry::Transfer {
                debit,
                credit,
                amount,
                ..
            } => {
                self.shift(debit, amount, false);
                self.shift(credit, amount, true);
            }
            Entry::Reserve { debit, amount, .. } => self.shift(debit, amount, false),
            Entry::Post { id, amount } => {
                if let Some(pending) = self.state.ledger.pending(id) {
                    let (debit, credit) = (pending.debit, pending.credit);
                    let rest = pending.amount.saturating_sub(amount);
                    self.shift(debit, rest, true);
                    self.shift(credit, amount, true);
                }
            }
            Entry::PostPart { id, amount } => {
                if let Some(credit) = self.state.ledger.pending(id).map(|pending| pending.credit) {
                    self.shift(credit, amount, true);
                }
            }
            Entry::Void { id } => {
                if let Some(pending) = self.state.ledger.pending(id) {
                    let (debit, amount) = (pending.debit, pending.amount);
                    self.shift(debit, amount, true);
                }
            }
        }
    }

    fn shift(&mut self, account: Account, amount: Money, into: bool) {
        let micros = amount.as_micros();
        let moved = self.moved.get(&account).unwrap_or_default();
        let moved = if into {
            moved.saturating_add(micros)
        } else {
            moved.saturating_sub(micros)
        };
        self.moved.set(account, moved);
    }

    /// Notes that this batch grants a lease, and holds its capacity for the batch's later steps.
    pub(super) fn hold(
        &mut self,
        workload: WorkloadId,
        replica: ReplicaId,
        placement: &Placement,
        terms: &Terms,
    ) {
        let Placement {
            node,
            provider,
            site,
            gpus,
            price,
            ..
        } = *placement;
        let (shape, layer) = (terms.shape, Layer::of(terms.tier));
        if self.index.hold(node, (&shape, gpus), layer).is_ok() {
            self.undo.push(Undo::Held(node, shape, gpus, layer));
        }
        if let Some(class) = terms.demand_class() {
            let milli = shape.gpu_milli;
            self.index.fleet.count_in(class.clone(), node, milli);
            self.undo.push(Undo::CountedIn(class, node, milli));
        }
        self.granted.push(Granted {
            workload,
            replica,
            node,
            provider,
            site,
            price,
        });
    }

    /// Notes that this batch ends a lease, and frees its capacity for the batch's later steps.
    pub(super) fn release(&mut self, id: LeaseId, lease: &Lease) {
        self.ended.set(id, ());
        let (shape, gpus) = (lease.shape, lease.gpus());
        let layer = Layer::of_workload(self.state, lease.workload);
        let released = self.index.release(lease.node, (&shape, gpus), layer);
        if released.is_ok() {
            let undo = Undo::Released(lease.node, shape, gpus, layer);
            self.undo.push(undo);
        }
        let workload = self.state.workloads.get(&lease.workload);
        if let Some(class) = workload.and_then(|workload| workload.terms.demand_class()) {
            let (node, milli) = (lease.node, shape.gpu_milli);
            self.index.fleet.count_out(class.clone(), node, milli);
            self.undo.push(Undo::CountedOut(class, node, milli));
        }
        self.keep_again(lease);
    }

    /// Keeps the batch's later steps from placing on `node`.
    pub(super) fn close(&mut self, node: NodeKey) {
        let is_open = self.index.fleet.is_open(node) == Some(true);
        if is_open && self.index.set_open(node, false).is_ok() {
            self.undo.push(Undo::Closed(node));
        }
    }

    /// Tries an offer out: the batch's later steps see it if placement takes it.
    pub(super) fn offer(&mut self, offer: &NodeOffer) -> Result<(), OfferError> {
        let (node, before) = (offer.node, self.index.fleet.offer(offer.node));
        self.index.offer(offer)?;
        self.undo
            .push(before.map_or(Undo::Added(node), Undo::Offered));
        Ok(())
    }

    /// Whether this batch ends the lease.
    pub(super) fn ends(&self, lease: LeaseId) -> bool {
        self.ended.contains(&lease)
    }

    /// Notes that this batch began another slice of a lease: ended in the same one, it would be
    /// settled twice.
    pub(super) fn renewed(&mut self, lease: LeaseId) {
        self.renewed.set(lease, ());
    }

    /// Whether this batch ends the workload.
    pub(super) fn is_over(&self, workload: WorkloadId) -> bool {
        self.over.contains(&workload)
    }

    /// Whether this batch may end a lease for another's sake.
    pub(super) fn may_give_way(&self, lease: LeaseId) -> bool {
        !self.spares_spot && !self.ends(lease) && !self.renewed.contains(&lease)
    }

    /// Whether a replica has a lease, or the promise of one, when this batch is done.
    pub(super) fn has_lease(&self, id: ReplicaId, replica: &Replica) -> bool {
        let mut leases = replica.lease.into_iter().chain(replica.successor);
        leases.any(|lease| !self.ends(lease)) || self.grant_of(id).is_some()
    }

    /// The lease that this batch grants to a replica.
    pub(super) fn grant_of(&self, replica: ReplicaId) -> Option<&Granted> {
        self.granted.of_replica(replica)
    }

    /// Says that a workload is over; once a batch.
    pub(super) fn end_workload(&mut self, workload: WorkloadId) {
        if self.over.set(workload, ()).is_none() {
            self.push(Event::WorkloadEnded { workload });
            self.recount(workload);
        }
    }

    /// Every live lease of a workload, those that this batch ends left out, those included that
    /// their replicas have left and that still drain.
    pub(super) fn live_leases(
        &self,
        workload: WorkloadId,
    ) -> impl Iterator<Item = (LeaseId, &'a Lease)> {
        let state = self.state;
        self.index
            .leases_of(workload)
            .filter(|id| !self.ends(*id))
            .filter_map(|id| state.leases.get(&id).map(|lease| (id, lease)))
    }

    /// The leases of a workload that this batch ends.
    pub(super) fn ended_of(&self, workload: WorkloadId) -> impl Iterator<Item = &'a Lease> {
        let state = self.state;
        let ended = self.index.leases_of(workload).filter(|id| self.ends(*id));
        ended.filter_map(|id| state.leases.get(&id))
    }

    /// The leases that the replicas of a workload have, those that this batch ends left out.
    pub(super) fn leases_of(
        &self,
        workload: WorkloadId,
    ) -> impl Iterator<Item = (LeaseId, &Lease)> {
        let replicas = self.state.workloads.get(&workload).map(|w| &w.replicas);
        replicas
            .into_iter()
            .flatten()
            .filter_map(|id| self.state.replicas.get(id))
            .flat_map(|replica| replica.lease.into_iter().chain(replica.successor))
            .filter(|id| !self.ended.contains(id))
            .filter_map(|id| self.state.leases.get(&id).map(|lease| (id, lease)))
    }

    /// Leases that this batch grants to a workload.
    pub(super) fn granted_to(&self, workload: WorkloadId) -> impl Iterator<Item = &Granted> {
        self.granted.of_workload(workload)
    }
}
