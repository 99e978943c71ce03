//! All nodes of a network reporting once a second, as fast as the detector takes it.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use remuda_liveness::{Detector, Output, Policy, Verdict};
use remuda_types::{NodeKey, Span, Time};

use super::key;

/// A detector and the nodes that report to it: each at its own moment of every interval.
#[derive(Clone, Debug)]
pub struct Digest {
    detector: Detector,
    /// Who reports at each millisecond of an interval.
    moments: Vec<Vec<NodeKey>>,
    now: Time,
}

/// What was digested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digested {
    /// Reports.
    pub reports: u64,
    /// Ticks that were due.
    pub ticks: u64,
    /// Nodes that were suspected or worse, though they reported on time: none.
    pub doubted: u64,
}

impl Digest {
    /// Nodes that have just joined, in no order.
    pub fn new(seed: u64, nodes: u32, policy: Policy) -> Self {
        let interval = policy.settings().report_interval.as_millis();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut digest = Self {
            detector: Detector::new(policy),
            moments: (0..interval).map(|_| Vec::new()).collect(),
            now: Time::EPOCH,
        };
        let count = digest.moments.len();
        for node in (0..nodes).map(key) {
            drop(digest.detector.joined(node, digest.now));
            digest.moments[rng.random_range(0..count)].push(node);
        }
        digest
    }

    /// Digests so many intervals: every report and every tick that is due, in the order of time.
    pub fn run(&mut self, intervals: u32) -> Digested {
        let mut digested = Digested::default();
        for _ in 0..intervals {
            self.interval(&mut digested);
        }
        digested
    }

    fn interval(&mut self, digested: &mut Digested) {
        for moment in &self.moments {
            for node in moment {
                digested.take(&self.detector.report(*node, self.now));
            }
            digested.reports += moment.len() as u64;
            if self
                .detector
                .next_deadline()
                .is_some_and(|due| due <= self.now)
            {
                digested.ticks += 1;
                digested.take(&self.detector.tick(self.now));
            }
            self.now = self.now + Span::from_millis(1);
        }
    }
}

impl Digested {
    fn take(&mut self, outputs: &[Output]) {
        let doubts = outputs.iter().filter(|output| match output {
            Output::Verdict(change) => change.to != Verdict::Alive,
            Output::Probe(_)
            | Output::Isolated { .. }
            | Output::Reached { .. }
            | Output::Paused { .. } => false,
        });
        self.doubted += doubts.count() as u64;
    }
}
