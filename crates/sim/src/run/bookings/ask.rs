//! What is asked, asked again under the same id where nobody could take it, and withdrawn.

use remuda_network::{Command, Refusal, State};
use remuda_types::{Span, Time, WorkloadId};

use super::{Asked, Sort, Wish};
use crate::run::control::Answer;
use crate::run::error::Broken;
use crate::run::{Simulation, What};

/// Until what found nobody to ask is tried again.
const BACK: Span = Span::from_secs(5);

/// So many change their mind before its time.
const FICKLE: f64 = 0.2;

/// Nothing is booked that begins, or is filled, just before all is to be well.
const BEFORE_CALM: Span = Span::from_secs(60);

impl Simulation {
    /// Plans the first of each sort that the scenario wants.
    pub(in crate::run) fn begin_wishing(&mut self) {
        for sort in Sort::ALL {
            self.plan_next_wish(sort);
        }
    }

    fn plan_wish(&mut self, at: Time, wish: Wish) {
        self.agenda.plan(at, What::Wish(Box::new(wish)));
    }

    fn plan_next_wish(&mut self, sort: Sort) {
        if let Some(wait) = self.wishes.wait(sort) {
            self.book.on = true;
            self.plan_wish(self.now() + wait, Wish::Next(sort));
        }
    }

    pub(in crate::run) fn wish(&mut self, wish: Wish) -> Result<(), Broken> {
        if self.now() + BEFORE_CALM >= self.calm_at() {
            return Ok(());
        }
        match wish {
            Wish::Next(sort) => {
                self.plan_next_wish(sort);
                match self.draw_wish(sort) {
                    Some(asked) => self.ask_for(asked),
                    None => Ok(()),
                }
            }
            Wish::Ask(asked) => self.ask_for(*asked),
            Wish::Withdraw(workload) => {
                self.withdraw(workload);
                Ok(())
            }
        }
    }

    fn draw_wish(&mut self, sort: Sort) -> Option<Asked> {
        let (now, calm_at) = (self.now(), self.calm_at());
        let id = self.control.command_id(now);
        let state = self.control.network.state();
        match sort {
            Sort::Reservation => {
                let asked = self.wishes.reservation(id, now, state)?;
                let begins = |command: &Command| match command {
                    Command::Reserve { from, .. } => *from,
                    _ => now,
                };
                let in_the_calm =
                    calm_at < self.end() && begins(&asked.command) + BEFORE_CALM >= calm_at;
                (!in_the_calm).then_some(asked)
            }
            Sort::Order => self.wishes.order(id, (now, calm_at), state),
            Sort::Scale => {
                let truth = &self.truth;
                self.wishes.scale(id, state, |of| truth.needs(*of))
            }
        }
    }

    fn ask_for(&mut self, asked: Asked) -> Result<(), Broken> {
        let now = self.now();
        let workload = WorkloadId::derived(asked.id, 0);
        self.foresee(&asked, workload);
        match self.control.submit_as(now, asked.id, &asked.command) {
            Answer::Taken(_) => self.taken(&asked, workload),
            Answer::Repeated => {
                // The append had seemed to fail: the tenant hears only now that it did not.
                if asked.sort != Sort::Scale && !self.book.knows(workload) {
                    return Err(Broken::Unkept(workload));
                }
                self.outcome.repeats += 1;
                self.change_mind(&asked, workload);
                Ok(())
            }
            Answer::Refused(refusal) => {
                self.truth.forget(workload);
                self.book.forget_order(workload);
                match *refusal {
                    Refusal::NoRoom(_) | Refusal::NoCapacity(_) => {
                        self.book.counts.without_room += 1;
                    }
                    _ => self.book.counts.refused += 1,
                }
                Ok(())
            }
            Answer::Away => {
                self.plan_wish(now + BACK, Wish::Ask(Box::new(asked)));
                Ok(())
            }
        }
    }

    /// What is taken will be known when the facts of it are.
    fn foresee(&mut self, asked: &Asked, workload: WorkloadId) {
        if asked.sort != Sort::Scale {
            self.truth.foresee(workload, asked.kind);
        }
        if let Command::PlaceOrder { replicas, .. } = asked.command
            && !self.book.knows(workload)
        {
            self.book.expect_order(workload, replicas, asked.lifetime);
        }
    }

    fn taken(&mut self, asked: &Asked, workload: WorkloadId) -> Result<(), Broken> {
        if let Command::Scale { workload, replicas } = asked.command {
            self.book.counts.scaled += 1;
            let state = self.control.network.state();
            if !has_replicas(state, workload, replicas) {
                return Err(Broken::Unscaled(workload));
            }
        }
        self.change_mind(asked, workload);
        Ok(())
    }

    fn change_mind(&mut self, asked: &Asked, workload: WorkloadId) {
        if asked.sort != Sort::Scale && self.wishes.dice.falls(FICKLE) {
            let at = self.now() + self.wishes.lifetime();
            self.plan_wish(at, Wish::Withdraw(workload));
        }
    }

    /// What was ordered and has been filled is wanted for so long.
    pub(in crate::run) fn plan_withdrawals(&mut self) {
        for (workload, lifetime) in std::mem::take(&mut self.book.filled) {
            let at = self.now() + lifetime;
            self.plan_wish(at, Wish::Withdraw(workload));
        }
    }

    /// Cancels what has not begun, and stops what has.
    fn withdraw(&mut self, workload: WorkloadId) {
        let now = self.now();
        let state = self.control.network.state();
        let waits = state.reservations.get(&workload);
        let command = if waits.is_some_and(|reservation| !reservation.begun) {
            Command::CancelReservation { workload }
        } else if state.orders.contains_key(&workload) {
            Command::CancelOrder { workload }
        } else if state.workloads.contains_key(&workload) {
            Command::StopWorkload { workload }
        } else {
            return;
        };
        if let Answer::Away = self.control.submit(now, &command) {
            self.plan_wish(now + BACK, Wish::Withdraw(workload));
        }
    }
}

fn has_replicas(state: &State, workload: WorkloadId, replicas: u32) -> bool {
    let workload = state.workloads.get(&workload);
    workload.is_some_and(|of| of.replicas.len() == replicas as usize)
}
