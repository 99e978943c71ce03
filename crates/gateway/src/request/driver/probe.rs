//! Whether a replica that has fallen silent lives: its engine, and its node.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, pending};
use remuda_types::LeaseId;

use super::Driver;
use crate::node_link::{Channel, Probed, Waits};
use crate::request::leg::{Place, open};

/// A probe on its way.
pub(super) struct Probe {
    pub(super) at: Place,
    answer: BoxFuture<'static, Probed>,
}

/// Waits for a probe; for ever when there is none.
pub(super) async fn outcome(probe: &mut Option<Probe>) -> (Place, Probed) {
    match probe {
        Some(probe) => (probe.at, (&mut probe.answer).await),
        None => pending().await,
    }
}

impl Driver {
    /// Control hears of a node only when nothing at all came from it: an engine in a long step is
    /// the stream's concern.
    pub(super) fn probed(&mut self, at: Place, probed: Probed) {
        self.probe = None;
        let now = self.now();
        match probed {
            Probed::Answered => return self.stream.probe_answered(at.lease, now),
            Probed::Silent => self.gateway.sight(at.node, false),
            Probed::Unanswered => {}
        }
        let mut others_than = self.stream.last_resorts();
        others_than.push(at.lease);
        let elsewhere = self
            .job
            .lane
            .has_other(&others_than, self.gateway.clock.now());
        self.stream.probe_failed(at.lease, elsewhere, now);
    }

    pub(super) fn ask_whether_alive(&mut self, lease: LeaseId) {
        let view = self.gateway.table.view();
        let Some(route) = view.replica(lease) else {
            return;
        };
        let at = Place {
            lease,
            node: route.node,
        };
        let waits = self.waits(lease);
        let (open, addresses) = (open(route, self.job.request), route.addresses.clone());
        let gateway = Arc::clone(&self.gateway);
        let answer = async move {
            let asked = async {
                match gateway.nodes.reach(at.node, &addresses).await {
                    Ok(connection) => Channel::probe(connection, open, waits).await,
                    Err(_) => Probed::Silent,
                }
            };
            asked_for_at_least(waits, asked).await
        };
        self.probe = Some(Probe {
            at,
            answer: answer.boxed(),
        });
    }

    /// How long the lease's node and its engine may take.
    fn waits(&self, lease: LeaseId) -> Waits {
        let node = self.gateway.config.limits.probe_within;
        let longest = self.job.lane.longest_gap(lease);
        let engine = self.gateway.config.policies.stream.answer_within(longest);
        let engine = Duration::from_millis(engine.as_millis()).max(node);
        Waits { node, engine }
    }
}

/// A no that comes at once waits, too, so that asking again is not a busy loop.
async fn asked_for_at_least(waits: Waits, asked: impl Future<Output = Probed>) -> Probed {
    let patience = tokio::time::sleep(waits.node);
    let outcome = tokio::time::timeout(waits.engine, asked)
        .await
        .unwrap_or(Probed::Unanswered);
    if outcome != Probed::Answered {
        patience.await;
    }
    outcome
}
