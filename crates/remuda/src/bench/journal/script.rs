//! Commands in the mix of production: lives of workloads, and gateways that spend.
//!
//! Each round is a workload that is deployed and becomes ready, a tranche that is opened, posted
//! from and given back, and a workload of long ago that is stopped and ends.

use std::collections::VecDeque;

use remuda_control::network::command::{EnrolNode, ObservedPhase};
use remuda_control::network::event::UsageTotal;
use remuda_control::network::policy::Policy;
use remuda_control::network::state::{EndReason, Terms};
use remuda_control::network::{Command, Event};
use remuda_types::{
    ApiKeyId, Capacity, Class, CommandId, Country, Digest, LeaseId, Money, NodeKey, Place, Price,
    ProjectId, ProviderId, Shape, SiteId, Tier, Time, Together, TrancheId, WorkloadId,
    WorkloadKind,
};

use super::super::world::{GATEWAY, World, label};
use crate::clock;

/// Workloads that live at once, for each node.
const LIVES_PER_NODE: usize = 4;

/// Who sells and who buys.
const PROVIDERS: u32 = 10;
const PROJECTS: u32 = 100;

/// A network that is there already, of nodes with eight GPUs at ten sites: what fills it is neither
/// journaled nor measured.
pub(super) fn filled(nodes: u32) -> anyhow::Result<World> {
    let mut world = World::new(Policy::default())?;
    for number in 0..PROVIDERS {
        let provider = world.add_provider(number)?;
        let country: Country = if number.is_multiple_of(2) { "KR" } else { "DE" }.parse()?;
        let place = Place::from_degrees(f64::from(number), f64::from(number))?;
        let site = world.add_site(provider, number, (country, place))?;
        for node in (number..nodes).step_by(PROVIDERS as usize) {
            world.add_node(enrolment(provider, site, node)?)?;
        }
    }
    (0..PROJECTS).try_for_each(|number| world.add_project(number))?;
    Ok(world)
}

fn enrolment(provider: ProviderId, site: SiteId, number: u32) -> anyhow::Result<EnrolNode> {
    let mut node = [0; 32];
    node[..4].copy_from_slice(&number.to_be_bytes());
    let class: Class = "h100-sxm-80".parse()?;
    Ok(EnrolNode {
        node: NodeKey(node),
        provider,
        site,
        class,
        capacity: Capacity {
            gpus: 8,
            gpu_memory_mib: 81_920,
            cpu_milli: 128_000,
            memory_mib: 1 << 20,
            disk_mib: 1 << 22,
        },
        price: Price::from_micros_per_hour(16_000_000 + u64::from(number % 97) * 50_000),
    })
}

/// One round's commands, in order.
const STEPS: [Step; 10] = [
    Step::Deploy,
    Step::See(ObservedPhase::Preparing),
    Step::See(ObservedPhase::Starting),
    Step::See(ObservedPhase::Ready),
    Step::OpenTranche,
    Step::Post,
    Step::Post,
    Step::CloseTranche,
    Step::Stop,
    Step::End,
];

#[derive(Clone, Copy, Debug)]
enum Step {
    Deploy,
    See(ObservedPhase),
    OpenTranche,
    Post,
    CloseTranche,
    Stop,
    End,
}

/// A workload with its one replica's lease.
#[derive(Clone, Copy, Debug)]
struct Life {
    project: ProjectId,
    workload: WorkloadId,
    lease: LeaseId,
    node: NodeKey,
    epoch: u64,
}

/// Where in the script the run is.
#[derive(Debug)]
pub(super) struct Script {
    lives_wanted: usize,
    round: u32,
    step: usize,
    lives: VecDeque<Life>,
    tranche: TrancheId,
    post: u64,
}

impl Script {
    /// For a network of so many nodes.
    pub(super) fn new(nodes: u32) -> Self {
        Self {
            lives_wanted: LIVES_PER_NODE * nodes as usize,
            round: 0,
            step: 0,
            lives: VecDeque::new(),
            tranche: TrancheId::from_u128(0),
            post: 0,
        }
    }

    /// Whether as much ends as begins.
    pub(super) fn is_steady(&self) -> bool {
        self.lives.len() >= self.lives_wanted
    }

    /// The next command.
    pub(super) fn next(&mut self, world: &World) -> Command {
        loop {
            let step = STEPS[self.step];
            let project = world.projects[self.round as usize % world.projects.len()];
            let command = self.command(step, project);
            self.advance();
            if let Some(command) = command {
                return command;
            }
        }
    }

    fn advance(&mut self) {
        self.step = (self.step + 1) % STEPS.len();
        if self.step == 0 {
            self.round += 1;
        }
    }

    /// Notes what a deployment made.
    pub(super) fn learn(&mut self, events: &[Event]) {
        if let Some(Event::WorkloadAccepted {
            workload, project, ..
        }) = events.first()
        {
            let granted = events.iter().find_map(|event| match event {
                Event::LeaseGranted {
                    lease, node, epoch, ..
                } => Some((*lease, *node, *epoch)),
                _ => None,
            });
            if let Some((lease, node, epoch)) = granted {
                let (project, workload) = (*project, *workload);
                self.lives.push_back(Life {
                    project,
                    workload,
                    lease,
                    node,
                    epoch,
                });
            }
        }
    }

    /// Nothing while there is not yet anything to stop.
    fn command(&mut self, step: Step, project: ProjectId) -> Option<Command> {
        match step {
            Step::Deploy => Some(self.deploy(project)),
            Step::See(phase) => self.lives.back().map(|life| see(life, phase)),
            Step::OpenTranche => Some(self.open_tranche(project)),
            Step::Post => self.post(),
            Step::CloseTranche => Some(Command::CloseTranche {
                gateway: GATEWAY,
                tranche: self.tranche,
            }),
            Step::Stop => self.oldest().map(|life| Command::StopWorkload {
                workload: life.workload,
            }),
            Step::End => {
                let life = self.oldest()?;
                self.lives.pop_front();
                Some(see(&life, ObservedPhase::Ended(EndReason::Stopped)))
            }
        }
    }

    fn oldest(&self) -> Option<Life> {
        self.lives
            .front()
            .copied()
            .filter(|_| self.lives.len() > self.lives_wanted)
    }

    fn deploy(&self, project: ProjectId) -> Command {
        let terms = Terms {
            kind: WorkloadKind::Service,
            label: label(self.round),
            spec: label(self.round),
            tier: Tier::Standard,
            shape: shape(self.round),
            classes: Vec::new(),
            countries: Vec::new(),
            max_price: None,
            near: None,
            tokens: None,
            model: None,
            together: Together::default(),
            max_owner_share: None,
            max_site_share: None,
        };
        Command::Deploy {
            project,
            terms: Box::new(terms),
            replicas: 1,
        }
    }

    fn open_tranche(&mut self, project: ProjectId) -> Command {
        self.tranche = tranche_of(clock::command_id());
        self.post = 0;
        let amount = Money::from_micros(1_000_000);
        Command::OpenTranche {
            gateway: GATEWAY,
            tranche: self.tranche,
            project,
            amount,
        }
    }

    /// A second's totals: one for each of the newest leases of the project.
    fn post(&mut self) -> Option<Command> {
        let newest = self.lives.back()?;
        let leases = self
            .lives
            .iter()
            .rev()
            .filter(|life| life.project == newest.project);
        let total = |life: &Life| UsageTotal {
            lease: life.lease,
            key: ApiKeyId::from_u128(1),
            requests: 3,
            prompt_tokens: 900,
            completion_tokens: 600,
            amount: Money::from_micros(1_234),
        };
        let totals = leases.take(1).map(total).collect();
        self.post += 1;
        Some(Command::PostUsage {
            gateway: GATEWAY,
            tranche: self.tranche,
            seq: self.post,
            totals,
            rows: Digest([3; 32]),
        })
    }
}

fn tranche_of(id: CommandId) -> TrancheId {
    TrancheId::from_u128(id.as_u128())
}

fn see(life: &Life, observed: ObservedPhase) -> Command {
    let Life {
        node, lease, epoch, ..
    } = *life;
    Command::ObserveReplica {
        node,
        lease,
        epoch,
        observed,
        // Now: nothing later is believed.
        since: Time::FOREVER,
    }
}

/// One of a few usual shapes; one in twenty was never asked for before.
fn shape(round: u32) -> Shape {
    let unseen = if round.is_multiple_of(20) {
        u64::from(round)
    } else {
        0
    };
    Shape {
        gpu_milli: [250, 500, 1_000, 1_000, 2_000][round as usize % 5],
        cpu_milli: 1_000 + u64::from(round % 3) * 500 + unseen % 4_000,
        memory_mib: 4_096 + unseen,
        ..Shape::default()
    }
}
