//! Control's own trouble, and the way back from lost.

use remuda_liveness::{
    Detector, Evidence, Output, Policy, Probe, Sign, Transition, Vantage, Verdict,
};
use remuda_types::Span;

use crate::world::{CALM, Weather, World, at, node};

#[test]
fn a_pause_of_control_condemns_nobody() {
    let mut world = World::new(8, 3, CALM);
    world.run(world.now + Span::from_secs(5));
    let resumed = world.now + Span::from_secs(30);
    let outputs = world.detector.tick(resumed);
    assert!(matches!(outputs[..], [Output::Paused { late, .. }] if late > Span::from_secs(27)));
    world.now = resumed;
    world.run(resumed + Span::from_secs(10));
    assert!(world.lost().is_empty());
}

#[test]
fn one_that_died_while_control_was_paused_is_found_within_the_bound_of_its_return() {
    let mut world = World::new(8, 3, CALM);
    world.run(world.now + Span::from_secs(5));
    world.up.remove(&node(2));
    let resumed = world.now + Span::from_secs(30);
    drop(world.detector.tick(resumed));
    world.now = resumed;
    world.run(resumed + Span::from_secs(10));
    let lost = world.lost();
    assert_eq!(lost.len(), 1);
    assert!(lost[0].at.since(resumed) <= Span::from_millis(2_700));
}

#[test]
fn nobody_is_condemned_while_nobody_is_heard() {
    for (nodes, broken) in [(5, false), (40, false), (5, true), (40, true)] {
        let mut world = World::new(nodes, 11, CALM);
        world.run(world.now + Span::from_secs(5));
        let up = std::mem::take(&mut world.up);
        if broken {
            for key in &up {
                world.break_connection(*key, world.now);
            }
        }
        world.run(world.now + Span::from_secs(60));
        assert!(world.lost().is_empty());
        assert!(world.detector.is_isolated());
        assert_eq!(
            world
                .said
                .iter()
                .filter(|o| matches!(o, Output::Isolated { .. }))
                .count(),
            1
        );

        // The network is back, but one node is gone for good: it alone is lost, within the bound.
        world.up = up;
        world.up.remove(&node(4));
        let back = world.now;
        world.run(back + Span::from_secs(10));
        let lost: Vec<_> = world.lost().iter().map(|t| t.node).collect();
        assert_eq!(lost, [node(4)]);
        assert!(world.lost()[0].at.since(back) <= Span::from_millis(1_000 + 2_700));
        assert!(
            world
                .said
                .iter()
                .any(|o| matches!(o, Output::Reached { .. }))
        );
    }
}

#[test]
fn small_networks_see_all_their_nodes_die() {
    for nodes in 1..5 {
        let mut world = World::new(
            nodes,
            5,
            Weather {
                gateways: 0,
                ..CALM
            },
        );
        world.run(world.now + Span::from_secs(5));
        world.up.clear();
        world.run(world.now + Span::from_millis(2_800));
        assert_eq!(world.lost().len(), usize::try_from(nodes).unwrap());
    }
}

#[test]
fn a_whole_site_is_lost_while_any_other_node_is_heard() {
    let mut world = World::new(20, 5, CALM);
    world.run(world.now + Span::from_secs(5));
    world.up.retain(|key| *key >= node(17));
    world.run(world.now + Span::from_millis(2_800));
    assert_eq!(world.lost().len(), 17);
}

fn lose(detector: &mut Detector, from: u64) -> Vec<Probe> {
    let mut probes = Vec::new();
    for millis in from..from + 2_700 {
        let outputs = detector.tick(at(millis));
        probes.extend(outputs.iter().filter_map(|output| match output {
            Output::Probe(probe) => Some(*probe),
            _ => None,
        }));
    }
    probes
}

#[test]
fn only_a_new_session_brings_a_lost_node_back() {
    let mut detector = Detector::new(Policy::default());
    assert_eq!(detector.joined(node(1), at(0)), []);
    let probes = lose(&mut detector, 0);
    assert_eq!(probes.len(), 8);
    assert!(
        probes.iter().all(|probe| probe.vantage == Vantage::Control),
        "there is no gateway"
    );
    assert_eq!(detector.verdict(&node(1)), Some(Verdict::Lost));
    assert_eq!(detector.report(node(1), at(3_000)), []);
    assert_eq!(detector.probe_answered(probes[7], at(3_000)), []);
    assert_eq!(detector.sighting(node(1), true, at(3_000)), []);
    assert_eq!(detector.connection_broken(node(1), at(3_000)), []);
    assert_eq!(detector.next_deadline(), None);
    let back = Transition {
        node: node(1),
        from: Verdict::Lost,
        to: Verdict::Alive,
        at: at(4_000),
        last_seen: at(4_000),
        evidence: Evidence::Heard(Sign::Joined),
    };
    assert_eq!(detector.joined(node(1), at(4_000)), [Output::Verdict(back)]);
    assert_eq!(detector.joined(node(1), at(4_000)), []);
}

#[test]
fn one_that_answers_but_does_not_report_is_questioned_without_noise_and_lost_when_it_stops() {
    let mut detector = Detector::new(Policy::default());
    drop(detector.joined(node(1), at(0)));
    let mut told = Vec::new();
    for millis in 0..60_000 {
        for output in detector.tick(at(millis)) {
            match output {
                Output::Probe(probe) if millis < 50_000 => {
                    told.extend(detector.probe_answered(probe, at(millis)));
                }
                Output::Probe(_) => {}
                output => told.push(output),
            }
        }
    }
    let changes: Vec<_> = told
        .iter()
        .map(|output| match output {
            Output::Verdict(change) => (change.from, change.to),
            other => panic!("{other:?}"),
        })
        .collect();
    let (alive, suspect, lost) = (Verdict::Alive, Verdict::Suspect, Verdict::Lost);
    assert_eq!(
        changes,
        [
            (alive, suspect),
            (suspect, alive),
            (alive, suspect),
            (suspect, lost)
        ]
    );
}

#[test]
fn one_that_left_in_order_is_forgotten_without_a_word() {
    let mut detector = Detector::new(Policy::default());
    drop(detector.joined(node(1), at(0)));
    assert_eq!(detector.left(node(1)), []);
    assert_eq!(
        (detector.verdict(&node(1)), detector.next_deadline()),
        (None, None)
    );
}

#[test]
fn one_that_reports_on_time_outlives_a_gateways_word_and_failed_probes() {
    let mut detector = Detector::new(Policy::default());
    drop(detector.joined(node(1), at(0)));
    let mut failed = 0;
    for millis in 1..20_000 {
        let mut outputs = detector.tick(at(millis));
        if millis % 1_000 == 0 {
            outputs.extend(detector.report(node(1), at(millis)));
        }
        if millis % 1_000 == 100 {
            outputs.extend(detector.sighting(node(1), false, at(millis)));
        }
        for output in outputs {
            if let Output::Probe(probe) = output {
                failed += 1;
                drop(detector.probe_failed(probe, at(millis)));
            }
        }
        assert_ne!(detector.verdict(&node(1)), Some(Verdict::Lost));
    }
    assert_eq!(failed, 20 * 8, "every round was one of failures");
}
