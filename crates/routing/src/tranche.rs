//! The local purse: money of one project that this gateway may spend without asking control.
//!
//! A [`Purse`] holds tranches. A request reserves its worst case in one of them before it is sent
//! anywhere, and settles what it really cost when it ends. In each tranche, spent plus reserved
//! never exceeds the amount that control gave, so no number of gateways overspends a budget.
//! The purse also says when to ask control for more ([`Purse::wanted`]) and when a tranche has
//! served its time ([`Purse::closable`]). It only decides; the gateway asks, spools and closes.
//!
//! One reservation lies in one tranche, never across two: a post to control names one tranche.

mod policy;
mod pot;

use std::collections::BTreeMap;

use remuda_types::{Money, RequestId, Span, Time, TrancheId};

pub use policy::Policy;
pub(crate) use pot::Pot;

/// Money that control set aside for this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tranche {
    /// Which.
    pub id: TrancheId,
    /// How much.
    pub amount: Money,
    /// Nothing new may be reserved from then on.
    pub deadline: Time,
}

/// What is to be asked of control now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A new tranche; the gateway chooses its id and calls [`Purse::asked`].
    New {
        /// How much to ask for.
        amount: Money,
    },
    /// The tranche that control has not answered for; asking twice opens one.
    Again(Ask),
}

/// A question to control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The id the gateway chose.
    pub tranche: TrancheId,
    /// How much.
    pub amount: Money,
}

/// Why nothing was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Control has not given a tranche yet: wait, it is being asked.
    #[error("no money has been set aside for this project yet: try again in a moment")]
    NoTranche,
    /// The tranches at hand do not cover it; more is being asked for: wait.
    #[error("{needed} USD are needed and {available} are at hand: try again in a moment")]
    Short {
        /// The most that one reservation could take now.
        available: Money,
        /// The worst case of the request.
        needed: Money,
    },
    /// Every tranche is past its deadline and control has not given another: wait.
    #[error("the money set aside for this project has lapsed: try again in a moment")]
    PastDeadline,
    /// Control gave no more for now: what is left of the budget is set aside for requests that run,
    /// here or at another gateway.
    #[error(
        "{needed} USD are needed and {available} are free: the rest of the budget is held for requests that run; try again in a moment"
    )]
    Reserved {
        /// The most that one reservation could take now.
        available: Money,
        /// The worst case of the request.
        needed: Money,
    },
    /// Control gave no more: the budget is spent.
    #[error(
        "the budget is spent: {needed} USD are needed and {available} are left; raise the budget, add money or ask for fewer tokens"
    )]
    Exhausted {
        /// The most that one reservation could take now.
        available: Money,
        /// The worst case of the request.
        needed: Money,
    },
    /// Dearer than any tranche may be.
    #[error(
        "one request may cost at most {limit} USD and this one could cost {needed}: ask for fewer tokens"
    )]
    TooDear {
        /// The limit ([`Policy::most`]).
        limit: Money,
        /// The worst case of the request.
        needed: Money,
    },
    /// The request has a reservation.
    #[error("the request has reserved already")]
    Twice,
}

/// Why a reservation was not settled; it stays as it was.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The amount is negative or above what was reserved.
    #[error("{actual} USD cannot be settled from a reservation of {}", .reservation.amount)]
    OutOfRange {
        /// The reservation, handed back.
        reservation: Reservation,
        /// What was to be settled.
        actual: Money,
    },
    /// The reservation is of another purse.
    #[error("the reservation is not of this purse")]
    Foreign,
}

/// A part of a tranche held for one request. Settle or release it: it is money locked.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a reservation locks money until it is settled or released"]
pub struct Reservation {
    request: RequestId,
    tranche: TrancheId,
    amount: Money,
}

impl Reservation {
    /// The request it is held for.
    pub const fn request(&self) -> RequestId {
        self.request
    }

    /// The tranche it is held in; usage is posted to it.
    pub const fn tranche(&self) -> TrancheId {
        self.tranche
    }

    /// How much is held.
    pub const fn amount(&self) -> Money {
        self.amount
    }
}

/// Where the talk with control stands.
#[derive(Clone, Copy, Debug)]
enum Talk {
    Quiet,
    Asked { ask: Ask, again_at: Time },
    Paused { until: Time },
}

/// Why control gave no tranche.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The budget is spent.
    Exhausted,
    /// All that is left of the budget is set aside for what runs.
    Reserved,
    /// Not for the budget's sake; another tranche may be given.
    Void,
}

/// Control's last word on the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// It gave a tranche, or has not been asked.
    Given,
    /// All that is left is set aside for others.
    Reserved,
    /// It is spent.
    Exhausted,
}

/// What is held of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) tranche: TrancheId,
    pub(crate) amount: Money,
}

/// One project's money at this gateway.
#[derive(Debug)]
pub struct Purse {
    policy: Policy,
    /// By deadline, so that what lapses first is spent first.
    pub(crate) pots: Vec<Pot>,
    pub(crate) book: BTreeMap<RequestId, Held>,
    talk: Talk,
    word: Word,
    /// The dearest request refused since control last answered.
    unmet: Money,
    last_asked: Money,
    /// Whether anything was reserved since the last grant.
    in_use: bool,
    /// When the project last asked for anything.
    seen_at: Option<Time>,
    /// The longest that any request since the last grant might last.
    longest: Span,
}

impl Purse {
    /// An empty purse.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            pots: Vec::new(),
            book: BTreeMap::new(),
            talk: Talk::Quiet,
            word: Word::Given,
            unmet: Money::ZERO,
            last_asked: Money::ZERO,
            in_use: false,
            seen_at: None,
            longest: Span::ZERO,
        }
    }

    /// Holds `worst_case` for `request`, which might last for `lasts` ([`Policy::lasts`]).
    pub fn reserve(
        &mut self,
        request: RequestId,
        worst_case: Money,
        lasts: Span,
        now: Time,
    ) -> Result<Reservation, Refusal> {
        let needed = worst_case.max(Money::ZERO);
        if self.book.contains_key(&request) {
            return Err(Refusal::Twice);
        }
        self.seen_at = Some(now);
        self.longest = self.longest.max(lasts);
        let Some(pot) = self.fitting(needed, lasts, now) else {
            return Err(self.refuse(needed, now));
        };
        pot.reserved = pot.reserved.saturating_add(needed);
        let tranche = pot.tranche.id;
        self.in_use = true;
        self.book.insert(
            request,
            Held {
                tranche,
                amount: needed,
            },
        );
        Ok(Reservation {
            request,
            tranche,
            amount: needed,
        })
    }

    /// Spends `actual` of a reservation and frees the rest. Allowed after the deadline as well:
    /// what had started may end.
    pub fn settle(&mut self, reservation: Reservation, actual: Money) -> Result<(), SettleError> {
        if actual.is_negative() || actual > reservation.amount {
            return Err(SettleError::OutOfRange {
                reservation,
                actual,
            });
        }
        let pot = self.give_up(&reservation)?;
        pot.spent = pot.spent.saturating_add(actual);
        Ok(())
    }

    /// Frees a reservation; nothing is owed.
    pub fn release(&mut self, reservation: Reservation) -> Result<(), SettleError> {
        self.settle(reservation, Money::ZERO)
    }

    /// What to ask of control now, if anything.
    pub fn wanted(&self, now: Time) -> Option<Wanted> {
        match self.talk {
            Talk::Asked { ask, again_at } => (now >= again_at).then_some(Wanted::Again(ask)),
            Talk::Paused { until } if now < until => None,
            Talk::Paused { .. } | Talk::Quiet => self.needs_more(now).then(|| Wanted::New {
                amount: self.next_amount(now),
            }),
        }
    }

    /// Control has been asked (for the first time, or again).
    pub fn asked(&mut self, ask: Ask, now: Time) {
        self.last_asked = ask.amount;
        self.talk = Talk::Asked {
            ask,
            again_at: now + self.policy.ask_again,
        };
    }

    /// Control gave a tranche. False, and nothing changes, when it is not the one asked for: a late
    /// answer must not bring a closed tranche back to life.
    pub fn granted(&mut self, tranche: Tranche, now: Time) -> bool {
        if !self.is_asked(tranche.id) {
            return false;
        }
        let pot = Pot::new(tranche, now, &self.policy);
        let talk = if pot.is_usable(now) {
            Talk::Quiet
        } else {
            self.pause(now)
        };
        self.answered(talk, Word::Given);
        self.pots.push(pot);
        self.pots
            .sort_by_key(|pot| (pot.tranche.deadline, pot.tranche.id));
        self.in_use = false;
        self.longest = Span::ZERO;
        true
    }

    /// Control refused the tranche asked for. False when another was asked for.
    pub fn denied(&mut self, tranche: TrancheId, denial: Denial, now: Time) -> bool {
        if !self.is_asked(tranche) {
            return false;
        }
        let soon = Talk::Paused {
            until: now + self.policy.ask_again,
        };
        match denial {
            Denial::Exhausted => self.answered(self.pause(now), Word::Exhausted),
            Denial::Reserved => self.answered(soon, Word::Reserved),
            Denial::Void => self.answered(soon, Word::Given),
        }
        true
    }

    /// Tranches in which nothing runs and nothing (of worth) can start: post what is left of their usage,
    /// close them at control, then [`Purse::forget`] them.
    pub fn closable(&self, now: Time) -> Vec<TrancheId> {
        self.pots
            .iter()
            .filter(|pot| pot.reserved.is_zero())
            .filter(|pot| pot.is_spent() || now >= pot.stops)
            .map(|pot| pot.tranche.id)
            .collect()
    }

    /// Drops a closed tranche; false when something in it is still reserved.
    pub fn forget(&mut self, tranche: TrancheId) -> bool {
        let busy = self.book.values().any(|held| held.tranche == tranche);
        if !busy {
            self.pots.retain(|pot| pot.tranche.id != tranche);
        }
        !busy
    }

    /// The most that one reservation could take now.
    pub fn available(&self, now: Time) -> Money {
        self.most_of(|pot| now < pot.stops)
    }

    fn most_of(&self, wanted: impl Fn(&Pot) -> bool) -> Money {
        let pots = self.pots.iter().filter(|pot| wanted(pot));
        pots.map(Pot::headroom).max().unwrap_or(Money::ZERO)
    }

    /// Of the pots that cover it, the first to lapse that outlives it; else the last to lapse.
    fn fitting(&mut self, needed: Money, lasts: Span, now: Time) -> Option<&mut Pot> {
        let covers = |pot: &Pot| now < pot.stops && pot.headroom() >= needed;
        let outlives = |pot: &Pot| now + lasts <= pot.tranche.deadline;
        let first = self.pots.iter().position(|p| covers(p) && outlives(p));
        let at = first.or_else(|| self.pots.iter().rposition(covers))?;
        self.pots.get_mut(at)
    }

    fn pause(&self, now: Time) -> Talk {
        Talk::Paused {
            until: now + self.policy.after_denial,
        }
    }

    fn refuse(&mut self, needed: Money, now: Time) -> Refusal {
        let limit = self.policy.most;
        if needed > limit {
            return Refusal::TooDear { limit, needed };
        }
        self.unmet = self.unmet.max(needed);
        let available = self.available(now);
        if let Some(refusal) = self.no_more(available, needed) {
            refusal
        } else if self.pots.is_empty() {
            Refusal::NoTranche
        } else if self.pots.iter().any(|pot| now < pot.stops) {
            Refusal::Short { available, needed }
        } else {
            Refusal::PastDeadline
        }
    }

    /// Control's last word as a refusal. A budget of which a request that runs here holds a part is
    /// not spent: what the request does not use comes back.
    fn no_more(&self, available: Money, needed: Money) -> Option<Refusal> {
        let idle = self.book.values().all(|held| held.amount.is_zero());
        match self.word {
            Word::Given => None,
            Word::Exhausted if idle => Some(Refusal::Exhausted { available, needed }),
            Word::Exhausted | Word::Reserved => Some(Refusal::Reserved { available, needed }),
        }
    }

    fn give_up(&mut self, reservation: &Reservation) -> Result<&mut Pot, SettleError> {
        let held = self.book.get(&reservation.request).copied();
        let pot = self
            .pots
            .iter_mut()
            .find(|pot| pot.tranche.id == reservation.tranche)
            .filter(|_| held.is_some_and(|held| held.tranche == reservation.tranche))
            .ok_or(SettleError::Foreign)?;
        self.book.remove(&reservation.request);
        pot.reserved = pot.reserved.saturating_sub(reservation.amount);
        Ok(pot)
    }

    fn is_asked(&self, tranche: TrancheId) -> bool {
        matches!(self.talk, Talk::Asked { ask, .. } if ask.tranche == tranche)
    }

    fn answered(&mut self, talk: Talk, word: Word) {
        self.talk = talk;
        self.word = word;
        self.unmet = Money::ZERO;
    }

    fn needs_more(&self, now: Time) -> bool {
        let longest = self.longest;
        let lasting = || self.most_of(|pot| now < pot.renew(longest));
        !self.unmet.is_zero() || (self.is_in_demand(now) && self.is_low(lasting()))
    }

    /// Whether the project has asked for anything of late.
    fn is_in_demand(&self, now: Time) -> bool {
        self.seen_at
            .is_some_and(|at| now <= at + self.policy.keep_ready)
    }

    /// Whether that is nothing, or under the low-water mark.
    fn is_low(&self, available: Money) -> bool {
        let mark = self
            .last_asked
            .fraction(self.policy.low_water_percent.into(), 100);
        available.is_zero() || available < mark
    }

    /// Doubles while money runs out before time does; else twice what the last tranche used.
    fn next_amount(&self, now: Time) -> Money {
        let used = self.pots.last().map_or(Money::ZERO, Pot::used);
        let runs_out = self.in_use && self.is_low(self.available(now));
        let pace = if runs_out { self.last_asked } else { used };
        let twice = pace.saturating_add(pace);
        twice
            .max(self.policy.least)
            .max(self.unmet)
            .min(self.policy.most)
    }
}

#[cfg(test)]
mod tests;
