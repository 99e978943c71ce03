//! What does not load says why.

use std::io::Write;

use remuda_engine::load::Error;
use remuda_engine::{Config, Engine, Model, kernels};

use crate::fixture::{DIGEST, config, model_path};

#[test]
fn a_missing_file_another_format_and_a_broken_file_are_told_apart() {
    let missing = Model::load("no/such/file.gguf".as_ref());
    assert!(
        matches!(missing, Err(Error::Unreadable { .. })),
        "{missing:?}"
    );
    for (content, gguf) in [
        (&b"PK\x03\x04 something else"[..], false),
        (b"GG", false),
        (b"GGUF\x03\0\0\0 cut", true),
    ] {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(content).expect("written");
        match Model::load(file.path()) {
            Err(Error::NotGguf { .. }) => assert!(!gguf),
            Err(Error::Rejected { .. }) => assert!(gguf),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_context_over_the_models_and_a_wrong_configuration_are_refused() {
    let long = Engine::load(Config {
        context_tokens: 8193,
        ..config()
    })
    .await;
    assert!(
        matches!(
            long,
            Err(Error::ContextTooLong {
                asked: 8193,
                trained: 8192
            })
        ),
        "{long:?}"
    );
    let none = Engine::load(Config {
        slots: 0,
        ..config()
    })
    .await;
    assert!(matches!(none, Err(Error::Config(_))), "{none:?}");
    let missing = Engine::load(Config::new("nowhere".into(), DIGEST, 512)).await;
    assert!(
        matches!(missing, Err(Error::Unreadable { .. })),
        "{missing:?}"
    );
}

#[test]
fn the_cache_is_what_llama_cpp_allocates() {
    let model = Model::load(&model_path()).expect("loads");
    let config = Config {
        slots: 3,
        context_tokens: 500,
        ..config()
    };
    // 23,040 bytes a token in this model; cells come in multiples of 256.
    assert_eq!(model.cache_bytes(&config), 23_040 * 512 * 3);
}

/// The test model has no K-quantised tensor of a fitting width, so `invariance` would not notice.
#[test]
#[expect(clippy::disallowed_methods, reason = "asks what llama.cpp will read")]
fn loading_turns_the_tiled_kernels_off() {
    Model::load(&model_path()).expect("loads");
    let (name, off) = kernels::ENVIRONMENT;
    assert_eq!(std::env::var_os(name), Some(off.into()));
}
