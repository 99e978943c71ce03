//! Scans over a whole row of logits, written so that the compiler uses SIMD for them, and with an
//! order of operations that is fixed: every machine gets the same bits.

/// Rows are taken in blocks of this many values, each with an accumulator of its own.
pub(crate) const LANES: usize = 16;

/// The largest value; NaN is passed over.
pub(crate) fn max(values: &[f32]) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for (lane, &value) in lanes.iter_mut().zip(block) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |top, &v| if v > top { v } else { top })
}

/// The sum of `exp((value - top) * scale)`, where `top` is the largest value.
pub(crate) fn mass(values: &[f32], top: f32, scale: f32) -> f64 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0_f64; LANES];
    for block in blocks {
        let weights = block.map(|value| exp((value - top) * scale));
        for (lane, weight) in lanes.iter_mut().zip(weights) {
            *lane += f64::from(weight);
        }
    }
    let rest = rest
        .iter()
        .map(|value| f64::from(exp((value - top) * scale)));
    lanes.into_iter().chain(rest).sum()
}

/// Calls `found` for every value above a floor, in order; `found` answers with the new floor.
pub(crate) fn above(values: &[f32], mut found: impl FnMut(u32, f32) -> f32) {
    let mut floor = f32::NEG_INFINITY;
    for (start, block) in (0_u32..).step_by(2 * LANES).zip(values.chunks(2 * LANES)) {
        if max(block) > floor {
            for (id, &value) in (start..).zip(block) {
                if value > floor {
                    floor = found(id, value);
                }
            }
        }
    }
}

/// e to the power of `x`, for `x` up to 0: within 2 units in the last place, and 0 below -87. Only
/// additions and multiplications, which are the same everywhere; a platform's `exp` is not.
pub(crate) fn exp(x: f32) -> f32 {
    /// 1.5 x 2^23: adding it rounds to a whole number, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// The minimax polynomial of Cephes' `expf`, highest power first.
    const POLYNOMIAL: [f32; 6] = [
        1.987_569_1e-4,
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_65,
        0.5,
    ];
    let clamped = if x > -87.0 { x } else { -87.0 };
    let rounded = clamped * std::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let rest = clamped - whole * LN_2_HIGH - whole * LN_2_LOW;
    let series = POLYNOMIAL
        .iter()
        .fold(0.0, |sum, factor| sum * rest + factor);
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    let result = (series * rest * rest + rest + 1.0) * power;
    if x > -87.0 { result } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn exp_is_close_to_the_platforms(x in -87.0_f32..=0.0) {
            let exact = f64::from(x).exp();
            prop_assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "{x}");
        }

        #[test]
        fn blocks_are_the_plain_scan(
            values in proptest::collection::vec(-30.0_f32..30.0, 0..100),
        ) {
            let plain = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            prop_assert_eq!(max(&values).to_bits(), plain.to_bits());
            let sum: f64 = values.iter().map(|v| (f64::from(v - plain) * 0.5).exp()).sum();
            prop_assert!((mass(&values, plain, 0.5) - sum).abs() <= 1e-6 * sum.max(1.0));
            let mut records = Vec::new();
            above(&values, |id, value| { records.push((id, value)); value });
            let mut expected = Vec::new();
            for (id, &value) in (0..).zip(&values) {
                if expected.last().is_none_or(|&(_, last)| value > last) {
                    expected.push((id, value));
                }
            }
            prop_assert_eq!(records, expected);
        }
    }

    #[test]
    fn exp_has_its_ends() {
        assert_eq!(
            [exp(0.0), exp(f32::NEG_INFINITY), exp(-1e30)].map(f32::to_bits),
            [1.0_f32, 0.0, 0.0].map(f32::to_bits)
        );
    }
}
