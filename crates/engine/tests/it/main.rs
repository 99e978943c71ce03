//! The engine with a real model. `REMUDA_TEST_MODEL` names a GGUF file; `make test` fetches one.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a fixture that fails ends its test"
)]

mod constraint;
mod fixture;
mod invariance;
mod load;
mod protocol;
mod resume;
