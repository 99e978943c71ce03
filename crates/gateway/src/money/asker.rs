//! Gets tranches from control: for a project's first request, then before more are needed.

use std::sync::Arc;
use std::time::Duration;

use remuda_routing::tranche::{Ask, Denial, Tranche, Wanted};
use remuda_types::{ProjectId, Time, TrancheId};
use remuda_wire::gateway::{self, GatewayRefused, GatewayReply, GatewayRequest, OpenTranche};

use super::{Known, Treasury};
use crate::control_link::AskError;
use crate::entropy::entropy;
use crate::gateway::Gateway;
use crate::spool::{Asked, Note};

/// How often purses are looked at when nobody lacks money.
const EVERY: Duration = Duration::from_millis(250);

/// Asks until the gateway stops.
pub(crate) async fn keep(gateway: Arc<Gateway>) {
    loop {
        if gateway.control.is_up() && gateway.is_open() && gateway.spool.is_sound() {
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
    if asked.durable_or_not().await.is_err() {
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
        Err(AskError::Refused(refused)) => {
            tracing::info!(%project, code = refused.code, "control gives no tranche");
            if let Some(denial) = denial(&refused) {
                treasury.denied(project, ask, denial, gateway.clock.now());
            }
        }
        Ok(other) => tracing::warn!(?other, "control answered something else"),
        Err(error) => tracing::debug!(%error, %project, "no tranche yet"),
    }
}

/// What a refusal means for the purse; nothing when the same is to be asked again.
fn denial(refused: &GatewayRefused) -> Option<Denial> {
    match &*refused.code {
        "budget-exhausted" | "insufficient-funds" => Some(Denial::Exhausted),
        "budget-set-aside" => Some(Denial::Reserved),
        _ => (!refused.retry).then_some(Denial::Void),
    }
}

impl Treasury {
    /// What is to be asked for now; from here on it counts as asked.
    fn wanted(&self, gateway: &Gateway) -> Vec<(ProjectId, Ask)> {
        let now = gateway.clock.now();
        let mut state = self.state();
        let mut asks = Vec::new();
        for (&project, purse) in &mut state.purses {
            let ask = match purse.wanted(now) {
                None => continue,
                Some(Wanted::Again(ask)) => ask,
                Some(Wanted::New { amount }) => Ask {
                    tranche: TrancheId::new(now, entropy()),
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
                    backoff: None,
                },
            );
        }
        drop(state);
        self.answered();
    }

    fn denied(&self, project: ProjectId, ask: Ask, denial: Denial, now: Time) {
        let denied = self
            .state()
            .purse(project, self.policy)
            .denied(ask.tranche, denial, now);
        if denied {
            drop(self.spool.note(Note::Closed(ask.tranche)));
        }
        self.answered();
    }
}
