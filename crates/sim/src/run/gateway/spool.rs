//! A gateway's spool on a made-up disk: notes are durable a moment after they were handed in, in
//! their order, and what is not by then is gone with a crash. What it holds is what the gateway's
//! own file holds; no decision about money is made here.

use std::collections::{BTreeMap, VecDeque};

use remuda_routing::usage::Post;
use remuda_routing::{Bill, Delivery, Rate};
use remuda_types::{ApiKeyId, Digest, Money, ProjectId, RequestId, Time, TrancheId};

/// What is noted.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// Control is about to be asked for a tranche.
    Asked {
        tranche: TrancheId,
        project: ProjectId,
        amount: Money,
    },
    /// Control gave it.
    Granted {
        tranche: TrancheId,
        amount: Money,
        deadline: Time,
    },
    /// Control has closed it, or never opened it.
    Closed(TrancheId),
    /// A request may cost money.
    Reserved(RequestId, Row),
    /// Requests have been delivered this much.
    Checkpoints(Vec<(RequestId, Delivery)>),
    /// A request was delivered this much, and has this place in the order of bills.
    Billed(RequestId, Delivery, u64),
    /// A request cost nothing.
    Free(RequestId),
    /// A post is about to be sent; it sums so many bills, the oldest that no post had summed.
    Posting(Box<Post>, u64),
    /// Control has taken it.
    Acknowledged(TrancheId, u64),
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) tranche: TrancheId,
    pub(crate) key: ApiKeyId,
    pub(crate) rate: Rate,
    pub(crate) delivery: Delivery,
    /// Its place in the order of bills, once it has its bill.
    pub(crate) ordinal: Option<u64>,
    /// The post that sums it.
    pub(crate) posted: Option<u64>,
}

impl Row {
    pub(crate) fn bill(&self) -> Bill {
        self.delivery.bill(self.rate)
    }

    /// What the chain in a post is over.
    pub(crate) fn digest(&self, request: RequestId) -> Digest {
        digest(request, self.key, self.bill().amount)
    }
}

/// What the chain in a post is over.
pub(crate) fn digest(request: RequestId, key: ApiKeyId, amount: Money) -> Digest {
    let parts: [&[u8]; 3] = [
        &request.as_u128().to_be_bytes(),
        &key.as_u128().to_be_bytes(),
        &amount.as_micros().to_be_bytes(),
    ];
    Digest::of(&parts.concat())
}

/// A tranche.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) project: ProjectId,
    pub(crate) amount: Money,
    /// None before control gave it.
    pub(crate) deadline: Option<Time>,
    /// What the bills in it come to.
    pub(crate) settled: Money,
    pub(crate) acknowledged: u64,
    pub(crate) outstanding: Option<Post>,
}

/// A bill that has become durable.
#[derive(Clone, Debug)]
pub(crate) struct Billed {
    pub(crate) request: RequestId,
    pub(crate) tranche: TrancheId,
    pub(crate) key: ApiKeyId,
    pub(crate) bill: Bill,
}

/// All that was in hand when the gateway ended.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) tranches: BTreeMap<TrancheId, Held>,
    /// Bills that no post has summed, in the order in which they were recorded.
    pub(crate) bills: Vec<(RequestId, Row)>,
    pub(crate) next_ordinal: u64,
}

/// A gateway's spool.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    tranches: BTreeMap<TrancheId, Held>,
    requests: BTreeMap<RequestId, Row>,
    next_ordinal: u64,
    waiting: VecDeque<(Time, Note)>,
    /// When the last that was handed in is durable.
    last: Time,
    /// Bills that became durable and nobody was told of.
    fresh: Vec<Billed>,
}

impl Spool {
    /// Hands in a note that takes until `at` to be written. When it is durable: none is before an
    /// earlier one.
    pub(crate) fn note(&mut self, note: Note, at: Time) -> Time {
        self.last = self.last.max(at);
        self.waiting.push_back((self.last, note));
        self.last
    }

    /// What is durable by now is; the bills among it.
    pub(crate) fn flush(&mut self, now: Time) -> Vec<Billed> {
        while let Some((_, note)) = self.waiting.pop_front_if(|(at, _)| *at <= now) {
            self.apply(note);
        }
        std::mem::take(&mut self.fresh)
    }

    /// The gateway dies: what is not durable is gone.
    pub(crate) fn crash(&mut self, now: Time) -> Vec<Billed> {
        let billed = self.flush(now);
        self.waiting.clear();
        billed
    }

    /// What it holds; whoever was cut off has its bill by its last checkpoint.
    pub(crate) fn recover(&mut self) -> (Recovered, Vec<Billed>) {
        let open = self
            .requests
            .iter()
            .filter(|(_, row)| row.ordinal.is_none());
        let open: Vec<_> = open.map(|(id, row)| (*id, row.clone())).collect();
        for (id, row) in open {
            self.apply(if row.bill().is_empty() {
                Note::Free(id)
            } else {
                Note::Billed(id, row.delivery, self.next_ordinal)
            });
        }
        let unposted = self.requests.iter().filter(|(_, row)| row.posted.is_none());
        let mut bills: Vec<_> = unposted.map(|(id, row)| (*id, row.clone())).collect();
        bills.sort_by_key(|(_, row)| row.ordinal);
        let recovered = Recovered {
            tranches: self.tranches.clone(),
            bills,
            next_ordinal: self.next_ordinal,
        };
        (recovered, std::mem::take(&mut self.fresh))
    }

    fn apply(&mut self, note: Note) {
        match note {
            Note::Asked {
                tranche,
                project,
                amount,
            } => {
                let held = Held {
                    project,
                    amount,
                    deadline: None,
                    settled: Money::ZERO,
                    acknowledged: 0,
                    outstanding: None,
                };
                self.tranches.entry(tranche).or_insert(held);
            }
            Note::Granted {
                tranche,
                amount,
                deadline,
            } => {
                let asked = self.tranches.get_mut(&tranche);
                if let Some(held) = asked.filter(|held| held.deadline.is_none()) {
                    (held.amount, held.deadline) = (amount, Some(deadline));
                }
            }
            Note::Closed(tranche) => {
                self.tranches.remove(&tranche);
                self.requests.retain(|_, row| row.tranche != tranche);
            }
            Note::Reserved(request, row) => {
                self.requests.insert(request, row);
            }
            Note::Checkpoints(checkpoints) => {
                for (request, delivery) in checkpoints {
                    let row = self.requests.get_mut(&request);
                    if let Some(row) = row.filter(|row| row.ordinal.is_none()) {
                        row.delivery = delivery;
                    }
                }
            }
            Note::Billed(request, delivery, ordinal) => self.bill(request, delivery, ordinal),
            Note::Free(request) => {
                self.requests.remove(&request);
            }
            Note::Posting(post, bills) => self.post(*post, bills),
            Note::Acknowledged(tranche, seq) => self.acknowledge(tranche, seq),
        }
    }

    fn bill(&mut self, request: RequestId, delivery: Delivery, ordinal: u64) {
        let Some(row) = self.requests.get_mut(&request) else {
            return;
        };
        (row.delivery, row.ordinal) = (delivery, Some(ordinal));
        let bill = row.bill();
        if let Some(held) = self.tranches.get_mut(&row.tranche) {
            held.settled = held.settled.saturating_add(bill.amount);
        }
        self.next_ordinal = ordinal + 1;
        self.fresh.push(Billed {
            request,
            tranche: row.tranche,
            key: row.key,
            bill,
        });
    }

    fn post(&mut self, post: Post, bills: u64) {
        let unposted = self.requests.values_mut();
        let unposted = unposted.filter(|row| row.tranche == post.tranche && row.posted.is_none());
        let mut rows: Vec<_> = unposted.filter(|row| row.ordinal.is_some()).collect();
        rows.sort_by_key(|row| row.ordinal);
        let summed = usize::try_from(bills).unwrap_or(usize::MAX);
        rows.into_iter()
            .take(summed)
            .for_each(|row| row.posted = Some(post.seq));
        if let Some(held) = self.tranches.get_mut(&post.tranche) {
            held.outstanding = Some(post);
        }
    }

    fn acknowledge(&mut self, tranche: TrancheId, seq: u64) {
        let taken = |row: &Row| row.posted.is_some_and(|posted| posted <= seq);
        self.requests
            .retain(|_, row| row.tranche != tranche || !taken(row));
        if let Some(held) = self.tranches.get_mut(&tranche) {
            (held.acknowledged, held.outstanding) = (seq, None);
        }
    }
}
