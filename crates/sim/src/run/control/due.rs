//! What control does by its clock, and when that is due.

use remuda_network::Command;
use remuda_types::Time;

use super::{Control, Standing, TICK_EVERY};
use crate::run::error::Broken;

impl Control {
    pub(super) fn tick(&mut self, now: Time) {
        while self.standing == Standing::Up && self.tick_due().is_some_and(|due| due <= now) {
            let adopting = now < self.settle_at;
            self.run(now, &Command::Tick { adopting });
            self.tick_at = now + TICK_EVERY;
            let more = self
                .network
                .index()
                .next_due()
                .is_some_and(|due| due <= now);
            if more && !adopting {
                self.tick_at = now;
            }
        }
    }

    /// From now on the network is planned as often as its policy says.
    pub(crate) fn begin_planning(&mut self, now: Time) {
        let every = self.network.state().policy.plan_every;
        self.planning.begin(every, now);
    }

    /// Makes the plan that is due and has the network follow it. While control does not know its
    /// nodes there is nothing to plan from.
    pub(super) fn plan(&mut self, now: Time) -> Result<(), Broken> {
        if self.plan_due().is_none_or(|due| due > now) {
            return Ok(());
        }
        self.begin_planning(now);
        let plan = self.planning.make(&self.network);
        if let Some(command) = plan.map_err(Broken::from)? {
            self.run(now, &command);
        }
        Ok(())
    }

    fn plan_due(&self) -> Option<Time> {
        let due = self.planning.due.filter(|_| self.standing == Standing::Up);
        due.map(|due| due.max(self.settle_at))
    }

    /// As control's sequencer does it: not while it adopts.
    pub(super) fn repack(&mut self, now: Time) {
        if self.standing != Standing::Up || now < self.settle_at {
            return;
        }
        if let Some(command) = self.repacking.due(now, self.network.state()) {
            self.run(now, &command);
        }
    }

    fn repack_due(&self) -> Option<Time> {
        let at = self.repacking.next_at();
        at.map(|at| at.max(self.settle_at))
    }

    fn tick_due(&self) -> Option<Time> {
        let due = self.network.index().next_due();
        due.map(|due| due.max(self.tick_at))
    }

    /// When it has to be woken next.
    pub(crate) fn next_wake(&self, now: Time) -> Option<Time> {
        if let Standing::Down(until) = self.standing {
            return Some(until);
        }
        let due = self.next_due(self.clock.at(now));
        due.map(|due| self.clock.when(due))
    }

    /// The same by its clock.
    fn next_due(&self, now: Time) -> Option<Time> {
        let retry = (!self.verdicts.is_empty()).then(|| now + TICK_EVERY);
        let own = match self.standing {
            Standing::Down(until) | Standing::ReadOnly(until) => Some(until),
            Standing::Up => self.tick_due().into_iter().chain(self.repack_due()).min(),
        };
        let due = [
            own,
            retry,
            self.plan_due(),
            self.adopt_at,
            self.watch.next_deadline(),
        ];
        due.into_iter().flatten().min()
    }
}
