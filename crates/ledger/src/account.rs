//! The chart of accounts. An account is its identity: it exists once money or a reservation touches it.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use remuda_types::{IdError, Money, ProjectId, ProviderId, TenantId};

/// Whose money, and in what standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Account {
    /// The outside world. What came in through it stands here as a negative balance.
    #[n(0)]
    Rail(#[n(0)] Rail),
    /// Money a tenant paid in and has not yet given to a project.
    #[n(1)]
    TenantPrepaid(#[n(0)] TenantId),
    /// Money a tenant was granted: service level credits, promotions.
    #[n(2)]
    TenantCredit(#[n(0)] TenantId),
    /// What a project may spend: a cap that no path can exceed.
    #[n(3)]
    ProjectBudget(#[n(0)] ProjectId),
    /// Usage on its way from a budget to those who earned it; zero at the end of every list.
    #[n(4)]
    Settlement,
    /// Earned by a provider, held back until the holdback's time has passed.
    #[n(5)]
    ProviderHeld(#[n(0)] ProviderId),
    /// Earned by a provider and free to be paid out.
    #[n(6)]
    ProviderAvailable(#[n(0)] ProviderId),
    /// A provider's deposit, forfeited by leaving early or cheating.
    #[n(7)]
    ProviderBond(#[n(0)] ProviderId),
    /// Pays tenants when a bond does not suffice.
    #[n(8)]
    InsurancePool,
    /// What the platform earned.
    #[n(9)]
    PlatformFee,
    /// Credits given for missed service levels: a contra account, negative by what was given.
    #[n(10)]
    SlaCredits,
}

/// A way by which money enters and leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Rail {
    /// Bank transfers and cards.
    #[n(0)]
    Bank,
    /// Stablecoins.
    #[n(1)]
    Chain,
}

/// Why a text does not name an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// No account is written like this.
    #[error(
        "`{0}` is not an account: write it as `settlement`, `rail:bank` or `project-budget:prj_…`"
    )]
    Unknown(String),
    /// The kind is right, its owner is not.
    #[error("`{given}` names no owner that this kind of account can have")]
    Owner {
        /// What was given.
        given: String,
        /// What is wrong with the owner's id.
        #[source]
        source: IdError,
    },
}

impl Account {
    /// The balance below which no debit may take the account, counting what is reserved;
    /// `None` for accounts that may owe without limit.
    pub const fn floor(self) -> Option<Money> {
        match self {
            Self::Rail(_) | Self::SlaCredits => None,
            Self::TenantPrepaid(_)
            | Self::TenantCredit(_)
            | Self::ProjectBudget(_)
            | Self::Settlement
            | Self::ProviderHeld(_)
            | Self::ProviderAvailable(_)
            | Self::ProviderBond(_)
            | Self::InsurancePool
            | Self::PlatformFee => Some(Money::ZERO),
        }
    }
}

impl fmt::Display for Rail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bank => "bank",
            Self::Chain => "chain",
        })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rail(rail) => write!(f, "rail:{rail}"),
            Self::TenantPrepaid(tenant) => write!(f, "tenant-prepaid:{tenant}"),
            Self::TenantCredit(tenant) => write!(f, "tenant-credit:{tenant}"),
            Self::ProjectBudget(project) => write!(f, "project-budget:{project}"),
            Self::Settlement => f.write_str("settlement"),
            Self::ProviderHeld(provider) => write!(f, "provider-held:{provider}"),
            Self::ProviderAvailable(provider) => write!(f, "provider-available:{provider}"),
            Self::ProviderBond(provider) => write!(f, "provider-bond:{provider}"),
            Self::InsurancePool => f.write_str("insurance-pool"),
            Self::PlatformFee => f.write_str("platform-fee"),
            Self::SlaCredits => f.write_str("sla-credits"),
        }
    }
}

impl FromStr for Account {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        let owner_error = |source| AccountError::Owner {
            given: text.to_owned(),
            source,
        };
        match text.split_once(':') {
            Some((kind, owner)) => owned(kind, owner).map(|read| read.map_err(owner_error)),
            None => unowned(text).map(Ok),
        }
        .unwrap_or_else(|| Err(AccountError::Unknown(text.to_owned())))
    }
}

fn unowned(text: &str) -> Option<Account> {
    match text {
        "settlement" => Some(Account::Settlement),
        "insurance-pool" => Some(Account::InsurancePool),
        "platform-fee" => Some(Account::PlatformFee),
        "sla-credits" => Some(Account::SlaCredits),
        _ => None,
    }
}

fn owned(kind: &str, owner: &str) -> Option<Result<Account, IdError>> {
    Some(match (kind, owner) {
        ("rail", "bank") => Ok(Account::Rail(Rail::Bank)),
        ("rail", "chain") => Ok(Account::Rail(Rail::Chain)),
        ("tenant-prepaid", _) => owner.parse().map(Account::TenantPrepaid),
        ("tenant-credit", _) => owner.parse().map(Account::TenantCredit),
        ("project-budget", _) => owner.parse().map(Account::ProjectBudget),
        ("provider-held", _) => owner.parse().map(Account::ProviderHeld),
        ("provider-available", _) => owner.parse().map(Account::ProviderAvailable),
        ("provider-bond", _) => owner.parse().map(Account::ProviderBond),
        _ => return None,
    })
}

impl serde::Serialize for Account {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_account() -> impl Strategy<Value = Account> {
        (0_u8..12, any::<u128>()).prop_map(|(kind, bits)| match kind {
            0 => Account::Rail(Rail::Bank),
            1 => Account::Rail(Rail::Chain),
            2 => Account::TenantPrepaid(TenantId::from_u128(bits)),
            3 => Account::TenantCredit(TenantId::from_u128(bits)),
            4 => Account::ProjectBudget(ProjectId::from_u128(bits)),
            5 => Account::Settlement,
            6 => Account::ProviderHeld(ProviderId::from_u128(bits)),
            7 => Account::ProviderAvailable(ProviderId::from_u128(bits)),
            8 => Account::ProviderBond(ProviderId::from_u128(bits)),
            9 => Account::InsurancePool,
            10 => Account::PlatformFee,
            _ => Account::SlaCredits,
        })
    }

    proptest! {
        #[test]
        fn text_and_bytes_round_trip(account in any_account()) {
            prop_assert_eq!(account.to_string().parse::<Account>(), Ok(account));
            let bytes = minicbor::to_vec(account).unwrap();
            prop_assert_eq!(minicbor::decode::<Account>(&bytes).unwrap(), account);
        }

        #[test]
        fn parsing_is_total(
            text in "(rail|settlement|tenant-prepaid|provider-bond|\\PC{0,9})(:(bank|ten_|\\PC{0,9})[0-9a-z]{0,27})?",
        ) {
            if let Ok(account) = text.parse::<Account>() {
                prop_assert_eq!(account.to_string().parse::<Account>(), Ok(account));
            }
        }
    }

    #[test]
    fn errors_tell_a_wrong_kind_from_a_wrong_owner() {
        let project = ProjectId::from_u128(1);
        assert!(matches!(
            format!("tenant-prepaid:{project}").parse::<Account>(),
            Err(AccountError::Owner { .. })
        ));
        for text in [
            "",
            "rail",
            "rail:sea",
            "settlement:",
            "Settlement",
            "provider-bond",
        ] {
            assert_eq!(
                text.parse::<Account>(),
                Err(AccountError::Unknown(text.to_owned()))
            );
        }
    }
}
