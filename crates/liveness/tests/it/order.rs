//! Whatever comes in whatever order: verdicts move only along their order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use remuda_liveness::{Detector, Output, Policy, Probe, Vantages, Verdict, invariant};
use remuda_types::{NodeKey, Span, Time};

use crate::world::{at, node};

#[derive(Clone, Debug)]
enum Input {
    Joined(u64),
    Report(u64),
    Broken(u64),
    /// The answer to one of the probes sent so far, perhaps an old or answered one.
    Answered(prop::sample::Index),
    Failed(prop::sample::Index),
    Sighting(u64, bool),
    Tick,
    Left(u64),
    Gateways(usize),
}

fn inputs() -> impl Strategy<Value = Vec<(u64, Input)>> {
    let who = || 0_u64..7;
    let input = prop_oneof![
        4 => who().prop_map(Input::Joined),
        2 => who().prop_map(Input::Report),
        2 => who().prop_map(Input::Broken),
        1 => any::<prop::sample::Index>().prop_map(Input::Answered),
        6 => any::<prop::sample::Index>().prop_map(Input::Failed),
        2 => (who(), any::<bool>()).prop_map(|(n, a)| Input::Sighting(n, a)),
        20 => Just(Input::Tick),
        1 => who().prop_map(Input::Left),
        1 => (0_usize..3).prop_map(Input::Gateways),
    ];
    prop::collection::vec((0_u64..400, input), 0..300)
}

#[derive(Default)]
struct Auditor {
    held: BTreeMap<NodeKey, Verdict>,
    probes: Vec<Probe>,
}

impl Auditor {
    fn hear(&mut self, outputs: &[Output], joined: bool) -> Result<(), TestCaseError> {
        outputs.iter().try_for_each(|output| match output {
            Output::Probe(probe) => {
                prop_assert!(!self.probes.contains(probe), "a probe is sent once");
                self.probes.push(*probe);
                Ok(())
            }
            Output::Verdict(change) => {
                let from = self
                    .held
                    .insert(change.node, change.to)
                    .unwrap_or(Verdict::Alive);
                prop_assert_eq!(from, change.from);
                prop_assert!(legal(change.from, change.to, joined), "{:?}", change);
                Ok(())
            }
            Output::Isolated { .. } | Output::Reached { .. } | Output::Paused { .. } => Ok(()),
        })
    }
}

fn legal(from: Verdict, to: Verdict, joined: bool) -> bool {
    match (from, to) {
        (Verdict::Alive, Verdict::Suspect) | (Verdict::Suspect, Verdict::Alive | Verdict::Lost) => {
            true
        }
        (Verdict::Lost, Verdict::Alive) => joined,
        _ => false,
    }
}

fn feed(detector: &mut Detector, auditor: &Auditor, now: Time, input: &Input) -> Vec<Output> {
    let probe = |index: &prop::sample::Index| {
        (!auditor.probes.is_empty()).then(|| *index.get(&auditor.probes))
    };
    match input {
        Input::Joined(n) => detector.joined(node(*n), now),
        Input::Report(n) => detector.report(node(*n), now),
        Input::Broken(n) => detector.connection_broken(node(*n), now),
        Input::Answered(index) => probe(index)
            .map(|probe| detector.probe_answered(probe, now))
            .unwrap_or_default(),
        Input::Failed(index) => probe(index)
            .map(|probe| detector.probe_failed(probe, now))
            .unwrap_or_default(),
        Input::Sighting(n, answered) => detector.sighting(node(*n), *answered, now),
        Input::Tick => detector.tick(now),
        Input::Left(n) => detector.left(node(*n)),
        Input::Gateways(n) => {
            detector.set_vantages(Vantages { gateways: *n });
            Vec::new()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn verdicts_move_along_their_order(script in inputs()) {
        let mut detector = Detector::new(Policy::default());
        let mut auditor = Auditor::default();
        let mut now = at(1_000_000);
        for (wait, input) in &script {
            now = now + Span::from_millis(*wait);
            let outputs = feed(&mut detector, &auditor, now, input);
            if let Input::Left(n) = input {
                auditor.held.remove(&node(*n));
                auditor.probes.retain(|probe| probe.node != node(*n));
            }
            auditor.hear(&outputs, matches!(input, Input::Joined(_)))?;
            prop_assert_eq!(invariant::check(&detector), Ok(()));
            for (key, verdict) in &auditor.held {
                prop_assert_eq!(detector.verdict(key), Some(*verdict));
            }
            if matches!(input, Input::Tick) {
                prop_assert!(detector.next_deadline().is_none_or(|due| due > now));
            }
        }
    }

    /// Gateways may fail and probes may fail; reports on time are enough.
    #[test]
    fn one_that_reports_on_time_is_never_lost(script in inputs(), jitter in 0_u64..400) {
        let mut detector = Detector::new(Policy::default());
        let mut auditor = Auditor::default();
        let mut now = at(1_000_000);
        let mut due = now;
        drop(detector.joined(node(0), now));
        for (wait, input) in &script {
            let end = now + Span::from_millis(*wait);
            loop {
                let tick = detector.next_deadline().unwrap_or(Time::FOREVER);
                now = tick.min(due).max(now);
                if now > end { break; }
                let outputs = if due <= now {
                    due = due + Span::from_millis(1_000 + jitter * (due.as_millis() % 2));
                    detector.report(node(0), now)
                } else {
                    detector.tick(now)
                };
                auditor.hear(&outputs, false)?;
            }
            now = end;
            let harmless = !matches!(input, Input::Joined(_) | Input::Broken(0) | Input::Left(0));
            if harmless {
                let outputs = feed(&mut detector, &auditor, now, input);
                auditor.hear(&outputs, false)?;
            }
            prop_assert_ne!(detector.verdict(&node(0)), Some(Verdict::Lost));
        }
    }
}
