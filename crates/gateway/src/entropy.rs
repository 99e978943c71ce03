//! The one source of entropy: keys, ids and seeds.

use remuda_types::Entropy;

/// What makes an id unlike any other of its millisecond.
pub(crate) fn entropy() -> Entropy {
    Entropy(random())
}

/// Bytes from the system's generator.
///
/// # Panics
/// When the system has no entropy to give, without which no key, id or seed may be made.
#[expect(
    clippy::expect_used,
    reason = "a system without entropy can run nothing here"
)]
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's random generator answers");
    bytes
}
