//! What an engine is told when it starts.

use std::path::PathBuf;
use std::time::Duration;

use remuda_types::Digest;
use remuda_wire::api::workload::ModelSpec;

/// How to run one model. [`Config::new`] gives the defaults; fields are then set by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The GGUF file. Whoever starts the engine has checked that its content is `digest`.
    pub model: PathBuf,
    /// The content digest of the weights; requests for others are refused.
    pub digest: Digest,
    /// Tokens of context of each sequence: prompt and output together.
    pub context_tokens: u32,
    /// Sequences decoded at once, as [`ModelSpec::SLOTS`] bounds them. Default 4.
    pub slots: u32,
    /// Requests that may wait for a slot; the next is refused as busy. Default 16.
    pub queue: u32,
    /// Threads of the decode loop. Default 1: llama.cpp's threads spin at barriers, and on a
    /// machine with other work two are slower than one.
    pub threads: u32,
    /// Prompt tokens evaluated between two tokens of the running sequences, at most
    /// [`MAX_PREFILL_CHUNK`]. It changes pace and never results. Default 32.
    pub prefill_chunk: u32,
    /// How long running sequences may go on after shutdown. Default 5 s.
    pub drain_grace: Duration,
}

/// The largest prefill chunk.
pub const MAX_PREFILL_CHUNK: u32 = 2048;

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {given}: it must lie between {least} and {most}")]
pub struct Error {
    /// The field of [`Config`].
    pub field: &'static str,
    /// Its value.
    pub given: u32,
    /// The least it may be.
    pub least: u32,
    /// The most it may be.
    pub most: u32,
}

impl Config {
    /// A configuration with the defaults.
    pub fn new(model: PathBuf, digest: Digest, context_tokens: u32) -> Self {
        Self {
            model,
            digest,
            context_tokens,
            slots: 4,
            queue: 16,
            threads: 1,
            prefill_chunk: 32,
            drain_grace: Duration::from_secs(5),
        }
    }

    /// Refuses values that no engine can run with.
    pub fn check(&self) -> Result<(), Error> {
        let bounds = [
            (
                "context_tokens",
                self.context_tokens,
                ModelSpec::CONTEXT_TOKENS,
            ),
            ("slots", self.slots, ModelSpec::SLOTS),
            ("queue", self.queue, 0..=65_536),
            ("threads", self.threads, ModelSpec::THREADS),
            ("prefill_chunk", self.prefill_chunk, 1..=MAX_PREFILL_CHUNK),
        ];
        bounds.into_iter().try_for_each(|(field, given, bounds)| {
            let (least, most) = (*bounds.start(), *bounds.end());
            if bounds.contains(&given) {
                Ok(())
            } else {
                Err(Error {
                    field,
                    given,
                    least,
                    most,
                })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_is_out_of_bounds_is_named() {
        let mut config = Config::new("m.gguf".into(), Digest::default(), 512);
        assert_eq!(config.check(), Ok(()));
        config.slots = 65;
        let refused = config.check().map_err(|error| error.field);
        assert_eq!(refused, Err("slots"));
    }
}
