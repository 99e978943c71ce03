//! From what a client asks to a request that runs.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError};

use remuda_routing::admission::keys::Key;
use remuda_routing::admission::rate::Allowance;
use remuda_routing::tranche::Refusal as NoMoney;
use remuda_routing::{Denied, Rate};
use remuda_tokens::StopMatcher;
use remuda_types::{Digest, RequestId, Time, WorkloadId};
use tracing::Instrument;

use super::ask::Ask;
use super::driver::{Driver, Job};
use super::encode;
use super::outbox::{self, Inbox};
use super::progress::Progress;
use super::refusal::Refusal;
use crate::entropy::random;
use crate::gateway::Gateway;
use crate::money::{Claim, Held};
use crate::node_link::fits;
use crate::spool::Broken;

/// An answer cut to what is left of a budget has at least so many tokens; below that the client is
/// better told.
const LEAST_ANSWER: u32 = 16;

/// A request that runs.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) inbox: Inbox,
    pub(crate) workload: WorkloadId,
    pub(crate) at: Time,
}

/// What a route says of a model, without its replicas.
#[derive(Clone, Copy)]
struct Offer {
    workload: WorkloadId,
    digest: Digest,
    rate: Rate,
    context: u32,
}

/// The key that a secret stands for.
pub(crate) fn authorize(gateway: &Gateway, secret: &str) -> Result<Key, Refusal> {
    let digest = Digest::of(secret.as_bytes());
    let view = gateway.table.view();
    let key = view.keys.authorize(digest, gateway.clock.now());
    Ok(*key.map_err(Denied::from)?)
}

/// Counts one request of a key.
pub(crate) fn limit(gateway: &Gateway, key: &Key) -> Result<Option<Allowance>, Refusal> {
    let mut limiter = gateway
        .limiter
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let admitted = limiter.admit(key.id, key.requests_per_minute, gateway.clock.now());
    Ok(admitted.map_err(Denied::from)?)
}

/// Admits a request and starts its task.
pub(crate) async fn admit(
    gateway: &Arc<Gateway>,
    request: RequestId,
    key: &Key,
    ask: Ask,
) -> Result<Started, Refusal> {
    if !gateway.is_open() {
        return Err(Refusal::Stopping);
    }
    if !gateway.spool.is_sound() {
        return Err(Refusal::Spool(Broken));
    }
    let stops = StopMatcher::new(ask.stops)?;
    let view = gateway.table.view();
    let unknown = || Refusal::UnknownModel(ask.model.clone());
    let route = view.model(key.project, &ask.model).ok_or_else(unknown)?;
    let lane = gateway.fleet.lane(route.workload).ok_or_else(unknown)?;
    let offer = Offer {
        workload: route.workload,
        digest: route.model,
        rate: Rate {
            prompt_micros_per_million: route.prompt_micros_per_million,
            completion_micros_per_million: route.completion_micros_per_million,
        },
        context: route.context_tokens,
    };
    let model = gateway
        .models
        .get(route, gateway.config.limits.model_wait)
        .await?;
    drop(view);
    let prompt = encode::encode(gateway, &model, ask.input, offer.context).await?;
    let room = room(&prompt, offer.context)?;
    let (held, max_tokens) = hold(
        gateway,
        request,
        key,
        offer,
        prompt.len(),
        ask.max_tokens,
        room,
    )
    .await?;

    // From here on nothing is awaited: a client that leaves can no longer lose what is held.
    let progress = Arc::new(Progress::new(count(prompt.len())));
    let ahead = gateway.config.limits.pieces_ahead;
    let (outbox, inbox) = outbox::pair(ahead, Arc::clone(&progress));
    let job = Job {
        request,
        workload: offer.workload,
        digest: offer.digest,
        lane,
        model,
        prompt,
        sampler: ask.sampler,
        seed: ask.seed.unwrap_or_else(|| u64::from_le_bytes(random())),
        max_tokens,
        stops,
        streamed: ask.streamed,
        held,
    };
    let driver = Driver::new(Arc::clone(gateway), job, outbox, progress);
    let span = tracing::info_span!("request", %request);
    gateway
        .requests
        .spawn(Box::pin(driver.run()).instrument(span));
    Ok(Started {
        inbox,
        workload: offer.workload,
        at: gateway.clock.now(),
    })
}

/// Tokens that an answer may have.
fn room(prompt: &[u32], context: u32) -> Result<NonZeroU32, Refusal> {
    if prompt.is_empty() {
        return Err(Refusal::Empty);
    }
    let too_long = || Refusal::TooLong {
        prompt: prompt.len(),
        context,
    };
    let room = context
        .checked_sub(count(prompt.len()))
        .and_then(NonZeroU32::new);
    // What was generated travels again when a stream goes on elsewhere.
    room.filter(|room| fits(prompt.len() + room.get() as usize))
        .ok_or_else(too_long)
}

/// Holds the money. Who did not say how many tokens they want gets fewer before they get none.
async fn hold(
    gateway: &Gateway,
    request: RequestId,
    key: &Key,
    offer: Offer,
    prompt: usize,
    wanted: Option<u32>,
    room: NonZeroU32,
) -> Result<(Held, NonZeroU32), Refusal> {
    let limits = gateway.config.limits;
    let most = wanted.unwrap_or(limits.default_max_tokens).min(room.get());
    let max_tokens = NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN);
    let claim = Claim {
        request,
        project: key.project,
        key: key.id,
        rate: offer.rate,
        prompt_tokens: count(prompt),
        max_tokens: max_tokens.get(),
    };
    let reserve = |claim| {
        gateway
            .treasury
            .reserve(claim, &gateway.clock, limits.tranche_wait)
    };
    let refusal = match reserve(claim).await {
        Ok(held) => return Ok((held, max_tokens)),
        Err(refusal) => refusal,
    };
    let available = match refusal {
        NoMoney::Exhausted { available, .. }
        | NoMoney::Reserved { available, .. }
        | NoMoney::TooDear {
            limit: available, ..
        } => available,
        NoMoney::NoTranche | NoMoney::Short { .. } | NoMoney::PastDeadline | NoMoney::Twice => {
            return Err(Denied::from(refusal).into());
        }
    };
    let affordable = affordable(offer.rate, claim.prompt_tokens, available.as_micros());
    let shorter = affordable
        .filter(|_| wanted.is_none())
        .filter(|few| few.get() >= LEAST_ANSWER);
    let Some(shorter) = shorter.filter(|few| *few < max_tokens) else {
        return Err(Denied::from(refusal).into());
    };
    let held = reserve(Claim {
        max_tokens: shorter.get(),
        ..claim
    })
    .await;
    Ok((held.map_err(Denied::from)?, shorter))
}

/// The most completion tokens that so many micro-USD pay for, after the prompt.
fn affordable(rate: Rate, prompt_tokens: u32, micros: i64) -> Option<NonZeroU32> {
    let whole = u128::try_from(micros).ok()? * 1_000_000;
    let prompt = u128::from(prompt_tokens) * u128::from(rate.prompt_micros_per_million);
    let price = u128::from(rate.completion_micros_per_million).max(1);
    let tokens = whole.checked_sub(prompt)? / price;
    NonZeroU32::new(u32::try_from(tokens).unwrap_or(u32::MAX))
}

fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_affordable_is_not_dearer_than_what_there_is(
            prompt_micros_per_million in 0_u64..1 << 40,
            completion_micros_per_million in 1_u64..1 << 40,
            prompt in 0_u32..1 << 20,
            micros in 0_i64..1 << 50,
        ) {
            let rate = Rate { prompt_micros_per_million, completion_micros_per_million };
            if let Some(tokens) = affordable(rate, prompt, micros) {
                prop_assert!(rate.worst_case(prompt, tokens.get()).as_micros() <= micros);
            }
        }
    }

    #[test]
    fn a_prompt_leaves_room_for_one_token_at_least() {
        assert_eq!(room(&[1; 9], 10).ok(), NonZeroU32::new(1));
        assert!(matches!(
            room(&[1; 10], 10),
            Err(Refusal::TooLong {
                prompt: 10,
                context: 10
            })
        ));
        assert!(matches!(room(&[1; 11], 10), Err(Refusal::TooLong { .. })));
        assert!(matches!(room(&[], 10), Err(Refusal::Empty)));
    }
}
