//! What became of what was booked, as the facts have it, and whether it is what was promised: a
//! reservation has its capacity at its time, a standing order is filled whole or not at all, neither
//! costs more than its tenant said, and none is forgotten.

mod running;

use std::collections::{BTreeMap, BTreeSet};

use remuda_network::state::{OrderEnd, Presence, ReservationEnd};
use remuda_network::{Event, State};
use remuda_types::{ClaimId, NodeKey, ReplicaId, Span, Time, WorkloadId};

use super::Bookings;
use crate::run::error::Broken;
use running::Running;

/// What control does by the clock is done within so much time.
const IN_TIME: Span = Span::from_secs(5);

/// A reservation.
#[derive(Debug)]
struct Reserved {
    from: Time,
    to: Time,
    replicas: u32,
    begun: bool,
    /// What is kept for it, and where; nowhere while no node was found.
    claims: BTreeMap<ClaimId, Option<NodeKey>>,
}

/// A standing order.
#[derive(Clone, Copy, Debug)]
struct Standing {
    until: Time,
    retry: Time,
}

/// What just happened and is held to its promise when the batch is over.
#[derive(Clone, Copy, Debug)]
enum Fresh {
    Made(WorkloadId),
    Begun(WorkloadId),
    Filled(WorkloadId),
}

/// What became of what was booked.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Whether anything is ever booked.
    pub(crate) on: bool,
    pub(crate) counts: Bookings,
    /// Whatever was taken, gone or not.
    known: BTreeSet<WorkloadId>,
    reservations: BTreeMap<WorkloadId, Reserved>,
    orders: BTreeMap<WorkloadId, Standing>,
    /// Orders that are asked for or stand: how many replicas, and for how long they are wanted.
    wanted: BTreeMap<WorkloadId, (u32, Span)>,
    running: BTreeMap<WorkloadId, Running>,
    claims: BTreeMap<ClaimId, WorkloadId>,
    /// Where replicas of what runs belong.
    homes: BTreeMap<ReplicaId, WorkloadId>,
    /// Reservations that have begun, and not yet with all their replicas.
    in_part: BTreeSet<WorkloadId>,
    fresh: Vec<Fresh>,
    /// Orders that were just filled, and for how long they are wanted.
    pub(super) filled: Vec<(WorkloadId, Span)>,
}

impl Book {
    /// An order is about to be placed.
    pub(super) fn expect_order(&mut self, workload: WorkloadId, replicas: u32, lifetime: Span) {
        self.wanted.insert(workload, (replicas, lifetime));
    }

    /// It was refused.
    pub(super) fn forget_order(&mut self, workload: WorkloadId) {
        self.wanted.remove(&workload);
    }

    /// Whether it was ever taken.
    pub(super) fn knows(&self, workload: WorkloadId) -> bool {
        self.known.contains(&workload)
    }

    /// Follows a fact.
    pub(crate) fn follow(&mut self, event: &Event) -> Result<(), Broken> {
        match event {
            Event::ReservationMade {
                workload,
                replicas,
                from,
                to,
                ..
            } => {
                self.counts.made += 1;
                self.known.insert(*workload);
                let reserved = Reserved {
                    from: *from,
                    to: *to,
                    replicas: *replicas,
                    begun: false,
                    claims: BTreeMap::new(),
                };
                self.reservations.insert(*workload, reserved);
                self.fresh.push(Fresh::Made(*workload));
            }
            Event::ReservationBegun { workload, .. } => self.begin(*workload),
            Event::ReservationEnded { workload, end, .. } => self.end_reservation(*workload, *end),
            Event::OrderStands {
                workload,
                until,
                retry,
                ..
            } => {
                let (until, retry) = (*until, *retry);
                self.counts.placed += 1;
                self.known.insert(*workload);
                self.orders.insert(*workload, Standing { until, retry });
            }
            Event::OrderWaits { workload, retry } => {
                if let Some(order) = self.orders.get_mut(workload) {
                    order.retry = *retry;
                }
            }
            Event::OrderEnded { workload, end, .. } => self.end_order(*workload, *end),
            Event::WorkloadAccepted {
                workload, terms, ..
            } => self.accept(*workload, terms.max_price),
            Event::WorkloadEnded { workload } => self.end_workload(*workload),
            Event::ClaimGranted { claim, .. }
            | Event::ClaimSought { claim, .. }
            | Event::ClaimReleased { claim }
            | Event::ClaimCalled { claim, .. } => self.follow_claim(*claim, event),
            _ => return self.follow_replica(event),
        }
        Ok(())
    }

    fn begin(&mut self, workload: WorkloadId) {
        if let Some(reserved) = self.reservations.get_mut(&workload) {
            reserved.begun = true;
            let promised = reserved.claims.values().flatten().copied().collect();
            let running = Running::new(reserved.replicas, promised);
            self.running.insert(workload, running);
            self.in_part.insert(workload);
            self.fresh.push(Fresh::Begun(workload));
        }
    }

    fn end_reservation(&mut self, workload: WorkloadId, end: ReservationEnd) {
        self.counts.begun_in_part += u64::from(self.in_part.remove(&workload));
        match end {
            ReservationEnd::Over => self.counts.over += 1,
            ReservationEnd::Cancelled => self.counts.cancelled += 1,
            ReservationEnd::Lapsed => self.counts.lapsed += 1,
        }
        let reserved = self.reservations.remove(&workload);
        for claim in reserved.into_iter().flat_map(|of| of.claims.into_keys()) {
            self.claims.remove(&claim);
        }
    }

    fn end_order(&mut self, workload: WorkloadId, end: OrderEnd) {
        // What is filled at once never stood.
        let stood = self.orders.remove(&workload).is_some();
        match end {
            OrderEnd::Filled => self.counts.filled_later += u64::from(stood),
            OrderEnd::Lapsed => self.counts.unfilled += 1,
            OrderEnd::Cancelled => self.counts.recalled += 1,
        }
        if end != OrderEnd::Filled {
            self.wanted.remove(&workload);
        }
    }

    /// A workload is deployed: perhaps one that was ordered, or reserved.
    fn accept(&mut self, workload: WorkloadId, most: Option<remuda_types::Price>) {
        if let Some((replicas, lifetime)) = self.wanted.remove(&workload) {
            if self.known.insert(workload) {
                self.counts.placed += 1;
                self.counts.filled_at_once += 1;
            }
            let running = Running::new(replicas, Vec::new());
            self.running.insert(workload, running);
            self.fresh.push(Fresh::Filled(workload));
            self.filled.push((workload, lifetime));
        }
        if let Some(running) = self.running.get_mut(&workload) {
            running.most = most;
        }
    }

    fn end_workload(&mut self, workload: WorkloadId) {
        if self.running.remove(&workload).is_some() {
            self.homes.retain(|_, home| *home != workload);
        }
    }

    fn follow_claim(&mut self, id: ClaimId, event: &Event) {
        let place = match event {
            Event::ClaimGranted { workload, node, .. } => Some((*workload, Some(*node))),
            Event::ClaimSought { workload, .. } => Some((*workload, None)),
            _ => None,
        };
        let of = place.map(|(workload, _)| workload);
        let Some(workload) = of.or_else(|| self.claims.get(&id).copied()) else {
            return;
        };
        let Some(reserved) = self.reservations.get_mut(&workload) else {
            return;
        };
        if let Some((_, node)) = place {
            self.claims.insert(id, workload);
            reserved.claims.insert(id, node);
        } else {
            self.claims.remove(&id);
            reserved.claims.remove(&id);
        }
    }

    fn follow_replica(&mut self, event: &Event) -> Result<(), Broken> {
        match event {
            Event::ReplicaAdded { replica, workload } => {
                if let Some(running) = self.running.get_mut(workload) {
                    running.add(*replica);
                    self.homes.insert(*replica, *workload);
                }
            }
            Event::ReplicaRemoved { replica } => {
                if let Some(running) = self.home(*replica) {
                    running.remove(*replica);
                }
            }
            Event::LeaseGranted {
                lease,
                replica,
                node,
                price,
                ..
            } => {
                if let Some(running) = self.home(*replica) {
                    running.grant(*lease, *replica, (*node, *price))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn home(&mut self, replica: ReplicaId) -> Option<&mut Running> {
        let home = self.homes.get(&replica)?;
        self.running.get_mut(home)
    }

    /// A batch is over: what is new in it is held to its promise. `now` is by control's clock.
    pub(crate) fn close(&mut self, now: Time, state: &State) -> Result<(), Broken> {
        for fresh in std::mem::take(&mut self.fresh) {
            match fresh {
                Fresh::Made(id) => {
                    let whole = |of: &Reserved| of.claims.len() == of.replicas as usize;
                    if !self.reservations.get(&id).is_none_or(whole) {
                        return Err(Broken::BookedInPart(id));
                    }
                }
                Fresh::Begun(id) => {
                    if let Some(running) = self.running.get(&id) {
                        running.check_begun(id, |node| is_up(state, node))?;
                    }
                }
                Fresh::Filled(id) => {
                    if let Some(running) = self.running.get(&id) {
                        running.check_filled(id)?;
                    }
                }
            }
        }
        self.count_whole(now, state);
        Ok(())
    }

    fn count_whole(&mut self, now: Time, state: &State) {
        let running = &self.running;
        let is_whole = |id: &WorkloadId| running.get(id).is_some_and(|of| of.is_whole(state));
        let whole: Vec<_> = self.in_part.extract_if(.., |id| is_whole(id)).collect();
        for id in whole {
            let from = self.reservations.get(&id).map(|reserved| reserved.from);
            if from.is_some_and(|from| now.since(from) <= IN_TIME) {
                self.counts.begun_whole += 1;
            } else {
                self.counts.begun_late += 1;
            }
        }
    }

    /// Nothing that was taken is lost, and control, which has been well for a while, has done what was
    /// due by its clock.
    pub(crate) fn check(&self, due: Option<Time>, state: &State) -> Result<(), Broken> {
        let lost = |kept: bool, id: &WorkloadId| (!kept).then_some(*id);
        let reserved = self.reservations.keys();
        let mut lost_reserved =
            reserved.filter_map(|id| lost(state.reservations.contains_key(id), id));
        let ordered = self.orders.keys();
        let mut lost_ordered = ordered.filter_map(|id| lost(state.orders.contains_key(id), id));
        if let Some(id) = lost_reserved.next().or_else(|| lost_ordered.next()) {
            return Err(Broken::Unkept(id));
        }
        let Some(due) = due else { return Ok(()) };
        for (id, of) in &self.reservations {
            let at = if of.begun { of.to } else { of.from };
            if at < due {
                return Err(Broken::Overdue(*id));
            }
        }
        let mut orders = self.orders.iter();
        match orders.find(|(_, of)| of.retry.min(of.until) < due) {
            Some((id, _)) => Err(Broken::Overdue(*id)),
            None => Ok(()),
        }
    }

    /// The run is over.
    pub(crate) fn finish(&mut self) -> Bookings {
        self.counts.begun_in_part += std::mem::take(&mut self.in_part).len() as u64;
        self.counts
    }
}

fn is_up(state: &State, node: &NodeKey) -> bool {
    let node = state.nodes.get(node);
    node.is_some_and(|node| matches!(node.presence, Presence::Up(_)))
}

#[cfg(test)]
mod tests;
