//! Bytes to text as they come: only whole characters leave.

use crate::tokenizer::{Tokenizer, UnknownToken};

/// Turns a stream of token ids into text. What comes out does not depend on how the ids were cut into
/// calls: it is the lossy UTF-8 reading of all their bytes.
#[derive(Clone, Debug, Default)]
pub struct Detokenizer {
    /// The bytes of a character that is not yet whole; at most three.
    held: Vec<u8>,
}

impl Detokenizer {
    /// A detokeniser at the start of a text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one token and returns the text that is now certain, often a word, sometimes nothing.
    /// Control tokens add nothing.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<String, UnknownToken> {
        let bytes = tokenizer.token_bytes(id).ok_or(UnknownToken { id })?;
        Ok(self.push_bytes(bytes))
    }

    /// Takes the bytes of a token, for callers that have them from the node.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let whole = self.held.len() - incomplete_tail(&self.held);
        let text = String::from_utf8_lossy(&self.held[..whole]).into_owned();
        self.held.drain(..whole);
        text
    }

    /// Ends the text: a character that never became whole is one U+FFFD.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }
}

/// How many bytes at the end may still become a character.
fn incomplete_tail(bytes: &[u8]) -> usize {
    let Some(last) = bytes.utf8_chunks().last() else {
        return 0;
    };
    let invalid = last.invalid();
    // `error_len` is `None` exactly where more bytes could make the sequence valid.
    match std::str::from_utf8(invalid) {
        Err(error) if error.error_len().is_none() => invalid.len(),
        Ok(_) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(pieces: &[Vec<u8>]) -> String {
        let mut detokenizer = Detokenizer::new();
        let mut text: String = pieces
            .iter()
            .map(|piece| detokenizer.push_bytes(piece))
            .collect();
        text.push_str(&detokenizer.finish());
        text
    }

    #[test]
    fn a_character_in_two_tokens_waits_for_its_second_half() {
        let mut detokenizer = Detokenizer::new();
        assert_eq!(detokenizer.push_bytes(b"a\xe2\x82"), "a");
        assert_eq!(detokenizer.push_bytes(b"\xac!"), "\u{20ac}!");
        assert_eq!(detokenizer.finish(), "");
    }

    #[test]
    fn a_character_cut_off_is_one_replacement() {
        assert_eq!(run(&[b"x\xf0\x9f\x98".to_vec()]), "x\u{fffd}");
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let text = "\\PC{0,3}".prop_map(String::into_bytes);
        prop_oneof![text, proptest::collection::vec(any::<u8>(), 0..4)]
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(pieces in proptest::collection::vec(piece(), 0..20)) {
            let whole = pieces.concat();
            let by_byte: Vec<Vec<u8>> = whole.iter().map(|byte| vec![*byte]).collect();
            let expected = String::from_utf8_lossy(&whole).into_owned();
            prop_assert_eq!(run(&pieces), expected.clone());
            prop_assert_eq!(run(&by_byte), expected);
        }

        #[test]
        fn at_most_three_bytes_are_held(pieces in proptest::collection::vec(piece(), 0..20)) {
            let mut detokenizer = Detokenizer::new();
            for piece in &pieces {
                detokenizer.push_bytes(piece);
                prop_assert!(detokenizer.held.len() <= 3);
            }
        }
    }
}
