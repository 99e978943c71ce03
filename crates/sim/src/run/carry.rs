//! Machines that do what is to be done, what passes between them and control, and which of them need not
//! be simulated further.

use remuda_types::Time;

use super::error::Broken;
use super::ground::{Ground, Number};
use super::message::Message;
use super::{Simulation, What};

impl Simulation {
    /// A node that was not simulated second by second knew all that control knew, later hard ends
    /// included.
    pub(super) fn rouse(&mut self, number: Number) {
        let machine = &mut self.ground.machines[number];
        if machine.quiet
            && let Some(told) = self.control.assignment(machine.key)
        {
            machine.accept(told);
        }
    }

    /// Lets a machine do what it is to do now, and looks what it serves.
    pub(super) fn touch(&mut self, number: Number) -> Result<(), Broken> {
        let now = self.now();
        let machine = &mut self.ground.machines[number];
        let report = machine.wake(now, &self.pace, &mut self.dice);
        let node = machine.key;
        let report = report.map_err(|violation| Broken::Reconciler { node, violation })?;
        if self.small {
            self.epochs.note(&self.ground.machines[number])?;
        }
        self.look(number);
        if let Some(report) = report.filter(|_| self.ground.machines[number].is_reachable()) {
            self.send(&Message::Report(report));
        }
        if let Some(at) = self.ground.machines[number].next_wake(now) {
            self.plan_machine(number, at);
        }
        Ok(())
    }

    /// Looks what a machine serves now.
    pub(super) fn look(&mut self, number: Number) {
        let now = self.now();
        let machine = &self.ground.machines[number];
        let serving: Vec<_> = machine.serving().collect();
        self.truth.see(machine.key, &serving, machine.cause, now);
    }

    pub(super) fn plan_machine(&mut self, number: Number, at: Time) {
        let now = self.now();
        let at = at.max(now);
        let wakes = &mut self.ground.machines[number].wakes;
        if wakes.is_none_or(|planned| at < planned || planned < now) {
            *wakes = Some(at);
            self.agenda.plan(at, What::Machine(number));
        }
    }

    pub(super) fn send(&mut self, message: &Message) {
        let machine = &self.ground.machines[Ground::number(&message.machine())];
        if !machine.is_connected() {
            return;
        }
        let now = self.now();
        for at in self.wires.carry(now, message) {
            self.agenda
                .plan(at, What::Message(Box::new(message.clone())));
        }
    }

    pub(super) fn deliver(&mut self, message: Message) -> Result<(), Broken> {
        let now = self.now();
        let number = Ground::number(&message.machine());
        match message {
            Message::Assignment(_, assignment) => {
                if self.ground.machines[number].is_reachable() {
                    self.ground.machines[number].accept(assignment);
                    self.touch(number)?;
                }
            }
            Message::Probe(probe) => {
                if self.ground.machines[number].is_reachable() {
                    self.send(&Message::Answer(probe));
                }
            }
            Message::Report(report) => {
                self.control.hear(now, Message::Report(report));
                self.hush(number);
            }
            Message::Answer(_) => self.control.hear(now, message),
        }
        Ok(())
    }

    /// A node that is well and has nothing new to say is not simulated further, until something
    /// befalls it or it is told something else.
    fn hush(&mut self, number: Number) {
        let machine = &self.ground.machines[number];
        let done = !self.scenario.wires.every_report
            && !machine.quiet
            && machine.doomed == 0
            && machine.is_reachable()
            && machine.is_settled()
            && self.control.is_content(machine.key)
            && self.is_told(number);
        if done {
            let node = machine.key;
            self.ground.machines[number].quiet = true;
            self.control.hush(node, self.agenda.now());
        }
    }

    /// Whether a node runs what control has it run, later hard ends left out.
    fn is_told(&self, number: Number) -> bool {
        let machine = &self.ground.machines[number];
        let essence = |of: &remuda_assignment::Assigned| (of.at(), of.wanted);
        let assigned = self.control.assigned(machine.key);
        let assigned = assigned.iter().map(essence);
        machine.assigned().map(essence).eq(assigned)
            && machine.serving().eq(machine.assigned().map(|of| of.lease))
    }
}
