//! Random histories: few accounts and few ids, so that entries meet; some that cannot be right.

use proptest::prelude::*;
use remuda_ledger::{Account, Entry, Ledger, Purpose, Rail};
use remuda_types::{Money, ProjectId, ProviderId, TenantId, Time, TransferId};

/// All accounts of the histories.
pub(crate) const ACCOUNTS: [Account; 11] = [
    Account::Rail(Rail::Bank),
    Account::Rail(Rail::Chain),
    Account::SlaCredits,
    Account::TenantPrepaid(TenantId::from_u128(1)),
    Account::TenantCredit(TenantId::from_u128(1)),
    Account::ProjectBudget(ProjectId::from_u128(1)),
    Account::ProjectBudget(ProjectId::from_u128(2)),
    Account::ProviderHeld(ProviderId::from_u128(1)),
    Account::ProviderBond(ProviderId::from_u128(1)),
    Account::InsurancePool,
    Account::Settlement,
];

fn reservation() -> impl Strategy<Value = TransferId> {
    (0_u128..4).prop_map(TransferId::from_u128)
}

/// Sometimes that of a reservation.
fn transfer_id() -> impl Strategy<Value = TransferId> {
    (0_u128..40).prop_map(TransferId::from_u128)
}

pub(crate) fn account() -> impl Strategy<Value = Account> {
    prop_oneof![
        4 => prop::sample::select(&ACCOUNTS[..3]),
        12 => prop::sample::select(&ACCOUNTS[3..10]),
        1 => Just(Account::Settlement),
    ]
}

fn amount(most: i64) -> impl Strategy<Value = Money> {
    prop_oneof![
        60 => 0_i64..most,
        1 => -3_i64..0,
        3 => (i64::MAX - 60)..=i64::MAX,
    ]
    .prop_map(Money::from_micros)
}

fn deadline() -> impl Strategy<Value = Option<Time>> {
    prop::option::of((0_u64..50).prop_map(Time::from_millis))
}

fn transfer() -> impl Strategy<Value = Entry> {
    (transfer_id(), account(), account(), amount(60)).prop_map(|(id, debit, credit, amount)| {
        Entry::Transfer {
            id,
            debit,
            credit,
            amount,
            purpose: Purpose::Correction,
        }
    })
}

pub(crate) fn reserve() -> impl Strategy<Value = Entry> {
    (reservation(), account(), account(), amount(60), deadline()).prop_map(
        |(id, debit, credit, amount, expires)| {
            let purpose = Purpose::LeaseSlice;
            Entry::Reserve {
                id,
                debit,
                credit,
                amount,
                purpose,
                expires,
            }
        },
    )
}

pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        3 => transfer(),
        3 => reserve(),
        1 => (reservation(), amount(40)).prop_map(|(id, amount)| Entry::Post { id, amount }),
        2 => (reservation(), amount(20)).prop_map(|(id, amount)| Entry::PostPart { id, amount }),
        1 => reservation().prop_map(|id| Entry::Void { id }),
    ]
}

/// Usage of a tranche: reserved toward settlement, posted, paid out in two legs.
fn usage() -> impl Strategy<Value = Vec<Entry>> {
    let amounts = (0_i64..30, 0_i64..30, 0_i64..30);
    (reservation(), amounts, any::<bool>()).prop_map(|(id, (held, fee, rest), is_last)| {
        let [all, used, held, fee] =
            [held + fee + rest, held + fee, held, fee].map(Money::from_micros);
        let leg = |number, credit, amount| {
            let (id, debit) = (TransferId::from_u128(number), Account::Settlement);
            Entry::Transfer {
                id,
                debit,
                credit,
                amount,
                purpose: Purpose::Usage,
            }
        };
        let (debit, credit) = (ACCOUNTS[5], Account::Settlement);
        let purpose = Purpose::Tranche;
        let mut list = vec![
            Entry::Reserve {
                id,
                debit,
                credit,
                amount: all,
                purpose,
                expires: None,
            },
            Entry::PostPart { id, amount: used },
            leg(50, ACCOUNTS[7], held),
            leg(51, ACCOUNTS[9], fee),
        ];
        list.extend(is_last.then_some(Entry::Void { id }));
        list
    })
}

fn list() -> impl Strategy<Value = Vec<Entry>> {
    prop_oneof![
        5 => entry().prop_map(|entry| vec![entry]),
        3 => prop::collection::vec(entry(), 2..5),
        1 => usage(),
    ]
}

/// Gives every account with a floor something to lose.
fn funding() -> Vec<Entry> {
    let fund = |&credit: &Account| Entry::Transfer {
        id: TransferId::from_u128(60),
        debit: ACCOUNTS[0],
        credit,
        amount: Money::from_micros(100),
        purpose: Purpose::TopUp,
    };
    ACCOUNTS[3..10].iter().map(fund).collect()
}

/// Lists of one to five entries, on accounts that mostly begin with money.
pub(crate) fn history() -> impl Strategy<Value = Vec<Vec<Entry>>> {
    let begin = prop_oneof![4 => Just(vec![funding()]), 1 => Just(vec![])];
    (begin, prop::collection::vec(list(), 0..40)).prop_map(|(mut history, lists)| {
        history.extend(lists);
        history
    })
}

/// Enters a list that is accepted; says whether it was.
pub(crate) fn enter(ledger: &mut Ledger, list: &[Entry]) -> bool {
    let accepted = ledger.check(list).is_ok();
    if accepted {
        for entry in list {
            ledger.apply(entry);
        }
    }
    accepted
}

/// The ledger after a history, without its refused lists.
pub(crate) fn ledger_after(history: &[Vec<Entry>]) -> Ledger {
    let mut ledger = Ledger::new();
    for list in history {
        enter(&mut ledger, list);
    }
    ledger
}
