//! Faults that strike, and their end.

use remuda_network::Command;
use remuda_network::command::LeaveManner;
use remuda_types::{ProviderId, Span, Time};

use super::cause::Cause;
use super::control::Answer;
use super::error::Broken;
use super::ground::Number;
use super::machine::Affliction;
use super::weather::{Farewell, Fault, Renewal};
use super::{Simulation, What};

/// Nodes report once in so much time: the last word before a fault lies within it.
const REPORTS: Span = Span::from_secs(1);

impl Simulation {
    pub(super) fn plan_fault(&mut self, at: Time, fault: Fault) {
        if at > self.calm_at() {
            return;
        }
        self.agenda.plan(at - REPORTS, What::Brew(Box::new(fault)));
    }

    /// When a fault is over: with the calm at the latest, if there is one.
    fn over_by(&self, at: Time) -> Time {
        if self.scenario.calm.0 > Span::ZERO {
            at.min(self.calm_at())
        } else {
            at
        }
    }

    fn plan_next(&mut self, next: Option<(Time, Fault)>) {
        if let Some((at, fault)) = next {
            self.plan_fault(at, fault);
        }
    }

    /// A fault comes in a second: what it strikes says its last word before it.
    pub(super) fn brew(&mut self, fault: Fault) {
        let now = self.now();
        for number in self.struck_by(&fault) {
            let at = now + self.dice.up_to(REPORTS);
            self.ground.machines[number].doomed += 1;
            self.agenda.plan(at, What::LastWord(number));
        }
        self.agenda
            .plan(now + REPORTS, What::Strike(Box::new(fault)));
    }

    /// The nodes that a fault takes from the network.
    fn struck_by(&self, fault: &Fault) -> Vec<Number> {
        match fault {
            Fault::Nodes { whom, .. } => whom.clone(),
            Fault::Exit {
                provider,
                manner: Farewell::AtOnce | Farewell::Silent,
            } => self.nodes_of(*provider),
            Fault::Exit {
                manner: Farewell::Notice,
                ..
            }
            | Fault::Control(_)
            | Fault::Clock { .. }
            | Fault::ControlClock => Vec::new(),
        }
    }

    fn nodes_of(&self, provider: ProviderId) -> Vec<Number> {
        let theirs = self
            .ground
            .sites
            .iter()
            .filter(|site| site.provider == provider);
        theirs
            .flat_map(|site| site.machines.iter().copied())
            .collect()
    }

    pub(super) fn last_word(&mut self, number: Number) {
        let machine = &self.ground.machines[number];
        if machine.is_reachable() && self.control.is_there() {
            let node = machine.key;
            self.control.last_word(node, self.now());
        }
    }

    pub(super) fn strike(&mut self, fault: Fault) -> Result<(), Broken> {
        let now = self.now();
        self.outcome.count_fault(&fault);
        for number in self.struck_by(&fault) {
            let machine = &mut self.ground.machines[number];
            machine.doomed = machine.doomed.saturating_sub(1);
        }
        match &fault {
            Fault::Nodes {
                whom,
                how,
                cause,
                lasts,
                ..
            } => {
                for &number in whom {
                    self.afflict(number, *how, *cause)?;
                }
                if let Some(lasts) = *lasts {
                    let over = self.over_by(now + lasts);
                    self.agenda.plan(over, What::Relief(Box::new(fault)));
                }
            }
            Fault::Exit { provider, manner } => self.exit(*provider, *manner)?,
            Fault::Control(down) => {
                self.truth.audit.fail_over();
                self.control.crash(self.over_by(now + *down));
                if self.scenario.clocks.control_off.0 > Span::ZERO {
                    // The next stands elsewhere and has another clock, but nothing that is written was
                    // written later.
                    let written = self.control.network.state().clock;
                    self.set_control_clock(written);
                }
                let next = self
                    .weather
                    .next(Renewal::Control, &self.ground, now + *down);
                self.plan_next(next);
            }
            Fault::Clock { number, renews } => self.set_clock(*number, *renews)?,
            Fault::ControlClock => {
                self.set_control_clock(self.control.clock.at(now));
                let next = self.weather.next(Renewal::ControlClock, &self.ground, now);
                self.plan_next(next);
            }
        }
        Ok(())
    }

    fn set_clock(&mut self, number: Number, renews: Renewal) -> Result<(), Broken> {
        let now = self.now();
        self.rouse(number);
        let ahead = match renews {
            Renewal::SetRight(_) => self.weather.clock_set_right(),
            _ => self.weather.clock(),
        };
        self.ground.machines[number].clock.set(now, ahead);
        self.touch(number)?;
        let next = self.weather.next(renews, &self.ground, now);
        self.plan_next(next);
        Ok(())
    }

    /// Control's clock is set, forward or back; no command of it is dated before `floor`.
    fn set_control_clock(&mut self, floor: Time) {
        let (now, ahead) = (self.now(), self.weather.control_clock());
        self.control.clock.set_from(now, ahead, floor);
        self.truth.audit.follow_clock(self.control.clock, now);
    }

    fn afflict(&mut self, number: Number, how: Affliction, cause: Cause) -> Result<(), Broken> {
        let now = self.now();
        if self.ground.machines[number].gone {
            return Ok(());
        }
        self.rouse(number);
        if how != Affliction::Down {
            self.upset(number);
        }
        self.ground.machines[number].suffer(how, cause, now);
        self.touch(number)
    }

    /// From now on control may for a moment believe what is not so.
    fn upset(&mut self, number: Number) {
        if !self.truth.audit.is_on() {
            return;
        }
        for assigned in self.control.assigned(self.ground.machines[number].key) {
            self.truth.audit.upset(assigned.lease);
        }
    }

    pub(super) fn relieve(&mut self, fault: Fault) -> Result<(), Broken> {
        let Fault::Nodes {
            whom, how, renews, ..
        } = fault
        else {
            return Ok(());
        };
        let now = self.now();
        for number in whom {
            if self.ground.machines[number].gone {
                continue;
            }
            self.upset(number);
            let machine = &mut self.ground.machines[number];
            machine.recover(how, now);
            let node = machine.key;
            if self.ground.machines[number].is_reachable() {
                self.control.reconnected(node);
            }
            self.touch(number)?;
        }
        let next = renews.and_then(|what| self.weather.next(what, &self.ground, now));
        self.plan_next(next);
        Ok(())
    }

    /// A provider leaves. With notice its nodes serve until the notice is over.
    fn exit(&mut self, provider: ProviderId, manner: Farewell) -> Result<(), Broken> {
        match manner {
            Farewell::Notice => {
                if self.say_farewell(provider, manner, LeaveManner::Notice) {
                    self.plan_end_of_notice(provider);
                }
                Ok(())
            }
            Farewell::AtOnce => {
                if self.say_farewell(provider, manner, LeaveManner::Now) {
                    self.take_away(provider)?;
                }
                Ok(())
            }
            Farewell::Silent => self.take_away(provider),
        }
    }

    /// Whether control could take it; if not it is said again.
    fn say_farewell(&mut self, provider: ProviderId, manner: Farewell, said: LeaveManner) -> bool {
        let now = self.now();
        let command = Command::LeaveProvider {
            provider,
            manner: said,
        };
        let taken = !matches!(self.control.submit(now, &command), Answer::Away);
        if !taken {
            let fault = Fault::Exit { provider, manner };
            let again = What::Strike(Box::new(fault));
            self.agenda.plan(now + REPORTS, again);
        }
        taken
    }

    fn plan_end_of_notice(&mut self, provider: ProviderId) {
        let policy = &self.control.network.state().policy;
        let at = self.now() + policy.notice + REPORTS;
        let fault = Fault::Nodes {
            whom: self.nodes_of(provider),
            how: Affliction::Down,
            cause: Cause::Exit,
            lasts: None,
            renews: None,
        };
        self.plan_fault(at, fault);
    }

    fn take_away(&mut self, provider: ProviderId) -> Result<(), Broken> {
        for number in self.nodes_of(provider) {
            self.afflict(number, Affliction::Down, Cause::Exit)?;
            self.ground.machines[number].gone = true;
        }
        Ok(())
    }
}
