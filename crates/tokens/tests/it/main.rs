//! Whole ways through the crate, on model files made from a seed and on one real model's vocabulary.
//! The modules are `cfg(test)`, which every test binary is, so that clippy knows helpers for tests.

#[cfg(test)]
mod gguf;
#[cfg(test)]
mod prompt;
#[cfg(test)]
mod real_model;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod template;
#[cfg(test)]
mod tokenizer;
