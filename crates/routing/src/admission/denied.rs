//! One refusal for all reasons, with what an HTTP client must be told.

use remuda_types::Span;

use super::{keys, queue, rate};
use crate::{pick, stream, tranche};

/// How soon to try again when what is missing is on its way.
const SOON: Span = Span::from_secs(1);

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The API key does not allow it.
    #[error(transparent)]
    Key(#[from] keys::Refusal),
    /// Too many requests with this key.
    #[error(transparent)]
    Rate(#[from] rate::TooMany),
    /// Too many requests wait for this model.
    #[error(transparent)]
    Queue(#[from] queue::Refusal),
    /// There is no money for it.
    #[error(transparent)]
    Budget(#[from] tranche::Refusal),
    /// There is no replica for it.
    #[error(transparent)]
    Replica(#[from] pick::NoReplica),
    /// It was sent, and failed before anything was delivered.
    #[error(transparent)]
    Stream(#[from] stream::Failure),
}

impl Denied {
    /// The HTTP status: 401, 403, 402 (the budget is spent: do not retry), 400, 409, 429 (this key
    /// asks too often, or the budget is held by requests that run), 503 (nothing serves it now), 529 (all that serve it are full), 502 (replicas failed).
    pub fn status(&self) -> u16 {
        match self {
            Self::Key(keys::Refusal::Unknown | keys::Refusal::Expired) => 401,
            Self::Key(keys::Refusal::NotForInference) => 403,
            Self::Rate(_) => 429,
            Self::Budget(refusal) => budget_status(refusal),
            Self::Queue(_) | Self::Replica(pick::NoReplica::Busy { .. }) => 529,
            Self::Replica(_) | Self::Stream(stream::Failure::NoReplicaLeft) => 503,
            Self::Stream(stream::Failure::Invalid) => 400,
            Self::Stream(stream::Failure::TooManyMoves | stream::Failure::ResumeForbidden) => 502,
        }
    }

    /// When to come back; none when coming back unchanged does not help.
    pub fn retry_after(&self) -> Option<Span> {
        match self {
            Self::Rate(too_many) => Some(too_many.retry_after),
            Self::Queue(
                queue::Refusal::Full { retry_after } | queue::Refusal::TooLong { retry_after },
            )
            | Self::Replica(
                pick::NoReplica::Busy { retry_after } | pick::NoReplica::Ejected { retry_after },
            ) => Some(*retry_after),
            Self::Budget(refusal) => matches!(budget_status(refusal), 429 | 503).then_some(SOON),
            Self::Replica(pick::NoReplica::Nowhere | pick::NoReplica::AllTried)
            | Self::Stream(stream::Failure::NoReplicaLeft | stream::Failure::TooManyMoves) => {
                Some(SOON)
            }
            Self::Key(_)
            | Self::Stream(stream::Failure::Invalid | stream::Failure::ResumeForbidden) => None,
        }
    }

    /// [`Denied::retry_after`] in milliseconds, for the header.
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.retry_after().map(Span::as_millis)
    }
}

fn budget_status(refusal: &tranche::Refusal) -> u16 {
    use tranche::Refusal;
    match refusal {
        Refusal::NoTranche | Refusal::Short { .. } | Refusal::PastDeadline => 503,
        Refusal::Reserved { .. } => 429,
        Refusal::Exhausted { .. } => 402,
        Refusal::TooDear { .. } => 400,
        Refusal::Twice => 409,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use remuda_types::Money;

    #[test]
    fn a_spent_budget_is_402_and_not_retried_while_a_slow_control_is_503() {
        let (available, needed) = (Money::ZERO, Money::from_micros(1));
        let spent = Denied::from(tranche::Refusal::Exhausted { available, needed });
        assert_eq!((spent.status(), spent.retry_after_ms()), (402, None));
        let waiting = Denied::from(tranche::Refusal::NoTranche);
        assert_eq!(
            (waiting.status(), waiting.retry_after_ms()),
            (503, Some(1_000))
        );
    }

    #[test]
    fn a_budget_that_others_hold_is_worth_another_try() {
        let (available, needed) = (Money::ZERO, Money::from_micros(1));
        let held = Denied::from(tranche::Refusal::Reserved { available, needed });
        assert_eq!((held.status(), held.retry_after_ms()), (429, Some(1_000)));
    }

    #[test]
    fn asking_too_often_full_and_gone_are_told_apart() {
        let retry_after = Span::from_millis(40);
        let full = Denied::from(queue::Refusal::Full { retry_after });
        assert_eq!((full.status(), full.retry_after_ms()), (529, Some(40)));
        assert_eq!(
            Denied::from(pick::NoReplica::Busy { retry_after }).status(),
            529
        );
        assert_eq!(Denied::from(pick::NoReplica::Nowhere).status(), 503);
        let often = rate::TooMany {
            limit: 1,
            retry_after,
            reset_after: retry_after,
        };
        assert_eq!(Denied::from(often).status(), 429);
    }

    #[test]
    fn a_bad_key_or_request_is_not_worth_trying_again() {
        for denied in [
            Denied::from(keys::Refusal::Unknown),
            Denied::from(keys::Refusal::NotForInference),
            Denied::from(stream::Failure::Invalid),
        ] {
            assert!((400..500).contains(&denied.status()) && denied.retry_after().is_none());
        }
    }
}
