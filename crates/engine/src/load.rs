//! Why a model does not load.

use std::path::PathBuf;

use crate::config;

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is out of bounds.
    #[error("the engine's configuration is not usable")]
    Config(#[from] config::Error),
    /// The file cannot be read.
    #[error("the model file {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("{path} is not a GGUF file: it does not begin with `GGUF`")]
    NotGguf {
        /// The file.
        path: PathBuf,
    },
    /// llama.cpp does not take the file.
    #[error("{path} is a GGUF file that llama.cpp cannot load; its log says why")]
    Rejected {
        /// The file.
        path: PathBuf,
        /// What llama.cpp's binding says.
        #[source]
        source: llama_cpp_2::LlamaModelLoadError,
    },
    /// The model keeps a recurrent state, which cannot be cut back to a prefix nor be resumed.
    #[error("{path} is a recurrent model: its streams could not be resumed, so it is not served")]
    Recurrent {
        /// The file.
        path: PathBuf,
    },
    /// The context is longer than the model was trained for.
    #[error("a context of {asked} tokens is asked for, but the model was trained for {trained}")]
    ContextTooLong {
        /// What the configuration asks for.
        asked: u32,
        /// What the model was trained for.
        trained: u32,
    },
    /// The cache does not fit.
    #[error(
        "the cache needs {needed_bytes} bytes and {available_bytes} are free: \
         use fewer slots or a shorter context"
    )]
    OutOfMemory {
        /// Bytes of the cache of all slots.
        needed_bytes: u64,
        /// Bytes free before it was allocated.
        available_bytes: u64,
    },
    /// llama.cpp made no context.
    #[error("llama.cpp made no context of {needed_bytes} bytes of cache; its log says why")]
    Context {
        /// Bytes of the cache of all slots.
        needed_bytes: u64,
        /// What llama.cpp's binding says.
        #[source]
        source: llama_cpp_2::LlamaContextLoadError,
    },
    /// llama.cpp cannot be used in this process.
    #[error("llama.cpp does not start in this process")]
    Backend(#[source] llama_cpp_2::LlamaCppError),
    /// The operating system gave no thread.
    #[error("the decode thread could not be started")]
    Thread(#[source] std::io::Error),
    /// The decode thread ended before it said anything.
    #[error("the decode thread ended while loading")]
    Died,
}
