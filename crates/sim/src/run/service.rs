//! One workload as its tenant sees it, and what came of all of its kind.

use std::collections::BTreeMap;

use remuda_network::state::EndReason;
use remuda_types::{LeaseId, Money, Price, ReplicaId, Span, Tier, Time};

use super::cause::Cause;
use super::uptime::{Tally, Uptime};

/// What is sold as one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The promise.
    pub tier: Tier,
    /// How many replicas a service needs: 1 where each replica is promised by itself.
    pub needed: u32,
}

/// What became of a kind of service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivered {
    /// Units that tenants asked for, those that found no place included; what was reserved or stood
    /// as an order only from when it began.
    pub wanted: u64,
    /// Units that were ever up.
    pub units: u64,
    /// Their time.
    pub tally: Tally,
    /// Time in which no replica of a `multi-site` service served at all.
    pub silent_ms: u64,
    /// Months of a unit, and those in which less was delivered than promised.
    pub months: u64,
    /// See `months`.
    pub missed_months: u64,
    /// What was paid for it.
    pub paid: Money,
    /// What the cheapest of its leases cost, as many at each time as replicas are needed. Replicas
    /// alone would cost no less: so the ratio is an upper bound.
    pub bare: Money,
    /// What the tier's table of credits gives back of it.
    pub credits: Money,
    /// Replicas that lost their node, or its provider, and were given another.
    pub failovers: u64,
    /// Replicas that moved before they had to.
    pub moves: u64,
}

/// A replica and how many of its leases serve: two while it moves.
#[derive(Clone, Debug)]
struct Replica {
    serving: u8,
    uptime: Uptime,
    /// Of this month so far.
    month: Tally,
    /// It lost its lease by no wish of its tenant.
    lost: bool,
    /// Since the month began.
    paid: Money,
}

/// A workload.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) kind: Kind,
    replicas: BTreeMap<ReplicaId, Replica>,
    /// How many of them serve.
    strength: u32,
    /// Whether as many as needed do.
    whole: Uptime,
    /// Of this month so far, for the whole.
    month: Tally,
    /// Whether any does, and until when none did.
    heard: Uptime,
    unheard_until: Time,
    /// What each lease costs an hour.
    prices: BTreeMap<LeaseId, Price>,
    /// What the cheapest leases, as many as replicas are needed, cost since the month began, and up
    /// to when that is counted.
    bare: Money,
    bare_until: Time,
    failovers: u64,
    moves: u64,
}

impl Service {
    pub(crate) fn new(kind: Kind, now: Time) -> Self {
        Self {
            kind,
            replicas: BTreeMap::new(),
            strength: 0,
            whole: Uptime::new(now),
            month: Tally::default(),
            heard: Uptime::new(now),
            unheard_until: now,
            prices: BTreeMap::new(),
            bare: Money::ZERO,
            bare_until: now,
            failovers: 0,
            moves: 0,
        }
    }

    pub(crate) fn add(&mut self, replica: ReplicaId, now: Time) {
        let new = Replica {
            serving: 0,
            uptime: Uptime::new(now),
            month: Tally::default(),
            lost: false,
            paid: Money::ZERO,
        };
        self.replicas.insert(replica, new);
    }

    pub(crate) fn replicas(&self) -> Vec<ReplicaId> {
        self.replicas.keys().copied().collect()
    }

    /// One more lease of a replica serves, or one less.
    pub(crate) fn shift(&mut self, id: ReplicaId, serves: bool, cause: Cause, now: Time) {
        let Some(replica) = self.replicas.get_mut(&id) else {
            return;
        };
        let before = replica.serving > 0;
        replica.serving = if serves {
            replica.serving.saturating_add(1)
        } else {
            replica.serving.saturating_sub(1)
        };
        match (before, replica.serving > 0) {
            (false, true) => {
                replica.uptime.turn_up(now);
                self.strength += 1;
            }
            (true, false) => {
                replica.uptime.turn_down(cause, now);
                self.strength = self.strength.saturating_sub(1);
            }
            (true, true) | (false, false) => return,
        }
        turn(
            &mut self.whole,
            self.strength >= self.kind.needed,
            cause,
            now,
        );
        let before = self.strength - u32::from(serves) + u32::from(!serves);
        if before == 0 {
            self.unheard_until = now;
        }
        turn(&mut self.heard, self.strength > 0, cause, now);
    }

    /// Whether it has ever served.
    pub(crate) const fn was_ever_heard(&self) -> bool {
        self.heard.was_ever_up()
    }

    /// Whether at all times since then a replica of it served.
    pub(crate) fn heard_since(&self, since: Time) -> bool {
        self.strength > 0 && self.unheard_until <= since
    }

    /// No node was found for a replica.
    pub(crate) fn blame(&mut self, id: ReplicaId, cause: Cause, now: Time) {
        if let Some(replica) = self.replicas.get_mut(&id) {
            replica.uptime.blame(cause, now);
        }
        self.whole.blame(cause, now);
    }

    pub(crate) fn note_grant(&mut self, id: ReplicaId, succeeds: bool) {
        let lost = self
            .replicas
            .get_mut(&id)
            .map(|r| std::mem::take(&mut r.lost));
        self.failovers += u64::from(lost == Some(true));
        self.moves += u64::from(succeeds);
    }

    /// A lease is held from now on at a price, or no longer.
    pub(crate) fn note_price(&mut self, lease: LeaseId, price: Option<Price>, now: Time) {
        self.count_bare(now);
        match price {
            Some(price) => self.prices.insert(lease, price),
            None => self.prices.remove(&lease),
        };
    }

    fn count_bare(&mut self, now: Time) {
        let span = now.since(self.bare_until);
        let mut prices: Vec<_> = self.prices.values().copied().collect();
        prices.sort_unstable();
        let needed = prices.iter().take(self.kind.needed as usize);
        let cost = needed.map(|price| price.for_span(span));
        self.bare = cost.fold(self.bare, Money::saturating_add);
        self.bare_until = now;
    }

    pub(crate) fn note_end(&mut self, id: ReplicaId, reason: EndReason) {
        let lost = matches!(
            reason,
            EndReason::NodeLost | EndReason::NodeRestarted | EndReason::ProviderLeft
        );
        if let Some(replica) = self.replicas.get_mut(&id) {
            replica.lost |= lost;
        }
    }

    /// A replica is not wanted any more: what comes after is no loss.
    pub(crate) fn retire(&mut self, id: ReplicaId, now: Time) {
        if let Some(replica) = self.replicas.get_mut(&id) {
            replica.uptime.retire(now);
        }
    }

    pub(crate) fn pay(&mut self, id: ReplicaId, amount: Money) {
        if let Some(replica) = self.replicas.get_mut(&id) {
            replica.paid = replica.paid.saturating_add(amount);
        }
    }

    /// What its units delivered since this was last asked.
    pub(crate) fn close_day(&mut self, now: Time) -> Tally {
        let mut day = Tally::default();
        if self.kind.tier.spreads_owners() {
            day = self.whole.take(now);
            self.month.add(&day);
        } else {
            for replica in self.replicas.values_mut() {
                let part = replica.uptime.take(now);
                replica.month.add(&part);
                day.add(&part);
            }
        }
        day
    }

    /// Holds what was delivered since the month began against what was promised.
    pub(crate) fn close_month(&mut self, delivered: &mut Delivered, now: Time) -> Tally {
        let day = self.close_day(now);
        let silent = self.heard.take(now);
        if self.kind.tier.spreads_owners() {
            delivered.silent_ms += silent.all_down_ms();
        }
        self.count_bare(now);
        delivered.bare = delivered
            .bare
            .saturating_add(std::mem::take(&mut self.bare));
        let tier = self.kind.tier;
        let replicas = self.replicas.values_mut();
        if tier.spreads_owners() {
            let paid = replicas.map(|r| std::mem::take(&mut r.paid));
            let paid = paid.fold(Money::ZERO, Money::saturating_add);
            delivered.judge(tier, &std::mem::take(&mut self.month), paid);
        } else {
            for replica in replicas {
                let paid = std::mem::take(&mut replica.paid);
                delivered.judge(tier, &std::mem::take(&mut replica.month), paid);
            }
        }
        day
    }

    /// Counts itself among what was delivered.
    pub(crate) fn count_units(&self, delivered: &mut Delivered) {
        delivered.failovers += self.failovers;
        delivered.moves += self.moves;
        let (wanted, units) = if self.kind.tier.spreads_owners() {
            (1, u64::from(self.whole.was_ever_up()))
        } else {
            let up = self.replicas.values().filter(|r| r.uptime.was_ever_up());
            (self.replicas.len() as u64, up.count() as u64)
        };
        delivered.wanted += wanted;
        delivered.units += units;
    }
}

fn turn(uptime: &mut Uptime, up: bool, cause: Cause, now: Time) {
    if up {
        uptime.turn_up(now);
    } else {
        uptime.turn_down(cause, now);
    }
}

impl Delivered {
    /// Holds a unit's month against its promise.
    fn judge(&mut self, tier: Tier, month: &Tally, paid: Money) {
        self.tally.add(month);
        self.paid = self.paid.saturating_add(paid);
        if month.up_ms + month.all_down_ms() == 0 {
            return;
        }
        self.months += 1;
        let credit_bp = tier.credit_bp(month.up_ppm());
        self.missed_months += u64::from(credit_bp > 0);
        self.credits = self.credits.saturating_add(paid.basis_points(credit_bp));
    }

    /// What was paid, beside what as many replicas as are needed cost alone.
    #[expect(clippy::cast_precision_loss, reason = "amounts far below 2^52")]
    pub fn cost_ratio(&self) -> Option<f64> {
        let (paid, bare) = (self.paid.as_micros(), self.bare.as_micros());
        (bare > 0).then(|| paid as f64 / bare as f64)
    }

    /// Adds what became of another kind.
    pub fn add(&mut self, other: &Self) {
        self.wanted += other.wanted;
        self.units += other.units;
        self.tally.add(&other.tally);
        self.silent_ms += other.silent_ms;
        self.months += other.months;
        self.missed_months += other.missed_months;
        self.paid = self.paid.saturating_add(other.paid);
        self.bare = self.bare.saturating_add(other.bare);
        self.credits = self.credits.saturating_add(other.credits);
        self.failovers += other.failovers;
        self.moves += other.moves;
    }
}

/// A month, for the service levels of a run: so many days from its start.
pub(crate) const MONTH: Span = Span::from_secs(30 * 86_400);
