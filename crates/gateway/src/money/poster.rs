//! Tells control what was used, every second, and gives back tranches that have served.

use std::sync::Arc;
use std::time::Duration;

use remuda_routing::usage::Post;
use remuda_types::{Span, Time, TrancheId};
use remuda_wire::gateway::{CloseTranche, GatewayReply, GatewayRequest};
use tokio::time::Instant;

use super::{Backoff, Treasury, wire};
use crate::control_link::AskError;
use crate::gateway::Gateway;
use crate::spool::{Note, Posting};

/// How long the last posts may take when the gateway stops.
const LAST_POSTS: Duration = Duration::from_secs(5);

/// After a first refusal of a post; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest time between two tries of a post that control refuses.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long after a tranche's deadline control may still take its usage; then what is left is void.
const POST_GRACE: Span = Span::from_secs(600);

/// Between tries while it stops.
const LAST_PAUSE: Duration = Duration::from_millis(100);

/// Posts until the gateway stops.
pub(crate) async fn keep(gateway: Arc<Gateway>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(gateway.config.limits.post_every) => {}
            () = gateway.stop.cancelled() => return,
        }
        round(&gateway).await;
    }
}

/// Posts everything and closes every tranche, unless control stays away: then the spool keeps it.
pub(crate) async fn finish(gateway: &Gateway) {
    let until = Instant::now() + LAST_POSTS;
    while gateway.control.is_up() && Instant::now() < until {
        gateway.treasury.retire_all();
        // A spool that cannot be written keeps a round waiting.
        drop(tokio::time::timeout_at(until, round(gateway)).await);
        if gateway.treasury.state().closing.is_empty() {
            return;
        }
        tokio::time::sleep(LAST_PAUSE).await;
    }
}

async fn round(gateway: &Gateway) {
    if !gateway.control.is_up() {
        return;
    }
    // One round at a time: a post must not be spooled twice.
    let _alone = gateway.treasury.posting.lock().await;
    for tranche in gateway.treasury.pending() {
        post(gateway, tranche).await;
    }
    gateway.treasury.retire(gateway);
    for tranche in gateway.treasury.closable() {
        close(gateway, tranche).await;
    }
}

async fn post(gateway: &Gateway, tranche: TrancheId) {
    let treasury = &gateway.treasury;
    let Some((post, is_new)) = treasury.take(tranche) else {
        return;
    };
    let request = wire::sent(&post);
    if is_new {
        // Control may only see what a restart would send again, byte for byte.
        let bills = post.totals.values().map(|total| total.requests).sum();
        let posting = Posting {
            post: request.clone(),
            bills,
        };
        if treasury
            .spool
            .note(Note::Posting(Box::new(posting)))
            .durable()
            .await
            .is_err()
        {
            return;
        }
        treasury.spooled(tranche, post.seq);
    }
    let seq = post.seq;
    match gateway
        .control
        .ask(GatewayRequest::PostUsage(request))
        .await
    {
        Ok(GatewayReply::Posted) => treasury.acknowledged(tranche, seq),
        Ok(other) => tracing::warn!(?other, "control answered something else"),
        Err(error) if error.may_pass() => tracing::debug!(%error, %tranche, "usage waits"),
        Err(error) => refused(gateway, &post, &error),
    }
}

/// Control refuses a post. Later posts of the tranche can only follow it, so it is never skipped
/// while control may still take it.
fn refused(gateway: &Gateway, post: &Post, error: &AskError) {
    let Post { tranche, seq, .. } = *post;
    let micros: i64 = amounts(post).sum();
    let totals = post.totals.len();
    if gateway.treasury.is_live(tranche, gateway.clock.now()) {
        let refusals = gateway.treasury.hold_back(tranche);
        tracing::error!(%error, %tranche, seq, totals, micros, refusals, "control refuses usage; it is kept and sent again");
    } else {
        tracing::error!(%error, %tranche, seq, totals, micros, "usage is lost: control refuses it and its tranche is over");
        gateway.metrics.usage_lost(micros);
        gateway.treasury.acknowledged(tranche, seq);
    }
}

fn amounts(post: &Post) -> impl Iterator<Item = i64> {
    post.totals.values().map(|total| total.amount.as_micros())
}

async fn close(gateway: &Gateway, tranche: TrancheId) {
    let request = GatewayRequest::CloseTranche(CloseTranche { tranche });
    match gateway.control.ask(request).await {
        Err(error) if error.may_pass() => tracing::debug!(%error, %tranche, "not closed yet"),
        // Refused for good: control no longer has it, which is what was wanted.
        Ok(_) | Err(_) => gateway.treasury.closed(tranche),
    }
}

impl Treasury {
    /// Tranches that have something to post and are not held back.
    fn pending(&self) -> Vec<TrancheId> {
        let (state, now) = (self.state(), Instant::now());
        let mut pending = state.usage.pending();
        pending.retain(|tranche| {
            let known = state.tranches.get(tranche);
            known.is_none_or(|known| known.backoff.is_none_or(|backoff| now >= backoff.until))
        });
        pending
    }

    /// Whether control may still take usage of the tranche.
    fn is_live(&self, tranche: TrancheId, now: Time) -> bool {
        let state = self.state();
        let known = state.tranches.get(&tranche);
        known.is_some_and(|known| now < known.deadline + POST_GRACE)
    }

    /// Posts nothing of the tranche for a while, longer after each refusal; says how many there were.
    fn hold_back(&self, tranche: TrancheId) -> u32 {
        let mut state = self.state();
        let Some(known) = state.tranches.get_mut(&tranche) else {
            return 0;
        };
        let refusals = known.backoff.map_or(0, |backoff| backoff.refusals) + 1;
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(refusals - 1);
        known.backoff = Some(Backoff {
            refusals,
            until: Instant::now() + pause.min(LONGEST_PAUSE),
        });
        refusals
    }

    /// The post to send now, and whether the spool does not have it yet.
    fn take(&self, tranche: TrancheId) -> Option<(Post, bool)> {
        let mut state = self.state();
        let post = state.usage.take(tranche)?;
        let spooled = state
            .tranches
            .get(&tranche)
            .is_some_and(|known| known.spooled >= post.seq);
        Some((post, !spooled))
    }

    fn spooled(&self, tranche: TrancheId, seq: u64) {
        if let Some(known) = self.state().tranches.get_mut(&tranche) {
            known.spooled = seq;
        }
    }

    fn acknowledged(&self, tranche: TrancheId, seq: u64) {
        let mut state = self.state();
        if let Some(known) = state.tranches.get_mut(&tranche) {
            known.backoff = None;
        }
        if state.usage.acknowledge(tranche, seq) {
            drop(self.spool.note(Note::Acknowledged { tranche, seq }));
        }
    }

    /// Takes tranches that have served out of their purses, so that nothing starts in them while
    /// they are being closed.
    fn retire(&self, gateway: &Gateway) {
        let now = gateway.clock.now();
        let mut state = self.state();
        let state = &mut *state;
        for purse in state.purses.values_mut() {
            for tranche in purse.closable(now) {
                if purse.forget(tranche) {
                    state.closing.insert(tranche);
                }
            }
        }
    }

    /// Takes all tranches out in which nothing runs.
    fn retire_all(&self) {
        let mut state = self.state();
        let state = &mut *state;
        for (tranche, known) in &state.tranches {
            if let Some(purse) = state.purses.get_mut(&known.project)
                && purse.forget(*tranche)
            {
                state.closing.insert(*tranche);
            }
        }
    }

    fn closable(&self) -> Vec<TrancheId> {
        let state = self.state();
        let drained = state
            .closing
            .iter()
            .filter(|tranche| state.usage.is_drained(**tranche));
        drained.copied().collect()
    }

    fn closed(&self, tranche: TrancheId) {
        let mut state = self.state();
        state.usage.forget(tranche);
        state.tranches.remove(&tranche);
        state.closing.remove(&tranche);
        drop(self.spool.note(Note::Closed(tranche)));
    }
}
