//! Replicas at work on requests: reached or not, writing as fast as a slow model, some tokens at once,
//! or silent. What a gateway makes of it is the stream's.

use remuda_routing::Wish;
use remuda_routing::stream::{Broken as Way, Refused, ReplicaEnd};
use remuda_types::{LeaseId, Span, Time, WorkloadId};

use super::{Gate, Leg, Simulation};
use crate::run::error::Broken;
use crate::run::gateway::{Running, Stage};
use crate::run::ground::Ground;

/// Tokens come so many at once, so far apart.
const BURST: u32 = 4;
const BURSTS: Span = Span::from_millis(200);

/// A node that cannot be reached is given up after so long, and an engine that does not answer.
const DIAL_WITHIN: Span = Span::from_secs(3);
const ANSWER_WITHIN: Span = Span::from_millis(1_500);

/// A replica that a request was sent to, as it is now.
#[derive(Clone, Copy, Debug)]
struct Sight {
    workload: WorkloadId,
    lease: LeaseId,
    /// Tokens that the model will write, and the most that were asked for.
    length: u32,
    max: u32,
    state: State,
    /// How often its machine was started.
    boot: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing reaches its machine.
    Silent,
    /// The machine does not serve the lease.
    Gone,
    /// It finishes what it has.
    Draining,
    Serving,
}

impl Simulation {
    /// The replica of a leg; nothing if the request has moved on.
    fn sight(&mut self, leg: Leg) -> Option<Sight> {
        let gateway = self.gates.live(leg.at)?;
        let request = gateway.open.get(&leg.request)?;
        let Stage::Running(running) = &request.stage else {
            return None;
        };
        let lease = running.stream.lease()?;
        let node = gateway.lanes.get(&request.workload)?.node(lease)?;
        let machine = &self.ground.machines[Ground::number(&node)];
        let state = if !machine.is_reachable() {
            State::Silent
        } else if !machine.serving().any(|serving| serving == lease) {
            State::Gone
        } else if machine.is_draining(lease) {
            State::Draining
        } else {
            State::Serving
        };
        let sight = Sight {
            workload: request.workload,
            lease,
            length: request.length,
            max: request.max.get(),
            state,
            boot: machine.boot,
        };
        (running.attempt == leg.attempt).then_some(sight)
    }

    /// Tells the request's stream something, and does what follows.
    fn tell(&mut self, leg: Leg, tell: impl FnOnce(&mut Running)) -> Result<(), Broken> {
        let gateway = self.gates.live(leg.at);
        let request = gateway.and_then(|gateway| gateway.open.get_mut(&leg.request));
        if let Some(Stage::Running(running)) = request.map(|request| &mut request.stage) {
            tell(running);
        }
        self.pump(leg.at, leg.request)
    }

    /// The request reaches its replica, or does not.
    pub(super) fn dialled(&mut self, leg: Leg) -> Result<(), Broken> {
        let now = self.now();
        let Some(Sight {
            lease, state, boot, ..
        }) = self.sight(leg)
        else {
            return Ok(());
        };
        match state {
            State::Silent => {
                // A connection that was open already falls silent; a new one is not made.
                if self.gates.dice.falls(0.5) {
                    self.plan_gate(now + DIAL_WITHIN, Gate::Undialled(leg));
                }
                Ok(())
            }
            State::Gone => self.tell(leg, |running| {
                running.stream.refused(lease, Refused::NotGranted, now);
            }),
            State::Draining => self.tell(leg, |running| {
                running.stream.end(lease, ReplicaEnd::Draining, now);
            }),
            State::Serving => {
                self.plan_gate(now + BURSTS, Gate::Burst(leg));
                self.tell(leg, |running| running.machine_boot = boot)
            }
        }
    }

    pub(super) fn undialled(&mut self, leg: Leg) -> Result<(), Broken> {
        let now = self.now();
        let Some(Sight { lease, .. }) = self.sight(leg) else {
            return Ok(());
        };
        self.tell(leg, |running| {
            running.stream.broken(lease, Way::Unreachable, now);
        })
    }

    /// The next tokens come, unless something came between.
    pub(super) fn burst(&mut self, leg: Leg) -> Result<(), Broken> {
        let now = self.now();
        let Some(sight) = self.sight(leg) else {
            return Ok(());
        };
        let Sight { lease, boot, .. } = sight;
        match sight.state {
            State::Silent => {
                // Nothing is heard; perhaps later.
                self.plan_gate(now + BURSTS, Gate::Burst(leg));
                Ok(())
            }
            State::Gone => self.tell(leg, |running| {
                running.stream.broken(lease, Way::StreamReset, now);
            }),
            State::Draining => self.tell(leg, |running| {
                running.stream.end(lease, ReplicaEnd::Draining, now);
            }),
            State::Serving => {
                let mut is_first = false;
                self.plan_gate(now + BURSTS, Gate::Burst(leg));
                self.tell(leg, |running| {
                    if running.machine_boot == boot {
                        is_first = running.hear(sight, now);
                    } else {
                        running.stream.broken(lease, Way::ConnectionLost, now);
                    }
                })?;
                if is_first {
                    let lanes = &mut self.gates.gateways[leg.at.gateway].lanes;
                    if let Some(lane) = lanes.get_mut(&sight.workload) {
                        lane.spoke(lease, leg.request);
                    }
                }
                Ok(())
            }
        }
    }

    /// A probe reaches the replica's engine, or does not.
    pub(super) fn probed(&mut self, leg: Leg) -> Result<(), Broken> {
        let now = self.now();
        let Some(Sight { lease, state, .. }) = self.sight(leg) else {
            return Ok(());
        };
        match state {
            State::Silent | State::Gone => {
                self.plan_gate(now + ANSWER_WITHIN, Gate::Unanswered(leg));
                Ok(())
            }
            State::Draining | State::Serving => self.tell(leg, |running| {
                running.stream.probe_answered(lease, now);
            }),
        }
    }

    pub(super) fn unanswered(&mut self, leg: Leg) -> Result<(), Broken> {
        let now = self.now();
        let Some(Sight {
            lease, workload, ..
        }) = self.sight(leg)
        else {
            return Ok(());
        };
        let gateway = &self.gates.gateways[leg.at.gateway];
        let mut not = vec![lease];
        if let Some(Stage::Running(running)) = gateway.open.get(&leg.request).map(|of| &of.stage) {
            not.extend(running.stream.last_resorts());
        }
        let lane = gateway.lanes.get(&workload);
        let elsewhere = lane.is_some_and(|lane| lane.pick(now, &Wish::default(), &not).is_ok());
        self.tell(leg, |running| {
            running.stream.probe_failed(lease, elsewhere, now);
        })
    }
}

impl Running {
    /// Some more tokens, and the end if there are no more. Whether they are the attempt's first.
    fn hear(&mut self, sight: Sight, now: Time) -> bool {
        let Sight {
            lease, length, max, ..
        } = sight;
        let from = self.forwarded;
        let to = length.min(from.saturating_add(BURST));
        (from..to).for_each(|index| self.stream.token(lease, index, index, now));
        if to == length {
            let end = if length == max {
                ReplicaEnd::Length
            } else {
                ReplicaEnd::Stop
            };
            self.stream.end(lease, end, now);
        }
        from < to && !std::mem::replace(&mut self.spoke, true)
    }
}
