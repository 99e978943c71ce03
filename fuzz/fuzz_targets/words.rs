//! Everything that people and programs write as one word: classes, countries, money, tiers, ids.
//! What is read is written as something that reads as the same.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use remuda_types::{Class, ClassChoice, Country, Digest, Money, NodeKey, Price, Tier, WorkloadId};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    same::<Class>(text);
    same::<ClassChoice>(text);
    same::<Country>(text);
    same::<Money>(text);
    same::<Price>(text);
    same::<Tier>(text);
    same::<Digest>(text);
    same::<WorkloadId>(text);
    same::<NodeKey>(text);
});

/// What is read is written as something that reads as the same.
fn same<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let again = value.to_string().parse::<T>().ok();
        assert_eq!(again.as_ref(), Some(&value));
    }
}
