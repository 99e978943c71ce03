//! Whether nobody is charged for what was not served.
//!
//! What is charged of a lease may exceed what its machine served by what control cannot know at
//! once: a moment for each time that a machine stands still or comes back before it is missed. How
//! long that may be, whoever judges the nodes says. So it is where a lease is settled or ends, for a
//! reason of its own, on a machine that is dead and not missed yet: only what is charged with the
//! verdict goes by the last sign of life.
//!
//! Time is counted by control's clock, by which it is charged: where that is set forward, what serves
//! is charged for more than the true time.

use std::collections::BTreeMap;

use remuda_types::{LeaseId, Money, Price, Span, Time};

use super::clock::Clock;
use super::error::Broken;

/// One lease.
#[derive(Clone, Debug)]
struct Account {
    price: Price,
    serves: bool,
    believed: bool,
    since: Time,
    /// Served while control believed it.
    served: Span,
    charged: Money,
    settlements: u64,
    /// How often what control believed could be wrong for a moment.
    upsets: u64,
    /// When it was last charged for although its machine was dead, by a control that believed in it.
    unaware: Option<Time>,
    /// How often it was another control's turn to believe.
    failovers: u64,
    live: bool,
}

/// What is charged beside what is served; off in networks where nobody asks.
#[derive(Debug)]
pub(crate) struct Audit {
    on: bool,
    /// Control's.
    clock: Clock,
    /// The latest that it has shown.
    shown: Time,
    leases: BTreeMap<LeaseId, Account>,
}

/// What may be charged beyond what was served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// How long a message may take.
    pub(crate) latency: Span,
    /// How long nothing may be heard of a machine before it is missed.
    pub(crate) unnoticed: Span,
    /// How far control's clock may be set at once.
    pub(crate) step: Span,
    /// How far a node's clock and control's may have come apart, beside what nodes are off: a node's
    /// word counts when another control takes over.
    pub(crate) skew: Span,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            on: false,
            clock: Clock::new(Time::EPOCH),
            shown: Time::EPOCH,
            leases: BTreeMap::new(),
        }
    }
}

impl Audit {
    /// Control's clock is another from now on.
    pub(crate) fn follow_clock(&mut self, clock: Clock, now: Time) {
        self.show(now);
        self.clock = clock;
    }

    fn show(&mut self, now: Time) -> Time {
        self.shown = self.shown.max(self.clock.at(now));
        self.shown
    }

    pub(crate) fn switch_on(&mut self) {
        self.on = true;
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    pub(crate) fn begin(&mut self, lease: LeaseId, price: Price, now: Time) {
        if self.on {
            let now = self.show(now);
            let account = Account {
                price,
                serves: false,
                believed: false,
                since: now,
                served: Span::ZERO,
                charged: Money::ZERO,
                settlements: 0,
                upsets: 0,
                unaware: None,
                failovers: 0,
                live: true,
            };
            self.leases.insert(lease, account);
        }
    }

    pub(crate) fn turn(&mut self, lease: LeaseId, serves: bool, now: Time) {
        self.change(lease, now, |account| account.serves = serves);
    }

    pub(crate) fn believe(&mut self, lease: LeaseId, believed: bool, now: Time) {
        self.change(lease, now, |account| account.believed = believed);
    }

    /// A lease ends; `missed` where that is because its machine was found silent or restarted.
    pub(crate) fn end(&mut self, lease: LeaseId, missed: bool, now: Time) {
        self.change(lease, now, |account| {
            account.live = false;
            if missed && account.unaware == Some(now) {
                // What was charged with the verdict was charged by who knew.
                account.upsets -= 1;
            }
        });
    }

    pub(crate) fn upset(&mut self, lease: LeaseId) {
        if let Some(account) = self.leases.get_mut(&lease) {
            account.upsets += 1;
        }
    }

    pub(crate) fn upset_all(&mut self) {
        for account in self.leases.values_mut().filter(|account| account.live) {
            account.upsets += 1;
        }
    }

    /// Control dies, and another will take its place.
    pub(crate) fn fail_over(&mut self) {
        self.upset_all();
        for account in self.leases.values_mut().filter(|account| account.live) {
            account.failovers += 1;
        }
    }

    /// A lease is charged for; `dead` where its machine cannot serve.
    pub(crate) fn charge(&mut self, lease: LeaseId, amount: Money, dead: bool, now: Time) {
        if let Some(account) = self.leases.get_mut(&lease) {
            account.charged = account.charged.saturating_add(amount);
            account.settlements += 1;
            if dead && account.believed && account.unaware != Some(now) {
                account.upsets += 1;
                account.unaware = Some(now);
            }
        }
    }

    fn change(&mut self, lease: LeaseId, now: Time, change: impl FnOnce(&mut Account)) {
        let now = self.show(now);
        if let Some(account) = self.leases.get_mut(&lease) {
            account.count(now);
            change(account);
        }
    }

    /// Checks every lease, and forgets those that ended. `accrued` says what a lease's slice has come
    /// to so far.
    pub(crate) fn check(
        &mut self,
        accrued: impl Fn(&LeaseId) -> Span,
        tolerance: Tolerance,
        now: Time,
    ) -> Result<(), Broken> {
        let now = self.show(now);
        for (id, account) in &mut self.leases {
            account.count(now);
            account.check(*id, accrued(id), tolerance)?;
        }
        self.leases.retain(|_, account| account.live);
        Ok(())
    }
}

impl Account {
    fn count(&mut self, now: Time) {
        if self.live && self.serves && self.believed {
            self.served = self.served.saturating_add(now.since(self.since));
        }
        self.since = now;
    }

    fn check(&self, lease: LeaseId, accrued: Span, tolerance: Tolerance) -> Result<(), Broken> {
        let Tolerance {
            latency,
            unnoticed,
            step,
            skew,
        } = tolerance;
        // How long an upset may go unnoticed.
        let moment = unnoticed.as_millis() + latency.as_millis();
        let charged_ms = bought_ms(self.charged, self.price) + accrued.as_millis();
        let micro_ms = bought_ms(Money::from_micros(1), self.price);
        let rounding = (self.settlements + 1) * (1 + micro_ms);
        // What accrues on a machine that has just died is taken back with the verdict.
        let moments = self.upsets + u64::from(self.live);
        let apart = self.failovers * skew.as_millis() + moments * step.as_millis();
        let allowed_ms = latency.as_millis() + moments * moment + apart + rounding;
        let served_ms = self.served.as_millis();
        if charged_ms <= served_ms + allowed_ms {
            return Ok(());
        }
        Err(Broken::Overcharged {
            lease,
            charged_ms,
            served_ms,
            allowed_ms,
        })
    }
}

/// For how long an amount pays.
fn bought_ms(amount: Money, price: Price) -> u64 {
    let micros = u128::try_from(amount.as_micros()).unwrap_or_default();
    let hour = u128::from(Span::HOUR.as_millis());
    let ms = micros * hour / u128::from(price.micros_per_hour().max(1));
    u64::try_from(ms).unwrap_or(u64::MAX)
}
