//! The GGUF reader on good, short and hostile bytes.

use proptest::prelude::*;
use remuda_tokens::gguf::{Error, Kind, MAX_ELEMENTS, MAX_KEYS, MAX_STRING_BYTES, Metadata, Value};

use crate::sample::{self, Item};

#[test]
fn a_small_file_is_read() {
    let (bytes, _) = sample::file(&sample::model());
    let metadata = Metadata::parse(&bytes).unwrap();
    assert_eq!(metadata.version(), 3);
    assert_eq!(metadata.architecture(), Some("llama"));
    assert_eq!(metadata.name(), Some("sample"));
    assert_eq!(metadata.context_length(), Some(2_048));
    assert_eq!(metadata.tokenizer_model(), Some("gpt2"));
    assert_eq!(metadata.tokens().len(), 264);
    assert_eq!(metadata.merges().len(), 5);
    assert_eq!(metadata.token_types()[256], 3);
    assert_eq!(metadata.eos_id(), Some(u64::from(sample::IM_END)));
    assert_eq!(metadata.add_bos(), Some(false));
    assert_eq!(metadata.tensor_infos_end(), Some(bytes.len() as u64));
    assert_eq!(
        metadata.get("llama.big"),
        Some(&Value::Integer(i128::from(u64::MAX)))
    );
    assert_eq!(
        metadata.get("tokenizer.extra"),
        Some(&Value::Integers(vec![1, 2, 255]))
    );
}

#[test]
fn every_prefix_asks_for_more_and_never_for_too_much() {
    let (bytes, metadata_end) = sample::file(&sample::model());
    for length in 0..metadata_end {
        match Metadata::parse(&bytes[..length]) {
            Err(Error::Truncated { needed_at_least }) => {
                assert!(needed_at_least > length as u64, "{length}");
                assert!(needed_at_least <= metadata_end as u64, "{length}");
            }
            other => panic!("{length}: {other:?}"),
        }
    }
    for length in metadata_end..bytes.len() {
        assert_eq!(
            Metadata::parse(&bytes[..length])
                .unwrap()
                .tensor_infos_end(),
            None
        );
    }
}

#[test]
fn other_files_are_told_apart() {
    assert_eq!(Metadata::parse(b"PK\x03\x04"), Err(Error::NotGguf));
    assert_eq!(Metadata::parse(b"GGML"), Err(Error::NotGguf));
    let version =
        |version: u32| Metadata::parse(&[b"GGUF".as_slice(), &version.to_le_bytes()].concat());
    assert_eq!(version(1), Err(Error::UnsupportedVersion { version: 1 }));
    let big_endian = 3_u32.swap_bytes();
    assert_eq!(
        version(big_endian),
        Err(Error::UnsupportedVersion {
            version: big_endian
        })
    );
}

/// A header with `keys` keys and then these bytes.
fn header(keys: u64, rest: &[u8]) -> Vec<u8> {
    let start = [
        b"GGUF".as_slice(),
        &3_u32.to_le_bytes(),
        &0_u64.to_le_bytes(),
    ]
    .concat();
    [&start, keys.to_le_bytes().as_slice(), rest].concat()
}

#[test]
fn hostile_lengths_are_refused_by_name() {
    let huge = (1_u64 << 63).to_le_bytes();
    let key = [&1_u64.to_le_bytes(), b"k".as_slice()].concat();
    let too_large = |bytes: Vec<u8>| match Metadata::parse(&bytes) {
        Err(Error::TooLarge { found, limit, .. }) => (found, limit),
        other => panic!("{other:?}"),
    };
    assert_eq!(too_large(header(1 << 63, &[])), (1 << 63, MAX_KEYS));
    assert_eq!(too_large(header(1, &huge)), (1 << 63, 65_535));
    let string = [key.as_slice(), &8_u32.to_le_bytes(), &huge].concat();
    assert_eq!(too_large(header(1, &string)), (1 << 63, MAX_STRING_BYTES));
    let array = [
        key.as_slice(),
        &9_u32.to_le_bytes(),
        &0_u32.to_le_bytes(),
        &huge,
    ]
    .concat();
    assert_eq!(too_large(header(1, &array)), (1 << 63, MAX_ELEMENTS));
}

#[test]
fn nested_arrays_unknown_types_and_doubled_keys_are_malformed() {
    let key = [&1_u64.to_le_bytes(), b"k".as_slice()].concat();
    let nested = [key.as_slice(), &9_u32.to_le_bytes(), &9_u32.to_le_bytes()].concat();
    assert!(matches!(
        Metadata::parse(&header(1, &nested)),
        Err(Error::Malformed { .. })
    ));
    let unknown = [key.as_slice(), &13_u32.to_le_bytes()].concat();
    assert!(matches!(
        Metadata::parse(&header(1, &unknown)),
        Err(Error::Malformed { .. })
    ));
    let (twice, _) = sample::file(&[("k", Item::U32(1)), ("k", Item::U32(2))]);
    assert!(matches!(
        Metadata::parse(&twice),
        Err(Error::Malformed { .. })
    ));
}

#[test]
fn a_known_key_of_another_type_is_named() {
    let (bytes, _) = sample::file(&[("general.name", Item::U32(1))]);
    let expected = Error::WrongType {
        key: "general.name".to_owned(),
        expected: Kind::Text,
    };
    assert_eq!(Metadata::parse(&bytes), Err(expected));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..300), keys in 0_u64..5) {
        // The outcome is any result at all; what is tested is that there is one.
        prop_assert!(Metadata::parse(&tail).is_err());
        let _result = Metadata::parse(&header(keys, &tail));
    }

    #[test]
    fn one_changed_byte_never_panics(at in 0_usize..4_000, byte in any::<u8>()) {
        let (mut bytes, _) = sample::file(&sample::model());
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(metadata) = Metadata::parse(&bytes) {
            prop_assert!(metadata.tokens().len() <= 264);
        }
    }
}
