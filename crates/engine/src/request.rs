//! A request that cannot be wrong once made: what came over the wire, checked against the engine.

use std::num::NonZeroU32;

use remuda_tokens::{Constraints, Follower, constraint};
use remuda_types::Digest;
use remuda_wire::infer::{Refused, RefusedReason, Sampler, Start};

use crate::choose::{Penalties, Rule};

/// The most candidates reported with a token.
pub const MAX_TOP_LOGPROBS: u8 = 20;

/// What requests are checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The weights' digest.
    pub model: Digest,
    /// Ids are below this.
    pub vocabulary: u32,
    /// Tokens of context of each sequence.
    pub context_tokens: u32,
}

/// A generation that this engine can run.
#[derive(Clone, Debug)]
pub struct Request {
    /// Never empty; ids are in the vocabulary.
    pub prompt: Vec<u32>,
    /// What earlier replicas generated; at most `max_tokens`.
    pub generated: Vec<u32>,
    /// How tokens are chosen.
    pub rule: Rule,
    /// Penalties on repetition.
    pub penalties: Penalties,
    /// Seeds the noise.
    pub seed: u64,
    /// Tokens in all; fits the context together with the prompt.
    pub max_tokens: u32,
    /// What the output must follow, as far as it has come.
    pub constraint: Option<Follower>,
    /// Candidates to report with each token.
    pub top_logprobs: u8,
}

/// Why a request cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is for other weights.
    #[error("the model here is {here}")]
    WrongModel {
        /// What this engine has loaded.
        here: Digest,
    },
    /// There is nothing to go on from.
    #[error("`prompt` is empty")]
    EmptyPrompt,
    /// An id means nothing.
    #[error("token {id} is not in the vocabulary of {vocabulary} tokens")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        vocabulary: u32,
    },
    /// It does not fit.
    #[error(
        "a prompt of {prompt} and {max_tokens} more tokens exceed the context of {context_tokens}"
    )]
    TooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens to generate.
        max_tokens: u32,
        /// Tokens of context.
        context_tokens: u32,
    },
    /// More was generated than is asked for.
    #[error("`generated` has {generated} tokens, more than `max_tokens`, {max_tokens}")]
    TooManyGenerated {
        /// Tokens generated.
        generated: usize,
        /// Tokens asked for.
        max_tokens: u32,
    },
    /// The constraint cannot be followed.
    #[error(transparent)]
    Constraint(#[from] constraint::Error),
    /// A number of the sampler is out of bounds.
    #[error("`{field}` is out of bounds: {bounds}")]
    Sampler {
        /// The field.
        field: &'static str,
        /// What is accepted.
        bounds: &'static str,
    },
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let reason = match error {
            Error::WrongModel { .. } => RefusedReason::WrongModel,
            Error::EmptyPrompt
            | Error::UnknownToken { .. }
            | Error::TooLong { .. }
            | Error::TooManyGenerated { .. }
            | Error::Constraint(_)
            | Error::Sampler { .. } => RefusedReason::Invalid,
        };
        Self {
            reason,
            detail: error.to_string(),
        }
    }
}

impl Request {
    /// Checks `start` against what the engine is. A constraint may take a while to compile.
    pub fn check(start: Start, facts: &Facts, constraints: &Constraints) -> Result<Self, Error> {
        check_model(&start, facts)?;
        check_tokens(&start, facts)?;
        check_length(&start, facts)?;
        check_bounds(&start)?;
        let constraint = start.constraint.as_ref();
        let constraint = constraint.map(|text| constraints.compile(text, &start.generated));
        Ok(Self {
            constraint: constraint.transpose()?,
            rule: rule(&start.sampler),
            penalties: Penalties {
                frequency: start.sampler.frequency_penalty,
                presence: start.sampler.presence_penalty,
            },
            prompt: start.prompt,
            generated: start.generated,
            seed: start.seed,
            max_tokens: start.max_tokens,
            top_logprobs: start.top_logprobs,
        })
    }
}

fn check_model(start: &Start, facts: &Facts) -> Result<(), Error> {
    if start.model == facts.model {
        Ok(())
    } else {
        Err(Error::WrongModel { here: facts.model })
    }
}

fn check_tokens(start: &Start, facts: &Facts) -> Result<(), Error> {
    if start.prompt.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    let vocabulary = facts.vocabulary;
    let mut ids = start.prompt.iter().chain(&start.generated).copied();
    ids.find(|&id| id >= vocabulary)
        .map_or(Ok(()), |id| Err(Error::UnknownToken { id, vocabulary }))
}

fn check_length(start: &Start, facts: &Facts) -> Result<(), Error> {
    let (prompt, max_tokens) = (start.prompt.len(), start.max_tokens);
    let context_tokens = facts.context_tokens;
    if prompt.saturating_add(max_tokens as usize) > context_tokens as usize {
        return Err(Error::TooLong {
            prompt,
            max_tokens,
            context_tokens,
        });
    }
    let generated = start.generated.len();
    if generated > max_tokens as usize {
        return Err(Error::TooManyGenerated {
            generated,
            max_tokens,
        });
    }
    Ok(())
}

fn check_bounds(start: &Start) -> Result<(), Error> {
    let sampler = &start.sampler;
    let penalty = |value: f32| (-100.0..=100.0).contains(&value);
    let checks = [
        (
            sampler.temperature >= 0.0 && sampler.temperature <= 100.0,
            "temperature",
            "0 to 100",
        ),
        ((0.0..=1.0).contains(&sampler.top_p), "top_p", "0 to 1"),
        (
            penalty(sampler.frequency_penalty),
            "frequency_penalty",
            "-100 to 100",
        ),
        (
            penalty(sampler.presence_penalty),
            "presence_penalty",
            "-100 to 100",
        ),
        (
            start.top_logprobs <= MAX_TOP_LOGPROBS,
            "top_logprobs",
            "0 to 20",
        ),
    ];
    checks
        .into_iter()
        .find(|(holds, ..)| !holds)
        .map_or(Ok(()), |(_, field, bounds)| {
            Err(Error::Sampler { field, bounds })
        })
}

fn rule(sampler: &Sampler) -> Rule {
    if sampler.temperature <= 0.0 {
        return Rule::Greedy;
    }
    Rule::Sampled {
        temperature: f64::from(sampler.temperature),
        top_k: NonZeroU32::new(sampler.top_k),
        top_p: (sampler.top_p < 1.0).then(|| f64::from(sampler.top_p)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use remuda_types::{Entropy, RequestId, Time};

    const FACTS: Facts = Facts {
        model: Digest([7; 32]),
        vocabulary: 100,
        context_tokens: 16,
    };

    fn start() -> Start {
        Start {
            request: RequestId::new(Time::from_millis(0), Entropy([0; 10])),
            model: FACTS.model,
            prompt: vec![1, 2, 3],
            generated: vec![4],
            sampler: Sampler::default(),
            seed: 0,
            max_tokens: 13,
            constraint: None,
            top_logprobs: 0,
        }
    }

    fn refused(change: impl FnOnce(&mut Start)) -> Option<Error> {
        let mut start = start();
        change(&mut start);
        Request::check(start, &FACTS, &Constraints::new(&[])).err()
    }

    #[test]
    fn every_wrong_field_is_named() {
        assert_eq!(refused(|_| {}), None);
        let wrong = refused(|s| s.model = Digest([8; 32]));
        assert_eq!(wrong, Some(Error::WrongModel { here: FACTS.model }));
        assert_eq!(refused(|s| s.prompt.clear()), Some(Error::EmptyPrompt));
        let unknown = Some(Error::UnknownToken {
            id: 100,
            vocabulary: 100,
        });
        assert_eq!(refused(|s| s.prompt[1] = 100), unknown);
        assert_eq!(refused(|s| s.generated[0] = 100), unknown);
        assert!(matches!(
            refused(|s| s.max_tokens = 14),
            Some(Error::TooLong { .. })
        ));
        assert!(matches!(
            refused(|s| s.max_tokens = u32::MAX),
            Some(Error::TooLong { .. })
        ));
        assert!(matches!(
            refused(|s| s.max_tokens = 0),
            Some(Error::TooManyGenerated { .. })
        ));
        for change in [
            (|s: &mut Start| s.sampler.temperature = f32::NAN) as fn(&mut Start),
            |s| s.sampler.temperature = -1.0,
            |s| s.sampler.top_p = 1.5,
            |s| s.sampler.frequency_penalty = f32::INFINITY,
            |s| s.top_logprobs = 21,
        ] {
            assert!(matches!(refused(change), Some(Error::Sampler { .. })));
        }
    }

    proptest! {
        #[test]
        fn what_passes_fits_the_context(
            prompt in proptest::collection::vec(0_u32..120, 0..20),
            generated in proptest::collection::vec(0_u32..120, 0..20),
            max_tokens: u32,
        ) {
            let asked = Start { prompt, generated, max_tokens, ..start() };
            if let Ok(request) = Request::check(asked, &FACTS, &Constraints::new(&[])) {
                prop_assert!(!request.prompt.is_empty());
                prop_assert!(request.generated.len() <= request.max_tokens as usize);
                prop_assert!(request.prompt.len() + request.max_tokens as usize <= 16);
                prop_assert!(request.prompt.iter().chain(&request.generated).all(|id| *id < 100));
            }
        }
    }
}
