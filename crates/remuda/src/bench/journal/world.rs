//! A network to run commands on: nodes of eight GPUs at ten sites, a hundred
//! projects with budgets.

use remuda_control::network::command::EnrolNode;
use remuda_control::network::ledger::Rail;
use remuda_control::network::network::Decision;
use remuda_control::network::{Command, Event, Network};
use remuda_types::{
    Capacity, Class, Country, GatewayKey, Label, Money, NodeKey, Place, Price, ProjectId,
    ProviderId, SiteId,
};

use crate::clock;

pub(super) const GATEWAY: GatewayKey = GatewayKey([7; 32]);

const PROVIDERS: u32 = 10;
const PROJECTS: u32 = 100;

/// What every provider deposits and every project may spend: more than a run can use up.
const AMPLE: Money = Money::from_micros(100_000_000_000_000);

/// A network, and who buys in it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) network: Network,
    pub(super) projects: Vec<ProjectId>,
}

impl World {
    /// A network that is there already: what fills it is neither journaled nor measured.
    pub(super) fn filled(nodes: u32) -> anyhow::Result<Self> {
        let mut world = Self {
            network: Network::default(),
            projects: Vec::new(),
        };
        world.run(&Command::SetPolicy(Box::default()))?;
        world.run(&Command::AdmitGateway { gateway: GATEWAY })?;
        (0..PROVIDERS).try_for_each(|number| world.add_provider(number, nodes))?;
        (0..PROJECTS).try_for_each(|number| world.add_project(number))?;
        Ok(world)
    }

    fn run(&mut self, command: &Command) -> anyhow::Result<Vec<Event>> {
        let (now, id) = (clock::now(), clock::command_id());
        let Decision::New(events) = self.network.decide(now, id, command)? else {
            anyhow::bail!("an id was given twice");
        };
        self.network.commit(now, id, &events);
        Ok(events)
    }

    fn add_provider(&mut self, number: u32, nodes: u32) -> anyhow::Result<()> {
        let events = self.run(&Command::RegisterProvider {
            label: label(number),
        })?;
        let provider = ProviderId::from_u128(made(&events, |event| match event {
            Event::ProviderRegistered { provider, .. } => Some(provider.as_u128()),
            _ => None,
        })?);
        self.run(&Command::DepositBond {
            provider,
            amount: AMPLE,
            rail: Rail::Bank,
        })?;
        let country: Country = if number.is_multiple_of(2) { "KR" } else { "DE" }.parse()?;
        let place = Place::from_degrees(f64::from(number), f64::from(number))?;
        let label = label(number);
        let events = self.run(&Command::RegisterSite {
            provider,
            label,
            country,
            place,
        })?;
        let site = SiteId::from_u128(made(&events, |event| match event {
            Event::SiteRegistered { site, .. } => Some(site.as_u128()),
            _ => None,
        })?);
        let own = (number..nodes).step_by(PROVIDERS as usize);
        own.into_iter()
            .try_for_each(|node| self.add_node(provider, site, node))
    }

    fn add_node(&mut self, provider: ProviderId, site: SiteId, number: u32) -> anyhow::Result<()> {
        let capacity = Capacity {
            gpus: 8,
            gpu_memory_mib: 81_920,
            cpu_milli: 128_000,
            memory_mib: 1 << 20,
            disk_mib: 1 << 22,
        };
        let mut node = [0; 32];
        node[..4].copy_from_slice(&number.to_be_bytes());
        let node = NodeKey(node);
        let class: Class = "h100-sxm-80".parse()?;
        let price = Price::from_micros_per_hour(16_000_000 + u64::from(number % 97) * 50_000);
        let enrol = EnrolNode {
            node,
            provider,
            site,
            class,
            capacity,
            price,
        };
        self.run(&Command::EnrolNode(Box::new(enrol)))?;
        self.run(&Command::NodeConnected { node, capacity })?;
        Ok(())
    }

    fn add_project(&mut self, number: u32) -> anyhow::Result<()> {
        let label = label(number);
        let events = self.run(&Command::CreateTenant { label })?;
        let tenant = remuda_types::TenantId::from_u128(made(&events, |event| match event {
            Event::TenantCreated { tenant, .. } => Some(tenant.as_u128()),
            _ => None,
        })?);
        let events = self.run(&Command::CreateProject { tenant, label })?;
        let project = ProjectId::from_u128(made(&events, |event| match event {
            Event::ProjectCreated { project, .. } => Some(project.as_u128()),
            _ => None,
        })?);
        self.run(&Command::TopUp {
            tenant,
            amount: AMPLE,
            rail: Rail::Bank,
        })?;
        self.run(&Command::FundBudget {
            project,
            amount: AMPLE,
        })?;
        self.projects.push(project);
        Ok(())
    }
}

/// The id of what a command made.
fn made(events: &[Event], id: impl Fn(&Event) -> Option<u128>) -> anyhow::Result<u128> {
    let found = events.iter().find_map(id);
    found.ok_or_else(|| anyhow::anyhow!("the command made nothing"))
}

pub(super) fn label(number: u32) -> Label {
    let mut label = [0; 16];
    label[..4].copy_from_slice(&number.to_be_bytes());
    Label(label)
}
