//! A node that dies is lost within the bound, however it dies; nobody else is.

use proptest::prelude::*;
use remuda_liveness::{Policy, Verdict};
use remuda_types::Span;

use crate::world::{CALM, Weather, World, node};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn one_that_falls_silent_is_lost_within_the_bound(
        nodes in 1_u64..12, seed: u64, life_ms in 1_500_u64..9_000, tick_delay_ms in 0_u64..46,
        gateways in 0_usize..3, loss_permille in 0_u64..20,
    ) {
        let weather = Weather { loss_permille, tick_delay_ms, gateways, ..CALM };
        let mut world = World::new(nodes, seed, weather);
        let death = world.now + Span::from_millis(life_ms);
        world.run(death);
        prop_assert!(world.lost().is_empty());
        world.up.remove(&node(0));
        // An answer may be under way when the node dies, so the last sign may be a little later.
        world.run(death + Span::from_secs(4));
        let lost = world.lost();
        prop_assert_eq!(lost.len(), 1);
        let silence = lost[0].at.since(lost[0].last_seen);
        prop_assert_eq!(lost[0].node, node(0));
        prop_assert!(silence >= Policy::default().detection_bound());
        prop_assert!(silence <= Span::from_millis(2_660 + 3 * tick_delay_ms));
        prop_assert!(silence <= Span::from_millis(2_800));
        prop_assert!(lost[0].last_seen <= death + Span::from_millis(60));
    }

    #[test]
    fn a_broken_connection_is_suspected_at_once_and_lost_after_one_round(
        nodes in 1_u64..12, seed: u64, life_ms in 1_500_u64..9_000,
    ) {
        let mut world = World::new(nodes, seed, CALM);
        let death = world.now + Span::from_millis(life_ms);
        world.run(death);
        world.up.remove(&node(0));
        world.break_connection(node(0), death);
        world.run(death + Span::from_secs(4));
        let told: Vec<_> = world.transitions().iter().map(|t| (t.from, t.to)).collect();
        prop_assert_eq!(told, [(Verdict::Alive, Verdict::Suspect), (Verdict::Suspect, Verdict::Lost)]);
        prop_assert_eq!(world.transitions()[0].at, death);
        prop_assert!(world.lost()[0].at.since(death) <= Span::from_millis(1_160 + 30));
    }

    #[test]
    fn a_broken_connection_of_a_node_that_answers_is_cleared(seed: u64) {
        let mut world = World::new(3, seed, CALM);
        let broken = world.now + Span::from_secs(3);
        world.break_connection(node(1), broken);
        world.run(broken + Span::from_secs(10));
        let told: Vec<_> = world.transitions().iter().map(|t| (t.from, t.to)).collect();
        prop_assert_eq!(told, [(Verdict::Alive, Verdict::Suspect), (Verdict::Suspect, Verdict::Alive)]);
    }
}
