//! A network under a virtual clock: nodes that report, a wire that loses, and a detector.

use std::collections::btree_map::OccupiedEntry;
use std::collections::{BTreeMap, BTreeSet};

use remuda_liveness::{Detector, Output, Policy, Probe, Transition, Vantages, Verdict, invariant};
use remuda_types::{NodeKey, Span, Time};

/// A small generator with a seed (`SplitMix64`): the same seed is the same network.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Report(NodeKey),
    Answer(Probe),
    Break(NodeKey),
}

/// How the world is.
#[derive(Clone, Copy)]
pub struct Weather {
    /// Packets lost, of a thousand.
    pub loss_permille: u64,
    /// One way, at most.
    pub delay_ms: u64,
    /// A tick comes so late at most.
    pub tick_delay_ms: u64,
    pub gateways: usize,
}

pub const CALM: Weather = Weather {
    loss_permille: 0,
    delay_ms: 30,
    tick_delay_ms: 10,
    gateways: 1,
};

pub struct World {
    pub detector: Detector,
    pub weather: Weather,
    pub dice: Dice,
    pub now: Time,
    /// Nodes that answer and report.
    pub up: BTreeSet<NodeKey>,
    /// Everything the detector said, without the probes.
    pub said: Vec<Output>,
    pub rounds: u64,
    last_probes: BTreeMap<NodeKey, Time>,
    agenda: BTreeMap<(Time, u64), Happening>,
    ordinal: u64,
}

pub fn node(index: u64) -> NodeKey {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&index.to_be_bytes());
    NodeKey(key)
}

pub fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

impl World {
    pub fn new(nodes: u64, seed: u64, weather: Weather) -> Self {
        let mut world = Self {
            detector: Detector::new(Policy::default()),
            weather,
            dice: Dice(seed),
            now: at(1_000_000),
            up: (0..nodes).map(node).collect(),
            said: Vec::new(),
            rounds: 0,
            last_probes: BTreeMap::new(),
            agenda: BTreeMap::new(),
            ordinal: 0,
        };
        world.detector.set_vantages(Vantages {
            gateways: weather.gateways,
        });
        for key in world.up.clone() {
            drop(world.detector.joined(key, world.now));
            let phase = Span::from_millis(world.dice.below(1_000));
            world.plan(world.now + phase, Happening::Report(key));
        }
        world
    }

    pub fn break_connection(&mut self, key: NodeKey, when: Time) {
        self.plan(when, Happening::Break(key));
    }

    pub fn transitions(&self) -> Vec<Transition> {
        let verdicts = self.said.iter().filter_map(|output| match output {
            Output::Verdict(transition) => Some(*transition),
            _ => None,
        });
        verdicts.collect()
    }

    pub fn lost(&self) -> Vec<Transition> {
        self.transitions()
            .into_iter()
            .filter(|t| t.to == Verdict::Lost)
            .collect()
    }

    /// Lets the world go on until `end`.
    pub fn run(&mut self, end: Time) {
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
        invariant::check(&self.detector).unwrap();
    }

    fn next(&mut self) -> Option<Time> {
        let happening = self.agenda.first_key_value().map(|((when, _), _)| *when);
        let delay = Span::from_millis(self.weather.tick_delay_ms);
        let tick = self.detector.next_deadline().map(|due| due + delay);
        happening.into_iter().chain(tick).min()
    }

    fn step(&mut self) {
        let happening = self
            .agenda
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now);
        let outputs = match happening.map(OccupiedEntry::remove) {
            Some(happening) => self.happen(happening),
            None => self.detector.tick(self.now),
        };
        for output in outputs {
            self.take(output);
        }
    }

    fn happen(&mut self, happening: Happening) -> Vec<Output> {
        match happening {
            Happening::Report(key) => {
                self.plan(self.now + Span::from_secs(1), happening);
                let heard = self.up.contains(&key) && !self.drops();
                if heard {
                    self.detector.report(key, self.now)
                } else {
                    Vec::new()
                }
            }
            Happening::Answer(probe) => self.detector.probe_answered(probe, self.now),
            Happening::Break(key) => self.detector.connection_broken(key, self.now),
        }
    }

    fn take(&mut self, output: Output) {
        let Output::Probe(probe) = output else {
            self.said.push(output);
            return;
        };
        self.rounds += u64::from(self.opens_round(&probe));
        let there = self.up.contains(&probe.node) && !self.drops();
        if there && !self.drops() {
            let delay = Span::from_millis(1 + self.dice.below(2 * self.weather.delay_ms));
            self.plan(self.now + delay, Happening::Answer(probe));
        }
    }

    /// Whether the node was heard since its last probe: then this one opens a round.
    fn opens_round(&mut self, probe: &Probe) -> bool {
        let last_seen = self.detector.last_seen(&probe.node);
        let last_probe = self.last_probes.insert(probe.node, self.now);
        last_probe.is_none() || last_probe <= last_seen
    }

    fn drops(&mut self) -> bool {
        self.dice.below(1_000) < self.weather.loss_permille
    }

    fn plan(&mut self, when: Time, happening: Happening) {
        self.ordinal += 1;
        self.agenda.insert((when, self.ordinal), happening);
    }
}
