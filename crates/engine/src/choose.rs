//! Chooses the next token from a row of logits: penalties, temperature, top-k, top-p, Gumbel-max.
//!
//! The choice is a function of the logits, the tokens generated so far, the rule and the position's
//! noise: no state is kept, so that another replica chooses the same. Order is total (higher value
//! first, then lower id). Buffers are kept between calls and only what the rule needs is done:
//! greedy is one scan, top-k never sorts the vocabulary, and of the full vocabulary's noise only
//! the few tokens that can still win cost a logarithm.

mod nucleus;
mod penalties;

use std::num::NonZeroU32;

use remuda_tokens::Follower;

use crate::lanes;
use crate::noise::Noise;

pub use penalties::{Occurrences, Penalties};

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// The likeliest.
    Greedy,
    /// By chance.
    Sampled {
        /// Divides the logits; above zero.
        temperature: f64,
        /// How many of the likeliest are considered; all if absent.
        top_k: Option<NonZeroU32>,
        /// The mass within which tokens are considered, below one; all if absent.
        top_p: Option<f64>,
    },
}

/// A token that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) value: f32,
    pub(crate) id: u32,
}

impl Candidate {
    /// Higher values first, then lower ids.
    pub(crate) fn order(self, other: Self) -> std::cmp::Ordering {
        other
            .value
            .total_cmp(&self.value)
            .then(self.id.cmp(&other.id))
    }
}

/// Chooses tokens; holds nothing but its buffers.
#[derive(Debug, Default)]
pub struct Chooser {
    adjusted: Vec<f32>,
    candidates: Vec<Candidate>,
}

/// What one choice depends on beside the logits.
#[derive(Debug)]
pub struct Draw<'a> {
    /// The rule.
    pub rule: Rule,
    /// Penalties on what was generated.
    pub penalties: Penalties,
    /// What was generated.
    pub occurrences: &'a Occurrences,
    /// The noise of this position.
    pub noise: Noise,
    /// The constraint, if any.
    pub constraint: Option<&'a mut Follower>,
}

impl Chooser {
    /// The next token, or nothing if none is possible (a constraint without a way on).
    ///
    /// A constraint is first asked about the token chosen without it, and only if it forbids that one
    /// about the whole vocabulary; then the choice is made again among what it allows.
    pub fn choose(&mut self, logits: &[f32], draw: &mut Draw<'_>) -> Option<u32> {
        let Self {
            adjusted,
            candidates,
        } = self;
        let values = if draw.penalties.apply(draw.occurrences) {
            adjusted.clear();
            adjusted.extend_from_slice(logits);
            draw.penalties.subtract(draw.occurrences, adjusted);
            adjusted.as_slice()
        } else {
            logits
        };
        let free = pick(values, draw.rule, draw.noise, candidates);
        let Some(constraint) = draw.constraint.as_deref_mut() else {
            return free;
        };
        if free.is_some_and(|token| constraint.allows(token)) {
            return free;
        }
        let mut allowed = values.to_vec();
        constraint.mask(&mut allowed);
        pick(&allowed, draw.rule, draw.noise, candidates)
    }
}

fn pick(values: &[f32], rule: Rule, noise: Noise, buffer: &mut Vec<Candidate>) -> Option<u32> {
    match rule {
        Rule::Greedy => likeliest(values),
        Rule::Sampled {
            temperature,
            top_k: None,
            top_p: None,
        } => drawn_from_all(values, temperature, noise),
        Rule::Sampled {
            temperature,
            top_k,
            top_p,
        } => {
            nucleus::select(values, temperature, top_k, top_p, buffer);
            drawn(buffer, temperature, noise)
        }
    }
}

/// The likeliest token; the lowest id of equals.
fn likeliest(values: &[f32]) -> Option<u32> {
    let top = lanes::max(values);
    let first = values.iter().position(|&value| value >= top)?;
    u32::try_from(first)
        .ok()
        .filter(|_| top > f32::NEG_INFINITY)
}

/// Gumbel-max over everything. A token is skipped without computing its noise if even the noise's
/// ceiling would not let it win.
fn drawn_from_all(values: &[f32], temperature: f64, noise: Noise) -> Option<u32> {
    let mut best = (f64::NEG_INFINITY, None);
    for (id, &value) in (0..).zip(values) {
        let scaled = f64::from(value) / temperature;
        let bits = noise.bits(id);
        if scaled + bits.ceiling() > best.0 {
            let score = scaled + bits.gumbel();
            if score > best.0 {
                best = (score, Some(id));
            }
        }
    }
    best.1
}

/// Gumbel-max over a few; the lowest id of equals.
fn drawn(candidates: &[Candidate], temperature: f64, noise: Noise) -> Option<u32> {
    let score = |candidate: &Candidate| {
        f64::from(candidate.value) / temperature + noise.bits(candidate.id).gumbel()
    };
    let scored = candidates
        .iter()
        .map(|candidate| (score(candidate), candidate.id));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    best.map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn choose(logits: &[f32], rule: Rule, noise: Noise) -> Option<u32> {
        let occurrences = Occurrences::default();
        let mut draw = Draw {
            rule,
            penalties: Penalties::default(),
            occurrences: &occurrences,
            noise,
            constraint: None,
        };
        Chooser::default().choose(logits, &mut draw)
    }

    /// The definition, in as few words as it has.
    fn oracle(logits: &[f32], t: f64, k: u32, p: f64, noise: Noise) -> Option<u32> {
        let mut order: Vec<Candidate> = (0..)
            .zip(logits)
            .map(|(id, &value)| Candidate { value, id })
            .collect();
        order.sort_by(|a, b| a.order(*b));
        order.truncate(if k == 0 { order.len() } else { k as usize });
        let top = order.first()?.value;
        let scale = nucleus::scale(t);
        let weight = |c: &Candidate| nucleus::weight(c.value, top, scale);
        let total = if order.len() < logits.len() {
            nucleus::mass(&order, scale)
        } else {
            lanes::mass(logits, top, scale)
        };
        let mut mass = 0.0;
        let mut kept = Vec::new();
        for candidate in &order {
            kept.push(*candidate);
            mass += weight(candidate);
            if p < 1.0 && mass >= p * total {
                break;
            }
        }
        let score = |c: &Candidate| f64::from(c.value) / t + noise.bits(c.id).gumbel();
        kept.into_iter()
            .max_by(|a, b| score(a).total_cmp(&score(b)).then(b.id.cmp(&a.id)))
            .map(|c| c.id)
    }

    proptest! {
        #[test]
        fn the_fast_way_is_the_definition(
            logits in proptest::collection::vec((-40_i16..40).prop_map(|l| f32::from(l) / 2.0), 1..600),
            t in 0.05_f64..3.0,
            k in 0_u32..80,
            p in prop_oneof![Just(1.0), 0.0_f64..1.0],
            seed: u64,
            position in 0_u64..5000,
        ) {
            let noise = Noise::at(seed, position);
            let rule = Rule::Sampled {
                temperature: t,
                top_k: NonZeroU32::new(k),
                top_p: (p < 1.0).then_some(p),
            };
            prop_assert_eq!(choose(&logits, rule, noise), oracle(&logits, t, k, p, noise));
        }
    }

    #[test]
    fn greedy_takes_the_lowest_of_equals_and_never_what_is_masked() {
        let noise = Noise::at(0, 0);
        assert_eq!(choose(&[1.0, 3.0, 3.0, 2.0], Rule::Greedy, noise), Some(1));
        assert_eq!(
            choose(&[f32::NEG_INFINITY, f32::NAN], Rule::Greedy, noise),
            None
        );
        let all = Rule::Sampled {
            temperature: 1.0,
            top_k: None,
            top_p: None,
        };
        assert_eq!(choose(&[f32::NEG_INFINITY; 3], all, noise), None);
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let logits = [0.0_f32, 1.0, 2.0];
        let rule = Rule::Sampled {
            temperature: 1.0,
            top_k: None,
            top_p: None,
        };
        let mut counts = [0_u32; 3];
        for position in 0..20_000 {
            let token = choose(&logits, rule, Noise::at(3, position)).unwrap();
            counts[token as usize] += 1;
        }
        let total: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
        for (count, logit) in counts.iter().zip(logits) {
            let expected = f64::from(logit).exp() / total;
            assert!(
                (f64::from(*count) / 20_000.0 - expected).abs() < 0.012,
                "{counts:?}"
            );
        }
    }

    #[test]
    fn penalties_move_the_choice() {
        let mut occurrences = Occurrences::default();
        occurrences.count(1);
        occurrences.count(1);
        let mut draw = Draw {
            rule: Rule::Greedy,
            penalties: Penalties {
                frequency: 0.5,
                presence: 0.25,
            },
            occurrences: &occurrences,
            noise: Noise::at(0, 0),
            constraint: None,
        };
        let mut chooser = Chooser::default();
        assert_eq!(
            chooser.choose(&[1.0, 2.2], &mut draw),
            Some(0),
            "2.2 - 2 x 0.5 - 0.25 < 1"
        );
        assert_eq!(chooser.choose(&[1.0, 2.3], &mut draw), Some(1));
    }
}
