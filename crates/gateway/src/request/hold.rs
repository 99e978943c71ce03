//! Money for the answers of one request, held until they run.

use std::num::NonZeroU32;
use std::sync::Arc;

use remuda_routing::admission::keys::Key;
use remuda_routing::tranche::Refusal as NoMoney;
use remuda_routing::{Delivery, Denied, Rate};
use remuda_types::RequestId;

use super::refusal::Refusal;
use crate::gateway::Gateway;
use crate::money::{Claim, Held};

/// An answer cut to what is left of a budget has at least so many tokens; below that the client is
/// better told.
const LEAST_ANSWER: u32 = 16;

/// What is held for one answer.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) request: RequestId,
    pub(super) held: Held,
    pub(super) billed_prompt: u32,
    pub(super) max_tokens: NonZeroU32,
}

/// What is held so far. Dropping it gives it back: a client may leave while more is waited for.
pub(super) struct Holding {
    gateway: Arc<Gateway>,
    rate: Rate,
    key: Key,
    holds: Vec<Hold>,
}

impl Holding {
    pub(super) fn new(gateway: Arc<Gateway>, rate: Rate, key: Key) -> Self {
        Self {
            gateway,
            rate,
            key,
            holds: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// Hands out what is held, in the order in which it was.
    pub(super) fn take(mut self) -> Vec<Hold> {
        std::mem::take(&mut self.holds)
    }

    /// Holds money for one more answer. Who did not say how many tokens they want gets fewer before
    /// they get none.
    pub(super) async fn hold(
        &mut self,
        request: RequestId,
        billed_prompt: u32,
        wanted: Option<u32>,
        room: NonZeroU32,
    ) -> Result<(), Refusal> {
        let limits = self.gateway.config.limits;
        let most = wanted.unwrap_or(limits.default_max_tokens).min(room.get());
        let most = NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN);
        let (held, max_tokens) = match self.reserve(request, billed_prompt, most).await {
            Ok(held) => (held, most),
            Err(refusal) => {
                let shorter = self
                    .shorter(refusal, billed_prompt)
                    .filter(|few| wanted.is_none() && *few < most)
                    .ok_or(Denied::from(refusal))?;
                let held = self.reserve(request, billed_prompt, shorter).await;
                (held.map_err(Denied::from)?, shorter)
            }
        };
        self.holds.push(Hold {
            request,
            held,
            billed_prompt,
            max_tokens,
        });
        Ok(())
    }

    async fn reserve(
        &self,
        request: RequestId,
        prompt_tokens: u32,
        max_tokens: NonZeroU32,
    ) -> Result<Held, NoMoney> {
        let claim = Claim {
            request,
            project: self.key.project,
            key: self.key.id,
            rate: self.rate,
            prompt_tokens,
            max_tokens: max_tokens.get(),
        };
        let (treasury, clock) = (&self.gateway.treasury, &self.gateway.clock);
        let wait = self.gateway.config.limits.tranche_wait;
        treasury.reserve(claim, clock, wait).await
    }

    /// How long an answer is that what is left pays for; none when that is not worth it.
    fn shorter(&self, refusal: NoMoney, prompt_tokens: u32) -> Option<NonZeroU32> {
        let available = match refusal {
            NoMoney::Exhausted { available, .. }
            | NoMoney::Reserved { available, .. }
            | NoMoney::TooDear {
                limit: available, ..
            } => available,
            NoMoney::NoTranche | NoMoney::Short { .. } | NoMoney::PastDeadline | NoMoney::Twice => {
                return None;
            }
        };
        let tokens = affordable(self.rate, prompt_tokens, available.as_micros());
        tokens.filter(|few| few.get() >= LEAST_ANSWER)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        for hold in self.holds.drain(..) {
            // Nothing was delivered.
            let treasury = &self.gateway.treasury;
            treasury.settle(hold.held, Delivery::default());
        }
    }
}

/// The most completion tokens that so many micro-USD pay for, after the prompt.
fn affordable(rate: Rate, prompt_tokens: u32, micros: i64) -> Option<NonZeroU32> {
    let whole = u128::try_from(micros).ok()? * 1_000_000;
    let prompt = u128::from(prompt_tokens) * u128::from(rate.prompt_micros_per_million);
    let price = u128::from(rate.completion_micros_per_million).max(1);
    let tokens = whole.checked_sub(prompt)? / price;
    NonZeroU32::new(u32::try_from(tokens).unwrap_or(u32::MAX))
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
}
