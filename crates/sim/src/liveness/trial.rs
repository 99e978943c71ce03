//! Nodes that report for days, a wire that loses, deaths at random instants, and the detector.

use remuda_liveness::{Detector, Output, Policy, Probe, Transition, Vantage, Vantages, Verdict};
use remuda_types::{NodeKey, Span, Time};

use super::agenda::Agenda;
use super::outcome::Outcome;
use super::wire::Wire;
use super::{key, number};

/// A node that was judged lost comes back by a new session after this.
const AWAY: Span = Span::from_secs(10);
/// Nobody dies at the beginning, when all have just joined, or so near the end that the verdict
/// could not be awaited.
const MARGIN: Span = Span::from_secs(15);
/// Of so many nodes at most one may be dead or away at any time.
const ONE_AWAY_OF: u64 = 10;
/// The clock at the beginning.
const START: Time = Time::from_millis(1_000_000);

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scene {
    /// What all chance is drawn from.
    pub seed: u64,
    /// Nodes.
    pub nodes: u32,
    /// For how long.
    pub lasts: Span,
    /// The chance that a message is lost on a leg of its way: a report, a probe or an answer.
    pub loss: f64,
    /// Deaths, spread over that time.
    pub deaths: u64,
    /// Gateways that probe. What they are asked and what they say crosses the wire as well.
    pub gateways: usize,
    /// Ticks come so late at most.
    pub tick_late: Span,
    /// What the detector judges by.
    pub policy: Policy,
}

/// Why a scene cannot be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nobody to watch.
    #[error("there must be at least one node")]
    Nobody,
    /// No chance at all.
    #[error("the loss must be between 0 and 1")]
    Loss,
    /// Nobody could die in it.
    #[error("the trial must last longer than {0}")]
    Short(Span),
    /// So many dead at once would be another experiment.
    #[error("{deaths} deaths are too many for {nodes} nodes in {lasts}: at most {most}")]
    Crowded {
        /// Asked for.
        deaths: u64,
        /// Of so many.
        nodes: u32,
        /// In this time.
        lasts: Span,
        /// The most.
        most: u64,
    },
}

/// Plays a scene: the same scene, the same outcome.
pub fn run(scene: &Scene) -> Result<Outcome, Error> {
    scene.check()?;
    let mut trial = Trial::set(*scene);
    let end = START + scene.lasts;
    while trial.agenda.now() < end {
        trial.step();
    }
    Ok(trial.outcome())
}

impl Scene {
    /// Whether it can be played.
    pub fn check(&self) -> Result<(), Error> {
        if self.nodes == 0 {
            return Err(Error::Nobody);
        }
        if !(0.0..=1.0).contains(&self.loss) {
            return Err(Error::Loss);
        }
        let least = MARGIN.saturating_add(MARGIN);
        if self.lasts <= least {
            return Err(Error::Short(least));
        }
        let most = self.most_deaths();
        if self.deaths > most {
            let (deaths, nodes, lasts) = (self.deaths, self.nodes, self.lasts);
            return Err(Error::Crowded {
                deaths,
                nodes,
                lasts,
                most,
            });
        }
        Ok(())
    }

    /// Deaths that leave nine of ten nodes alive at any time, on average.
    fn most_deaths(&self) -> u64 {
        let gone = AWAY.saturating_add(MARGIN).as_millis();
        let lived = self.lasts.as_millis().saturating_mul(u64::from(self.nodes));
        lived / gone / ONE_AWAY_OF
    }
}

/// Something that happens at a moment.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A node's report is due.
    Send(u32),
    /// A report arrives.
    Hear(u32),
    /// A probe arrives at its node.
    Ask(Probe),
    /// An answer arrives.
    Answer(Probe),
    /// A node that was lost begins a new session.
    Join(u32),
}

/// How a node really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Up,
    Dead(Time),
    /// Judged lost, and not back yet.
    Away,
}

struct Trial {
    scene: Scene,
    detector: Detector,
    agenda: Agenda<Happening>,
    wire: Wire,
    keys: Vec<NodeKey>,
    lives: Vec<Life>,
    /// When somebody dies; the next one last.
    deaths: Vec<Time>,
    /// When the tick that is due comes.
    tick: Option<(Time, Time)>,
    outcome: Outcome,
}

impl Trial {
    fn set(scene: Scene) -> Self {
        let mut wire = Wire::draw(scene.seed, scene.nodes, scene.loss);
        let mut detector = Detector::new(scene.policy);
        detector.set_vantages(Vantages {
            gateways: scene.gateways,
        });
        let deadly = scene.lasts.saturating_sub(MARGIN.saturating_add(MARGIN));
        let mut moment = |_| START + MARGIN + wire.moment(deadly);
        let mut deaths: Vec<Time> = (0..scene.deaths).map(&mut moment).collect();
        deaths.sort_unstable_by(|a, b| b.cmp(a));
        let mut trial = Self {
            scene,
            detector,
            agenda: Agenda::starting_at(START),
            wire,
            keys: (0..scene.nodes).map(key).collect(),
            lives: vec![Life::Up; scene.nodes as usize],
            deaths,
            tick: None,
            outcome: Outcome::default(),
        };
        (0..scene.nodes).for_each(|node| trial.join(node));
        trial
    }

    /// One millisecond.
    fn step(&mut self) {
        let moment = self.agenda.next();
        let now = self.agenda.now();
        while self.deaths.pop_if(|death| *death <= now).is_some() {
            self.kill();
        }
        for happening in &moment {
            self.happen(*happening);
        }
        self.agenda.done(moment);
        self.tick_if_due();
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.agenda.now();
        match happening {
            Happening::Send(node) => self.send(node),
            Happening::Hear(node) => {
                self.outcome.reports += 1;
                let outputs = self.detector.report(self.keys[node as usize], now);
                self.take(outputs);
            }
            Happening::Ask(probe) => self.ask(probe),
            Happening::Answer(probe) => self.answer(probe),
            Happening::Join(node) => self.join(node),
        }
    }

    /// A node's session begins, and its reports with it.
    fn join(&mut self, node: u32) {
        self.lives[node as usize] = Life::Up;
        let outputs = self
            .detector
            .joined(self.keys[node as usize], self.agenda.now());
        self.take(outputs);
        let interval = self.scene.policy.settings().report_interval;
        let first = self.wire.moment(interval);
        self.agenda.plan(first, Happening::Send(node));
    }

    /// A live node reports, and will again; the reports of a dead one end.
    fn send(&mut self, node: u32) {
        if self.lives[node as usize] != Life::Up {
            return;
        }
        let interval = self.scene.policy.settings().report_interval;
        self.agenda.plan(interval, Happening::Send(node));
        self.outcome.lived = self.outcome.lived.saturating_add(interval);
        if let Some(delay) = self.wire.carry(node, Vantage::Control) {
            self.agenda.plan(delay, Happening::Hear(node));
        }
    }

    /// A probe at its node, which answers if it lives.
    fn ask(&mut self, probe: Probe) {
        let node = number(probe.node);
        if self.lives[node as usize] != Life::Up {
            return;
        }
        if let Some(delay) = self.wire.carry(node, probe.vantage) {
            self.agenda.plan(delay, Happening::Answer(probe));
        }
    }

    /// A gateway says what it saw, as it does of its requests.
    fn answer(&mut self, probe: Probe) {
        let now = self.agenda.now();
        let outputs = match probe.vantage {
            Vantage::Control => self.detector.probe_answered(probe, now),
            Vantage::Gateway => self.detector.sighting(probe.node, true, now),
        };
        self.take(outputs);
    }

    /// Somebody dies: the first of the living from a random one on.
    fn kill(&mut self) {
        let (first, nodes) = (self.wire.node(), self.scene.nodes);
        let mut all = (first..nodes).chain(0..first);
        if let Some(node) = all.find(|node| self.lives[*node as usize] == Life::Up) {
            self.lives[node as usize] = Life::Dead(self.agenda.now());
        }
    }

    /// Ticks when the deadline has passed by as much as this one is late. One that moves is another.
    fn tick_if_due(&mut self) {
        let now = self.agenda.now();
        let Some(due) = self.detector.next_deadline() else {
            return;
        };
        let comes = match self.tick {
            Some((deadline, comes)) if deadline == due => comes,
            Some(_) | None => {
                due + self
                    .wire
                    .moment(self.scene.tick_late.saturating_add(Span::from_millis(1)))
            }
        };
        self.tick = Some((due, comes));
        if comes <= now {
            let outputs = self.detector.tick(now);
            self.take(outputs);
        }
    }

    fn take(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Probe(probe) => self.probe(probe),
                Output::Verdict(change) => self.judge(&change),
                Output::Isolated { .. } | Output::Reached { .. } | Output::Paused { .. } => {}
            }
        }
    }

    fn probe(&mut self, probe: Probe) {
        self.outcome.probes += 1;
        let carried = self.wire.carry(number(probe.node), probe.vantage);
        if let Some(delay) = carried {
            self.agenda.plan(delay, Happening::Ask(probe));
        }
    }

    fn judge(&mut self, change: &Transition) {
        match change.to {
            Verdict::Alive => {}
            Verdict::Suspect => self.suspected(change.node),
            Verdict::Lost => self.lost(change.node),
        }
    }

    fn suspected(&mut self, node: NodeKey) {
        if self.lives[number(node) as usize] == Life::Up {
            self.outcome.suspicions += 1;
        }
    }

    fn lost(&mut self, node: NodeKey) {
        let node = number(node);
        let life = std::mem::replace(&mut self.lives[node as usize], Life::Away);
        match life {
            Life::Dead(since) => {
                let took = self.agenda.now().since(since);
                self.outcome.detected.push(took);
            }
            Life::Up | Life::Away => self.outcome.false_alarms += 1,
        }
        self.agenda.plan(AWAY, Happening::Join(node));
    }

    fn outcome(mut self) -> Outcome {
        let dead = self
            .lives
            .iter()
            .filter(|life| matches!(life, Life::Dead(_)));
        self.outcome.missed = dead.count() as u64;
        self.outcome.detected.sort_unstable();
        self.outcome
    }
}
