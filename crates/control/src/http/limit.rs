//! What each owner of keys may have: requests, from a bucket that refills evenly, and streams. All
//! keys of an owner share it, so that more keys are not more of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue};
use remuda_network::state::KeyOwner;
use remuda_types::Time;

/// Streams that an owner may have open.
pub(super) const STREAMS_MAX: usize = 32;

/// Requests that an owner may send in a minute, evenly or at once.
pub(super) const REQUESTS_PER_MINUTE: u64 = 600;

/// What one request takes of a bucket, in its smallest unit: a bucket gains
/// [`REQUESTS_PER_MINUTE`] units a millisecond.
const UNITS_PER_REQUEST: u64 = 60_000;

const FULL: u64 = REQUESTS_PER_MINUTE * UNITS_PER_REQUEST;

/// Buckets are looked through for full ones when there are so many.
const BUCKETS_MAX: usize = 10_000;

/// The buckets of all owners that asked lately.
#[derive(Debug, Default)]
pub(super) struct Limits {
    buckets: Mutex<BTreeMap<KeyOwner, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    units: u64,
    at: Time,
}

/// What an owner has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Whether this request may go on.
    pub(super) allowed: bool,
    remaining: u64,
    /// Until the bucket is full again.
    reset_s: u64,
}

impl Limits {
    /// Takes one request from an owner's bucket, if it has one.
    pub(super) fn take(&self, owner: KeyOwner, now: Time) -> Allowance {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, bucket| bucket.refilled(now).units < FULL);
        }
        let bucket = buckets.entry(owner).or_insert(Bucket {
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

/// How many streams each owner has open.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams {
    open: Arc<Mutex<BTreeMap<KeyOwner, usize>>>,
}

/// One stream that is open.
#[derive(Debug)]
pub(super) struct Streaming {
    streams: Streams,
    owner: KeyOwner,
}

impl Streams {
    /// Opens one, if the owner may have one more.
    pub(super) fn open(&self, owner: KeyOwner) -> Option<Streaming> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(owner).or_default();
        if *count >= STREAMS_MAX {
            return None;
        }
        *count += 1;
        drop(open);
        let streams = self.clone();
        Some(Streaming { streams, owner })
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let mut open = self
            .streams
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let left = open.get(&self.owner).map_or(0, |count| count - 1);
        if left == 0 {
            open.remove(&self.owner);
        } else {
            open.insert(self.owner, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use remuda_types::ProjectId;

    use super::*;

    #[test]
    fn streams_are_counted_by_owner_and_end() {
        let streams = Streams::default();
        let owner = KeyOwner::Project(ProjectId::from_u128(1));
        let open: Vec<_> = (0..STREAMS_MAX).map(|_| streams.open(owner)).collect();
        assert!(open.iter().all(Option::is_some) && streams.open(owner).is_none());
        assert!(streams.open(KeyOwner::Operator).is_some());
        drop(open);
        assert!(streams.open.lock().unwrap().is_empty());
        assert!(streams.open(owner).is_some());
    }

    #[test]
    fn a_bucket_empties_and_refills_evenly() {
        let limits = Limits::default();
        let key = KeyOwner::Project(ProjectId::from_u128(1));
        let start = Time::from_millis(1_000);
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
            limits.take(KeyOwner::Operator, start).allowed,
            "owners do not share"
        );

        let later = Time::from_millis(1_100);
        assert!(limits.take(key, later).allowed);
        assert!(!limits.take(key, later).allowed);
        let full_again = limits.take(key, Time::from_millis(10_000_000));
        assert_eq!(full_again.remaining, REQUESTS_PER_MINUTE - 1);
    }
}
