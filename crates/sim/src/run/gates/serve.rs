//! Requests on their way: they come, are paid for, dispatched, moved when their replica dies, and
//! settled. What replicas do with them is `replica`'s.

use std::num::NonZeroU32;

use remuda_routing::admission::queue::Turn;
use remuda_routing::pick::{self, NoReplica};
use remuda_routing::stream::{Action, Ended, Facts, Pace, Policy};
use remuda_routing::tranche::Refusal;
use remuda_routing::{Delivery, Stream};
use remuda_types::{ApiKeyId, LeaseId, ProjectId, RequestId, Span, Time, WorkloadId};

use super::{At, Gate, Gates, Leg, Simulation, entropy};
use crate::run::error::Broken;
use crate::run::gateway::{Model, Note, Request, Row, Running, Stage, digest};
use crate::run::requests::Wish;

/// How long a request waits for money that has been asked for.
const FUNDED_WITHIN: Span = Span::from_secs(2);

/// What control takes for ready, gateways know so much later: until then a request may find nobody.
const KNOWN_WITHIN: Span = Span::from_secs(1);

/// Between two looks of a request that waits for a replica.
const LOOK_AGAIN: Span = Span::from_millis(100);

impl Simulation {
    pub(super) fn plan_arrival(&mut self, now: Time) {
        let next = self.arrivals.next(&mut self.gates.dice, now);
        if let Some(at) = next.filter(|at| *at < self.calm_at()) {
            self.plan_gate(at, Gate::Arrival);
        }
    }

    /// A request comes: for a service that has ever served, at any gateway that is there.
    pub(super) fn arrive(&mut self) -> Result<(), Broken> {
        let now = self.now();
        let wish = self.arrivals.take(&mut self.gates.dice);
        self.plan_arrival(now);
        let served = self.truth.served_services();
        let Some(workload) = served.get(self.gates.dice.below(served.len())).copied() else {
            return Ok(());
        };
        self.gates.tally.came += 1;
        let count = self.gates.gateways.len();
        let first = self.gates.dice.below(count);
        let there = (0..count).map(|step| (first + step) % count);
        let Some(gateway) = there.into_iter().find(|at| self.gates.gateways[*at].up) else {
            self.gates.tally.no_gateway += 1;
            return Ok(());
        };
        let at = self.gates.at(gateway);
        let id = RequestId::new(now, entropy(&mut self.gates.ids));
        let Some(model) = self.gates.gateways[gateway].table.models.get(&workload) else {
            self.gates.tally.unknown += 1;
            return Ok(());
        };
        let request = request(wish, workload, model, now);
        self.fund(at, id, request)
    }

    /// Reserves a request's worst case and begins; waits where money is on its way.
    fn fund(&mut self, at: At, id: RequestId, mut request: Request) -> Result<(), Broken> {
        let now = self.now();
        let worst = request.rate.worst_case(request.prompt, request.max.get());
        let money = &mut self.gates.gateways[at.gateway].money;
        let lasts = money.lasts(request.max.get());
        match money.purse(request.project).reserve(id, worst, lasts, now) {
            Ok(reservation) => {
                let deadline = money.deadline(reservation.tranche());
                let row = Row {
                    tranche: reservation.tranche(),
                    key: request.key,
                    rate: request.rate,
                    delivery: Delivery {
                        prompt_tokens: request.prompt,
                        ..Delivery::default()
                    },
                    ordinal: None,
                    posted: None,
                };
                let durable_at = self.gates.note(at, Note::Reserved(id, row), now);
                let facts = Facts {
                    prompt_tokens: request.prompt,
                    max_tokens: request.max,
                    may_resume: true,
                };
                request.stage = Stage::Running(Box::new(Running {
                    stream: Stream::new(facts, Policy::default(), Pace::default(), now),
                    reservation,
                    deadline,
                    durable_at,
                    attempt: 0,
                    machine_boot: 0,
                    spoke: false,
                    crowded_out: false,
                    waiting: None,
                    wakes: None,
                    forwarded: 0,
                    failure: None,
                }));
                self.gates.gateways[at.gateway].open.insert(id, request);
                self.pump(at, id)
            }
            Err(Refusal::NoTranche | Refusal::Short { .. } | Refusal::PastDeadline)
                if now < request.came + FUNDED_WITHIN =>
            {
                let until = request.came + FUNDED_WITHIN;
                request.stage = Stage::Unfunded;
                self.gates.gateways[at.gateway].open.insert(id, request);
                self.ask(at);
                self.plan_gate(until, Gate::Wake(at, id));
                Ok(())
            }
            Err(_) => {
                self.gates.tally.unfunded += 1;
                Ok(())
            }
        }
    }

    /// Money has come, or will not: those who waited for it try again.
    pub(super) fn wake_unfunded(&mut self, at: At, project: ProjectId) -> Result<(), Broken> {
        let open = self.gates.gateways[at.gateway].open.iter();
        let unfunded = open.filter(|(_, request)| {
            request.project == project && matches!(request.stage, Stage::Unfunded)
        });
        let unfunded: Vec<_> = unfunded.map(|(id, _)| *id).collect();
        unfunded.into_iter().try_for_each(|id| self.refund(at, id))
    }

    fn refund(&mut self, at: At, id: RequestId) -> Result<(), Broken> {
        match self.gates.gateways[at.gateway].open.remove(&id) {
            Some(request) => self.fund(at, id, request),
            None => Ok(()),
        }
    }

    /// The table has changed: those who wait for a replica look again.
    pub(super) fn wake_waiting(&mut self, at: At) -> Result<(), Broken> {
        let open = self.gates.gateways[at.gateway].open.iter();
        let waiting = open.filter(|(_, request)| match &request.stage {
            Stage::Unfunded => false,
            Stage::Running(running) => running.waiting.is_some(),
        });
        let waiting: Vec<_> = waiting.map(|(id, _)| *id).collect();
        waiting.into_iter().try_for_each(|id| self.pump(at, id))
    }

    pub(super) fn wake_request(&mut self, at: At, id: RequestId) -> Result<(), Broken> {
        let now = self.now();
        let Some(gateway) = self.gates.live(at) else {
            return Ok(());
        };
        let Some(request) = gateway.open.get_mut(&id) else {
            return Ok(());
        };
        let Stage::Running(running) = &mut request.stage else {
            return self.refund(at, id);
        };
        running.wakes.take_if(|at| *at <= now);
        if running.deadline <= now {
            running.stream.abandoned();
            self.gates.tally.lapsed += 1;
        } else {
            running.stream.tick(now);
        }
        self.pump(at, id)
    }

    /// Does what a request's stream wants done, and plans what comes next.
    pub(super) fn pump(&mut self, at: At, id: RequestId) -> Result<(), Broken> {
        let now = self.now();
        let Some(mut request) = self.gates.gateways[at.gateway].open.remove(&id) else {
            return Ok(());
        };
        let Stage::Running(running) = &mut request.stage else {
            self.gates.gateways[at.gateway].open.insert(id, request);
            return Ok(());
        };
        if let Some(exclude) = running.waiting.take() {
            self.dispatch(at, (id, &request.workload), running, exclude, Turn::Resumed);
        }
        while let Some(action) = running.stream.poll() {
            self.act(at, (id, &request.workload), running, action)?;
        }
        if let Some(ended) = running.stream.ended() {
            return self.conclude(at, id, request, ended);
        }
        let looks = running.waiting.is_some().then(|| now + LOOK_AGAIN);
        let due = [
            running.stream.next_deadline(),
            Some(running.deadline),
            looks,
        ];
        if let Some(due) = due.into_iter().flatten().min()
            && running.wakes.is_none_or(|planned| due < planned)
        {
            running.wakes = Some(due);
            self.plan_gate(due, Gate::Wake(at, id));
        }
        self.gates.gateways[at.gateway].open.insert(id, request);
        Ok(())
    }

    fn act(
        &mut self,
        at: At,
        (id, workload): (RequestId, &WorkloadId),
        running: &mut Running,
        action: Action,
    ) -> Result<(), Broken> {
        let now = self.now();
        match action {
            Action::Forward { index, id: token } => {
                let expected = running.forwarded;
                let untimely = now < running.durable_at || running.deadline < now;
                if index != expected || token != expected || untimely {
                    return Err(Broken::Garbled { request: id, index });
                }
                running.forwarded += 1;
            }
            Action::Dispatch { exclude, turn, .. } => {
                self.dispatch(at, (id, workload), running, exclude, turn);
            }
            Action::Probe { lease } => {
                let leg = running.leg(at, id);
                if running.stream.lease() == Some(lease) {
                    let way = self.gates.way();
                    self.plan_gate(now + way, Gate::Probed(leg));
                }
            }
            Action::Done { lease, outcome } => {
                if let Some(lane) = self.gates.gateways[at.gateway].lanes.get_mut(workload) {
                    lane.ended(lease, id, outcome, now);
                }
            }
            Action::Blame { lease } => {
                if let Some(lane) = self.gates.gateways[at.gateway].lanes.get_mut(workload) {
                    lane.blame(lease, now);
                }
            }
            Action::Fail { why } => running.failure = Some(why),
            // What is cancelled is not heard any more; the end is in the stream.
            Action::Cancel { .. } | Action::Finish { .. } => {}
        }
        Ok(())
    }

    /// Looks for a replica that is none of `exclude`. Who lost one waits until there is another; who
    /// is new waits only for one that is full.
    fn dispatch(
        &mut self,
        at: At,
        (id, workload): (RequestId, &WorkloadId),
        running: &mut Running,
        exclude: Vec<LeaseId>,
        turn: Turn,
    ) {
        let now = self.now();
        running.waiting = None;
        running.crowded_out = false;
        let wish = pick::Wish::default();
        let lane = self.gates.gateways[at.gateway].lanes.get_mut(workload);
        let picked = lane.map_or(Err(NoReplica::Nowhere), |lane| {
            let lease = lane.pick(now, &wish, &exclude)?;
            lane.dispatched(lease, id, &wish);
            Ok((lease, lane.node(lease)))
        });
        match (picked, turn) {
            (Ok((lease, Some(node))), _) => {
                running.stream.dispatched(lease, node, now);
                if running.stream.lease() == Some(lease) {
                    running.attempt += 1;
                    running.spoke = false;
                    let arrives = (now + self.gates.way()).max(running.durable_at);
                    self.plan_gate(arrives, Gate::Dialled(running.leg(at, id)));
                }
            }
            (Err(NoReplica::Busy { .. }), _) => {
                running.crowded_out = running.attempt == 0;
                running.waiting = Some(exclude);
            }
            (Ok((_, None)), _) | (Err(_), Turn::Resumed) => running.waiting = Some(exclude),
            (Err(_), Turn::New) => running.stream.no_replica(),
        }
    }

    fn conclude(
        &mut self,
        at: At,
        id: RequestId,
        request: Request,
        ended: Ended,
    ) -> Result<(), Broken> {
        let now = self.now();
        let Stage::Running(running) = request.stage else {
            return Ok(());
        };
        let Running {
            stream,
            reservation,
            forwarded,
            crowded_out,
            ..
        } = *running;
        let could_know = request.came - KNOWN_WITHIN;
        let tally = &mut self.gates.tally;
        tally.moves += stream.moves().len() as u64;
        match ended {
            Ended::Finished(_) if forwarded < request.length => {
                let index = forwarded;
                return Err(Broken::Garbled { request: id, index });
            }
            Ended::Finished(_) => tally.served += 1,
            Ended::Failed(_) if crowded_out => tally.overloaded += 1,
            Ended::Failed(_) if self.truth.served_since(request.workload, could_know) => {
                tally.failed_though_served += 1;
            }
            Ended::Failed(_) => tally.failed += 1,
            Ended::Abandoned => {}
        }
        self.gates.spending.delivered(id, forwarded);
        let delivery = stream.delivery();
        let bill = delivery.bill(request.rate);
        let tranche = reservation.tranche();
        let money = &mut self.gates.gateways[at.gateway].money;
        let settled = money.settle(request.project, reservation, &bill);
        settled.map_err(Broken::Unsettled)?;
        let note = if bill.is_empty() {
            Note::Free(id)
        } else {
            let row = digest(id, request.key, bill.amount);
            let ordinal = money.record(tranche, request.key, &bill, row);
            Note::Billed(id, delivery, ordinal)
        };
        self.gates.note(at, note, now);
        self.wake_waiting(at)
    }

    /// How much each open request's client has got goes to the spool.
    pub(super) fn checkpoint(&mut self, at: At) {
        let open = self.gates.gateways[at.gateway].open.iter();
        let delivered = open.filter_map(|(id, request)| match &request.stage {
            Stage::Running(running) if running.forwarded > 0 => {
                Some((*id, running.stream.delivery()))
            }
            Stage::Running(_) | Stage::Unfunded => None,
        });
        let delivered: Vec<_> = delivered.collect();
        if !delivered.is_empty() {
            let now = self.now();
            self.gates.note(at, Note::Checkpoints(delivered), now);
        }
    }
}

impl Running {
    const fn leg(&self, at: At, request: RequestId) -> Leg {
        Leg {
            at,
            request,
            attempt: self.attempt,
        }
    }
}

impl Gates {
    /// How long something takes between a gateway and a node.
    fn way(&mut self) -> Span {
        Span::from_millis(1).saturating_add(self.dice.up_to(self.wanted.late.0))
    }
}

fn request(wish: Wish, workload: WorkloadId, model: &Model, now: Time) -> Request {
    let length = wish.generated.max(1);
    Request {
        workload,
        project: model.project,
        // One for each project.
        key: ApiKeyId::from_u128(model.project.as_u128()),
        rate: model.rate,
        prompt: wish.context,
        length,
        max: NonZeroU32::MIN.saturating_add(wish.most.max(length) - 1),
        came: now,
        stage: Stage::Unfunded,
    }
}
