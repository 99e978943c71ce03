//! Splitting text into words before merging. Each model family has its patterns; a wrong one gives ids
//! that the model was not trained on, so an unknown name is an error and never a guess.
//!
//! The patterns are those of the models' own `tokenizer.json`, but for their `\s+(?!\S)`: a look-ahead
//! needs a backtracking engine, which text made for it can stall. Its meaning, "leave the last blank of
//! a run to the word after it", is code here ([`Pass::end_of`]), and the engine is linear.

use regex::Regex;

/// One splitting pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Gpt2,
    Llama3,
    Qwen2,
    Qwen35,
    Gpt4o,
    Tekken,
    DeepSeek3,
    Cjk,
    Digit,
    Digits,
    ThreeDigits,
    ThreeAsciiDigits,
    Punctuation,
    FalconPunctuation,
}

impl Pattern {
    fn regex(self) -> &'static str {
        match self {
            Self::Gpt2 => r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+",
            Self::Llama3 => {
                r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
            }
            Self::Qwen2 => {
                r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
            }
            Self::Qwen35 => {
                r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
            }
            Self::Gpt4o => {
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+"
            }
            Self::Tekken => {
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+"
            }
            Self::DeepSeek3 => {
                r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+"##
            }
            Self::Cjk => r"[\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+",
            Self::Digit => r"\p{N}",
            Self::Digits => r"\p{N}+",
            Self::ThreeDigits => r"\p{N}{1,3}",
            Self::ThreeAsciiDigits => r"[0-9][0-9][0-9]",
            Self::Punctuation => r"[\p{P}$+<=>^~|]+",
            Self::FalconPunctuation => r"[\p{P}$+<=>^~|`]+",
        }
    }

    /// How a run of blanks ends.
    fn blanks(self) -> Blanks {
        match self {
            Self::Gpt2 => Blanks::LeaveLast,
            Self::Llama3
            | Self::Qwen2
            | Self::Qwen35
            | Self::Gpt4o
            | Self::Tekken
            | Self::DeepSeek3 => Blanks::LeaveLastUnlessNewline,
            Self::Cjk
            | Self::Digit
            | Self::Digits
            | Self::ThreeDigits
            | Self::ThreeAsciiDigits
            | Self::Punctuation
            | Self::FalconPunctuation => Blanks::None,
        }
    }
}

/// What a pattern does with a run of blanks before a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blanks {
    /// The pattern matches no blanks alone.
    None,
    /// The last blank belongs to the word: `\s+(?!\S)`.
    LeaveLast,
    /// The same, but a run that ends in a newline is whole: `\s*[\r\n]+|\s+(?!\S)`.
    LeaveLastUnlessNewline,
}

/// What a name in `tokenizer.ggml.pre` stands for.
pub(super) struct Family {
    names: &'static [&'static str],
    pub(super) patterns: &'static [Pattern],
    pub(super) ignore_merges: bool,
    /// Where the file does not say whether a prompt begins with BOS.
    pub(super) add_bos: bool,
}

const FAMILIES: &[Family] = &[
    Family {
        names: &[
            "gpt-2",
            "phi-2",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
        ],
        patterns: &[Pattern::Gpt2],
        ignore_merges: false,
        add_bos: false,
    },
    Family {
        names: &[
            "smollm",
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        patterns: &[Pattern::Digit, Pattern::Gpt2],
        ignore_merges: false,
        add_bos: false,
    },
    Family {
        names: &[
            "llama3",
            "llama-v3",
            "llama-bpe",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
        ],
        patterns: &[Pattern::Llama3],
        ignore_merges: true,
        add_bos: true,
    },
    Family {
        names: &["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"],
        patterns: &[Pattern::Llama3],
        ignore_merges: false,
        add_bos: false,
    },
    Family {
        names: &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        patterns: &[Pattern::Qwen2],
        ignore_merges: false,
        add_bos: false,
    },
    Family {
        names: &["qwen35"],
        patterns: &[Pattern::Qwen35],
        ignore_merges: false,
        add_bos: false,
    },
    Family {
        names: &["gpt-4o", "llama4", "kanana2", "minimax-m2"],
        patterns: &[Pattern::Gpt4o],
        ignore_merges: false,
        add_bos: false,
    },
    Family {
        names: &["tekken"],
        patterns: &[Pattern::Tekken],
        ignore_merges: true,
        add_bos: true,
    },
    Family {
        names: &["deepseek-v3", "hunyuan-dense", "joyai-llm"],
        patterns: &[Pattern::ThreeDigits, Pattern::Cjk, Pattern::DeepSeek3],
        ignore_merges: false,
        add_bos: false,
    },
    Family {
        names: &["falcon"],
        patterns: &[
            Pattern::FalconPunctuation,
            Pattern::Gpt2,
            Pattern::ThreeAsciiDigits,
        ],
        ignore_merges: false,
        add_bos: false,
    },
    Family {
        names: &["default"],
        patterns: &[
            Pattern::Punctuation,
            Pattern::Gpt2,
            Pattern::Digits,
            Pattern::ThreeAsciiDigits,
        ],
        ignore_merges: false,
        add_bos: false,
    },
];

/// The family that a name in `tokenizer.ggml.pre` belongs to.
pub(super) fn family(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.names.contains(&name))
}

/// Patterns as they stand in `tokenizer.json` files.
const WRITTEN: &[(&str, Pattern)] = &[
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        Pattern::Llama3,
    ),
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        Pattern::Qwen2,
    ),
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        Pattern::Qwen35,
    ),
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        Pattern::Gpt4o,
    ),
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        Pattern::Tekken,
    ),
    (r"\p{N}{1,3}", Pattern::ThreeDigits),
    (r"\p{N}", Pattern::Digit),
];

/// The pattern that a `tokenizer.json` writes out.
pub(super) fn written(regex: &str) -> Option<Pattern> {
    WRITTEN
        .iter()
        .find(|(text, _)| *text == regex)
        .map(|(_, pattern)| *pattern)
}

/// Splits text by one pattern after the other, each within the pieces of the one before.
pub(super) struct PreTokenizer {
    passes: Vec<Pass>,
}

impl PreTokenizer {
    pub(super) fn new(patterns: &[Pattern]) -> Result<Self, regex::Error> {
        let passes = patterns.iter().map(|pattern| Pass::new(*pattern));
        Ok(Self {
            passes: passes.collect::<Result<_, _>>()?,
        })
    }

    /// The words of a text; together they are the text.
    pub(super) fn split<'t>(&self, text: &'t str) -> Vec<&'t str> {
        self.passes.iter().fold(vec![text], |pieces, pass| {
            let mut words = Vec::with_capacity(pieces.len());
            for piece in pieces {
                pass.split(piece, &mut words);
            }
            words
        })
    }
}

struct Pass {
    regex: Regex,
    blanks: Blanks,
}

impl Pass {
    fn new(pattern: Pattern) -> Result<Self, regex::Error> {
        Ok(Self {
            regex: Regex::new(pattern.regex())?,
            blanks: pattern.blanks(),
        })
    }

    /// Adds the matches in `piece` and what lies between them.
    fn split<'t>(&self, piece: &'t str, words: &mut Vec<&'t str>) {
        let mut from = 0;
        while let Some(found) = self.regex.find_at(piece, from) {
            let end = self.end_of(piece, found.range());
            let parts = [&piece[from..found.start()], &piece[found.start()..end]];
            words.extend(parts.iter().filter(|part| !part.is_empty()));
            from = end;
        }
        words.extend(Some(&piece[from..]).filter(|rest| !rest.is_empty()));
    }

    /// Where a match ends when the last blank of a run is left to the word that follows.
    fn end_of(&self, piece: &str, found: std::ops::Range<usize>) -> usize {
        let matched = &piece[found.clone()];
        let followed = piece[found.end..].chars().next().is_some();
        let newline = matched.ends_with(['\r', '\n']);
        let leave = match self.blanks {
            Blanks::None => false,
            Blanks::LeaveLast => followed,
            Blanks::LeaveLastUnlessNewline => followed && !newline,
        };
        let last = matched
            .chars()
            .next_back()
            .filter(|_| leave && blank(matched));
        // A run of one blank has nothing to leave: it is a word of its own.
        let shorter = last.map(|last| found.end - last.len_utf8());
        shorter
            .filter(|end| *end > found.start)
            .unwrap_or(found.end)
    }
}

fn blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split<'t>(name: &str, text: &'t str) -> Vec<&'t str> {
        PreTokenizer::new(family(name).unwrap().patterns)
            .unwrap()
            .split(text)
    }

    #[test]
    fn the_last_blank_goes_with_the_word() {
        assert_eq!(
            split("gpt-2", "a   b\n\nc  "),
            ["a", "  ", " b", "\n", "\n", "c", "  "]
        );
        assert_eq!(
            split("llama-bpe", "a   b\n\n  c"),
            ["a", "  ", " b", "\n\n", " ", " c"]
        );
    }

    #[test]
    fn digits_are_grouped_as_the_model_does() {
        assert_eq!(split("smollm", "x 1234"), ["x", " ", "1", "2", "3", "4"]);
        assert_eq!(split("llama-bpe", "x 1234"), ["x", " ", "123", "4"]);
        assert_eq!(split("qwen2", "x12"), ["x", "1", "2"]);
    }

    #[test]
    fn names_are_in_one_family_each() {
        let mut names: Vec<_> = FAMILIES.iter().flat_map(|family| family.names).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    proptest! {
        #[test]
        fn words_are_the_text(text in "[ \\n\\r\\ta-c'S1-3!<\u{e9}\u{4e00}\u{a0}\u{0}]{0,40}") {
            for family in FAMILIES {
                let pre = PreTokenizer::new(family.patterns).unwrap();
                let words = pre.split(&text);
                prop_assert_eq!(words.concat(), text.clone());
                prop_assert!(words.iter().all(|word| !word.is_empty()));
            }
        }
    }
}
