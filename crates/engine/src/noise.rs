//! The sampler's noise: a pure function of seed, position and token.
//!
//! Nothing of the sampler's state has to move when a stream moves. The definition is part of the
//! protocol and never changes (test vectors below); all arithmetic on integers wraps:
//!
//! ```text
//! G         = 0x9E3779B97F4A7C15
//! mix(x)    = x ^= x >> 30; x *= 0xBF58476D1CE4E5B9; x ^= x >> 27; x *= 0x94D049BB133111EB; x ^ (x >> 31)
//! key       = mix(mix(seed + G) + position * G)
//! bits      = mix(key + (token + 1) * G)
//! u         = ((bits >> 12) + 1/2) / 2^52           exact, so 0 < u < 1
//! noise     = -ln(-ln(u))                           the Gumbel distribution
//! ```
//!
//! `mix` is the finaliser of `SplitMix64`, so the bits of one position are that generator's stream.
//! `ln` is that of the `libm` crate and not the platform's, whose last digit differs between
//! systems.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The noise of one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    key: u64,
}

/// 64 bits that decide the noise of one token at one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits(pub u64);

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Noise {
    /// The noise at `position`, which counts from the prompt's first token.
    pub fn at(seed: u64, position: u64) -> Self {
        let seeded = mix(seed.wrapping_add(GOLDEN));
        Self {
            key: mix(seeded.wrapping_add(position.wrapping_mul(GOLDEN))),
        }
    }

    /// The bits of `token`.
    pub fn bits(self, token: u32) -> Bits {
        Bits(mix(self
            .key
            .wrapping_add((u64::from(token) + 1).wrapping_mul(GOLDEN))))
    }
}

impl Bits {
    /// A sample of the Gumbel distribution.
    #[expect(
        clippy::cast_precision_loss,
        reason = "52 bits and a half fit a double exactly"
    )]
    pub fn gumbel(self) -> f64 {
        const UNIT: f64 = 1.0 / (1_u64 << 52) as f64;
        let u = ((self.0 >> 12) as f64 + 0.5) * UNIT;
        -libm::log(-libm::log(u))
    }

    /// A bound that [`Bits::gumbel`] never exceeds, without its two logarithms.
    ///
    /// With k leading ones, 1 - u > 2^-(k+1); and -ln(-ln(u)) <= -ln(1 - u).
    pub fn ceiling(self) -> f64 {
        const SLACK: f64 = 1e-9;
        f64::from(self.0.leading_ones() + 1) * std::f64::consts::LN_2 + SLACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_definition_does_not_change() {
        let vectors = [
            (0, 0, 0, 0x568A_9B0B_1A2C_05EC),
            (1, 0, 0, 0x6EC8_5F1F_8547_BC0C),
            (0, 1, 0, 0x2382_75BC_38FC_BE91),
            (0, 0, 1, 0x44E5_B8B1_47EF_718B),
            (0xDEAD_BEEF_CAFE_F00D, 4095, 49_151, 0x43E1_9CB1_2A12_0D62),
            (u64::MAX, u64::MAX, u32::MAX, 0x2F19_D2E7_BBD8_2A64),
        ];
        for (seed, position, token, bits) in vectors {
            assert_eq!(
                Noise::at(seed, position).bits(token).0,
                bits,
                "seed {seed:#x}, position {position}, token {token}"
            );
        }
    }

    #[test]
    fn the_logarithms_do_not_change() {
        let noise = Noise::at(1, 2);
        let samples = [0, 1, 49_151].map(|token| noise.bits(token).gumbel().to_bits());
        assert_eq!(
            samples,
            [
                0x3FE7_AD49_0566_2463,
                0x3FD5_B388_AAA9_F767,
                0x3FA1_1552_2FB6_6CBD
            ]
        );
    }

    #[test]
    fn the_distribution_is_gumbels() {
        let samples: Vec<f64> = (0..100_000_u32)
            .map(|n| Noise::at(7, u64::from(n % 317)).bits(n).gumbel())
            .collect();
        let mean = samples.iter().sum::<f64>() / 1e5;
        let variance = samples.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / 1e5;
        assert!((mean - 0.577_215_66).abs() < 0.02, "mean {mean}");
        assert!((variance - 1.644_934).abs() < 0.05, "variance {variance}");
    }

    proptest! {
        #[test]
        fn noise_is_finite_and_under_its_ceiling(bits: u64, ones in 0_u32..=64) {
            let forced = bits | u64::MAX.checked_shl(64 - ones).unwrap_or(0);
            for bits in [Bits(bits), Bits(forced), Bits(u64::MAX), Bits(0)] {
                prop_assert!(bits.gumbel().is_finite());
                prop_assert!(bits.gumbel() <= bits.ceiling());
            }
        }
    }
}
