//! Label domains: which kind of text a label stands for, and whose key seals it.

use remuda_types::{ProviderId, TenantId};

use super::problem::Problem;
use crate::vault::Owner;

/// Names of tenants; the operator's, since they are unique over all.
pub const TENANT_NAME: &str = "tenant name";
/// Names of providers; the operator's.
pub const PROVIDER_NAME: &str = "provider name";
/// Names of models; the operator's.
pub const MODEL_NAME: &str = "model name";
/// Names of projects; their tenant's.
pub const PROJECT_NAME: &str = "project name";
/// Names of workloads; their tenant's.
pub const WORKLOAD_NAME: &str = "workload name";
/// Specs of workloads, as JSON; their tenant's.
pub const WORKLOAD_SPEC: &str = "workload spec";
/// Names of sites; their provider's.
pub const SITE_NAME: &str = "site name";
/// Ids of keys that are issued under an `Idempotency-Key`; the operator's.
pub(super) const ISSUED_KEY: &str = "issued key";

/// The longest name.
const NAME_CHARS_MAX: usize = 63;

/// Whose texts a tenant's are.
pub fn of_tenant(tenant: TenantId) -> Owner {
    tenant.as_u128().to_be_bytes()
}

/// Whose texts a provider's are.
pub fn of_provider(provider: ProviderId) -> Owner {
    provider.as_u128().to_be_bytes()
}

/// Refuses names that could not be told apart when they are read.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let length = name.chars().count();
    let trimmed = name.trim() == name && !name.chars().any(|c| c.is_control() || is_unseen(c));
    if (1..=NAME_CHARS_MAX).contains(&length) && trimmed {
        return Ok(());
    }
    let detail = "1 to 63 characters are expected, none of them a control or an unseen character, no spaces at the ends";
    Err(Problem::field("/name", detail))
}

/// Characters that have another text read than is written: line ends, marks of direction, widths of
/// zero (Unicode Technical Report 36). Joiners are not among them: scripts need those.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}'
            | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{e0001}'..='\u{e007f}'
    )
}

/// Whether a name is made of what clients put in URLs and model fields.
pub(super) fn is_plain(name: &str, also: &[u8]) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| plain(b) || also.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(check_name("Acme GmbH").is_ok());
        assert!(check_name("می\u{200c}خواهم").is_ok());
        for wrong in ["", " a", "a\n", "gpj\u{202e}exe", &"x".repeat(64)] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
        assert!(is_plain("qwen2.5-0.5b_q4", b"_"));
        assert!(
            !is_plain("-a", b"") && !is_plain(".a", b""),
            "taken for a flag or hidden"
        );
        assert!(!is_plain("qwen2.5_q4", b"") && !is_plain("A", b"") && !is_plain("", b""));
    }
}
