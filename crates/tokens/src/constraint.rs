//! Constraints on the output, through `llguidance`: which tokens may come next.
//!
//! What may come next is a function of the constraint and the tokens so far, so another replica goes
//! on where this one stopped by replaying them.
//!
//! Constraints are a tenant's, and compiling may take long. `llguidance` bounds most of its work (lexer
//! fuel, Earley items, states) and turns its panics into errors. What it does not bound is bounded here:
//! the length of expressions, whose cost grows with its square; multiples, whose automaton has a state
//! for each remainder; and the stack, since it recurses with the length of chains of rules. What is let
//! in compiles within seconds, most of it within a millisecond.
//!
//! Its error texts quote the tenant's grammar: they go back to who sent it and into no log.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use remuda_types::Constraint;
use remuda_types::constraint::{MAX_REGEX_BYTES, TooLong, within};
use serde_json::Value;

/// The least common multiple of all that a schema's numbers are to be multiples of, written without a
/// point.
const MAX_MULTIPLE: u64 = 10_000;

/// Work of the lexer's first states; a large schema of the real world takes a tenth of it.
const MAX_LEXER_FUEL: u64 = 200_000;

/// States of the lexer, each of a kilobyte or two.
const MAX_LEXER_STATES: usize = 50_000;

/// Stack to compile on: reserved, and not touched until used.
const STACK_BYTES: usize = 256 << 20;

/// Why a constraint cannot be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It, or a text in it, is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// It is not what it says it is, or asks for what cannot be followed.
    #[error("the constraint cannot be followed: {0}")]
    Malformed(String),
    /// The tokens to go on from do not follow it.
    #[error("generated token {index} does not follow the constraint")]
    Strayed {
        /// The first index that does not.
        index: usize,
    },
    /// The vocabulary cannot be used for constraints at all.
    #[error("this model's vocabulary cannot be constrained: {0}")]
    Vocabulary(String),
}

/// A token as far as constraints care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What it adds to the text.
    pub bytes: Vec<u8>,
    /// Whether it is a control token, which no text becomes.
    pub control: bool,
    /// Whether it ends a generation.
    pub ends: bool,
}

/// Makes [`Follower`]s for one vocabulary; shared by all requests.
pub struct Constraints {
    factory: Result<ParserFactory, String>,
    ends: Arc<BTreeSet<u32>>,
}

impl fmt::Debug for Constraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraints").finish_non_exhaustive()
    }
}

impl Constraints {
    /// Indexes a vocabulary: word `i` is token `i`.
    pub fn new(words: &[Word]) -> Self {
        let ends = (0..).zip(words).filter(|(_, word)| word.ends);
        let ends: BTreeSet<u32> = ends.map(|(id, _)| id).collect();
        Self {
            factory: factory(words, &ends),
            ends: Arc::new(ends),
        }
    }

    /// For checking constraints where no model is at hand: each byte is a token.
    pub fn of_bytes() -> Self {
        let word = |bytes: &[u8], ends| Word {
            bytes: bytes.to_vec(),
            control: ends,
            ends,
        };
        let bytes = (0..=u8::MAX).map(|byte| word(&[byte], false));
        Self::new(&bytes.chain([word(b"<|end|>", true)]).collect::<Vec<_>>())
    }

    /// Compiles a constraint and replays what was generated.
    pub fn compile(&self, constraint: &Constraint, generated: &[u32]) -> Result<Follower, Error> {
        let factory = self
            .factory
            .as_ref()
            .map_err(|why| Error::Vocabulary(why.clone()))?;
        let grammar = grammar(constraint)?;
        let matcher = stacker::grow(STACK_BYTES, || Matcher::new(factory.create_parser(grammar)));
        let mut follower = Follower {
            matcher,
            ends: Arc::clone(&self.ends),
        };
        if let Some(why) = follower.matcher.get_error() {
            return Err(malformed(&why));
        }
        follower.replay(generated)?;
        Ok(follower)
    }
}

fn factory(words: &[Word], ends: &BTreeSet<u32>) -> Result<ParserFactory, String> {
    let ends: Vec<u32> = ends.iter().copied().collect();
    let first = *ends.first().ok_or("no token ends a generation")?;
    let size = u32::try_from(words.len()).map_err(|error| error.to_string())?;
    let texts: Vec<Vec<u8>> = words.iter().map(marked).collect();
    let trie = TokTrie::from(&TokRxInfo::new(size, first), &texts).with_eos_tokens(&ends);
    let vocabulary: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
    let mut factory = ParserFactory::new_simple(&vocabulary).map_err(|error| error.to_string())?;
    factory.quiet();
    // The state of the parser is of no use to who sent the constraint, and long.
    let limits = factory.limits_mut();
    limits.verbose_errors = false;
    // It walks the whole vocabulary through expressions that no fuel bounds.
    limits.precompute_large_lexemes = false;
    limits.initial_lexer_fuel = MAX_LEXER_FUEL;
    limits.max_lexer_states = MAX_LEXER_STATES;
    Ok(factory)
}

/// The text by which `llguidance` knows a token: control tokens begin with a byte that is in no text.
fn marked(word: &Word) -> Vec<u8> {
    if word.control || word.ends {
        [&[TokTrie::SPECIAL_TOKEN_MARKER][..], &word.bytes].concat()
    } else {
        word.bytes.clone()
    }
}

fn grammar(constraint: &Constraint) -> Result<TopLevelGrammar, Error> {
    constraint.check_length()?;
    match constraint {
        Constraint::Schema(text) => {
            // serde_json bounds the nesting.
            let schema =
                serde_json::from_str(text).map_err(|error| Error::Malformed(error.to_string()))?;
            check_schema(&schema)?;
            Ok(TopLevelGrammar::from_json_schema(schema))
        }
        Constraint::Lark(text) => Ok(TopLevelGrammar::from_lark(text.clone())),
        Constraint::Regex(text) => Ok(TopLevelGrammar::from_regex(text)),
    }
}

/// Without what is nobody's concern outside: where a panic came from.
fn malformed(why: &str) -> Error {
    if why.starts_with("panic") {
        return Error::Malformed("it is too large for what follows constraints".to_owned());
    }
    let end = why.find("\n<backtrace>").unwrap_or(why.len());
    Error::Malformed(why[..end].to_owned())
}

/// Whether a schema can be compiled in good time: its texts, each of which may be the regular
/// expression of a `pattern`, are short, and its numbers are no multiples of large ones.
pub fn check_schema(schema: &Value) -> Result<(), Error> {
    let mut multiple = 1;
    check_part(schema, &mut multiple)
}

fn check_part(schema: &Value, multiple: &mut u64) -> Result<(), Error> {
    let short = |text| within("a text in the schema", text, MAX_REGEX_BYTES);
    match schema {
        Value::String(text) => Ok(short(text)?),
        Value::Array(values) => values
            .iter()
            .try_for_each(|value| check_part(value, multiple)),
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            short(name)?;
            if name == "multipleOf" {
                *multiple = with_multiple(*multiple, value)?;
            }
            check_part(value, multiple)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// The least common multiple with one more.
fn with_multiple(so_far: u64, of: &Value) -> Result<u64, Error> {
    let digits = of.to_string().replace('.', "");
    let given: Option<u64> = digits
        .parse()
        .ok()
        .filter(|of| (1..=MAX_MULTIPLE).contains(of));
    let all = given.map(|of| so_far / gcd(so_far, of) * of);
    let large = || {
        Error::Malformed(format!(
            "`multipleOf` {of} is too large, alone or with the others: their least common multiple is \
             {MAX_MULTIPLE} at most, the point left out"
        ))
    };
    all.filter(|all| *all <= MAX_MULTIPLE).ok_or_else(large)
}

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A constraint and how far the output has come in it.
#[derive(Clone)]
pub struct Follower {
    matcher: Matcher,
    ends: Arc<BTreeSet<u32>>,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl Follower {
    fn replay(&mut self, generated: &[u32]) -> Result<(), Error> {
        for (index, &token) in generated.iter().enumerate() {
            if !self.allows(token) || self.matcher.consume_token(token).is_err() {
                return Err(Error::Strayed { index });
            }
        }
        Ok(())
    }

    /// Whether the output may go on with `token`, or end with it.
    pub fn allows(&mut self, token: u32) -> bool {
        if self.ends.contains(&token) {
            return self.may_end();
        }
        self.matcher
            .validate_tokens(&[token])
            .is_ok_and(|valid| valid == 1)
    }

    /// Whether the output may end here.
    pub fn may_end(&mut self) -> bool {
        self.is_complete() || self.matcher.is_accepting().unwrap_or(false)
    }

    /// Goes on with a `token` that is allowed.
    pub fn accept(&mut self, token: u32) {
        // An error is kept by the matcher, which then allows nothing: the generation ends.
        self.matcher.consume_token(token).unwrap_or_default();
    }

    /// Whether nothing can follow.
    pub fn is_complete(&self) -> bool {
        self.matcher.is_stopped() && !self.is_broken()
    }

    /// Whether it turned out to be more than can be followed: nobody can say what may follow.
    pub fn is_broken(&self) -> bool {
        self.matcher.is_error()
    }

    /// Sets the value of every token that is not allowed to negative infinity. Those that end a
    /// generation are allowed where the output may end.
    pub fn mask(&mut self, values: &mut [f32]) {
        match self.matcher.compute_mask_or_eos() {
            Ok(allowed) => allowed.iter_unset_entries(|token| {
                if let Some(value) = values.get_mut(token) {
                    *value = f32::NEG_INFINITY;
                }
            }),
            Err(_) => values.fill(f32::NEG_INFINITY),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &str) -> Vec<u32> {
        text.bytes().map(u32::from).collect()
    }

    fn strays(constraint: &Constraint, text: &str) -> Option<usize> {
        match Constraints::of_bytes().compile(constraint, &tokens(text)) {
            Ok(_) => None,
            Err(Error::Strayed { index }) => Some(index),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_kind_of_constraint_is_followed_and_left() {
        let schema = Constraint::Schema(r#"{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}"#.to_owned());
        assert_eq!(strays(&schema, r#"{"a": 12}"#), None);
        assert_eq!(strays(&schema, r#"{"a": "x"}"#), Some(6));
        let lark = Constraint::Lark("start: \"yes\" | \"no\" number\nnumber: /[0-9]+/".to_owned());
        assert_eq!(strays(&lark, "no12"), None);
        assert_eq!(strays(&lark, "yes1"), Some(3));
        let regex = Constraint::Regex("[a-c]{2}".to_owned());
        assert_eq!(strays(&regex, "ab"), None);
        assert_eq!(strays(&regex, "ad"), Some(1));
    }

    #[test]
    fn the_end_is_allowed_where_the_output_may_end() {
        let regex = Constraint::Regex("a+".to_owned());
        let end = 256;
        for (text, may_end) in [("", false), ("a", true)] {
            let mut follower = Constraints::of_bytes()
                .compile(&regex, &tokens(text))
                .unwrap();
            let mut values = vec![0.0; end + 1];
            follower.mask(&mut values);
            assert_eq!(values[end] > f32::NEG_INFINITY, may_end, "{text:?}");
            assert_eq!(follower.may_end(), may_end);
            let open = values.iter().filter(|value| **value > f32::NEG_INFINITY);
            assert_eq!(open.count(), 1 + usize::from(may_end));
        }
        let whole =
            Constraints::of_bytes().compile(&Constraint::Regex("aa".to_owned()), &tokens("aa"));
        assert!(whole.unwrap().is_complete());
    }

    #[test]
    fn what_cannot_be_followed_says_why() {
        let refused = |constraint| {
            Constraints::of_bytes()
                .compile(&constraint, &[])
                .map(|_| ())
                .unwrap_err()
        };
        let long = Constraint::Regex("x".repeat(MAX_REGEX_BYTES + 1));
        assert!(matches!(refused(long), Error::TooLong(_)));
        let pattern = "x".repeat(MAX_REGEX_BYTES + 1);
        let schema = Constraint::Schema(format!(r#"{{"pattern":"{pattern}"}}"#));
        assert!(matches!(refused(schema), Error::TooLong(_)));
        for constraint in [
            Constraint::Schema("{".to_owned()),
            Constraint::Schema(r#"{"type":"nothing"}"#.to_owned()),
            Constraint::Schema(r#"{"$ref":"https://elsewhere/schema"}"#.to_owned()),
            Constraint::Lark("start: missing".to_owned()),
            Constraint::Regex("[".to_owned()),
        ] {
            assert!(matches!(refused(constraint), Error::Malformed(_)));
        }
    }

    #[test]
    fn what_would_take_for_ever_is_refused_at_once() {
        let refused = |schema: &str| {
            let schema = Constraint::Schema(schema.to_owned());
            matches!(
                Constraints::of_bytes().compile(&schema, &[]),
                Err(Error::Malformed(_))
            )
        };
        assert!(refused(r#"{"type":"integer","multipleOf":999983}"#));
        assert!(refused(r#"{"type":"number","multipleOf":0.0000000001}"#));
        assert!(refused(
            r#"{"allOf":[{"multipleOf":9973},{"multipleOf":9967}]}"#
        ));
        assert!(!refused(
            r#"{"type":"object","properties":{"a":{"type":"number","multipleOf":0.01},"b":{"type":"integer","multipleOf":5}}}"#
        ));
        let terms = (0..14).map(|k| format!("/(.|\\n)*a.{{{k}}}b(.|\\n)*/"));
        let lark = format!("start: A\nA: {}", terms.collect::<Vec<_>>().join(" & "));
        let lark = Constraint::Lark(lark);
        assert!(Constraints::of_bytes().compile(&lark, &[]).is_err());
    }

    #[test]
    fn what_breaks_on_the_way_is_not_complete() {
        let schema =
            Constraint::Schema(r#"{"type":"string","pattern":"^(\\w?){3000}$"}"#.to_owned());
        let mut follower = Constraints::of_bytes()
            .compile(&schema, &tokens("\""))
            .unwrap();
        let mut values = vec![0.0; 257];
        follower.mask(&mut values);
        for _ in 0..20 {
            follower.accept(u32::from(b'a'));
            follower.mask(&mut values);
        }
        assert!(!follower.is_complete());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_followed_or_refused(text in "\\PC{0,60}", kind in 0..3) {
            let constraint = match kind {
                0 => Constraint::Schema(text),
                1 => Constraint::Lark(text),
                _ => Constraint::Regex(text),
            };
            drop(Constraints::of_bytes().compile(&constraint, &[]));
        }
    }
}
