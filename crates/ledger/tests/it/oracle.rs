//! A ledger that keeps nothing but the list of everything entered, and recomputes from it.
//! Slow and obvious, in 128-bit integers; shares no code with the real one.

use std::collections::BTreeMap;

use remuda_ledger::{Account, Entry};
use remuda_types::{Time, TransferId};

/// Every entry ever accepted, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle(pub(crate) Vec<Entry>);

/// An open reservation as the oracle sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    debit: Account,
    credit: Account,
    pub(crate) left: i128,
    expires: Option<Time>,
}

/// A movement of posted money.
struct Move {
    debit: Account,
    credit: Account,
    amount: i128,
}

impl Oracle {
    /// Accepts the list whole, or refuses it and stays as it was.
    pub(crate) fn enter(&mut self, list: &[Entry]) -> bool {
        let mut tried = self.clone();
        let entered = list.iter().all(|entry| tried.enter_one(entry));
        let accepted = entered && tried.posted(Account::Settlement) == 0;
        if accepted {
            *self = tried;
        }
        accepted
    }

    fn enter_one(&mut self, entry: &Entry) -> bool {
        let open = self.open();
        let is_lawful = match *entry {
            Entry::Transfer {
                id,
                debit,
                credit,
                amount,
                ..
            }
            | Entry::Reserve {
                id,
                debit,
                credit,
                amount,
                ..
            } => !open.contains_key(&id) && debit != credit && !amount.is_negative(),
            Entry::Post { id, amount } | Entry::PostPart { id, amount } => open
                .get(&id)
                .is_some_and(|open| (0..=open.left).contains(&i128::from(amount.as_micros()))),
            Entry::Void { id } => open.contains_key(&id),
        };
        self.0.push(entry.clone());
        is_lawful
            && self
                .touched()
                .iter()
                .all(|&account| self.is_in_bounds(account))
    }

    fn is_in_bounds(&self, account: Account) -> bool {
        let (debits, credits) = self.pending_sums(account);
        let (lowest, highest) = (
            self.posted(account) - debits,
            self.posted(account) + credits,
        );
        let floor = account
            .floor()
            .map_or(i64::MIN, remuda_types::Money::as_micros);
        let most = [highest, debits, credits].into_iter().max();
        lowest >= i128::from(floor) && most <= Some(i128::from(i64::MAX))
    }

    pub(crate) fn touched(&self) -> Vec<Account> {
        let both = |entry: &Entry| match *entry {
            Entry::Transfer { debit, credit, .. } | Entry::Reserve { debit, credit, .. } => {
                vec![debit, credit]
            }
            Entry::Post { .. } | Entry::PostPart { .. } | Entry::Void { .. } => vec![],
        };
        self.0.iter().flat_map(both).collect()
    }

    pub(crate) fn posted(&self, account: Account) -> i128 {
        let signed = |m: &Move| {
            m.amount * (i128::from(m.credit == account) - i128::from(m.debit == account))
        };
        self.replay().0.iter().map(signed).sum()
    }

    pub(crate) fn pending_sums(&self, account: Account) -> (i128, i128) {
        let open = self.open();
        let debits = open.values().filter(|open| open.debit == account);
        let credits = open.values().filter(|open| open.credit == account);
        (
            debits.map(|open| open.left).sum(),
            credits.map(|open| open.left).sum(),
        )
    }

    pub(crate) fn open(&self) -> BTreeMap<TransferId, Open> {
        self.replay().1
    }

    pub(crate) fn due(&self, at: Time) -> Vec<TransferId> {
        let mut due: Vec<_> = self
            .open()
            .into_iter()
            .filter_map(|(id, open)| Some((open.expires?, id)))
            .filter(|&(deadline, _)| deadline <= at)
            .collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    fn replay(&self) -> (Vec<Move>, BTreeMap<TransferId, Open>) {
        let (mut moves, mut open) = (Vec::new(), BTreeMap::<TransferId, Open>::new());
        for entry in &self.0 {
            match *entry {
                Entry::Transfer {
                    debit,
                    credit,
                    amount,
                    ..
                } => {
                    moves.push(Move {
                        debit,
                        credit,
                        amount: amount.as_micros().into(),
                    });
                }
                Entry::Reserve {
                    id,
                    debit,
                    credit,
                    amount,
                    expires,
                    ..
                } => {
                    open.insert(
                        id,
                        Open {
                            debit,
                            credit,
                            left: amount.as_micros().into(),
                            expires,
                        },
                    );
                }
                Entry::Post { id, amount } => {
                    if let Some(Open { debit, credit, .. }) = open.remove(&id) {
                        moves.push(Move {
                            debit,
                            credit,
                            amount: amount.as_micros().into(),
                        });
                    }
                }
                Entry::PostPart { id, amount } => {
                    if let Some(Open {
                        debit,
                        credit,
                        left,
                        ..
                    }) = open.get_mut(&id)
                    {
                        *left -= i128::from(amount.as_micros());
                        let amount = amount.as_micros().into();
                        moves.push(Move {
                            debit: *debit,
                            credit: *credit,
                            amount,
                        });
                    }
                }
                Entry::Void { id } => {
                    open.remove(&id);
                }
            }
        }
        (moves, open)
    }
}
