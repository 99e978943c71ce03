//! The llama.cpp context: what is configured, and what is fixed so that batching changes no bit.
//!
//! A sequence's logits are the same alone, batched, resumed and cached because
//! - **each sequence has its own cache stream** (`kv_unified` off): cell i holds position i, so the
//!   sums over the cells run in the order of positions. In a unified cache the sequences' cells
//!   interleave, and the lanes of a SIMD sum then depend on who else is there;
//! - **flash attention is off** (llama.cpp's default is `auto`): its CPU kernel takes another path
//!   for one column than for many, and splits long caches by the number of threads;
//! - **the cache has one type**, f16 (a quantised one is faster on no CPU that we measured and
//!   gives another model);
//! - **sliding windows keep all cells**, for the same order of cells and so that a prefix can be
//!   taken up again anywhere;
//! - the kernels are those of [`crate::kernels`].

use std::num::NonZeroU32;

use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};

use crate::config::Config;

/// `LLAMA_FLASH_ATTN_TYPE_DISABLED`.
const FLASH_ATTENTION_DISABLED: i32 = 0;

/// llama.cpp rounds each sequence's cells up to a multiple of this.
const CELLS_MULTIPLE: u32 = 256;

/// Cache cells of one sequence.
pub fn cells(config: &Config) -> u32 {
    config.context_tokens.next_multiple_of(CELLS_MULTIPLE)
}

/// The most tokens in one batch: a chunk of prompts, and a token of every running sequence.
pub fn batch_tokens(config: &Config) -> u32 {
    config.prefill_chunk + config.slots
}

pub(crate) fn context_params(config: &Config) -> LlamaContextParams {
    let threads = config.threads.cast_signed();
    LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(cells(config) * config.slots))
        .with_n_seq_max(config.slots)
        .with_n_batch(batch_tokens(config))
        .with_n_ubatch(batch_tokens(config))
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_kv_unified(false)
        .with_flash_attention_policy(FLASH_ATTENTION_DISABLED)
        .with_type_k(KvCacheType::F16)
        .with_type_v(KvCacheType::F16)
        .with_swa_full(true)
        .with_no_perf(true)
}
