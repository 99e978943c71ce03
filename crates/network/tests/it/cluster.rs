//! A small cluster under a virtual clock: this network, `remuda-liveness`'s detector and
//! `remuda-assignment`'s reconciler, with messages lost, late and doubled, machines killed, frozen,
//! cut off and restarted, and control replayed from its journal.
//!
//! A replica costs one micro-dollar a millisecond, so that what is charged is what is counted.

mod control;
mod machine;

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use remuda_assignment::Assignment;
use remuda_liveness::{Probe, Settings, Vantage};
use remuda_network::absence::Gap;
use remuda_network::state::Phase;
use remuda_types::{LeaseId, NodeKey, Span, Tier, Time, WorkloadId};

use crate::world::{START, key, terms};
use control::Control;
use machine::{Machine, Seen};

const STEP: Span = Span::from_millis(50);
const LATE_MAX_MS: u64 = 150;
const REPLICAS: u32 = 2;

/// How long faults go on, and how long all is well after them.
const STORM: Span = Span::from_secs(25);
const CALM: Span = Span::from_secs(45);

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Dead; comes back after so many milliseconds, or with the calm, or never.
    Kill(Option<u64>),
    /// Does nothing and hears nothing for a while.
    Freeze(u64),
    /// Runs, but nothing passes between it and control.
    Cut(u64),
    /// Its daemon restarts, and the replicas do not outlive that.
    Restart,
}

/// What befalls the cluster.
#[derive(Clone, Debug)]
struct Weather {
    machines: u8,
    seed: u64,
    /// Of 100 messages.
    lost: u64,
    doubled: u64,
    faults: Vec<(u64, u8, Fault)>,
    /// When control dies, and for how long it is down.
    control: Option<(u64, u64)>,
}

#[derive(Clone, Debug)]
enum Message {
    Report {
        node: NodeKey,
        boot: u64,
        seq: u64,
        seen: Vec<Seen>,
        /// When the machine stood still; read as a session begins.
        pauses: Vec<Gap>,
    },
    Broken {
        node: NodeKey,
        boot: u64,
    },
    Assignment(NodeKey, Assignment),
    Probe(Probe),
    Answer(Probe),
}

/// Messages on their way, and the dice that decide what becomes of them.
struct Wires {
    dice: u64,
    lost: u64,
    doubled: u64,
    sent: u64,
    flying: BTreeMap<(Time, u64), Message>,
}

impl Wires {
    /// The next of a fixed sequence of numbers below `bound` (xorshift64*).
    fn roll(&mut self, bound: u64) -> u64 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }

    fn send(&mut self, now: Time, message: &Message) {
        if self.roll(100) < self.lost {
            return;
        }
        let copies = if self.roll(100) < self.doubled { 2 } else { 1 };
        for _ in 0..copies {
            let late = Span::from_millis(1 + self.roll(LATE_MAX_MS));
            self.sent += 1;
            self.flying.insert((now + late, self.sent), message.clone());
        }
    }

    fn arrived(&mut self, now: Time) -> Option<Message> {
        let (at, number) = *self.flying.first_key_value()?.0;
        (at <= now).then(|| self.flying.remove(&(at, number)))?
    }
}

struct Cluster {
    now: Time,
    wires: Wires,
    control: Control,
    machines: BTreeMap<NodeKey, Machine>,
    workload: WorkloadId,
    /// For how long each lease was really served, of the time that control believed it was.
    served: BTreeMap<LeaseId, Span>,
    /// How often what control believed of a lease could be wrong for a moment.
    upsets: BTreeMap<LeaseId, u64>,
}

impl Cluster {
    fn new(weather: &Weather) -> Self {
        let mut control = Control::new(weather.machines);
        let mut wanted = terms(1);
        wanted.tier = Tier::MultiSite;
        let keys: Vec<_> = (1..=weather.machines).map(key).collect();
        let workload = control.deploy(&wanted, REPLICAS, &keys);
        Self {
            now: START,
            wires: Wires {
                dice: weather.seed | 1,
                lost: weather.lost,
                doubled: weather.doubled,
                sent: 0,
                flying: BTreeMap::new(),
            },
            control,
            machines: keys
                .into_iter()
                .map(|key| (key, Machine::new(key)))
                .collect(),
            workload,
            served: BTreeMap::new(),
            upsets: BTreeMap::new(),
        }
    }

    fn live(&mut self, weather: &Weather) {
        let mut faults = weather.faults.clone();
        faults.sort_by_key(|(at, ..)| *at);
        let mut faults = faults.into_iter().peekable();
        let mut control = weather.control;
        while self.now < START + STORM {
            let passed = self.now.since(START).as_millis();
            while let Some((_, n, fault)) = faults.next_if(|(at, ..)| *at <= passed) {
                self.strike(key(1 + n % weather.machines), fault);
            }
            if let Some((_, down)) = control.take_if(|(at, _)| *at <= passed) {
                self.upset_all();
                self.control.crash(self.now + Span::from_millis(down));
            }
            self.step();
        }
        self.calm();
        while self.now < START + STORM + CALM {
            self.step();
        }
    }

    fn strike(&mut self, node: NodeKey, fault: Fault) {
        self.upset(node, matches!(fault, Fault::Kill(_)));
        let Some(machine) = self.machines.get_mut(&node) else {
            return;
        };
        let boot = machine.boot;
        match fault {
            Fault::Kill(back) => {
                machine.kill(back.map(|ms| self.now + Span::from_millis(ms)));
                let broken = Message::Broken { node, boot };
                self.wires.send(self.now, &broken);
            }
            Fault::Freeze(ms) => machine.frozen_until = self.now + Span::from_millis(ms),
            Fault::Cut(ms) => machine.cut_until = self.now + Span::from_millis(ms),
            Fault::Restart => machine.restart(self.now),
        }
    }

    /// From now on control may for a moment believe what is not so: once when a machine stands
    /// still, and for one that is killed only when it comes back before it was missed.
    fn upset(&mut self, node: NodeKey, killed: bool) {
        if !killed {
            for lease in self.control.leases_on(node) {
                *self.upsets.entry(lease).or_default() += 1;
            }
        }
    }

    fn upset_all(&mut self) {
        for lease in self.control.leases() {
            *self.upsets.entry(lease).or_default() += 1;
        }
    }

    /// The faults are over. The first machine stays dead if it is.
    fn calm(&mut self) {
        self.wires.lost = 0;
        self.wires.doubled = 0;
        for (node, machine) in &mut self.machines {
            machine.cut_until = self.now;
            machine.frozen_until = machine.frozen_until.min(self.now);
            if *node != key(1) && !machine.alive {
                machine.back = Some(self.now);
            }
        }
    }

    fn step(&mut self) {
        self.now = self.now + STEP;
        while let Some(message) = self.wires.arrived(self.now) {
            self.deliver(message);
        }
        for node in self.machines.keys().copied().collect::<Vec<_>>() {
            self.step_machine(node);
        }
        for message in self.control.step(self.now) {
            if self.passes(&message) {
                self.wires.send(self.now, &message);
            }
        }
        if std::mem::take(&mut self.control.suspends_judgement) {
            self.upset_all();
        }
        self.check();
    }

    fn step_machine(&mut self, node: NodeKey) {
        let returns = self.machines[&node]
            .back
            .is_some_and(|back| back <= self.now);
        if returns {
            self.upset(node, false);
        }
        let Some(machine) = self.machines.get_mut(&node) else {
            return;
        };
        let report = machine.step(self.now);
        for lease in machine.serving(self.now) {
            if self.control.believes_in(lease) {
                let served = self.served.entry(lease).or_default();
                *served = served.saturating_add(STEP);
            }
        }
        if let Some(report) = report.filter(|_| machine.cut_until <= self.now) {
            self.wires.send(self.now, &report);
        }
    }

    /// Whether the way to the machine is open.
    fn passes(&self, message: &Message) -> bool {
        let (Message::Assignment(node, _) | Message::Probe(Probe { node, .. })) = message else {
            return true;
        };
        self.machines
            .get(node)
            .is_some_and(|machine| machine.cut_until <= self.now)
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Assignment(node, assignment) => {
                if let Some(machine) = self.machines.get_mut(&node).filter(|m| m.hears(self.now)) {
                    machine.accept(assignment);
                }
            }
            Message::Probe(probe) => {
                let machine = self.machines.get(&probe.node);
                if machine.is_some_and(|m| m.hears(self.now) && m.cut_until <= self.now) {
                    self.wires.send(self.now, &Message::Answer(probe));
                }
            }
            Message::Report { .. } | Message::Broken { .. } | Message::Answer(_) => {
                self.control.hear(self.now, message);
            }
        }
    }

    /// At no time do two machines run one epoch of one lease, or of one replica.
    fn check(&self) {
        let mut running = BTreeSet::new();
        let mut epochs = BTreeSet::new();
        for machine in self.machines.values() {
            for at in machine.running() {
                assert!(running.insert(at), "{at} runs twice");
                if let Some(replica) = machine.replica_of(at) {
                    assert!(
                        epochs.insert((replica, at.epoch)),
                        "epoch {} of {replica} runs twice",
                        at.epoch
                    );
                }
            }
        }
    }

    /// Every wanted replica is ready, by control's word and in truth, no two with one owner.
    fn check_recovered(&self) {
        let state = self.control.network.state();
        let workload = &state.workloads[&self.workload];
        let mut owners = BTreeSet::new();
        for id in &workload.replicas {
            let replica = &state.replicas[id];
            let lease_id = replica
                .lease
                .unwrap_or_else(|| panic!("{id} has no lease: {replica:?}"));
            let lease = &state.leases[&lease_id];
            assert_eq!(lease.phase, Phase::Ready, "{id} on {}", lease.node);
            assert!(
                self.machines[&lease.node]
                    .serving(self.now)
                    .any(|serving| serving == lease_id)
            );
            assert!(owners.insert(lease.provider), "two replicas with one owner");
        }
        assert_eq!(owners.len(), REPLICAS as usize);
    }

    /// Nobody is charged for what was not served: exactly for what is dead for good; with a moment
    /// for each time that something came back before it was missed. Suspicion takes back all since
    /// the last sign of life, so a moment is as long as a silence that raises none: after an answer
    /// to a probe, until the last probe of that round has failed too.
    fn check_charges(&self) {
        let latency = LATE_MAX_MS + 2 * STEP.as_millis();
        let Settings {
            silence,
            probe_timeout,
            ..
        } = Settings::default();
        let moment = silence.as_millis() + probe_timeout.as_millis() + latency;
        for (lease, charged) in self.control.charged(self.now) {
            let served = self
                .served
                .get(&lease)
                .copied()
                .unwrap_or_default()
                .as_millis();
            let upsets = self.upsets.get(&lease).copied().unwrap_or_default();
            let most = served + latency + upsets * moment;
            assert!(
                charged <= i64::try_from(most).unwrap(),
                "{lease} was charged {charged} ms, served {served} ms, with {upsets} upsets"
            );
        }
    }
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => option::of(200_u64..12_000).prop_map(Fault::Kill),
        2 => (100_u64..8_000).prop_map(Fault::Freeze),
        2 => (100_u64..15_000).prop_map(Fault::Cut),
        1 => Just(Fault::Restart),
    ]
}

fn weathers() -> impl Strategy<Value = Weather> {
    let storm = STORM.as_millis();
    let struck = vec((0..storm, 0_u8..5, faults()), 0..8);
    let control = option::of((1_000..storm, 0_u64..6_000));
    (3_u8..6, any::<u64>(), 0_u64..15, 0_u64..20, struck, control).prop_map(
        |(machines, seed, lost, doubled, faults, control)| Weather {
            machines,
            seed,
            lost,
            doubled,
            faults,
            control,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_befalls_it_the_cluster_recovers_and_charges_only_what_was_served(weather in weathers()) {
        let mut cluster = Cluster::new(&weather);
        cluster.live(&weather);
        cluster.check_recovered();
        cluster.check_charges();
    }
}

/// Who probes: there is no gateway here.
const VANTAGE: Vantage = Vantage::Control;
