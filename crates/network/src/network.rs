//! State and index together: decide, then commit.

use remuda_types::{CommandId, Span, Time};

use crate::command::Command;
use crate::decide;
use crate::event::Event;
use crate::index::Index;
use crate::invariant::{self, Violation};
use crate::refusal::Refusal;
use crate::state::State;

/// What became of a command that was not refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// These facts are to be made durable, then committed.
    New(Vec<Event>),
    /// The same id was committed before; nothing is to be done.
    Repeat,
}

/// The network: what is, and the index over it.
#[derive(Clone, Debug, Default)]
pub struct Network {
    state: State,
    index: Index,
    spares_spot: bool,
}

/// Builds with debug assertions check all of a network with so many leases at most.
const CHECKED_MAX: usize = 100;

/// How far a client's clock may run ahead of control's.
const CLOCK_AHEAD_MAX: Span = Span::from_secs(60);

impl Network {
    /// The network as of `state`.
    pub fn new(state: State) -> Self {
        let index = Index::rebuild(&state);
        Self {
            state,
            index,
            spares_spot: false,
        }
    }

    /// What is.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The index over it.
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// Says whether any lease may be ended for another's sake. Not while it is not known what nodes
    /// served when nobody decided: such a lease would be charged for all of that time. This is no fact
    /// and nowhere written down.
    pub const fn spare_spot(&mut self, spares: bool) {
        self.spares_spot = spares;
    }

    /// What `command` would change at `now`, or why not. Changes nothing.
    ///
    /// The index is taken mutably because it may cache and because a decision holds capacity in it
    /// for its own later steps; it is as before when this returns.
    pub fn decide(
        &mut self,
        now: Time,
        id: CommandId,
        command: &Command,
    ) -> Result<Decision, Refusal> {
        if self.state.recent.contains(&id) {
            return Ok(Decision::Repeat);
        }
        let now = now.max(self.state.clock);
        check_age(now, id, &self.state)?;
        let world = (&self.state, &mut self.index, self.spares_spot);
        decide::decide(world, now, id, command).map(Decision::New)
    }

    /// Applies facts that are durable.
    pub fn commit(&mut self, now: Time, id: CommandId, events: &[Event]) {
        for event in events {
            let began_on = self.index.began_on(&self.state, event);
            self.index.before(&self.state, event);
            self.state.apply(event, began_on);
            self.index.after(&self.state, event);
        }
        self.index.reschedule(&self.state);
        self.index.settle();
        self.index.pace_orders(now);
        self.state.remember(now, id);
        debug_assert_eq!(self.broken_by(events), None, "after {events:?}");
    }

    /// What is not as it must be, in a network so small that it can be looked at after every step.
    fn broken_by(&self, events: &[Event]) -> Option<Violation> {
        let check = || {
            invariant::check(self)?;
            invariant::check_batch(&self.state, events)
        };
        let is_small = self.state.leases.len() <= CHECKED_MAX;
        is_small.then(|| check().err()).flatten()
    }
}

fn check_age(now: Time, id: CommandId, state: &State) -> Result<(), Refusal> {
    let window = state.policy.id_window;
    let ahead = id.born().since(now);
    if ahead > CLOCK_AHEAD_MAX {
        return Err(Refusal::FromTheFuture { ahead });
    }
    if now.since(id.born()) > window || id.born() < state.forgotten {
        return Err(Refusal::TooOld { window });
    }
    Ok(())
}
