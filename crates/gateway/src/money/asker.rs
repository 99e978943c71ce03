//! Gets tranches from control before they are needed.

use std::sync::Arc;
use std::time::Duration;

use remuda_routing::tranche::{Ask, Tranche, Wanted};
use remuda_types::{ProjectId, Time};
use remuda_wire::gateway::{self, GatewayReply, GatewayRequest, OpenTranche};

use super::{Known, Treasury};
use crate::control_link::AskError;
use crate::gateway::Gateway;
use crate::spool::{Asked, Note};

/// How often purses are looked at when nobody lacks money.
const EVERY: Duration = Duration::from_millis(250);

/// Asks until the gateway stops.
pub(crate) async fn keep(gateway: Arc<Gateway>) {
    loop {
        if gateway.control.is_up() && gateway.is_open() {
            for (project, ask) in gateway.treasury.wanted(&gateway) {
                gateway.tasks.spawn(put(Arc::clone(&gateway), project, ask));
            }
        }
        tokio::select! {
            () = gateway.treasury.lacking.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
            () = gateway.stop.cancelled() => return,
        }
    }
}

async fn put(gateway: Arc<Gateway>, project: ProjectId, ask: Ask) {
    let Ask { tranche, amount } = ask;
    let treasury = &gateway.treasury;
    let asked = treasury.spool.note(Note::Asked(Asked {
        tranche,
        project,
        amount,
    }));
    if asked.durable().await.is_err() {
        return; // It may not be given what it could not remember.
    }
    let request = GatewayRequest::OpenTranche(OpenTranche {
        tranche,
        project,
        amount,
    });
    match gateway.control.ask(request).await {
        Ok(GatewayReply::Tranche(given)) => {
            treasury.granted(project, given, gateway.clock.now()).await;
        }
        Err(AskError::Refused(refused)) if !refused.retry => {
            tracing::info!(%project, code = refused.code, "control gives no tranche");
            treasury.denied(project, ask, gateway.clock.now());
        }
        Ok(other) => tracing::warn!(?other, "control answered something else"),
        Err(error) => tracing::debug!(%error, %project, "no tranche yet"),
    }
}

impl Treasury {
    /// What is to be asked for now; from here on it counts as asked.
    fn wanted(&self, gateway: &Gateway) -> Vec<(ProjectId, Ask)> {
        let now = gateway.clock.now();
        let mut state = self.state();
        let mut projects = gateway.table.view().projects();
        projects.extend(state.purses.keys());
        let mut asks = Vec::new();
        for project in projects {
            let purse = state.purse(project, self.policy);
            let ask = match purse.wanted(now) {
                None => continue,
                Some(Wanted::Again(ask)) => ask,
                Some(Wanted::New { amount }) => Ask {
                    tranche: gateway.clock.tranche_id(),
                    amount,
                },
            };
            purse.asked(ask, now);
            asks.push((project, ask));
        }
        asks
    }

    async fn granted(&self, project: ProjectId, given: gateway::Tranche, now: Time) {
        let gateway::Tranche {
            tranche,
            amount,
            deadline,
        } = given;
        let noted = self.spool.note(Note::Granted {
            tranche,
            amount,
            deadline,
        });
        if noted.durable().await.is_err() {
            return;
        }
        let mut state = self.state();
        let open = Tranche {
            id: tranche,
            amount,
            deadline,
        };
        if state.purse(project, self.policy).granted(open, now) {
            state.tranches.insert(
                tranche,
                Known {
                    project,
                    deadline,
                    spooled: 0,
                },
            );
        }
        drop(state);
        self.answered();
    }

    fn denied(&self, project: ProjectId, ask: Ask, now: Time) {
        let denied = self
            .state()
            .purse(project, self.policy)
            .denied(ask.tranche, now);
        if denied {
            drop(self.spool.note(Note::Closed(ask.tranche)));
        }
        self.answered();
    }
}
