//! What a shape costs on a node.

use remuda_types::{Capacity, Price, Shape};

use crate::ask::WHOLE_GPU_MILLI;
use crate::fleet::NodeOffer;

/// What `shape` costs by the hour on the node: the node's price times the largest of the shares of
/// GPUs, CPU, memory and disk that the shape takes (its dominant share), so that whoever takes all
/// of one thing pays for the rest he makes unsellable.
///
/// Rounded down to the micro-dollar, but at least one when the node is not free of charge. GPU
/// memory is a condition and not a share. More than the node has costs the whole node: a quote is
/// never above the node's price, and never less for a larger shape.
pub fn quote(offer: &NodeOffer, shape: &Shape) -> Price {
    quote_of(offer.price, &offer.capacity, shape)
}

/// The same of a whole node's price and capacity.
pub(crate) fn quote_of(price: Price, capacity: &Capacity, shape: &Shape) -> Price {
    let whole = price.micros_per_hour();
    let (asked, total) = dominant(shares(capacity, shape));
    Price::from_micros_per_hour(part_of(whole, asked, total).max(whole.min(1)))
}

/// The largest of the shares. Rounding down keeps their order, so one division is enough.
fn dominant(shares: [(u64, u64); 4]) -> (u64, u64) {
    let larger = |a: (u64, u64), b: (u64, u64)| {
        let (left, right) = (product(a.0, b.1), product(b.0, a.1));
        if left >= right { a } else { b }
    };
    // Nothing of nothing is no share; anything of nothing is all.
    let known = shares.map(|(asked, total)| (asked.min(total), total));
    let all = shares.iter().any(|(asked, total)| asked > total);
    if all {
        return (1, 1);
    }
    let some = known.into_iter().filter(|(asked, _)| *asked > 0);
    some.fold((0, 1), larger)
}

fn product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

fn shares(capacity: &Capacity, shape: &Shape) -> [(u64, u64); 4] {
    let gpus_milli = u64::from(capacity.gpus) * u64::from(WHOLE_GPU_MILLI);
    [
        (shape.gpu_milli, gpus_milli),
        (shape.cpu_milli, capacity.cpu_milli),
        (shape.memory_mib, capacity.memory_mib),
        (shape.disk_mib, capacity.disk_mib),
    ]
}

fn part_of(whole: u64, asked: u64, total: u64) -> u64 {
    if asked >= total {
        return if asked == 0 { 0 } else { whole };
    }
    // 64 bits nearly always do, and every node of the fleet is quoted for every request.
    if let Some(product) = whole.checked_mul(asked) {
        return product / total;
    }
    let part = u128::from(whole) * u128::from(asked) / u128::from(total);
    u64::try_from(part).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use remuda_types::{Class, NodeKey, Place, ProviderId, SiteId};

    fn offer(price: u64, capacity: Capacity) -> NodeOffer {
        NodeOffer {
            node: NodeKey([1; 32]),
            provider: ProviderId::from_u128(1),
            site: SiteId::from_u128(1),
            country: "KR".parse().unwrap(),
            place: Place::from_degrees(0.0, 0.0).unwrap(),
            class: Class::CPU,
            capacity,
            price: Price::from_micros_per_hour(price),
        }
    }

    fn micros(price: u64, capacity: Capacity, shape: Shape) -> u64 {
        quote(&offer(price, capacity), &shape).micros_per_hour()
    }

    const EIGHT: Capacity = Capacity {
        gpus: 8,
        gpu_memory_mib: 81_920,
        cpu_milli: 64_000,
        memory_mib: 1 << 20,
        disk_mib: 1 << 22,
    };

    #[test]
    fn the_dominant_share_is_paid() {
        let one = Shape {
            gpu_milli: 1_000,
            cpu_milli: 1_000,
            ..Shape::default()
        };
        assert_eq!(micros(24_000_000, EIGHT, one), 3_000_000);
        let half_of_one = Shape {
            gpu_milli: 500,
            ..Shape::default()
        };
        assert_eq!(micros(24_000_000, EIGHT, half_of_one), 1_500_000);
        let all_cores = Shape {
            cpu_milli: 64_000,
            ..one
        };
        assert_eq!(micros(24_000_000, EIGHT, all_cores), 24_000_000);
    }

    #[test]
    fn a_crumb_costs_one_micro_dollar_and_nothing_on_a_free_node() {
        let crumb = Shape {
            cpu_milli: 1,
            ..Shape::default()
        };
        assert_eq!(micros(10, EIGHT, crumb), 1);
        assert_eq!(micros(0, EIGHT, crumb), 0);
    }

    #[test]
    fn what_the_node_lacks_costs_the_whole_node() {
        let gpu = Shape {
            gpu_milli: 1_000,
            ..Shape::default()
        };
        assert_eq!(micros(7, Capacity::default(), gpu), 7);
        assert_eq!(
            micros(
                u64::MAX,
                EIGHT,
                Shape {
                    cpu_milli: u64::MAX,
                    ..gpu
                }
            ),
            u64::MAX
        );
    }

    proptest! {
        #[test]
        fn a_quote_never_falls_as_the_shape_grows_and_never_passes_the_node(
            price: u64, cpu in 0_u64..1 << 20, memory: u64, asked: u64, less: u64, mib: u64,
        ) {
            let capacity = Capacity { cpu_milli: cpu, memory_mib: memory, ..EIGHT };
            let large = Shape { cpu_milli: asked, memory_mib: mib, ..Shape::default() };
            let small = Shape { cpu_milli: asked.min(less), ..large };
            let quoted = micros(price, capacity, large);
            prop_assert!(micros(price, capacity, small) <= quoted && quoted <= price);
        }
    }
}
