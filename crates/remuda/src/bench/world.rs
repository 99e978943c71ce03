//! A network to run commands on, without a journal: who sells, and who buys.

use remuda_control::network::command::EnrolNode;
use remuda_control::network::ledger::Rail;
use remuda_control::network::network::Decision;
use remuda_control::network::policy::Policy;
use remuda_control::network::{Command, Event, Network};
use remuda_types::{
    Country, GatewayKey, Label, Money, Place, ProjectId, ProviderId, SiteId, TenantId,
};

use crate::clock;

pub(super) const GATEWAY: GatewayKey = GatewayKey([7; 32]);

/// What every provider deposits and every project may spend: more than a run can use up.
const AMPLE: Money = Money::from_micros(100_000_000_000_000);

/// A network, and who buys in it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) network: Network,
    pub(super) projects: Vec<ProjectId>,
}

impl World {
    /// A network of nobody.
    pub(super) fn new(policy: Policy) -> anyhow::Result<Self> {
        let mut world = Self {
            network: Network::default(),
            projects: Vec::new(),
        };
        world.run(&Command::SetPolicy(Box::new(policy)))?;
        world.run(&Command::AdmitGateway { gateway: GATEWAY })?;
        Ok(world)
    }

    /// Decides and commits; nothing is journaled.
    pub(super) fn run(&mut self, command: &Command) -> anyhow::Result<Vec<Event>> {
        let (now, id) = (clock::now(), clock::command_id());
        let Decision::New(events) = self.network.decide(now, id, command)? else {
            anyhow::bail!("an id was given twice");
        };
        self.network.commit(now, id, &events);
        Ok(events)
    }

    pub(super) fn add_provider(&mut self, number: u32) -> anyhow::Result<ProviderId> {
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
        Ok(provider)
    }

    pub(super) fn add_site(
        &mut self,
        provider: ProviderId,
        number: u32,
        (country, place): (Country, Place),
    ) -> anyhow::Result<SiteId> {
        let label = label(number);
        let events = self.run(&Command::RegisterSite {
            provider,
            label,
            country,
            place,
        })?;
        let site = made(&events, |event| match event {
            Event::SiteRegistered { site, .. } => Some(site.as_u128()),
            _ => None,
        })?;
        Ok(SiteId::from_u128(site))
    }

    /// Enrols a node, which is there at once.
    pub(super) fn add_node(&mut self, enrol: EnrolNode) -> anyhow::Result<()> {
        let (node, capacity) = (enrol.node, enrol.capacity);
        self.run(&Command::EnrolNode(Box::new(enrol)))?;
        self.run(&Command::NodeConnected { node, capacity })?;
        Ok(())
    }

    pub(super) fn add_project(&mut self, number: u32) -> anyhow::Result<()> {
        let label = label(number);
        let events = self.run(&Command::CreateTenant { label })?;
        let tenant = TenantId::from_u128(made(&events, |event| match event {
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
