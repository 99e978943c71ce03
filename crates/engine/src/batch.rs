//! Who gives how many tokens to the next batch.

/// A sequence that takes part: its slot, when it arrived, how many tokens it has to evaluate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) slot: usize,
    pub(crate) arrived: u64,
    pub(crate) pending: usize,
}

/// A sequence's part of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) slot: usize,
    pub(crate) tokens: usize,
}

/// Shares in order of slots (llama.cpp computes sequences together only in that order). Every
/// running sequence gives its one token; `chunk` tokens of prompts are added, first come first
/// served, so that running sequences wait for at most one chunk.
pub(crate) fn share_out(demands: &mut [Demand], chunk: usize, shares: &mut Vec<Share>) {
    demands.sort_unstable_by_key(|demand| demand.arrived);
    shares.clear();
    let mut left = chunk;
    for demand in demands.iter() {
        let tokens = if demand.pending > 1 {
            demand.pending.min(left)
        } else {
            demand.pending
        };
        if demand.pending > 1 {
            left -= tokens;
        }
        if tokens > 0 {
            shares.push(Share {
                slot: demand.slot,
                tokens,
            });
        }
    }
    shares.sort_unstable_by_key(|share| share.slot);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prompts_share_a_chunk_in_order_of_arrival() {
        let mut demands = [
            Demand {
                slot: 0,
                arrived: 3,
                pending: 10,
            },
            Demand {
                slot: 1,
                arrived: 1,
                pending: 1,
            },
            Demand {
                slot: 2,
                arrived: 2,
                pending: 5,
            },
        ];
        let mut shares = Vec::new();
        share_out(&mut demands, 8, &mut shares);
        let given: Vec<_> = shares
            .iter()
            .map(|share| (share.slot, share.tokens))
            .collect();
        assert_eq!(given, [(0, 3), (1, 1), (2, 5)]);
    }

    proptest! {
        #[test]
        fn nobody_running_waits_and_the_chunk_is_kept_and_used(
            pending in proptest::collection::vec(1_usize..50, 1..9),
            chunk in 1_usize..64,
        ) {
            let mut demands: Vec<Demand> = pending.iter().enumerate()
                .map(|(slot, &pending)| Demand { slot, arrived: 100 - slot as u64, pending })
                .collect();
            let mut shares = Vec::new();
            share_out(&mut demands, chunk, &mut shares);
            prop_assert!(shares.is_sorted_by_key(|share| share.slot));
            let given = |slot| shares.iter().find(|s| s.slot == slot).map_or(0, |s| s.tokens);
            let mut prompts = (0, 0);
            for (slot, &wanted) in pending.iter().enumerate() {
                if wanted == 1 {
                    prop_assert_eq!(given(slot), 1);
                } else {
                    prop_assert!(given(slot) <= wanted);
                    prompts = (prompts.0 + given(slot), prompts.1 + wanted);
                }
            }
            prop_assert_eq!(prompts.0, prompts.1.min(chunk));
        }
    }
}
