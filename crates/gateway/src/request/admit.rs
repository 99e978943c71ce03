//! From what a client asks to a request that runs.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError};

use remuda_routing::admission::keys::Key;
use remuda_routing::admission::rate::Allowance;
use remuda_routing::{Denied, Rate};
use remuda_tokens::StopMatcher;
use remuda_types::{Digest, RequestId, Time, WorkloadId};
use tracing::Instrument;

use super::ask::{Ask, Input, Toolbox};
use super::driver::{Driver, Job};
use super::encode;
use super::hold::Holding;
use super::outbox::{self, Inbox};
use super::progress::Progress;
use super::refusal::Refusal;
use crate::entropy::random;
use crate::fleet::Lane;
use crate::gateway::Gateway;
use crate::models::Model;
use crate::node_link::fits;
use crate::spool::Broken;

/// A request that runs.
#[derive(Debug)]
pub(crate) struct Started {
    /// One for each answer, those to one input beside each other.
    pub(crate) answers: Vec<Inbox>,
    /// Of all inputs.
    pub(crate) prompt_tokens: u64,
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

/// Admits a request and starts a task for each of its answers.
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
    let stops = StopMatcher::new(ask.stops.clone())?;
    let (offer, lane, model) = offer(gateway, key, &ask.model).await?;
    let toolbox = ask.toolbox.as_ref();
    let held_to = encode::hold_to(gateway, &model, toolbox, ask.form.as_ref()).await?;
    let mut holding = Holding::new(Arc::clone(gateway), offer.rate, *key);
    let mut prepared = Vec::with_capacity(ask.inputs.len());
    for input in &ask.inputs {
        let input = encode::encode(gateway, &model, input.clone(), toolbox, offer.context);
        let input = input.await?;
        let room = room(&input.prompt, offer.context)?;
        for answer in 0..ask.each {
            let billed_prompt = if answer == 0 {
                count(input.prompt.len())
            } else {
                0
            };
            let request = if holding.is_empty() {
                request
            } else {
                gateway.request_id()
            };
            holding
                .hold(request, billed_prompt, ask.max_tokens, room)
                .await?;
        }
        prepared.push(input);
    }

    // From here on nothing is awaited: a client that leaves can no longer lose what is held.
    let seed = ask.seed.unwrap_or_else(|| u64::from_le_bytes(random()));
    let inputs = prepared
        .iter()
        .flat_map(|input| (0..ask.each).map(move |nth| (input, nth)));
    let answers = inputs.zip(holding.take()).map(|((input, nth), hold)| {
        let job = Job {
            request: hold.request,
            workload: offer.workload,
            digest: offer.digest,
            lane: Arc::clone(&lane),
            model: Arc::clone(&model),
            prompt: input.prompt.clone(),
            wish: input.wish.clone(),
            sampler: ask.sampler,
            seed: seed_of(seed, nth),
            max_tokens: hold.max_tokens,
            stops: stops.clone(),
            stop_texts: ask.stops.clone(),
            constraint: held_to.constraint.clone(),
            style: held_to.style,
            top_logprobs: ask.top_logprobs,
            streamed: ask.streamed,
            billed_prompt: hold.billed_prompt,
            held: hold.held,
        };
        start(gateway, job)
    });
    let prompt_tokens = prepared.iter().map(|input| input.prompt.len() as u64);
    Ok(Started {
        prompt_tokens: prompt_tokens.sum(),
        answers: answers.collect(),
        workload: offer.workload,
        at: gateway.clock.now(),
    })
}

/// How many tokens a prompt has.
pub(crate) async fn count_tokens(
    gateway: &Arc<Gateway>,
    key: &Key,
    model: &str,
    input: Input,
    toolbox: Option<&Toolbox>,
) -> Result<usize, Refusal> {
    let (offer, _, model) = offer(gateway, key, model).await?;
    let prepared = encode::encode(gateway, &model, input, toolbox, offer.context).await?;
    Ok(prepared.prompt.len())
}

/// What serves a model, and its vocabulary.
async fn offer(
    gateway: &Arc<Gateway>,
    key: &Key,
    name: &str,
) -> Result<(Offer, Arc<Lane>, Arc<Model>), Refusal> {
    let view = gateway.table.view();
    let unknown = || Refusal::UnknownModel(name.to_owned());
    let route = view.model(key.project, name).ok_or_else(unknown)?;
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
    let wait = gateway.config.limits.model_wait;
    let model = gateway.models.get(route, wait).await?;
    Ok((offer, lane, model))
}

fn start(gateway: &Arc<Gateway>, job: Job) -> Inbox {
    let progress = Arc::new(Progress::new(job.billed_prompt));
    let ahead = gateway.config.limits.pieces_ahead;
    let (outbox, inbox) = outbox::pair(ahead, Arc::clone(&progress));
    let span = tracing::info_span!("request", request = %job.request);
    let driver = Driver::new(Arc::clone(gateway), job, outbox, progress);
    gateway
        .requests
        .spawn(Box::pin(driver.run()).instrument(span));
    inbox
}

/// The seed of the nth answer to one input: the first has the client's own.
const fn seed_of(seed: u64, nth: usize) -> u64 {
    // The golden ratio's odd multiple spreads small numbers over all bits (Fibonacci hashing).
    seed ^ (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
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

fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
