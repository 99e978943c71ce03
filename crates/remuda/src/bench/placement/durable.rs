//! Placements made durable: the same world and demand through the whole network and its journal.
//!
//! Each placement is a deployment of one replica: the workload accepted, its replica added, its
//! lease granted, its first slice reserved: four events. For each that comes one leaves: it is
//! stopped, which gives its money back and settles and ends the lease: five events. Commands are
//! decided on the state that those before left and appended in the batches that control makes, each
//! synced to the disk before the next begins. Why those who were refused have no place is worked
//! out by whoever asks, in control beside the sequencer; here once all is done.

mod drain;
mod ids;
mod shares;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use remuda_control::core::recover;
use remuda_control::network::command::EnrolNode;
use remuda_control::network::network::Decision;
use remuda_control::network::policy::Policy;
use remuda_control::network::state::Terms;
use remuda_control::network::{Command, Event, Refusal};
use remuda_control::sequencer::BATCH_MAX;
use remuda_journal::{Batch, Claim, Journal, RecordDraft};
use remuda_sim::world::{self as made, Demand, Departures};
use remuda_types::{Span, Tier, Together, WorkloadId, WorkloadKind};
use serde::Serialize;

use super::Args;
use super::head::{Head, reach};
use super::trial::{histogram, record};
use crate::bench::folder;
use crate::bench::usage::{self, rate};
use crate::bench::world::{World, label};
use crate::clock;
use crate::context::Context;
use crate::progress;
use crate::table;
use drain::Drained;
use ids::Ids;
use shares::Shares;

/// Of a thousand requests, so many have a shape that was never seen before, unless told otherwise.
const UNSEEN_PER_MILLE: u32 = 50;
/// Projects that deploy.
const PROJECTS: u32 = 100;
/// So many refusals are explained.
const EXPLAINED: usize = 100;
/// And groups of so many.
const GROUP: u32 = 64;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    /// Of deciding deployments that were made durable.
    #[serde(flatten)]
    head: Head,
    /// It is: what tells these figures from those of decisions alone.
    durable: bool,
    /// What else was made durable counted too.
    commands: u64,
    refused: u64,
    /// The longest that any command took, departures and those that filled the network counted.
    pause_max_us: f64,
    events_per_placement: f64,
    durable_per_s: u64,
    /// All that was done counted: departures and refusals too.
    durable_per_cpu_s: u64,
    /// The time of placements alone counted.
    durable_alone_per_cpu_s: u64,
    commands_per_cpu_s: u64,
    /// What it takes to say why there is no place for one replica.
    explained_us: f64,
    /// What it takes at most for a group of them that are spread.
    group_explained_max_us: f64,
    /// All nodes of a mean site drained by one command, in milliseconds.
    site_drained_ms: f64,
    site_replicas: usize,
    site_moved: usize,
}

/// The network, who deploys in it, and the journal.
struct Run {
    world: World,
    demand: Demand,
    ids: Ids,
    running: Vec<(WorkloadId, u64)>,
    gpus: u64,
    used_gpu_milli: u64,
    drawn: u32,
    /// What tenants are about to ask, and the GPUs of it in thousandths.
    asked: VecDeque<(Command, u64)>,
    departures: Departures,
    times: Histogram<u64>,
    placed: u64,
    events: u64,
    refused: u64,
    /// The first of those that were refused.
    unplaced: Vec<Refusal>,
    shares: Shares,
    pause_max: Duration,
    /// The CPU's time that it took to draw what tenants ask.
    drawing: Duration,
}

pub(super) fn run(args: &Args, dir: &Path, context: &Context) -> anyhow::Result<()> {
    let wheel = progress::wheel(context.output, "making placements durable");
    let folder = folder::make(dir, "--durable")?;
    let mut journal = Journal::open(folder.path(), Claim::Alone)?;
    let mut run = Run::filled(args)?;
    let (wall, cpu) = (Instant::now(), usage::cpu()?);
    let mut commands = 0;
    while run.placed < args.decisions {
        commands += run.batch(args.load, &mut journal)?;
    }
    let (wall, cpu) = (wall.elapsed(), usage::cpu()?.saturating_sub(cpu));
    let cpu = cpu.saturating_sub(run.drawing);
    wheel.finish_and_clear();
    let unplaced = std::mem::take(&mut run.unplaced);
    let (explained_us, group_explained_max_us) = run.explain(unplaced);
    let id = run.ids.next()?;
    let Drained {
        span,
        replicas,
        moved,
    } = drain::mean_site(&mut run.world.network, id)?;
    let figures = Figures {
        head: Head {
            gpus: run.gpus,
            nodes: run.world.network.state().nodes.len(),
            rss_mib: usage::rss_mib()?,
            load_percent: ratio(run.used_gpu_milli, run.gpus * 10),
            ..Head::of("placement", &run.times)
        },
        durable: true,
        commands,
        refused: run.refused,
        pause_max_us: ratio(nanos(run.pause_max), 1_000),
        events_per_placement: ratio(run.events, run.placed),
        durable_per_s: rate(run.placed, wall),
        durable_per_cpu_s: rate(run.placed, cpu),
        durable_alone_per_cpu_s: rate(run.placed, run.shares.of_placements(cpu)),
        commands_per_cpu_s: rate(commands, cpu),
        explained_us,
        group_explained_max_us,
        site_drained_ms: ratio(micros(span), 1_000),
        site_replicas: replicas,
        site_moved: moved,
    };
    Ok(context.output.item(&figures, Figures::text)?)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 100.0).round() / 100.0
}

/// The same for a group of replicas that are spread.
fn as_group(refusal: Refusal) -> Refusal {
    let Refusal::NoRoom(mut wanted) = refusal else {
        return refusal;
    };
    (wanted.terms.tier, wanted.replicas) = (Tier::MultiSite, GROUP);
    Refusal::NoRoom(wanted)
}

impl Run {
    /// A network as full as it is to be kept: what fills it is not journaled.
    fn filled(args: &Args) -> anyhow::Result<Self> {
        let drawn = made::World::draw_with(args.seed, args.gpus, args.nodes.into());
        let policy = Policy {
            max_workloads: u32::MAX,
            // Nothing is settled while the run lasts but what the commands settle.
            slice: Span::from_secs(30 * 86_400),
            ..Policy::default()
        };
        let mut world = World::new(policy)?;
        enrol(&mut world, &drawn)?;
        (0..PROJECTS).try_for_each(|number| world.add_project(number))?;
        let unseen = args.unseen_per_mille.unwrap_or(UNSEEN_PER_MILLE);
        let mut run = Self {
            world,
            demand: Demand::new(args.seed, unseen),
            ids: Ids::default(),
            running: Vec::new(),
            gpus: drawn.gpus,
            used_gpu_milli: 0,
            drawn: 0,
            asked: VecDeque::new(),
            departures: Departures::new(args.seed),
            times: histogram()?,
            placed: 0,
            events: 0,
            refused: 0,
            unplaced: Vec::new(),
            shares: Shares::default(),
            pause_max: Duration::ZERO,
            drawing: Duration::ZERO,
        };
        while run.used_gpu_milli < run.gpus * 10 * args.load && run.refused < run.gpus {
            run.deploy(None)?;
        }
        (run.placed, run.events, run.refused) = (0, 0, 0);
        run.unplaced.clear();
        run.shares = Shares::default();
        run.times.reset();
        Ok(run)
    }

    /// One batch; says how many commands it had.
    fn batch(&mut self, load: u64, journal: &mut Journal) -> anyhow::Result<u64> {
        let mut batch = Batch {
            first_seq: journal.head().last_seq.next(),
            ..Batch::default()
        };
        let drawing = usage::cpu()?;
        self.draw()?;
        self.drawing += usage::cpu()?.saturating_sub(drawing);
        while batch.records.len() < BATCH_MAX {
            if self.used_gpu_milli > self.gpus * 10 * load {
                self.stop(&mut batch)?;
            } else {
                self.deploy(Some(&mut batch))?;
            }
        }
        self.shares.append(|| journal.append(&batch))??;
        Ok(batch.records.len() as u64)
    }

    /// Asks why there was no place for each of these, and for groups of the same; how long one takes, and
    /// the longest of the groups, in microseconds.
    fn explain(&self, unplaced: Vec<Refusal>) -> (f64, f64) {
        let groups: Vec<_> = unplaced.iter().cloned().map(as_group).collect();
        let alone = unplaced.into_iter().filter_map(|one| self.explained(one));
        let alone: Vec<_> = alone.collect();
        let groups = groups.into_iter().filter_map(|group| self.explained(group));
        let all: Duration = alone.iter().sum();
        let longest = groups.max().unwrap_or_default();
        let mean = ratio(nanos(all), 1_000 * alone.len() as u64);
        (mean, ratio(nanos(longest), 1_000))
    }

    /// How long it takes to explain this; nothing where room has come meanwhile.
    fn explained(&self, refusal: Refusal) -> Option<Duration> {
        let begun = Instant::now();
        let why = self.world.network.explain(refusal);
        let took = begun.elapsed();
        matches!(why, Refusal::NoCapacity(_)).then_some(took)
    }

    /// Makes ready what tenants ask next: what that takes is theirs, and is not counted.
    fn draw(&mut self) -> anyhow::Result<()> {
        while self.asked.len() < BATCH_MAX {
            let asked = self.one_asked()?;
            self.asked.push_back(asked);
        }
        Ok(())
    }

    fn one_asked(&mut self) -> anyhow::Result<(Command, u64)> {
        let request = self.demand.draw().context("the demand asks for nothing")?;
        self.drawn += 1;
        let projects = &self.world.projects;
        let gpu_milli = request.shape().gpu_milli;
        let terms = Terms {
            kind: WorkloadKind::Service,
            label: label(self.drawn),
            spec: label(self.drawn),
            tier: Tier::Standard,
            shape: *request.shape(),
            classes: request.classes,
            countries: request.countries,
            max_price: request.max_price,
            near: request.near,
            tokens: None,
            model: None,
            together: Together::default(),
            max_owner_share: None,
            max_site_share: None,
        };
        let command = Command::Deploy {
            project: projects[self.drawn as usize % projects.len()],
            terms: Box::new(terms),
            replicas: 1,
        };
        Ok((command, gpu_milli))
    }

    fn deploy(&mut self, batch: Option<&mut Batch>) -> anyhow::Result<()> {
        let (command, gpu_milli) = match self.asked.pop_front() {
            Some(asked) => asked,
            None => self.one_asked()?,
        };
        let begun = Instant::now();
        let Some((events, bytes)) = self.decide(&command, batch)? else {
            self.refused += 1;
            self.shares.refused.add(begun, 0);
            return Ok(());
        };
        record(&mut self.times, begun);
        let workload = events.iter().find_map(|event| match event {
            Event::WorkloadAccepted { workload, .. } => Some(*workload),
            _ => None,
        });
        self.used_gpu_milli += gpu_milli;
        self.running
            .push((workload.context("nothing was accepted")?, gpu_milli));
        self.placed += 1;
        self.events += events.len() as u64;
        self.shares.placed.add(begun, bytes);
        Ok(())
    }

    fn stop(&mut self, batch: &mut Batch) -> anyhow::Result<()> {
        let begun = Instant::now();
        let leaves = self.departures.draw(&mut self.running);
        let (workload, gpu_milli) = leaves.context("nothing runs")?;
        self.used_gpu_milli -= gpu_milli;
        let stopped = self.decide(&Command::StopWorkload { workload }, Some(batch))?;
        let (_, bytes) = stopped.context("a stop was refused")?;
        self.shares.stopped.add(begun, bytes);
        Ok(())
    }

    /// The facts, committed and in the batch, and their size there; nothing where there is no capacity.
    fn decide(
        &mut self,
        command: &Command,
        batch: Option<&mut Batch>,
    ) -> anyhow::Result<Option<(Vec<Event>, usize)>> {
        let (now, id) = (clock::now(), self.ids.next()?);
        let network = &mut self.world.network;
        let begun = Instant::now();
        let events = match network.decide(now, id, command) {
            Ok(Decision::New(events)) => events,
            Ok(Decision::Repeat) => anyhow::bail!("an id was given twice"),
            Err(refusal @ Refusal::NoRoom(_)) => {
                if self.unplaced.len() < EXPLAINED {
                    self.unplaced.push(refusal);
                }
                return Ok(None);
            }
            Err(refusal) => return Err(refusal.into()),
        };
        network.commit(now, id, &events);
        self.pause_max = self.pause_max.max(begun.elapsed());
        let mut bytes = 0;
        if let Some(batch) = batch {
            let body = recover::encode(&events);
            bytes = body.len();
            batch.records.push(RecordDraft {
                at: now,
                command: id,
                body,
            });
        }
        Ok(Some((events, bytes)))
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn enrol(world: &mut World, drawn: &made::World) -> anyhow::Result<()> {
    let (mut providers, mut sites) = (BTreeMap::new(), BTreeMap::new());
    for offer in &drawn.offers {
        if !providers.contains_key(&offer.provider) {
            let provider = world.add_provider(u32::try_from(providers.len())?)?;
            providers.insert(offer.provider, provider);
        }
        let provider = providers[&offer.provider];
        if !sites.contains_key(&offer.site) {
            let place = (offer.country, offer.place);
            let site = world.add_site(provider, u32::try_from(sites.len())?, place)?;
            sites.insert(offer.site, site);
        }
        world.add_node(EnrolNode {
            node: offer.node,
            provider,
            site: sites[&offer.site],
            class: offer.class,
            capacity: offer.capacity,
            price: offer.price,
        })?;
    }
    Ok(())
}

impl Figures {
    fn text(&self) -> String {
        let mut rows = self
            .head
            .rows("placements made durable", [2, 50, 500, 5_000]);
        rows.extend([
            ("events for each", self.events_per_placement.to_string()),
            (
                "placements per CPU-second, departures and refusals counted",
                format!("{} (reach 100,000)", self.durable_per_cpu_s),
            ),
            (
                "placements per CPU-second of placements alone",
                self.durable_alone_per_cpu_s.to_string(),
            ),
            ("placements per second", self.durable_per_s.to_string()),
            (
                "commands per CPU-second, departures counted",
                self.commands_per_cpu_s.to_string(),
            ),
            (
                "the longest pause, of whatever command",
                reach(self.pause_max_us, 5_000),
            ),
            ("refused", self.refused.to_string()),
            ("why, for one who asks", format!("{} us", self.explained_us)),
            (
                "why, for 64 that are spread, at most",
                format!("{} us", self.group_explained_max_us),
            ),
            (
                "all nodes of a mean site drained by one command",
                format!(
                    "{} ms, {} of {} replicas placed elsewhere (reach 50 ms)",
                    self.site_drained_ms, self.site_moved, self.site_replicas
                ),
            ),
        ]);
        table::details(&rows)
    }
}
