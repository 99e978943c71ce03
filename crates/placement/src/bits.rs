//! A set of small numbers, one bit each.

/// The set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// All numbers below `count`.
    pub(crate) fn below(count: usize) -> Self {
        let mut bits = Self(vec![u64::MAX; count / 64]);
        let rest = count % 64;
        if rest > 0 {
            bits.0.push((1 << rest) - 1);
        }
        bits
    }

    pub(crate) fn has(&self, number: u32) -> bool {
        let word = self.0.get(number as usize / 64);
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(crate) fn insert(&mut self, number: u32) {
        let at = number as usize / 64;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (number % 64);
    }

    pub(crate) fn remove(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// The numbers that are in this and in all of the others that there are.
    pub(crate) fn in_all<'a>(
        &'a self,
        others: [Option<&'a Self>; 2],
    ) -> impl Iterator<Item = u32> + 'a {
        let words = (0_u32..).zip(&self.0).map(move |(at, word)| {
            let mask = |other: Option<&Self>| other.map_or(u64::MAX, |other| other.word(at));
            let [one, other] = others;
            (at * 64, word & mask(one) & mask(other))
        });
        words.flat_map(|(first, word)| ones(word).map(move |bit| first + bit))
    }

    fn word(&self, at: u32) -> u64 {
        self.0.get(at as usize).copied().unwrap_or(0)
    }
}

/// The bits that are set, the lowest first.
fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lowest = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (lowest < u64::BITS).then_some(lowest)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(
            count in 0_usize..200, steps in proptest::collection::vec((any::<bool>(), 0_u32..300), 0..50),
            others in proptest::collection::btree_set(0_u32..300, 0..200),
        ) {
            let mut bits = Bits::below(count);
            let mut expected: BTreeSet<u32> = (0..).take(count).collect();
            for (insert, number) in steps {
                if insert {
                    bits.insert(number);
                    expected.insert(number);
                } else {
                    bits.remove(number);
                    expected.remove(&number);
                }
                prop_assert_eq!(bits.has(number), insert);
            }
            prop_assert!(bits.in_all([None, None]).eq(expected.iter().copied()));
            let mut other = Bits::default();
            for number in &others {
                other.insert(*number);
            }
            let both: Vec<u32> = expected.intersection(&others).copied().collect();
            prop_assert!(bits.in_all([Some(&other), None]).eq(both.iter().copied()));
            let even = |number: &u32| number.is_multiple_of(2);
            let mut evens = Bits::default();
            for number in (0..300).filter(even) {
                evens.insert(number);
            }
            let all = both.into_iter().filter(even);
            prop_assert!(bits.in_all([Some(&evens), Some(&other)]).eq(all));
        }
    }
}
