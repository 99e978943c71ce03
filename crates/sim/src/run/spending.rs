//! Whether requests' money is taken once, and never more than was set aside: every bill that became
//! durable at a gateway beside every post that control took, request by request.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use remuda_network::Event;
use remuda_network::event::Usage;
use remuda_types::{ApiKeyId, Digest, LeaseId, Money, RequestId, TrancheId};

use super::gateway::{Billed, digest};

/// What was found wrong with a tranche.
#[derive(Debug, thiserror::Error)]
pub enum Misspent {
    /// More was billed from it than it had.
    #[error("{billed} USD are billed from {granted}")]
    Overspent {
        /// What was billed.
        billed: Money,
        /// What it had.
        granted: Money,
    },
    /// A request was billed twice.
    #[error("{0} is billed twice")]
    Twice(RequestId),
    /// A request is billed for more tokens than its client got.
    #[error("{request} is billed {billed} tokens and its client got {delivered}")]
    NotDelivered {
        /// Which.
        request: RequestId,
        /// Billed.
        billed: u64,
        /// Delivered.
        delivered: u64,
    },
    /// A post does not sum the next requests.
    #[error("post {0} does not sum the requests that were billed next")]
    Post(u64),
    /// A post's totals are not those of the requests that it sums.
    #[error("post {seq} says {posted} USD of lease {lease}, its requests {billed}")]
    Totals {
        /// Which post.
        seq: u64,
        /// Whose total.
        lease: LeaseId,
        /// What it says.
        posted: Money,
        /// What they came to.
        billed: Money,
    },
    /// Control refused a post that it had to take.
    #[error("control refused post {seq}: {code}")]
    Refused {
        /// Which post.
        seq: u64,
        /// Why.
        code: &'static str,
    },
    /// Long after the last request something is not posted.
    #[error("{0} bills were not posted though nothing ails the network")]
    Unposted(usize),
}

type Legs = BTreeMap<(LeaseId, ApiKeyId), Money>;

/// A tranche.
#[derive(Debug, Default)]
struct Book {
    granted: Money,
    billed: Money,
    posts: u64,
    /// What no post has summed: each request's digest and what it pays whom.
    waiting: VecDeque<(Digest, Legs)>,
    over: bool,
}

/// All requests' money.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    tranches: BTreeMap<TrancheId, Book>,
    billed: BTreeSet<RequestId>,
    /// Tokens that each request's client got, until it is billed.
    delivered: BTreeMap<RequestId, u64>,
    /// What was posted in all.
    pub(crate) posted: Money,
    /// What was billed and can never be posted.
    pub(crate) lost: Money,
}

type Found = (TrancheId, Misspent);

impl Spending {
    /// A request is over, or was cut off: its client got so many tokens.
    pub(crate) fn delivered(&mut self, request: RequestId, tokens: u32) {
        self.delivered.insert(request, u64::from(tokens));
    }

    /// A bill is durable.
    pub(crate) fn bill(&mut self, of: Billed) -> Result<(), Found> {
        let Billed {
            request,
            tranche,
            key,
            bill,
        } = of;
        let wrong = |misspent| Err((tranche, misspent));
        if !self.billed.insert(request) {
            return wrong(Misspent::Twice(request));
        }
        let delivered = self.delivered.remove(&request).unwrap_or_default();
        let billed = bill.tokens.completion;
        if billed > delivered {
            return wrong(Misspent::NotDelivered {
                request,
                billed,
                delivered,
            });
        }
        let book = self.tranches.entry(tranche).or_default();
        book.billed = book.billed.saturating_add(bill.amount);
        let (billed, granted) = (book.billed, book.granted);
        if billed > granted {
            return wrong(Misspent::Overspent { billed, granted });
        }
        let mut legs = Legs::new();
        for leg in &bill.legs {
            let sum = legs.entry((leg.lease, key)).or_default();
            *sum = sum.saturating_add(leg.amount);
        }
        if book.over {
            self.lost = self.lost.saturating_add(bill.amount);
        } else {
            let row = digest(request, key, bill.amount);
            book.waiting.push_back((row, legs));
        }
        Ok(())
    }

    /// Follows a fact.
    pub(crate) fn follow(&mut self, event: &Event) -> Result<(), Found> {
        if let Event::TrancheOpened {
            tranche, amount, ..
        } = event
        {
            // A question that comes very late opens it anew; nothing may come of that.
            let granted = *amount;
            let book = Book {
                granted,
                ..Book::default()
            };
            self.tranches.insert(*tranche, book);
        } else if let Event::UsagePosted {
            tranche,
            seq,
            usages,
            rows,
            ..
        } = event
        {
            let book = self.tranches.entry(*tranche).or_default();
            let sum = book.post(*seq, usages, *rows);
            let sum = sum.map_err(|misspent| (*tranche, misspent))?;
            self.posted = self.posted.saturating_add(sum);
        } else if let Event::TrancheClosed { tranche } = event {
            let book = self.tranches.entry(*tranche).or_default();
            book.over = true;
            for (_, legs) in book.waiting.drain(..) {
                let sum = legs.values().copied();
                self.lost = sum.fold(self.lost, Money::saturating_add);
            }
        }
        Ok(())
    }

    /// After a calm everything that was billed has been posted.
    pub(crate) fn check_posted(&self) -> Result<(), Found> {
        let open = self.tranches.iter();
        let behind = open.map(|(id, book)| (*id, book.waiting.len()));
        behind
            .filter(|(_, waiting)| *waiting > 0)
            .try_for_each(|(tranche, waiting)| Err((tranche, Misspent::Unposted(waiting))))
    }
}

impl Book {
    /// Takes the requests that a post sums off those that wait; what control moved for it.
    fn post(&mut self, seq: u64, usages: &[Usage], rows: Digest) -> Result<Money, Misspent> {
        if seq != self.posts + 1 {
            return Err(Misspent::Post(seq));
        }
        self.posts = seq;
        let (mut chain, mut legs) = (Digest::default(), Legs::new());
        while chain != rows {
            let Some((row, of)) = self.waiting.pop_front() else {
                return Err(Misspent::Post(seq));
            };
            chain = Digest::of(&[chain.0, row.0].concat());
            for (place, amount) in of {
                let sum = legs.entry(place).or_default();
                *sum = sum.saturating_add(amount);
            }
        }
        let mut sum = Money::ZERO;
        // Usage of a lease that control has forgotten pays nobody, and is left out.
        for usage in usages {
            let (lease, posted) = (usage.total.lease, usage.total.amount);
            let place = (lease, usage.total.key);
            let billed = legs.remove(&place).unwrap_or_default();
            if billed != posted {
                return Err(Misspent::Totals {
                    seq,
                    lease,
                    posted,
                    billed,
                });
            }
            sum = sum.saturating_add(posted);
        }
        Ok(sum)
    }
}
