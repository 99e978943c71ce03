//! What must hold of every state, whatever happened. Property tests and the simulator ask after
//! each step.

use remuda_types::{LeaseId, Money, TrancheId};

use crate::pick::{Balancer, Replica};
use crate::stream::Stream;
use crate::tranche::Purse;

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Spent and reserved together exceed what control gave.
    #[error("tranche {tranche} of {amount} USD has {used} used")]
    Overspent {
        /// The tranche.
        tranche: TrancheId,
        /// What control gave.
        amount: Money,
        /// Spent and reserved.
        used: Money,
    },
    /// A tranche's reserved sum is not that of its reservations.
    #[error("tranche {tranche} counts {counted} USD as reserved, its reservations say {held}")]
    Miscounted {
        /// The tranche.
        tranche: TrancheId,
        /// Its count.
        counted: Money,
        /// The sum of its reservations.
        held: Money,
    },
    /// A half-open replica waits for the outcome of a request that does not exist.
    #[error("lease {lease} is half open and has no request that tries it")]
    LostTrial {
        /// The lease.
        lease: LeaseId,
    },
    /// A lease that control no longer lists is kept for nothing.
    #[error("lease {lease} is gone and idle, but kept")]
    Kept {
        /// The lease.
        lease: LeaseId,
    },
    /// A replica's load is not that of the requests it has.
    #[error("lease {lease} counts {counted} tokens to be read, its requests say {unread}")]
    LeakedLoad {
        /// The lease.
        lease: LeaseId,
        /// Its count.
        counted: u64,
        /// The sum of its requests.
        unread: u64,
    },
    /// More is remembered of a replica's cache than may be.
    #[error("more of the cache of lease {lease} is remembered than the policy allows")]
    Overfull {
        /// The lease.
        lease: LeaseId,
    },
    /// The parts by lease are not the tokens forwarded.
    #[error("{forwarded} tokens were forwarded, {delivered} are counted to leases")]
    Unattributed {
        /// Tokens forwarded.
        forwarded: u64,
        /// Tokens counted to leases.
        delivered: u64,
    },
    /// More tokens than the request allows.
    #[error("{forwarded} tokens were forwarded, {most} were asked for")]
    TooManyTokens {
        /// Tokens forwarded.
        forwarded: u64,
        /// The most there may be.
        most: u64,
    },
    /// More moves than the policy allows.
    #[error("the stream moved {moves} times, {most} are allowed")]
    TooManyMoves {
        /// Moves made.
        moves: usize,
        /// The most there may be.
        most: usize,
    },
    /// A lease is listened to that was given up.
    #[error("lease {lease} was given up and is listened to again")]
    Revived {
        /// The lease.
        lease: LeaseId,
    },
}

/// No tranche is overspent, and the books agree.
pub fn check_purse(purse: &Purse) -> Result<(), Violation> {
    purse.pots.iter().try_for_each(|pot| {
        let (tranche, amount, used) = (pot.tranche.id, pot.tranche.amount, pot.used());
        let held = purse
            .book
            .values()
            .filter(|held| held.tranche == tranche)
            .fold(Money::ZERO, |sum, held| sum.saturating_add(held.amount));
        if used > amount {
            return Err(Violation::Overspent {
                tranche,
                amount,
                used,
            });
        }
        if held != pot.reserved {
            return Err(Violation::Miscounted {
                tranche,
                counted: pot.reserved,
                held,
            });
        }
        Ok(())
    })
}

/// A half-open replica has a request that tries it, nothing is kept for nothing, load is that of the
/// requests there are, and memory keeps to its bounds.
pub fn check_balancer(balancer: &Balancer) -> Result<(), Violation> {
    let mut replicas = balancer.replicas.iter();
    replicas.try_for_each(|(&lease, replica)| check_replica(lease, replica))
}

fn check_replica(lease: LeaseId, replica: &Replica) -> Result<(), Violation> {
    let idle = replica.in_flight() == 0;
    let (counted, unread) = (
        replica.load.unread_tokens(),
        replica.load.recounted_tokens(),
    );
    if idle && replica.is_in_trial() {
        Err(Violation::LostTrial { lease })
    } else if idle && !replica.listed {
        Err(Violation::Kept { lease })
    } else if counted != unread {
        Err(Violation::LeakedLoad {
            lease,
            counted,
            unread,
        })
    } else if !replica.is_memory_bounded() {
        Err(Violation::Overfull { lease })
    } else {
        Ok(())
    }
}

/// Every forwarded token is counted to a lease, and nothing exceeds its limit.
pub fn check_stream(stream: &Stream) -> Result<(), Violation> {
    let forwarded = stream.generated().len() as u64;
    let delivered = stream
        .delivered()
        .iter()
        .map(|part| u64::from(part.tokens))
        .sum();
    let most = u64::from(stream.facts().max_tokens.get());
    let (moves, most_moves) = (stream.moves().len(), stream.policy().max_moves);
    if forwarded != delivered {
        return Err(Violation::Unattributed {
            forwarded,
            delivered,
        });
    }
    if forwarded > most {
        return Err(Violation::TooManyTokens { forwarded, most });
    }
    if moves > most_moves {
        return Err(Violation::TooManyMoves {
            moves,
            most: most_moves,
        });
    }
    match stream
        .lease()
        .filter(|lease| stream.tried().contains(lease))
    {
        Some(lease) => Err(Violation::Revived { lease }),
        None => Ok(()),
    }
}
