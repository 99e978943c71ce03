//! Keeps llama.cpp to kernels whose result does not depend on the width of the batch.
//!
//! Three of its matrix kernels are taken only from some width on and sum in another order than the
//! plain dot product, so that a token prefilled in a chunk would differ in its last bits from the
//! same token decoded alone:
//! - llamafile's `sgemm` (built out: `GGML_LLAMAFILE=OFF` in `.cargo/config.toml`),
//! - the repacked weights (built out: `GGML_CPU_REPACK=OFF`),
//! - the tiled kernels of the K- and I-quantised types, used from eight columns on. No build
//!   option leaves them out; the environment variable set here does.

use std::sync::OnceLock;

/// The variable that turns the tiled kernels off, and its value. Whoever starts the engine as a
/// child should set it there; [`pin`] then has nothing to do.
pub const ENVIRONMENT: (&str, &str) = ("GGML_CPU_TILED_MM", "0");

static PINNED: OnceLock<()> = OnceLock::new();

/// Turns the tiled kernels off for this process. llama.cpp reads the variable once, at its first
/// product, so this comes before any model is loaded; [`crate::Model::load`] sees to it.
pub fn pin() {
    PINNED.get_or_init(|| {
        if !already_set() {
            set();
        }
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "not configuration: it asks whether a write is due"
)]
fn already_set() -> bool {
    std::env::var_os(ENVIRONMENT.0).is_some_and(|value| value == ENVIRONMENT.1)
}

#[expect(
    unsafe_code,
    reason = "llama.cpp takes this setting from the environment only"
)]
fn set() {
    // SAFETY: writing the environment races only with readers outside std's lock. The single such
    // reader in an engine's process is llama.cpp, which reads the variable at its first matrix
    // product: after this, because `Model::load` comes first and `PINNED` orders all loaders.
    unsafe { std::env::set_var(ENVIRONMENT.0, ENVIRONMENT.1) }
}
