//! Requests a minute, per key: a token bucket in integers.
//!
//! The bucket holds a minute's worth and refills evenly, so a client may spend its minute at once
//! and then goes on at its rate; any span of t minutes sees at most (1 + t) × the limit. The level
//! is counted in 60,000ths of a request: then a limit of n a minute is exactly n units a millisecond.

use std::collections::{BTreeMap, BTreeSet};

use remuda_types::{ApiKeyId, Span, Time};

/// Units in one request.
const REQUEST: u64 = 60_000;

/// What is left after a request was admitted, for the `x-ratelimit-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests a minute.
    pub limit: u32,
    /// Requests that could follow at once.
    pub remaining: u32,
    /// Until the whole limit is there again.
    pub reset_after: Span,
}

/// The key asks too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this API key may make {limit} requests a minute: the next is possible in {retry_after}")]
pub struct TooMany {
    /// Requests a minute.
    pub limit: u32,
    /// Until the next request would be admitted.
    pub retry_after: Span,
    /// Until the whole limit is there again.
    pub reset_after: Span,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u64,
    at: Time,
}

impl Bucket {
    fn refill(&mut self, limit: u32, now: Time) {
        let gained = now.since(self.at).as_millis().saturating_mul(limit.into());
        self.level = self.level.saturating_add(gained).min(capacity(limit));
        self.at = self.at.max(now);
    }

    fn until(self, level: u64, limit: u32) -> Span {
        Span::from_millis(
            level
                .saturating_sub(self.level)
                .div_ceil(u64::from(limit).max(1)),
        )
    }
}

fn capacity(limit: u32) -> u64 {
    u64::from(limit) * REQUEST
}

/// The buckets of all keys that have asked.
#[derive(Clone, Debug, Default)]
pub struct RateLimiter {
    buckets: BTreeMap<ApiKeyId, Bucket>,
}

impl RateLimiter {
    /// Counts one request of `key`. None when the key has no limit (`limit` 0).
    pub fn admit(
        &mut self,
        key: ApiKeyId,
        limit: u32,
        now: Time,
    ) -> Result<Option<Allowance>, TooMany> {
        if limit == 0 {
            return Ok(None);
        }
        let full = Bucket {
            level: capacity(limit),
            at: now,
        };
        let bucket = self.buckets.entry(key).or_insert(full);
        bucket.refill(limit, now);
        if bucket.level < REQUEST {
            let retry_after = bucket.until(REQUEST, limit);
            let reset_after = bucket.until(capacity(limit), limit);
            return Err(TooMany {
                limit,
                retry_after,
                reset_after,
            });
        }
        bucket.level -= REQUEST;
        Ok(Some(Allowance {
            limit,
            remaining: u32::try_from(bucket.level / REQUEST).unwrap_or(u32::MAX),
            reset_after: bucket.until(capacity(limit), limit),
        }))
    }

    /// Forgets the keys that are not in `ring`, so that the state is bounded by the keys there are.
    pub fn retain(&mut self, ring: &super::KeyRing) {
        let known: BTreeSet<ApiKeyId> = ring.ids().collect();
        self.buckets.retain(|key, _| known.contains(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: ApiKeyId = ApiKeyId::from_u128(1);

    #[test]
    fn a_minute_may_be_spent_at_once_and_comes_back_evenly() {
        let mut limiter = RateLimiter::default();
        let first = limiter.admit(KEY, 3, Time::EPOCH).unwrap().unwrap();
        assert_eq!(
            (first.remaining, first.reset_after),
            (2, Span::from_secs(20))
        );
        assert!(limiter.admit(KEY, 3, Time::EPOCH).is_ok());
        assert!(limiter.admit(KEY, 3, Time::EPOCH).is_ok());
        let refused = limiter.admit(KEY, 3, Time::from_millis(5_000)).unwrap_err();
        assert_eq!(refused.retry_after, Span::from_secs(15));
        assert_eq!(refused.reset_after, Span::from_secs(55));
        assert!(limiter.admit(KEY, 3, Time::from_millis(20_000)).is_ok());
    }

    #[test]
    fn keys_do_not_share_and_zero_is_no_limit() {
        let mut limiter = RateLimiter::default();
        assert!(limiter.admit(KEY, 1, Time::EPOCH).is_ok());
        assert!(limiter.admit(KEY, 1, Time::EPOCH).is_err());
        assert!(
            limiter
                .admit(ApiKeyId::from_u128(2), 1, Time::EPOCH)
                .is_ok()
        );
        assert_eq!(limiter.admit(KEY, 0, Time::EPOCH), Ok(None));
    }

    #[test]
    fn a_key_that_is_gone_is_forgotten() {
        let mut limiter = RateLimiter::default();
        assert!(limiter.admit(KEY, 1, Time::EPOCH).is_ok());
        limiter.retain(&crate::KeyRing::default());
        assert!(limiter.admit(KEY, 1, Time::EPOCH).is_ok());
    }

    proptest! {
        #[test]
        fn no_span_sees_more_than_a_minute_in_hand_and_the_rate(
            limit in 1_u32..5_000, steps in proptest::collection::vec(0_u64..2_000, 1..400),
        ) {
            let mut limiter = RateLimiter::default();
            let (mut now, mut admitted) = (0_u64, 0_u64);
            for step in steps {
                now += step;
                let outcome = limiter.admit(KEY, limit, Time::from_millis(now));
                admitted += u64::from(outcome.is_ok());
                prop_assert!(admitted * REQUEST <= capacity(limit) + now * u64::from(limit));
                if let Err(refused) = outcome {
                    // The wait that is named is enough, and not a millisecond too long.
                    let mut later = limiter.clone();
                    let wait = refused.retry_after.as_millis();
                    prop_assert!(later.clone().admit(KEY, limit, Time::from_millis(now + wait)).is_ok());
                    prop_assert!(later.admit(KEY, limit, Time::from_millis(now + wait - 1)).is_err());
                }
            }
        }
    }
}
