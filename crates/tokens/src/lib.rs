//! Text and tokens: what the gateway needs of a model to count, to prompt and to stop, without llama.cpp.
//!
//! From a GGUF's metadata ([`gguf`]) or a `tokenizer.json` come a [`Tokenizer`] and a [`ChatTemplate`];
//! [`prompt::prepare`] makes token ids of a conversation, [`Detokenizer`] and [`StopMatcher`] make text
//! of the ids that come back, and [`Constraints`] say which of them may come. Input is bytes that anybody may have written: every size is limited by a
//! named constant, and no length read from a file is trusted before the bytes behind it are there.
//! What does not belong here: reading files, weights, sampling.
#![forbid(unsafe_code)]

pub mod constraint;
pub mod detokenizer;
pub mod gguf;
pub mod prompt;
pub mod stop;
pub mod template;
pub mod tokenizer;
pub mod tools;

pub use constraint::{Constraints, Follower};
pub use detokenizer::Detokenizer;
pub use prompt::Prompt;
pub use stop::StopMatcher;
pub use template::{ChatTemplate, Conversation, Message, Role};
pub use tokenizer::{Special, Tokenizer};
