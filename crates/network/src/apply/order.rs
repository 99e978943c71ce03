//! Standing orders, as facts change them.

use crate::event::Event;
use crate::state::{OrderEnd, StandingOrder, State};

impl State {
    pub(super) fn change_order(&mut self, event: &Event) {
        match event {
            Event::OrderStands {
                workload,
                project,
                terms,
                replicas,
                until,
                retry,
                at,
            } => {
                let stands = StandingOrder {
                    project: *project,
                    terms: (**terms).clone(),
                    replicas: *replicas,
                    until: *until,
                    at: *at,
                    retry: *retry,
                    attempts: 1,
                };
                self.orders.insert(*workload, stands);
            }
            Event::OrderWaits { workload, retry } => {
                let order = self.orders.get_mut(workload);
                // One that was tried out of its turn has it still.
                if let Some(order) = order.filter(|order| order.retry != *retry) {
                    order.retry = *retry;
                    order.attempts = order.attempts.saturating_add(1);
                }
            }
            Event::OrderEnded { workload, end, .. } => {
                self.orders.remove(workload);
                let became = self.workloads.get_mut(workload);
                if let Some(became) = became.filter(|_| *end == OrderEnd::Filled) {
                    became.ordered = true;
                }
            }
            _ => {}
        }
    }
}
