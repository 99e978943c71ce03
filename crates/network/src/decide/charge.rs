//! How a charge is split, and the entries that move it or give it back.

use remuda_ledger::{Account, Entry, Purpose};
use remuda_types::{Money, ProviderId};

use super::draft::Draft;
use crate::event::Charge;
use crate::state::Lease;

/// Splits `amount`: fee and pool rounded down, the provider has the rest.
pub(super) fn split(draft: &Draft<'_>, amount: Money) -> Charge {
    let policy = &draft.state.policy;
    let fee = amount.basis_points(policy.fee_bp);
    let pool = amount.basis_points(policy.pool_bp);
    Charge {
        amount,
        earned: amount.saturating_sub(fee).saturating_sub(pool),
        fee,
        pool,
    }
}

/// The legs of a charge whose amount has just arrived in settlement.
pub(super) fn legs(
    draft: &mut Draft<'_>,
    provider: ProviderId,
    charge: Charge,
    purpose: Purpose,
) -> Vec<Entry> {
    [
        (Account::ProviderHeld(provider), charge.earned, purpose),
        (Account::PlatformFee, charge.fee, Purpose::PlatformFee),
        (Account::InsurancePool, charge.pool, Purpose::PoolFee),
    ]
    .into_iter()
    .filter(|(_, amount, _)| !amount.is_zero())
    .map(|(credit, amount, purpose)| Entry::Transfer {
        id: draft.transfer_id(),
        debit: Account::Settlement,
        credit,
        amount,
        purpose,
    })
    .collect()
}

/// The part of a charge that `amount` is, each share in proportion; what rounding leaves is the
/// platform's to give.
pub(super) fn part(paid: Charge, amount: Money) -> Charge {
    let of = |share: Money| {
        let parts = |money: Money| u64::try_from(money.as_micros()).unwrap_or_default();
        share.fraction(parts(amount), parts(paid.amount))
    };
    let (earned, pool) = (of(paid.earned), of(paid.pool));
    let fee = amount
        .saturating_sub(earned)
        .saturating_sub(pool)
        .min(paid.fee);
    Charge {
        amount: earned.saturating_add(fee).saturating_add(pool),
        earned,
        fee,
        pool,
    }
}

/// Moves `back` from those who had it to the budget it came from, as far as they still have it.
pub(super) fn give_back(draft: &mut Draft<'_>, lease: &Lease, back: Charge) -> Charge {
    let mut entries = Vec::new();
    let mut take = |debit, amount: Money| {
        let amount = amount.min(draft.available(debit)).max(Money::ZERO);
        if !amount.is_zero() {
            entries.push(Entry::Transfer {
                id: draft.transfer_id(),
                debit,
                credit: Account::ProjectBudget(lease.project),
                amount,
                purpose: Purpose::Correction,
            });
        }
        amount
    };
    let earned = take(Account::ProviderHeld(lease.provider), back.earned);
    let fee = take(Account::PlatformFee, back.fee);
    let pool = take(Account::InsurancePool, back.pool);
    draft.move_money(entries);
    Charge {
        amount: earned.saturating_add(fee).saturating_add(pool),
        earned,
        fee,
        pool,
    }
}

impl Charge {
    /// This charge, less what is given back.
    pub(super) const fn less(self, back: Self) -> Self {
        Self {
            amount: self.amount.saturating_sub(back.amount),
            earned: self.earned.saturating_sub(back.earned),
            fee: self.fee.saturating_sub(back.fee),
            pool: self.pool.saturating_sub(back.pool),
        }
    }
}
