//! Special tokens: finding them in text, and knowing which end generation.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, Input, MatchKind, StartKind};

use super::vocabulary::{Kind, Vocabulary};
use super::{Error, MAX_SPECIAL_BYTES, MAX_SPECIAL_TOKENS, Special, within};

/// Texts of tokens that end generation, as llama.cpp knows them.
const ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>",
    "[e~[",
    // Filling in the middle: padding, repository and file marks end a text too.
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
];

/// Where `<|end|>` ends a message but not the answer: the formats that have these as well.
const END_IS_NO_END: &[[&str; 2]] = &[["<|return|>", "<|call|>"], ["<|flush|>", "<|calls|>"]];

/// Finds the tokens that end generation by their text and marks them as control tokens, which some
/// converters forget.
pub(super) fn mark_ends(vocabulary: &mut Vocabulary) -> BTreeSet<u32> {
    let mut ends: BTreeSet<u32> = ENDS.iter().filter_map(|text| vocabulary.id(text)).collect();
    for id in &ends {
        vocabulary.set_kind(*id, Kind::Control);
    }
    let both = |pair: &[&str; 2]| pair.iter().all(|text| vocabulary.id(text).is_some());
    if END_IS_NO_END.iter().any(both) {
        ends.retain(|id| vocabulary.text(*id) != Some("<|end|>"));
    }
    ends
}

/// A special token found in a text, at bytes `start..end`.
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) id: u32,
}

/// The special tokens of a vocabulary. At each place the longest wins, as in Hugging Face's tokenisers.
pub(crate) struct Specials {
    every: Finder,
    user_defined: Finder,
    control: Finder,
    control_starts: BTreeSet<char>,
}

impl Specials {
    pub(super) fn new(vocabulary: &Vocabulary) -> Result<Self, Error> {
        let of = |wanted: &[Kind]| -> Vec<(&str, u32)> {
            let kind = |id| {
                vocabulary
                    .kind(id)
                    .is_some_and(|kind| wanted.contains(&kind))
            };
            let tokens = vocabulary.words().filter(|(_, id)| kind(*id));
            tokens
                .filter(|(text, id)| findable(text, vocabulary.kind(*id)))
                .collect()
        };
        let control = of(&[Kind::Control]);
        let control_starts = control
            .iter()
            .filter_map(|(text, _)| text.chars().next())
            .collect();
        Ok(Self {
            every: Finder::new(&of(&[Kind::Control, Kind::UserDefined]))?,
            user_defined: Finder::new(&of(&[Kind::UserDefined]))?,
            control: Finder::new(&control)?,
            control_starts,
        })
    }

    pub(super) fn find(&self, text: &str, special: Special) -> impl Iterator<Item = Found> {
        let finder = match special {
            Special::Parse => &self.every,
            Special::Plain => &self.user_defined,
        };
        finder.find(text)
    }

    /// The control tokens that [`Special::Parse`] finds in a text.
    pub(crate) fn controls(&self, text: &str) -> Vec<u32> {
        let every = self.every.find(text).map(|found| found.id);
        every
            .filter(|id| self.control.ids.binary_search(id).is_ok())
            .collect()
    }

    /// Whether some control token begins with this character.
    pub(crate) fn starts_control(&self, c: char) -> bool {
        self.control_starts.contains(&c)
    }

    /// Whether `text` has a control token's text at its byte `at`.
    pub(crate) fn control_at(&self, text: &str, at: usize) -> bool {
        let input = Input::new(text).range(at..).anchored(Anchored::Yes);
        self.control.automaton.find(input).is_some()
    }
}

/// A control token of one character could not be told from that character in a user's text.
fn findable(text: &str, kind: Option<Kind>) -> bool {
    kind != Some(Kind::Control) || text.chars().nth(1).is_some()
}

struct Finder {
    automaton: AhoCorasick,
    by_pattern: Vec<u32>,
    /// The same ids in order.
    ids: Vec<u32>,
}

impl Finder {
    fn new(tokens: &[(&str, u32)]) -> Result<Self, Error> {
        let bytes = tokens.iter().map(|(text, _)| text.len()).sum();
        within(
            "the number of special tokens",
            tokens.len(),
            MAX_SPECIAL_TOKENS,
        )?;
        within("the length of all special tokens", bytes, MAX_SPECIAL_BYTES)?;
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .start_kind(StartKind::Both)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(tokens.iter().map(|(text, _)| text))?;
        let by_pattern: Vec<u32> = tokens.iter().map(|(_, id)| *id).collect();
        let mut ids = by_pattern.clone();
        ids.sort_unstable();
        Ok(Self {
            automaton,
            by_pattern,
            ids,
        })
    }

    fn find(&self, text: &str) -> impl Iterator<Item = Found> {
        self.automaton.find_iter(text).map(|found| Found {
            start: found.start(),
            end: found.end(),
            id: self.by_pattern[found.pattern().as_usize()],
        })
    }
}
