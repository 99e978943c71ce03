//! The rate limit of each API key: a bucket that refills evenly.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue};
use remuda_types::{ApiKeyId, Time};

/// Requests that a key may send in a minute, evenly or at once.
pub(super) const REQUESTS_PER_MINUTE: u64 = 600;

/// What one request takes of a bucket, in its smallest unit: a bucket gains
/// [`REQUESTS_PER_MINUTE`] units a millisecond.
const UNITS_PER_REQUEST: u64 = 60_000;

const FULL: u64 = REQUESTS_PER_MINUTE * UNITS_PER_REQUEST;

/// Buckets are looked through for full ones when there are so many.
const BUCKETS_MAX: usize = 10_000;

/// The buckets of all keys that asked lately.
#[derive(Debug, Default)]
pub(super) struct Limits {
    buckets: Mutex<HashMap<ApiKeyId, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    units: u64,
    at: Time,
}

/// What a key has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Whether this request may go on.
    pub(super) allowed: bool,
    remaining: u64,
    /// Until the bucket is full again.
    reset_s: u64,
}

impl Limits {
    /// Takes one request from a key's bucket, if it has one.
    pub(super) fn take(&self, key: ApiKeyId, now: Time) -> Allowance {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, bucket| bucket.refilled(now).units < FULL);
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            units: FULL,
            at: now,
        });
        *bucket = bucket.refilled(now);
        let left = bucket.units.checked_sub(UNITS_PER_REQUEST);
        bucket.units = left.unwrap_or(bucket.units);
        Allowance {
            allowed: left.is_some(),
            remaining: bucket.units / UNITS_PER_REQUEST,
            reset_s: (FULL - bucket.units).div_ceil(REQUESTS_PER_MINUTE * 1_000),
        }
    }
}

impl Bucket {
    fn refilled(self, now: Time) -> Self {
        let gained = now
            .since(self.at)
            .as_millis()
            .saturating_mul(REQUESTS_PER_MINUTE);
        Self {
            units: self.units.saturating_add(gained).min(FULL),
            at: self.at.max(now),
        }
    }
}

impl Allowance {
    /// Says it to the client.
    pub(super) fn write(self, headers: &mut HeaderMap) {
        headers.insert("ratelimit-limit", HeaderValue::from(REQUESTS_PER_MINUTE));
        headers.insert("ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(self.reset_s));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills_evenly() {
        let limits = Limits::default();
        let (key, start) = (ApiKeyId::from_u128(1), Time::from_millis(1_000));
        for left in (0..REQUESTS_PER_MINUTE).rev() {
            assert_eq!(limits.take(key, start).remaining, left);
        }
        let refused = Allowance {
            allowed: false,
            remaining: 0,
            reset_s: 60,
        };
        assert_eq!(limits.take(key, start), refused);
        assert!(
            limits.take(ApiKeyId::from_u128(2), start).allowed,
            "keys do not share"
        );

        let later = Time::from_millis(1_100);
        assert!(limits.take(key, later).allowed);
        assert!(!limits.take(key, later).allowed);
        let full_again = limits.take(key, Time::from_millis(10_000_000));
        assert_eq!(full_again.remaining, REQUESTS_PER_MINUTE - 1);
    }
}
