//! The candidates that top-k and top-p leave, found without sorting the vocabulary.

use std::num::NonZeroU32;

use super::Candidate;
use crate::lanes;

/// How many candidates a nucleus is first looked for in; most fit.
const FIRST_LOOK: usize = 256;

/// Fills `kept` with the `top_k` likeliest whose mass is within `top_p`, in order; the mass is
/// counted among the `top_k`, and the token that crosses `top_p` is kept.
pub(super) fn select(
    values: &[f32],
    temperature: f64,
    top_k: Option<NonZeroU32>,
    top_p: Option<f64>,
    kept: &mut Vec<Candidate>,
) {
    let all = values.len();
    let k = top_k.map_or(all, |k| all.min(k.get() as usize));
    let Some(top_p) = top_p else {
        return likeliest(values, k, kept);
    };
    let scale = scale(temperature);
    let total = if k < all {
        likeliest(values, k, kept);
        mass(kept, scale)
    } else {
        lanes::mass(values, lanes::max(values), scale)
    };
    let mut look = FIRST_LOOK.min(k);
    loop {
        likeliest(values, look, kept);
        if cut(kept, scale, top_p * total) || look == k {
            return;
        }
        look = (look * 8).min(k);
    }
}

/// What differences of logits are multiplied with; finite, so that none becomes NaN.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the argument of an f32 exponential"
)]
pub(super) fn scale(temperature: f64) -> f32 {
    (1.0 / temperature).min(1e30) as f32
}

/// A candidate's weight relative to the likeliest, whose weight is 1.
pub(super) fn weight(value: f32, top: f32, scale: f32) -> f64 {
    f64::from(lanes::exp((value - top) * scale))
}

/// The mass of candidates in order.
pub(super) fn mass(kept: &[Candidate], scale: f32) -> f64 {
    let top = kept.first().map_or(0.0, |first| first.value);
    kept.iter()
        .map(|candidate| weight(candidate.value, top, scale))
        .sum()
}

/// Cuts `kept` (in order) after the candidate that reaches `mass`; false if none does.
fn cut(kept: &mut Vec<Candidate>, scale: f32, mass: f64) -> bool {
    let top = kept.first().map_or(0.0, |first| first.value);
    let mut reached = 0.0;
    let last = kept.iter().position(|candidate| {
        reached += weight(candidate.value, top, scale);
        reached >= mass
    });
    if let Some(last) = last {
        kept.truncate(last + 1);
    }
    last.is_some()
}

/// Fills `kept` with the `k` likeliest, in order. One pass: what cannot be among the best `k` seen
/// so far is skipped; whenever the buffer is full, it is cut down to `k`.
fn likeliest(values: &[f32], k: usize, kept: &mut Vec<Candidate>) {
    kept.clear();
    if k == 0 {
        return;
    }
    let full = (4 * k).max(256);
    let mut floor = f32::NEG_INFINITY;
    lanes::above(values, |id, value| {
        kept.push(Candidate { value, id });
        if kept.len() == full {
            keep_best(k, kept);
            floor = kept[k - 1].value;
        }
        floor
    });
    if kept.len() > k {
        keep_best(k, kept);
    }
    kept.sort_unstable_by(|a, b| a.order(*b));
}

/// Leaves the best `k`, of which the last is at `k - 1`.
fn keep_best(k: usize, kept: &mut Vec<Candidate>) {
    kept.select_nth_unstable_by(k - 1, |a, b| a.order(*b));
    kept.truncate(k);
}
