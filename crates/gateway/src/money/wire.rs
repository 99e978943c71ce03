//! Posts as they travel.

use std::collections::BTreeMap;

use remuda_routing::Tokens;
use remuda_routing::usage::{Post, Total};
use remuda_wire::gateway::{PostUsage, UsageTotal};

pub(super) fn sent(post: &Post) -> PostUsage {
    let totals = post.totals.iter().map(|((lease, key), total)| UsageTotal {
        lease: *lease,
        key: *key,
        requests: total.requests,
        prompt_tokens: total.tokens.prompt,
        completion_tokens: total.tokens.completion,
        amount: total.amount,
    });
    PostUsage {
        tranche: post.tranche,
        seq: post.seq,
        totals: totals.collect(),
        rows: post.rows,
    }
}

pub(super) fn read(post: PostUsage) -> Post {
    let totals = post.totals.into_iter().map(|total| {
        let tokens = Tokens {
            prompt: total.prompt_tokens,
            completion: total.completion_tokens,
        };
        let (requests, amount) = (total.requests, total.amount);
        (
            (total.lease, total.key),
            Total {
                requests,
                tokens,
                amount,
            },
        )
    });
    let totals: BTreeMap<_, _> = totals.collect();
    Post {
        tranche: post.tranche,
        seq: post.seq,
        totals,
        rows: post.rows,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use remuda_types::{ApiKeyId, Digest, LeaseId, Money, TrancheId};

    use super::*;

    proptest! {
        #[test]
        fn a_post_is_the_same_after_a_restart(
            totals in proptest::collection::btree_map(
                (any::<u128>(), any::<u128>()), (any::<u64>(), any::<u64>(), any::<i64>()), 0..9,
            ),
            seq: u64,
        ) {
            let totals = totals.into_iter().map(|((lease, key), (requests, prompt, micros))| {
                let tokens = Tokens { prompt, completion: requests };
                let amount = Money::from_micros(micros);
                let place = (LeaseId::from_u128(lease), ApiKeyId::from_u128(key));
                (place, Total { requests, tokens, amount })
            });
            let tranche = TrancheId::from_u128(7);
            let post = Post { tranche, seq, totals: totals.collect(), rows: Digest([3; 32]) };
            prop_assert_eq!(read(sent(&post)), post);
        }
    }
}
