//! Bonds: what a provider must have at stake, and what leaving early costs.
//!
//! DESIGN section 5; derivation and worked numbers in its research on deposits. Amounts come in and
//! go out as integers; the one square root is taken in `f64`, which IEEE 754 defines exactly.

use remuda_types::{Money, Price, Span};

use crate::policy::Policy;

/// `D_floor`: the expected payout of the policy's days, the provider's share of the price.
pub fn floor(policy: &Policy, price: Price) -> Money {
    let share = 10_000_u32
        .saturating_sub(policy.fee_bp)
        .saturating_sub(policy.pool_bp);
    price.for_span(policy.bond_floor).basis_points(share)
}

/// Volatility of the price index for a year (σ), and the quantile that is covered (z, 95 %).
const SIGMA: f64 = 0.35;
const Z: f64 = 1.645;

/// `D_exit`: the most that leaving a reserved term can gain at the 95 % quantile of prices.
///
/// `net_value` is the provider's share of the term's price, `term_years` its length; ρ, the share
/// of payouts retained to the end, is zero, so the maximum over x is at 1/3.
pub fn exit(net_value: Money, term_years: f64) -> Money {
    let share = (1.0 - 1.0 / 3.0) * Z * SIGMA * (term_years / 3.0).max(0.0).sqrt();
    scale(net_value, share)
}

fn scale(amount: Money, share: f64) -> Money {
    // A share in parts per billion keeps the product in integers.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=1e9"
    )]
    let parts = (share.clamp(0.0, 1.0) * 1e9).round() as u64;
    amount.fraction(parts, 1_000_000_000)
}

/// What leaving a lease early costs before it is capped by what the provider has at stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyExit {
    /// Price of the lease.
    pub price: Price,
    /// Price of its replacement.
    pub replacement: Price,
    /// What is left of its term.
    pub remaining: Span,
    /// The whole term.
    pub term: Span,
}

/// `F`: the price difference for what remains, the cost of moving, and 10 % of what remains; at
/// least 2 % of the whole term's value.
pub fn early_exit_fee(policy: &Policy, exit: EarlyExit) -> Money {
    let dearer = exit
        .replacement
        .micros_per_hour()
        .saturating_sub(exit.price.micros_per_hour());
    let difference = Price::from_micros_per_hour(dearer).for_span(exit.remaining);
    let remaining = exit.price.for_span(exit.remaining);
    let fee = difference
        .saturating_add(policy.migration_cost)
        .saturating_add(remaining.basis_points(1_000));
    fee.max(exit.price.for_span(exit.term).basis_points(200))
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Span = Span::from_secs(365 * 86_400);

    fn usd(dollars: i64) -> Money {
        Money::from_micros(dollars * 1_000_000)
    }

    /// 8×H100 at 3.00 USD and a host share of 80 %: the numbers of DESIGN section 5.
    #[test]
    fn worked_case_of_the_design() {
        let policy = Policy {
            fee_bp: 2_000,
            pool_bp: 0,
            ..Policy::default()
        };
        let price = Price::from_micros_per_hour(8 * 3_000_000);
        assert_eq!(floor(&policy, price).as_micros() / 1_000_000, 6_451);
        let net = price.for_span(YEAR).basis_points(8_000);
        let needed = exit(net, 1.0);
        assert!(
            (37_260..=37_290).contains(&(needed.as_micros() / 1_000_000)),
            "{needed}"
        );
    }

    #[test]
    fn a_fee_never_falls_under_two_percent_of_the_term() {
        let policy = Policy {
            migration_cost: Money::ZERO,
            ..Policy::default()
        };
        let price = Price::from_micros_per_hour(1_000_000);
        let over = EarlyExit {
            price,
            replacement: price,
            remaining: Span::ZERO,
            term: YEAR,
        };
        assert_eq!(early_exit_fee(&policy, over), usd(8_760).basis_points(200));
        let dearer = EarlyExit {
            replacement: Price::from_micros_per_hour(2_000_000),
            remaining: YEAR,
            ..over
        };
        assert_eq!(
            early_exit_fee(&policy, dearer),
            usd(8_760).saturating_add(usd(876))
        );
    }
}
