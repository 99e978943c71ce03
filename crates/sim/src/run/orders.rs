//! What tenants want run, and no longer: tried again under the same id where nobody could take it.

use remuda_network::Command;
use remuda_types::{Span, Time, WorkloadId};

use super::control::Answer;
use super::error::Broken;
use super::service::Kind;
use super::tenants::Order;
use super::{Simulation, What};

/// Until another order comes for one that found no place.
const AGAIN: Span = Span::from_secs(600);

/// Until what found nobody to ask is tried again.
const BACK: Span = Span::from_secs(5);

impl Simulation {
    /// A tenant wants something.
    pub(super) fn order(&mut self, mut order: Order) -> Result<(), Broken> {
        let now = self.now();
        if now >= self.calm_at() {
            return Ok(());
        }
        let control = &mut self.control;
        let id = *order.id.get_or_insert_with(|| control.command_id(now));
        let workload = WorkloadId::derived(id, 0);
        match control.submit_as(now, id, &order.command) {
            Answer::Taken(_) => {
                self.truth.expect(workload, order.kind, now);
                self.plan_stop(workload, &order);
            }
            // The append had seemed to fail: the tenant hears only now that it did not.
            Answer::Repeated => {
                if !self
                    .control
                    .network
                    .state()
                    .workloads
                    .contains_key(&workload)
                {
                    return Err(Broken::Unkept(workload));
                }
                self.outcome.repeats += 1;
                self.plan_stop(workload, &order);
            }
            Answer::Refused(_) => {
                self.outcome.refused += 1;
                self.truth.refuse(order.kind, 1);
                self.tenants.drop_order(order.kind, order.gpu_milli);
                self.order_another(now + AGAIN);
            }
            Answer::Away => {
                if self.control.is_unclear(id) {
                    self.truth.expect(workload, order.kind, now);
                }
                let again = now + BACK;
                self.agenda.plan(again, What::Order(Box::new(order)));
            }
        }
        Ok(())
    }

    fn plan_stop(&mut self, workload: WorkloadId, order: &Order) {
        if let Some(lifetime) = order.lifetime {
            let stop = What::Stop(workload, order.kind, order.gpu_milli);
            self.agenda.plan(self.now() + lifetime, stop);
        }
    }

    fn order_another(&mut self, at: Time) {
        if let Some(order) = self.tenants.replace() {
            self.agenda.plan(at, What::Order(Box::new(order)));
        }
    }

    pub(super) fn stop(&mut self, workload: WorkloadId, kind: Kind, gpu_milli: u64) {
        let now = self.now();
        if now >= self.calm_at() {
            return;
        }
        match self
            .control
            .submit(now, &Command::StopWorkload { workload })
        {
            Answer::Taken(_) | Answer::Repeated | Answer::Refused(_) => {
                self.tenants.drop_order(kind, gpu_milli);
                self.order_another(now + Span::from_secs(60));
            }
            Answer::Away => {
                self.agenda
                    .plan(now + BACK, What::Stop(workload, kind, gpu_milli));
            }
        }
    }
}
