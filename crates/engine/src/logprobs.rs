//! Log-probabilities of a row of logits: the log-softmax before penalties and temperature.

use remuda_wire::infer;

use crate::lanes;

/// The chosen token's log-probability and the `top` likeliest candidates'.
pub(crate) fn report(logits: &[f32], chosen: u32, top: u8) -> (Option<f32>, Vec<infer::Candidate>) {
    if top == 0 {
        return (None, Vec::new());
    }
    let norm = log_sum_exp(logits);
    let of = |id: u32| {
        logits
            .get(id as usize)
            .map_or(f32::NEG_INFINITY, |logit| logit - norm)
    };
    let best = likeliest(logits, usize::from(top));
    let candidates = best
        .into_iter()
        .map(|id| infer::Candidate {
            id,
            logprob: of(id),
        })
        .collect();
    (Some(of(chosen)), candidates)
}

#[expect(clippy::cast_possible_truncation, reason = "reported as f32")]
fn log_sum_exp(logits: &[f32]) -> f32 {
    let top = lanes::max(logits);
    (f64::from(top) + libm::log(lanes::mass(logits, top, 1.0))) as f32
}

/// The `n` likeliest ids in order, for a small `n`: insertion into a short list.
fn likeliest(logits: &[f32], n: usize) -> Vec<u32> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(n + 1);
    lanes::above(logits, |id, logit| {
        let place = best.partition_point(|entry| entry.0 >= logit);
        best.insert(place, (logit, id));
        best.truncate(n);
        if best.len() < n {
            f32::NEG_INFINITY
        } else {
            best[n - 1].0
        }
    });
    best.into_iter().map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_come_in_order() {
        let logits = [0.5_f32, -1.0, 3.0, 3.0, 2.0];
        let (chosen, top) = report(&logits, 4, 5);
        let sum: f32 = top.iter().map(|candidate| candidate.logprob.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        assert_eq!(
            top.iter().map(|c| c.id).collect::<Vec<_>>(),
            [2, 3, 4, 0, 1]
        );
        assert_eq!(chosen, Some(top[2].logprob));
        assert_eq!(report(&logits, 4, 0), (None, Vec::new()));
    }
}
