//! A whole network under a virtual clock: the unmodified decide crates, machines without processes,
//! wires and a disk that fail as the seed says.
//!
//! One seed, one scenario and one version of the code give one run. Nodes that are well and have
//! nothing new to say are not simulated second by second: they are as control believes them to be.
//! What befalls a node wakes it, its last word before it having come at a second of its own.

mod agenda;
mod audit;
mod beside;
mod bookings;
mod carry;
mod cause;
mod check;
mod clock;
mod control;
mod dice;
mod disk;
mod error;
mod gates;
mod gateway;
mod ground;
mod machine;
mod message;
mod orders;
mod outcome;
mod planning;
mod replay;
mod requests;
mod service;
mod spending;
mod strike;
mod tenants;
mod truth;
mod uptime;
mod wants;
mod watch;
mod weather;
mod wires;

use std::collections::BTreeMap;

use remuda_types::{ProviderId, Span, Time, WorkloadId};

use crate::availability::Availability;
use crate::cities::{City, RoundTrips};
use crate::scenario::Scenario;
use crate::world::World;
use agenda::Agenda;
use bookings::{Book, Wish, Wishes};
use check::Epochs;
use control::Control;
use dice::{Dice, Purpose};
use disk::Disk;
use gates::{Gate, Gates};
use ground::{Ground, Number};
use machine::Pace;
use message::Message;
use requests::Arrivals;
use tenants::{Order, Tenants};
use truth::Truth;
use weather::{Fault, Weather};
use wires::Wires;

pub use bookings::Bookings;
pub use cause::Cause;
pub use error::{Broken, Failure};
pub use outcome::{Day, Outcome, Requests};
pub use planning::{Gaps, PlanError};
pub use replay::Replay;
pub use service::{Delivered, Kind};
pub use spending::Misspent;
pub use uptime::Tally;
pub use watch::Detection;

/// A long while after the epoch, and a round number of days.
const START: Time = Time::from_millis(20_000 * 86_400_000);

/// The network fills in so much time, so that not all is due at once.
const FILLING: Span = Span::from_secs(6 * 3_600);

/// Between checks of the invariants in a small network.
const CHECKS: Span = Span::from_secs(60);

/// Networks of at most so many GPUs keep their journal, are checked every minute, and are held to
/// charge nobody for what was not served.
const SMALL: u64 = 2_000;

/// All nodes have come back to a new control within so much time.
const RECONNECT: Span = Span::from_secs(3);

/// Something that happens.
#[derive(Debug)]
enum What {
    Control,
    Machine(Number),
    Message(Box<Message>),
    /// A node that is well reports, for the last time before something befalls it.
    LastWord(Number),
    /// A second before a fault.
    Brew(Box<Fault>),
    Strike(Box<Fault>),
    Relief(Box<Fault>),
    Order(Box<Order>),
    Stop(WorkloadId, service::Kind, u64),
    /// What a tenant asks for beside deploying and stopping.
    Wish(Box<Wish>),
    /// Something at the doors.
    Gate(Box<Gate>),
    /// Nothing befalls the network from now on.
    Calm,
    Check,
    Day(u64),
}

/// What is taken from outside instead of being drawn.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// What sites have to give, each the next of these.
    pub traces: Vec<Availability>,
    /// Where sites may stand; anywhere where there are none.
    pub cities: Vec<City>,
    /// How long messages between those cities take; as long as the scenario says where that is not
    /// given. Control stands in the largest of them.
    pub round_trips: Option<RoundTrips>,
    /// When requests come and how long they are; drawn where that is not given. The scenario must
    /// have gateways.
    pub requests: Option<crate::requests::Requests>,
}

/// A run.
#[derive(Debug)]
pub struct Simulation {
    seed: u64,
    scenario: Scenario,
    agenda: Agenda<What>,
    control: Control,
    /// When control's next wake-up is planned.
    control_wakes: Option<Time>,
    ground: Ground,
    wires: Wires,
    weather: Weather,
    tenants: Tenants,
    wishes: Wishes,
    book: Book,
    truth: Truth,
    gates: Gates,
    arrivals: Arrivals,
    dice: Dice,
    pace: Pace,
    small: bool,
    epochs: Epochs,
    outcome: Outcome,
}

impl Simulation {
    /// A network as the scenario and the inputs say, before anything happens.
    pub fn new(scenario: Scenario, seed: u64, inputs: Inputs) -> Result<Self, Failure> {
        let broken = |broken| Failure::new(seed, START, START, broken);
        let small = scenario.gpus <= SMALL;
        let dice = |purpose| Dice::new(seed, purpose);
        let disk = Disk::new(dice(Purpose::Disk), 0.0, small);
        let mut control = Control::new(scenario.detection, disk, START);
        let mut world = World::of_sites(seed, scenario.gpus, scenario.site_gpus);
        let mut ways = Vec::new();
        if !inputs.cities.is_empty() {
            let settled = world.settle(seed, &inputs.cities);
            let settled = settled.map_err(|deserted| broken(deserted.into()))?;
            if let Some(trips) = &inputs.round_trips {
                ways = wires::ways(&world, &settled, &inputs.cities, trips);
            }
        }
        let large = large_providers(&mut world, seed, &scenario);
        let ground = Ground::build((&world, &large), &scenario, &mut control, START);
        let ground = ground.map_err(broken)?;
        control.disk_fails(scenario.disk.failing.0);
        control.begin_planning(START);
        control.tells_all = scenario.wires.every_report;
        let tenants = Tenants::new(
            seed,
            dice(Purpose::Tenants),
            scenario.demand.clone(),
            ground.projects.clone(),
            scenario.gateways.tokens(),
        );
        let wishes = Wishes::new(
            seed,
            dice(Purpose::Bookings),
            scenario.demand.clone(),
            ground.projects.clone(),
            scenario.gateways.tokens(),
        );
        let mut simulation = Self {
            seed,
            agenda: Agenda::new(START),
            control,
            control_wakes: None,
            wires: Wires::new(dice(Purpose::Wires), scenario.wires.clone(), ways),
            weather: Weather::new(
                [Purpose::Weather, Purpose::Clocks].map(dice),
                scenario.clone(),
                inputs.traces,
            ),
            tenants,
            wishes,
            book: Book::default(),
            truth: Truth::default(),
            gates: Gates::new(dice(Purpose::Gateways), scenario.gateways.clone()),
            arrivals: Arrivals::new(&scenario.gateways, inputs.requests, START),
            dice: dice(Purpose::Machines),
            pace: Pace {
                prepare: scenario.pace.prepare.0,
                prepare_sigma: scenario.pace.prepare_sigma.0,
                start: scenario.pace.start.0,
            },
            small,
            epochs: Epochs::default(),
            outcome: Outcome::new(seed, &scenario, &ground),
            ground,
            scenario,
        };
        simulation.begin();
        Ok(simulation)
    }

    fn begin(&mut self) {
        self.control.facts.clear();
        let now = self.now();
        if self.small {
            self.truth.audit.switch_on();
            self.agenda.plan(now + CHECKS, What::Check);
        }
        let faults = self.weather.first(&self.ground, now);
        for (at, fault) in faults {
            self.plan_fault(at, fault);
        }
        for order in self.tenants.first_orders(self.ground.gpus) {
            let at = now + self.dice.up_to(FILLING);
            self.agenda.plan(at, What::Order(Box::new(order)));
        }
        for number in 0..self.ground.machines.len() {
            let clock = &mut self.ground.machines[number].clock;
            clock.set(now, self.weather.clock());
            clock.drift(self.weather.drift());
            if self.scenario.wires.every_report {
                let at = now + self.dice.up_to(Span::from_secs(1));
                self.control
                    .last_word(self.ground.machines[number].key, now);
                self.ground.machines[number].reconnect(at);
                self.plan_machine(number, at);
            }
        }
        if self.scenario.calm.0 > Span::ZERO {
            self.agenda.plan(self.calm_at(), What::Calm);
        }
        self.agenda.plan(now + Span::DAY, What::Day(1));
        self.open_gates();
        self.begin_wishing();
        self.plan_control(now);
    }

    /// At how many sites its nodes stand.
    pub const fn sites(&self) -> usize {
        self.ground.sites.len()
    }

    const fn now(&self) -> Time {
        self.agenda.now()
    }

    /// When it ends.
    fn end(&self) -> Time {
        START + self.scenario.length()
    }

    /// From when on nothing befalls it.
    fn calm_at(&self) -> Time {
        self.end() - self.scenario.calm.0
    }

    /// Runs it to its end. `passed` is told of each day.
    pub fn run(mut self, mut passed: impl FnMut(u64)) -> Result<Outcome, Failure> {
        let end = self.end();
        // What is due in the very last instant still happens.
        while let Some(what) = self.agenda.next(end + Span::from_millis(1)) {
            if let What::Day(day) = what {
                passed(day);
            }
            self.happen(what).map_err(|broken| self.failure(broken))?;
        }
        self.check()
            .and_then(|()| self.check_recovered())
            .map_err(|broken| self.failure(broken))?;
        self.truth.finish(self.control.network.state(), end);
        self.tally_requests();
        self.outcome
            .take(&self.truth, self.control.commands, self.agenda.planned());
        self.outcome.gaps = self.control.planning.gaps;
        self.outcome.bookings = self.book.finish();
        Ok(self.outcome)
    }

    fn failure(&self, broken: Broken) -> Failure {
        Failure::new(self.seed, START, self.now(), broken)
    }

    fn happen(&mut self, what: What) -> Result<(), Broken> {
        match what {
            What::Control => self.wake_control()?,
            What::Machine(number) => {
                let now = self.now();
                if self.ground.machines[number]
                    .wakes
                    .take_if(|at| *at <= now)
                    .is_some()
                {
                    self.touch(number)?;
                }
            }
            What::Message(message) => self.deliver(*message)?,
            What::LastWord(number) => self.last_word(number),
            What::Brew(fault) => self.brew(*fault),
            What::Strike(fault) => self.strike(*fault)?,
            What::Relief(fault) => self.relieve(*fault)?,
            What::Order(order) => self.order(*order)?,
            What::Stop(workload, kind, gpu_milli) => self.stop(workload, kind, gpu_milli),
            What::Wish(wish) => self.wish(*wish)?,
            What::Gate(gate) => self.gate(*gate)?,
            What::Calm => {
                self.control.disk_fails(0.0);
                self.wires.mend();
            }
            What::Check => {
                self.check()?;
                self.agenda.plan(self.now() + CHECKS, What::Check);
            }
            What::Day(day) => self.close_day(day),
        }
        self.settle()
    }

    /// Follows up what control said and committed.
    fn settle(&mut self) -> Result<(), Broken> {
        let now = self.now();
        if std::mem::take(&mut self.control.went_read_only) {
            // What is reported meanwhile is not taken.
            self.truth.audit.upset_all();
        }
        for fact in std::mem::take(&mut self.control.facts) {
            self.outcome.follow(&fact);
            self.follow_at_gates(&fact)?;
            if self.book.on {
                self.book.follow(&fact)?;
            }
            let machines = &self.ground.machines;
            self.truth.follow(&fact, now, |node| {
                let machine = &machines[Ground::number(node)];
                (!machine.is_reachable() || machine.gone).then_some(machine.cause)
            });
        }
        if self.book.on {
            let shown = self.control.clock.at(now);
            self.book.close(shown, self.control.network.state())?;
            self.plan_withdrawals();
        }
        for message in std::mem::take(&mut self.control.outbox) {
            self.send(&message);
        }
        self.plan_control(now);
        Ok(())
    }

    fn plan_control(&mut self, now: Time) {
        let Some(due) = self.control.next_wake(now) else {
            return;
        };
        let due = due.max(now);
        if self
            .control_wakes
            .is_none_or(|planned| due < planned || planned < now)
        {
            self.control_wakes = Some(due);
            self.agenda.plan(due, What::Control);
        }
    }

    fn wake_control(&mut self) -> Result<(), Broken> {
        let now = self.now();
        if self.control_wakes.take_if(|at| *at <= now).is_none() {
            return Ok(());
        }
        let witness = self.witness();
        if self.control.wake(now, witness)? {
            self.plan_push();
            self.truth.audit.upset_all();
            for number in 0..self.ground.machines.len() {
                self.rouse(number);
                let at = now + self.dice.up_to(RECONNECT);
                self.ground.machines[number].reconnect(at);
                self.plan_machine(number, at);
            }
        }
        Ok(())
    }

    /// A node that is well, if the first that are looked at have one.
    fn witness(&mut self) -> Option<remuda_types::NodeKey> {
        if self.scenario.wires.every_report {
            return None;
        }
        let count = self.ground.machines.len();
        let first = self.dice.below(count);
        let mut machines = (0..count).map(|step| &self.ground.machines[(first + step) % count]);
        let well = machines.find(|machine| machine.quiet && machine.is_reachable())?;
        Some(well.key)
    }

    fn close_day(&mut self, day: u64) {
        let now = self.now();
        if now
            .since(START)
            .as_millis()
            .is_multiple_of(service::MONTH.as_millis())
        {
            let shown = self.control.clock.at(now);
            self.truth.accrue(self.control.network.state(), shown);
            self.truth.close_month(now);
        }
        let today = self.truth.close_day(now);
        self.outcome.close_day(day, today, &self.ground);
        self.agenda.plan(now + Span::DAY, What::Day(day + 1));
    }
}

/// The exits that are one provider's, and whose.
fn large_providers(
    world: &mut World,
    seed: u64,
    scenario: &Scenario,
) -> BTreeMap<usize, ProviderId> {
    let mut large = BTreeMap::new();
    let exits = scenario.exits.iter().enumerate();
    for (number, exit) in exits.filter(|(_, exit)| exit.one_provider) {
        let taken: Vec<_> = large.values().copied().collect();
        large.extend(
            world
                .unite(seed, exit.share.0, &taken)
                .map(|of| (number, of)),
        );
    }
    large
}
