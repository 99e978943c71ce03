//! The weights and the vocabulary.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::{LlamaCppError, LogOptions, send_logs_to_tracing};

use remuda_tokens::constraint::{Constraints, Word};

use crate::config::Config;
use crate::kernels;
use crate::load::Error;
use crate::settings;

const MAGIC: &[u8; 4] = b"GGUF";

/// llama.cpp is started once in a process and never stopped.
static BACKEND: OnceLock<Result<LlamaBackend, LlamaCppError>> = OnceLock::new();

/// A loaded model.
pub struct Model {
    llama: LlamaModel,
    end_of_generation: Vec<bool>,
    constraints: Arc<Constraints>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("vocabulary", &self.vocabulary())
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Maps the weights of the GGUF file at `path`.
    pub fn load(path: &Path) -> Result<Self, Error> {
        check_magic(path)?;
        let llama = LlamaModel::load_from_file(backend()?, path, &LlamaModelParams::default())
            .map_err(|source| Error::Rejected {
                path: path.to_owned(),
                source,
            })?;
        if llama.is_recurrent() || llama.is_hybrid() {
            return Err(Error::Recurrent {
                path: path.to_owned(),
            });
        }
        let words: Vec<Word> = llama.vocab().tokens().map(|id| word(&llama, id)).collect();
        Ok(Self {
            llama,
            end_of_generation: words.iter().map(|word| word.ends).collect(),
            constraints: Arc::new(Constraints::new(&words)),
        })
    }

    /// Tokens in the vocabulary; ids are below this.
    pub fn vocabulary(&self) -> u32 {
        u32::try_from(self.end_of_generation.len()).unwrap_or(u32::MAX)
    }

    /// Whether `token` ends a generation.
    pub fn ends(&self, token: u32) -> bool {
        self.end_of_generation
            .get(token as usize)
            .is_some_and(|ends| *ends)
    }

    /// The model's own tokens of `text`, special ones recognised, none added. For tests and
    /// benchmarks: the gateway owns the tokens of requests.
    pub fn tokenize(&self, text: &str) -> Vec<u32> {
        let tokens = self.llama.vocab().tokenize(text.as_bytes(), false, true);
        tokens
            .into_iter()
            .map(|token| token.0.cast_unsigned())
            .collect()
    }

    /// What compiles constraints for this vocabulary.
    pub fn constraints(&self) -> &Arc<Constraints> {
        &self.constraints
    }

    /// Bytes of cache for all slots: keys and values of two bytes each in every layer.
    pub fn cache_bytes(&self, config: &Config) -> u64 {
        let model = &self.llama;
        let head = u64::from(model.n_embd().cast_unsigned()) / u64::from(model.n_head().max(1));
        let cell = 2 * 2 * head * u64::from(model.n_head_kv()) * u64::from(model.n_layer());
        cell * u64::from(settings::cells(config)) * u64::from(config.slots)
    }

    /// Makes the context that `config` asks for.
    pub(crate) fn context(&self, config: &Config) -> Result<LlamaContext<'_>, Error> {
        let trained = self.llama.n_ctx_train();
        if config.context_tokens > trained {
            return Err(Error::ContextTooLong {
                asked: config.context_tokens,
                trained,
            });
        }
        let needed_bytes = self.cache_bytes(config);
        check_memory(needed_bytes, available_bytes())?;
        self.llama
            .new_context(backend()?, settings::context_params(config))
            .map_err(|source| Error::Context {
                needed_bytes,
                source,
            })
    }
}

fn word(llama: &LlamaModel, token: LlamaToken) -> Word {
    let vocabulary = llama.vocab();
    Word {
        bytes: vocabulary.token_to_piece(token, true, None),
        control: vocabulary.is_control(token),
        ends: vocabulary.is_eog(token),
    }
}

fn backend() -> Result<&'static LlamaBackend, Error> {
    let started = BACKEND.get_or_init(|| {
        kernels::pin();
        send_logs_to_tracing(LogOptions::default());
        LlamaBackend::init()
    });
    match started {
        Ok(backend) => Ok(backend),
        Err(LlamaCppError::BackendAlreadyInitialized) => {
            Err(Error::Backend(LlamaCppError::BackendAlreadyInitialized))
        }
        Err(_) => Err(Error::Died),
    }
}

fn check_magic(path: &Path) -> Result<(), Error> {
    let unreadable = |source| Error::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut magic = Vec::new();
    File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut magic))
        .map_err(unreadable)?;
    if magic == MAGIC {
        Ok(())
    } else {
        Err(Error::NotGguf {
            path: path.to_owned(),
        })
    }
}

/// Linux grants memory that it does not have and kills later, so the question is asked before.
fn check_memory(needed_bytes: u64, available_bytes: Option<u64>) -> Result<(), Error> {
    match available_bytes {
        Some(available_bytes) if available_bytes < needed_bytes => Err(Error::OutOfMemory {
            needed_bytes,
            available_bytes,
        }),
        _ => Ok(()),
    }
}

/// `MemAvailable` of `/proc/meminfo`; with a GPU the cache is not in main memory.
fn available_bytes() -> Option<u64> {
    if cfg!(feature = "cuda") {
        return None;
    }
    parse_available(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_does_not_fit_is_refused_before_it_is_allocated() {
        let free = parse_available("MemTotal: 9 kB\nMemAvailable:   2 kB\n");
        assert_eq!(free, Some(2048));
        assert!(check_memory(2048, free).is_ok());
        let refused = check_memory(2049, free);
        assert!(matches!(
            refused,
            Err(Error::OutOfMemory {
                needed_bytes: 2049,
                ..
            })
        ));
        assert!(
            check_memory(u64::MAX, None).is_ok(),
            "unknown is not too little"
        );
    }
}
