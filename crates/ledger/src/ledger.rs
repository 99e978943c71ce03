//! The ledger: balances, open reservations, and their deadlines in order.

mod snapshot;

use std::collections::BTreeSet;

use remuda_types::{Table, Time, TransferId};

use crate::account::Account;
use crate::balance::Balance;
use crate::draft::Draft;
use crate::entry::{Entry, Pending};
use crate::refusal::Refusal;
use crate::step::{Reservation, Step};

/// All balances and open reservations. Equal histories give equal ledgers and equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Only accounts with money or a reservation.
    accounts: Table<Account, Balance>,
    reservations: Table<TransferId, Pending>,
    /// Derived from `reservations`: those with a deadline, earliest first.
    deadlines: BTreeSet<(Time, TransferId)>,
}

impl Ledger {
    /// A ledger in which nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `entries` may be entered, all of them in this order, each seeing the ones before.
    ///
    /// A list is accepted when no debit takes its account below its floor at any point, and
    /// settlement is empty at the end. It costs a few look-ups an entry; nothing is cloned.
    pub fn check<'e>(&self, entries: impl IntoIterator<Item = &'e Entry>) -> Result<(), Refusal> {
        let mut draft = Draft::of(self);
        entries
            .into_iter()
            .try_for_each(|entry| draft.enter(entry))?;
        draft.close()
    }

    /// Enters one entry of a list that [`check`](Self::check) accepted on this very ledger.
    ///
    /// Floors are not looked at: what the journal says has happened. An entry that no list could
    /// hold here (its reservation is unknown, its amount negative or out of range) is a bug of
    /// the caller: it fails an assertion in debug builds and otherwise changes nothing, so that
    /// money is conserved whatever is applied.
    pub fn apply(&mut self, entry: &Entry) {
        let applied = self.try_apply(entry);
        debug_assert!(
            applied.is_some(),
            "an entry was applied unchecked: {entry:?}"
        );
    }

    /// What stands on an account; zero for one never used.
    pub fn balance(&self, account: Account) -> Balance {
        self.accounts.get(&account).copied().unwrap_or_default()
    }

    /// An open reservation.
    pub fn pending(&self, id: TransferId) -> Option<&Pending> {
        self.reservations.get(&id)
    }

    /// The reservations due to be voided at `at`, earliest deadline first. Each costs one step,
    /// so a caller that takes n pays for n. They are open, and can be posted, until voided.
    pub fn expired(&self, at: Time) -> impl Iterator<Item = TransferId> + '_ {
        let due = self
            .deadlines
            .iter()
            .take_while(move |(deadline, _)| *deadline <= at);
        due.map(|&(_, id)| id)
    }

    /// The sum of all posted balances in micro-USD: always zero. Walks all accounts.
    pub fn total_micros(&self) -> i128 {
        self.accounts
            .values()
            .map(|balance| i128::from(balance.posted.as_micros()))
            .sum()
    }

    /// The accounts with money or a reservation, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (Account, Balance)> + '_ {
        self.accounts
            .iter()
            .map(|(&account, &balance)| (account, balance))
    }

    /// The open reservations, in the order of their ids.
    pub fn reservations(&self) -> impl Iterator<Item = (TransferId, &Pending)> + '_ {
        self.reservations.iter().map(|(&id, pending)| (id, pending))
    }

    /// The deadlines of open reservations, earliest first.
    pub(crate) fn deadlines(&self) -> &BTreeSet<(Time, TransferId)> {
        &self.deadlines
    }

    fn try_apply(&mut self, entry: &Entry) -> Option<()> {
        let step = Step::of(entry, self.pending(entry.id()).copied()).ok()?;
        let debit = self.balance(step.debit).debited(step.shift)?;
        let credit = self.balance(step.credit).credited(step.shift)?;
        self.set(step.debit, debit);
        self.set(step.credit, credit);
        match step.reservation {
            Reservation::None => {}
            Reservation::Open(pending) => self.open(step.id, pending),
            Reservation::Closed => self.close(step.id),
        }
        Some(())
    }

    fn set(&mut self, account: Account, balance: Balance) {
        if balance.is_empty() {
            self.accounts.remove(&account);
        } else {
            self.accounts.insert(account, balance);
        }
    }

    fn open(&mut self, id: TransferId, pending: Pending) {
        let is_new = self.reservations.insert(id, pending).is_none();
        if let Some(deadline) = pending.expires.filter(|_| is_new) {
            self.deadlines.insert((deadline, id));
        }
    }

    fn close(&mut self, id: TransferId) {
        let closed = self.reservations.remove(&id);
        if let Some(deadline) = closed.and_then(|pending| pending.expires) {
            self.deadlines.remove(&(deadline, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Rail;
    use crate::entry::Purpose;
    use crate::invariant;
    use remuda_types::{Money, ProjectId, ProviderId, TenantId};

    const BANK: Account = Account::Rail(Rail::Bank);
    const PREPAID: Account = Account::TenantPrepaid(TenantId::from_u128(1));
    const BUDGET: Account = Account::ProjectBudget(ProjectId::from_u128(2));
    const HELD: Account = Account::ProviderHeld(ProviderId::from_u128(3));

    fn id(number: u128) -> TransferId {
        TransferId::from_u128(number)
    }

    fn micros(amount: i64) -> Money {
        Money::from_micros(amount)
    }

    fn transfer(number: u128, debit: Account, credit: Account, amount: i64) -> Entry {
        let (id, amount) = (id(number), micros(amount));
        Entry::Transfer {
            id,
            debit,
            credit,
            amount,
            purpose: Purpose::Correction,
        }
    }

    fn reserve(number: u128, debit: Account, credit: Account, amount: i64) -> Entry {
        let (id, amount, expires) = (id(number), micros(amount), Some(Time::from_millis(100)));
        Entry::Reserve {
            id,
            debit,
            credit,
            amount,
            purpose: Purpose::Tranche,
            expires,
        }
    }

    fn post(number: u128, amount: i64) -> Entry {
        Entry::Post {
            id: id(number),
            amount: micros(amount),
        }
    }

    fn post_part(number: u128, amount: i64) -> Entry {
        Entry::PostPart {
            id: id(number),
            amount: micros(amount),
        }
    }

    fn void(number: u128) -> Entry {
        Entry::Void { id: id(number) }
    }

    fn enter(ledger: &mut Ledger, entries: &[Entry]) -> Result<(), Refusal> {
        ledger.check(entries)?;
        for entry in entries {
            ledger.apply(entry);
        }
        assert_eq!(invariant::check(ledger), Ok(()));
        Ok(())
    }

    fn with_budget(amount: i64) -> Ledger {
        let mut ledger = Ledger::new();
        let funding = [
            transfer(1, BANK, PREPAID, amount),
            transfer(2, PREPAID, BUDGET, amount),
        ];
        enter(&mut ledger, &funding).unwrap();
        ledger
    }

    #[test]
    fn a_tranche_is_spent_in_parts_through_settlement_and_the_rest_returns() {
        let mut ledger = with_budget(100);
        enter(&mut ledger, &[reserve(3, BUDGET, Account::Settlement, 90)]).unwrap();
        assert_eq!(ledger.balance(BUDGET).available(), micros(10));

        let usage = [
            post_part(3, 40),
            transfer(4, Account::Settlement, HELD, 38),
            transfer(5, Account::Settlement, Account::PlatformFee, 2),
        ];
        enter(&mut ledger, &usage).unwrap();
        assert_eq!(
            ledger.pending(id(3)).map(|pending| pending.amount),
            Some(micros(50))
        );
        assert_eq!(ledger.balance(BUDGET).available(), micros(10));

        enter(&mut ledger, &[void(3)]).unwrap();
        assert_eq!(ledger.balance(BUDGET).available(), micros(60));
        assert_eq!(ledger.balance(HELD).posted, micros(38));
    }

    #[test]
    fn a_post_moves_the_actual_amount_once_and_frees_the_rest() {
        let mut ledger = with_budget(100);
        enter(&mut ledger, &[reserve(3, BUDGET, HELD, 90), post(3, 30)]).unwrap();
        assert_eq!(ledger.balance(BUDGET).available(), micros(70));
        let unknown = Err(Refusal::UnknownPending { id: id(3) });
        for again in [post(3, 0), post_part(3, 0), void(3)] {
            assert_eq!(ledger.check(&[again]), unknown);
        }
    }

    #[test]
    fn what_is_reserved_cannot_be_spent_nor_what_is_promised() {
        let mut ledger = with_budget(100);
        enter(&mut ledger, &[reserve(3, BUDGET, HELD, 60)]).unwrap();
        let short = |account, available, needed| {
            Err(Refusal::InsufficientFunds {
                account,
                available: micros(available),
                needed: micros(needed),
            })
        };
        assert_eq!(
            ledger.check(&[transfer(4, BUDGET, HELD, 41)]),
            short(BUDGET, 40, 41)
        );
        assert_eq!(
            ledger.check(&[reserve(4, BUDGET, HELD, 41)]),
            short(BUDGET, 40, 41)
        );
        assert_eq!(
            ledger.check(&[transfer(4, HELD, PREPAID, 1)]),
            short(HELD, 0, 1)
        );
        assert_eq!(ledger.check(&[transfer(4, BUDGET, HELD, 40)]), Ok(()));
    }

    #[test]
    fn each_rule_has_its_refusal() {
        let mut ledger = with_budget(100);
        enter(&mut ledger, &[reserve(3, BUDGET, HELD, 60)]).unwrap();
        let refusal = |entry| ledger.check(&[entry]).unwrap_err();
        let amount = micros(-1);
        for taken in [reserve(3, BUDGET, HELD, 1), transfer(3, BUDGET, HELD, 1)] {
            assert_eq!(refusal(taken), Refusal::AlreadyPending { id: id(3) });
        }
        for over in [post(3, 61), post_part(3, 61)] {
            let (amount, reserved) = (micros(61), micros(60));
            assert_eq!(
                refusal(over),
                Refusal::AmountOverReserved {
                    id: id(3),
                    amount,
                    reserved
                }
            );
        }
        for negative in [post(3, -1), post_part(3, -1)] {
            assert_eq!(
                refusal(negative),
                Refusal::NegativeAmount { id: id(3), amount }
            );
        }
        for negative in [reserve(4, BUDGET, HELD, -1), transfer(4, BUDGET, HELD, -1)] {
            assert_eq!(
                refusal(negative),
                Refusal::NegativeAmount { id: id(4), amount }
            );
        }
        for same in [reserve(4, HELD, HELD, 1), transfer(4, HELD, HELD, 1)] {
            assert_eq!(
                refusal(same),
                Refusal::SameAccount {
                    id: id(4),
                    account: HELD
                }
            );
        }
        assert_eq!(
            refusal(transfer(4, BUDGET, Account::Settlement, 7)),
            Refusal::SettlementOpen { left: micros(7) }
        );
    }

    #[test]
    fn whatever_is_reserved_can_be_posted_without_overflow() {
        let mut ledger = with_budget(100);
        let promised = [reserve(3, BANK, HELD, i64::MAX - 100)];
        enter(&mut ledger, &promised).unwrap();
        let over = |account| Err(Refusal::Overflow { account });
        assert_eq!(ledger.check(&[transfer(4, BANK, HELD, 2)]), over(BANK));
        assert_eq!(
            ledger.check(&[reserve(4, Account::SlaCredits, HELD, 101)]),
            over(HELD)
        );
        assert_eq!(
            ledger.check(&[transfer(4, Account::SlaCredits, HELD, 101)]),
            over(HELD)
        );
        let rest = [
            transfer(4, Account::SlaCredits, HELD, 100),
            post(3, i64::MAX - 100),
        ];
        enter(&mut ledger, &rest).unwrap();
        assert_eq!(ledger.balance(HELD).posted, Money::MAX);
    }

    #[test]
    fn a_refused_list_leaves_no_trace_of_its_first_entries() {
        let ledger = with_budget(100);
        let list = [transfer(3, BUDGET, HELD, 100), reserve(4, BUDGET, HELD, 1)];
        assert!(ledger.check(&list).is_err());
        assert_eq!(ledger, with_budget(100));
        assert_eq!(ledger.check(&list[..1]), Ok(()));
    }

    #[test]
    fn reservations_fall_due_in_the_order_of_their_deadlines() {
        let mut ledger = with_budget(100);
        let due_at = |number, expires: Option<u64>| {
            let (id, amount, expires) = (id(number), micros(1), expires.map(Time::from_millis));
            Entry::Reserve {
                id,
                debit: BUDGET,
                credit: HELD,
                amount,
                purpose: Purpose::LeaseSlice,
                expires,
            }
        };
        let list = [
            due_at(3, Some(30)),
            due_at(4, Some(20)),
            due_at(5, None),
            due_at(6, Some(31)),
        ];
        enter(&mut ledger, &list).unwrap();
        let due = |ledger: &Ledger, at| ledger.expired(Time::from_millis(at)).collect::<Vec<_>>();
        assert_eq!(due(&ledger, 30), [id(4), id(3)]);
        enter(&mut ledger, &[void(4), post_part(3, 1)]).unwrap();
        assert_eq!(due(&ledger, 30), [id(3)]);
    }

    #[test]
    fn accounts_without_money_are_forgotten() {
        let mut ledger = with_budget(100);
        let back = [
            transfer(3, BUDGET, PREPAID, 100),
            transfer(4, PREPAID, BANK, 100),
        ];
        enter(&mut ledger, &back).unwrap();
        assert_eq!(ledger, Ledger::new());
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "applied unchecked"))]
    fn a_meaningless_entry_changes_nothing() {
        let mut ledger = with_budget(100);
        ledger.apply(&post(9, 1));
        assert_eq!(ledger, with_budget(100));
    }
}
