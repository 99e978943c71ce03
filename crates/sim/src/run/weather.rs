//! What befalls a network, drawn from the seed: when, whom, and for how long.

use remuda_types::{ProviderId, Span, Time};

use super::cause::Cause;
use super::dice::Dice;
use super::ground::{Ground, Number};
use super::machine::Affliction;
use crate::availability::Availability;
use crate::scenario::{Cut, Exit, Scenario};

const YEAR_MS: f64 = 365.0 * 86_400_000.0;
const HOUR_MS: f64 = 3_600_000.0;

/// Something that befalls the network.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nodes suffer for a while, or for ever.
    Nodes {
        whom: Vec<Number>,
        how: Affliction,
        cause: Cause,
        lasts: Option<Span>,
        /// What brings the next of its kind.
        renews: Option<Renewal>,
    },
    /// A provider leaves.
    Exit {
        provider: ProviderId,
        manner: Farewell,
    },
    /// Control dies.
    Control(Span),
    /// A node's clock is set.
    Clock { number: Number, renews: Renewal },
    /// Control's clock is set.
    ControlClock,
}

/// How a provider leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// Said long before.
    Notice,
    /// Said as it happens.
    AtOnce,
    /// Nobody is told: its nodes go dark.
    Silent,
}

/// What comes again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// A node fails.
    Failure(Number),
    /// A node freezes.
    Freeze(Number),
    /// A site goes dark.
    Outage(usize),
    /// The sites of this group do.
    Shared(usize),
    /// Control dies.
    Control,
    /// A node's clock is set wrong.
    Clock(Number),
    /// A node's clock is set right.
    SetRight(Number),
    /// Control's clock is set.
    ControlClock,
}

/// Draws what befalls.
#[derive(Debug)]
pub(crate) struct Weather {
    dice: Dice,
    /// For how clocks run and are set right.
    clocks: Dice,
    scenario: Scenario,
    /// What sites have to give, each the next of these.
    traces: Vec<Availability>,
}

impl Weather {
    pub(crate) fn new(
        [dice, clocks]: [Dice; 2],
        scenario: Scenario,
        traces: Vec<Availability>,
    ) -> Self {
        Self {
            dice,
            clocks,
            scenario,
            traces,
        }
    }

    /// What is to come, as far as it is known at the start.
    pub(crate) fn first(&mut self, ground: &Ground, now: Time) -> Vec<(Time, Fault)> {
        let machines = 0..ground.machines.len();
        let of_machines = machines.flat_map(|number| {
            [
                Renewal::Failure(number),
                Renewal::Freeze(number),
                Renewal::Clock(number),
                Renewal::SetRight(number),
            ]
        });
        let sites = (0..ground.sites.len()).map(Renewal::Outage);
        let groups = (0..self.groups(ground)).map(Renewal::Shared);
        let all = of_machines.chain(sites).chain(groups);
        let all = all.chain([Renewal::Control, Renewal::ControlClock]);
        let mut faults: Vec<_> = all
            .filter_map(|what| self.next(what, ground, now))
            .collect();
        for cut in self.scenario.cuts.clone() {
            faults.push(self.cut(&cut, ground, now));
        }
        for (number, exit) in self.scenario.exits.clone().into_iter().enumerate() {
            match ground.large.get(&number) {
                Some(provider) => faults.push(self.leaves(*provider, &exit, now)),
                None => faults.extend(self.exits(&exit, ground, now)),
            }
        }
        faults.extend(self.absences(ground, now));
        faults
    }

    /// How many groups of sites share a fate.
    fn groups(&self, ground: &Ground) -> usize {
        match self.scenario.outages.group_sites as usize {
            0 => 0,
            size => ground.sites.len().div_ceil(size),
        }
    }

    /// When nodes are not to be had, as the traces say.
    fn absences(&self, ground: &Ground, now: Time) -> Vec<(Time, Fault)> {
        let period = (now, now + self.scenario.length());
        let sites = ground.sites.iter().zip(self.traces.iter().cycle());
        let absences = sites.flat_map(|(site, trace)| {
            let absences = trace.absences(site.machines.len(), period);
            absences.into_iter().map(|((from, to), nodes)| {
                let fault = Fault::Nodes {
                    whom: nodes.into_iter().map(|node| site.machines[node]).collect(),
                    how: Affliction::Down,
                    cause: Cause::Trace,
                    lasts: Some(to.since(from)),
                    renews: None,
                };
                (from, fault)
            })
        });
        absences.collect()
    }

    /// The next of what comes again and again, if it does.
    pub(crate) fn next(
        &mut self,
        what: Renewal,
        ground: &Ground,
        now: Time,
    ) -> Option<(Time, Fault)> {
        let failures = self.scenario.failures.clone();
        let mean_ms = match what {
            Renewal::Failure(number) => {
                let gpus = ground.machines[number].capacity.gpus.max(1);
                failures.gpu_hours * HOUR_MS / f64::from(gpus)
            }
            Renewal::Freeze(_) => failures.freeze_node_hours * HOUR_MS,
            Renewal::Clock(_) => self.scenario.clocks.step_node_hours * HOUR_MS,
            Renewal::Outage(_) => every(self.scenario.outages.per_site_year),
            Renewal::Shared(_) => every(self.scenario.outages.per_group_year),
            Renewal::Control => every(self.scenario.control.per_year),
            Renewal::SetRight(_) | Renewal::ControlClock => {
                let at = now + self.until_set(what)?;
                return Some((at, self.fault(what, ground)));
            }
        };
        let mean = mean(mean_ms)?;
        let at = now + self.dice.wait(mean);
        Some((at, self.fault(what, ground)))
    }

    fn fault(&mut self, what: Renewal, ground: &Ground) -> Fault {
        let groups = self.groups(ground);
        let failures = &self.scenario.failures;
        let dice = &mut self.dice;
        let (whom, how, cause, lasts) = match what {
            Renewal::Failure(number) => {
                let restarts = dice.falls(failures.restarts.0);
                let (median, sigma) = if restarts {
                    (failures.restart.0, 0.5)
                } else {
                    (failures.repair.0, 0.8)
                };
                let lasts = dice.around(median, sigma);
                (vec![number], Affliction::Down, Cause::Node, lasts)
            }
            Renewal::Freeze(number) => {
                let lasts = dice.around(failures.freeze.0, 1.0);
                (vec![number], Affliction::Frozen, Cause::Node, lasts)
            }
            Renewal::Outage(site) | Renewal::Shared(site) => {
                let outages = &self.scenario.outages;
                let how = if dice.falls(outages.power.0) {
                    Affliction::Down
                } else {
                    Affliction::Cut
                };
                let lasts = dice.around(outages.length.0, 0.8);
                // The sites of a group do not stand beside each other in any order.
                let shared = matches!(what, Renewal::Shared(_));
                let next = if shared { groups.max(1) } else { usize::MAX };
                let sites = ground.sites.iter().skip(site).step_by(next);
                let machines = sites.flat_map(|site| site.machines.iter().copied());
                (machines.collect(), how, Cause::Site, lasts)
            }
            Renewal::Control => {
                return Fault::Control(dice.around(self.scenario.control.down.0, 0.5));
            }
            Renewal::Clock(number) | Renewal::SetRight(number) => {
                let renews = what;
                return Fault::Clock { number, renews };
            }
            Renewal::ControlClock => return Fault::ControlClock,
        };
        let (lasts, renews) = (Some(lasts), Some(what));
        Fault::Nodes {
            whom,
            how,
            cause,
            lasts,
            renews,
        }
    }

    /// Until a clock is set that drifts, or control's is, if they ever are.
    fn until_set(&mut self, what: Renewal) -> Option<Span> {
        let clocks = &self.scenario.clocks;
        if what == Renewal::ControlClock {
            let day_ms = 86_400_000.0;
            let per_day = clocks.control_steps_per_day;
            let every = mean((per_day > 0.0).then(|| day_ms / per_day)?)?;
            return Some(self.clocks.wait(every));
        }
        // Not all at once.
        let every = clocks.set_every.0;
        let half = Span::from_millis(every.as_millis() / 2);
        (every > Span::ZERO).then(|| half.saturating_add(self.clocks.up_to(every)))
    }

    /// How far a node's clock is set ahead of the true time, in milliseconds.
    pub(crate) fn clock(&mut self) -> i64 {
        off(&mut self.dice, self.scenario.clocks.off.0)
    }

    /// The same where it is set right, as far as it ever is.
    pub(crate) fn clock_set_right(&mut self) -> i64 {
        off(&mut self.clocks, self.scenario.clocks.off.0)
    }

    /// How far control's clock is set ahead of the true time, in milliseconds.
    pub(crate) fn control_clock(&mut self) -> i64 {
        off(&mut self.clocks, self.scenario.clocks.control_off.0)
    }

    /// How much faster than the true time a node's clock runs, in millionths.
    pub(crate) fn drift(&mut self) -> i64 {
        let most = Span::from_millis(u64::from(self.scenario.clocks.drift_ppm));
        if most == Span::ZERO {
            return 0;
        }
        off(&mut self.clocks, most)
    }

    fn cut(&mut self, cut: &Cut, ground: &Ground, now: Time) -> (Time, Fault) {
        let centre = ground.sites[self.dice.below(ground.sites.len())].place;
        let within = ground
            .sites
            .iter()
            .filter(|site| site.place.distance_km(centre) <= f64::from(cut.radius_km));
        let fault = Fault::Nodes {
            whom: within
                .flat_map(|site| site.machines.iter().copied())
                .collect(),
            how: Affliction::Cut,
            cause: Cause::Region,
            lasts: Some(cut.length.0),
            renews: None,
        };
        (now + cut.after.0, fault)
    }

    /// Providers leave, drawn one after another, until they make up the share.
    fn exits(&mut self, exit: &Exit, ground: &Ground, now: Time) -> Vec<(Time, Fault)> {
        let mut providers: Vec<_> = ground.sites.iter().map(|site| site.provider).collect();
        providers.dedup();
        let size = |provider: ProviderId| {
            let theirs = ground.sites.iter().filter(|site| site.provider == provider);
            theirs.map(|site| site.gpus).sum::<u64>()
        };
        let mut leaving = Vec::new();
        let mut share = 0.0;
        while share < exit.share.0 && !providers.is_empty() {
            let provider = providers.swap_remove(self.dice.below(providers.len()));
            share += ratio(size(provider), ground.gpus);
            leaving.push(self.leaves(provider, exit, now));
        }
        leaving
    }

    /// When and how a provider leaves.
    fn leaves(&mut self, provider: ProviderId, exit: &Exit, now: Time) -> (Time, Fault) {
        let at = now + exit.after.0 + self.dice.up_to(exit.within.0);
        let manner = if self.dice.falls(exit.notice.0) {
            Farewell::Notice
        } else if self.dice.falls(exit.silent.0) {
            Farewell::Silent
        } else {
            Farewell::AtOnce
        };
        (at, Fault::Exit { provider, manner })
    }
}

/// Up to so many milliseconds, either way.
fn off(dice: &mut Dice, most: Span) -> i64 {
    let ms = i64::try_from(dice.up_to(most).as_millis()).unwrap_or(i64::MAX);
    if dice.falls(0.5) { ms } else { -ms }
}

pub(super) fn every(per_year: f64) -> f64 {
    if per_year > 0.0 {
        YEAR_MS / per_year
    } else {
        0.0
    }
}

/// A mean waiting time; nothing where there is none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float that is too large saturates: it never comes"
)]
pub(super) fn mean(ms: f64) -> Option<Span> {
    (ms > 0.0).then(|| Span::from_millis((ms as u64).max(1)))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "GPUs of one network, far below 2^52"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
