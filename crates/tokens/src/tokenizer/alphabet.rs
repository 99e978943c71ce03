//! The byte-level alphabet: each byte as one printable character, so that words of arbitrary bytes are text.

use std::collections::BTreeMap;

/// Bytes to characters and back. Printable Latin-1 stands for itself; the rest follow from U+0100 in order.
pub(super) struct Alphabet {
    symbols: [char; 256],
    bytes: BTreeMap<char, u8>,
}

impl Alphabet {
    pub(super) fn new() -> Self {
        let mut symbols = ['\0'; 256];
        let mut next = 0x100_u32;
        for byte in 0..=u8::MAX {
            symbols[usize::from(byte)] = if stands_for_itself(byte) {
                char::from(byte)
            } else {
                next += 1;
                char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
            };
        }
        let bytes = (0..=u8::MAX)
            .map(|byte| (symbols[usize::from(byte)], byte))
            .collect();
        Self { symbols, bytes }
    }

    /// The symbol of a byte, given as an index below 256.
    pub(super) fn symbol(&self, byte: usize) -> char {
        self.symbols[byte]
    }

    /// A word in symbols.
    pub(super) fn symbols(&self, word: &[u8]) -> String {
        word.iter()
            .map(|byte| self.symbols[usize::from(*byte)])
            .collect()
    }

    /// The bytes of a token; characters outside the alphabet are their own UTF-8.
    pub(super) fn decode(&self, token: &str) -> Box<[u8]> {
        let mut bytes = Vec::with_capacity(token.len());
        for symbol in token.chars() {
            match self.bytes.get(&symbol) {
                Some(byte) => bytes.push(*byte),
                None => bytes.extend_from_slice(symbol.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        bytes.into_boxed_slice()
    }
}

fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let alphabet = Alphabet::new();
        let all: Vec<u8> = (0..=u8::MAX).collect();
        assert_eq!(*alphabet.decode(&alphabet.symbols(&all)), *all);
    }

    #[test]
    fn the_symbols_are_those_of_gpt2() {
        let alphabet = Alphabet::new();
        assert_eq!(alphabet.symbols(b" \n\xad~"), "\u{120}\u{10a}\u{143}~");
    }
}
