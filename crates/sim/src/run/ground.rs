//! The nodes of a run and where they stand; and the network as it is before anything happens.

use std::collections::BTreeMap;

use remuda_ledger::Rail;
use remuda_network::command::EnrolNode;
use remuda_network::{Command, Event, Policy, bond};
use remuda_placement::NodeOffer;
use remuda_types::{
    Country, Label, Money, NodeKey, Place, ProjectId, ProviderId, SiteId, TenantId, Time,
};

use super::control::{Answer, Control};
use super::error::Broken;
use super::machine::Machine;
use crate::scenario::Scenario;
use crate::world::World;

/// Projects that buy, each its own tenant's.
const PROJECTS: u32 = 64;

/// What every project may spend: more than a run can use up.
const AMPLE: Money = Money::from_micros(100_000_000_000_000);

/// A node's number: it stands in its key.
pub(crate) type Number = usize;

/// Nodes that stand together.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) provider: ProviderId,
    pub(crate) place: Place,
    pub(crate) machines: Vec<Number>,
    pub(crate) gpus: u64,
}

/// The nodes of a run and where they stand.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) machines: Vec<Machine>,
    pub(crate) sites: Vec<Site>,
    pub(crate) projects: Vec<ProjectId>,
    pub(crate) gpus: u64,
    /// Of the scenario's exits that are one provider's, whose; by their place among the exits.
    pub(crate) large: BTreeMap<usize, ProviderId>,
}

impl Ground {
    /// Sets up a network: providers with bonds, sites, nodes that are there, tenants with money. `large`
    /// names providers of the world by the exits that are theirs.
    pub(crate) fn build(
        (world, large): (&World, &BTreeMap<usize, ProviderId>),
        wanted: &Scenario,
        control: &mut Control,
        now: Time,
    ) -> Result<Self, Broken> {
        let gateways = super::gates::keys(&wanted.gateways);
        let policy = wanted.policy.of_network(world.gpus);
        let mut builder = Builder { control, now };
        builder.run(&Command::SetPolicy(Box::new(policy.clone())))?;
        let bonds = bonds(&world.offers, &policy);
        let mut ground = Self {
            machines: Vec::new(),
            sites: Vec::new(),
            projects: Vec::new(),
            gpus: world.gpus,
            large: BTreeMap::new(),
        };
        let (mut providers, mut sites) = (BTreeMap::new(), BTreeMap::new());
        for offer in &world.offers {
            if !providers.contains_key(&offer.provider) {
                let provider = builder.provider(providers.len(), bonds[&offer.provider])?;
                providers.insert(offer.provider, provider);
            }
            let provider = providers[&offer.provider];
            if !sites.contains_key(&offer.site) {
                let site = builder.site(provider, sites.len(), offer.country, offer.place)?;
                sites.insert(offer.site, (site, ground.sites.len()));
                ground.sites.push(Site {
                    provider,
                    place: offer.place,
                    machines: Vec::new(),
                    gpus: 0,
                });
            }
            let (site, at) = sites[&offer.site];
            builder.node(offer, provider, site)?;
            let there = &mut ground.sites[at];
            there.machines.push(ground.machines.len());
            there.gpus += u64::from(offer.capacity.gpus);
            ground
                .machines
                .push(Machine::new(offer.node, offer.capacity, now));
        }
        let known = |(exit, of): (&usize, _)| Some((*exit, *providers.get(of)?));
        ground.large = large.iter().filter_map(known).collect();
        for gateway in gateways {
            builder.run(&Command::AdmitGateway { gateway })?;
        }
        for number in 0..PROJECTS {
            ground.projects.push(builder.project(number)?);
        }
        Ok(ground)
    }

    /// The number of a node.
    pub(crate) fn number(key: &NodeKey) -> Number {
        let mut number = [0; 8];
        number.copy_from_slice(&key.0[..8]);
        usize::try_from(u64::from_be_bytes(number)).unwrap_or(usize::MAX)
    }
}

/// What each provider has to deposit for its nodes.
fn bonds(offers: &[NodeOffer], policy: &Policy) -> BTreeMap<ProviderId, Money> {
    let mut bonds: BTreeMap<ProviderId, Money> = BTreeMap::new();
    for offer in offers {
        let bond = bonds.entry(offer.provider).or_default();
        *bond = bond.saturating_add(bond::floor(policy, offer.price));
    }
    bonds
}

struct Builder<'a> {
    control: &'a mut Control,
    now: Time,
}

impl Builder<'_> {
    fn run(&mut self, command: &Command) -> Result<Vec<Event>, Broken> {
        match self.control.submit(self.now, command) {
            Answer::Taken(events) => Ok(events),
            Answer::Refused(refusal) => Err(Broken::Refused(*refusal)),
            Answer::Repeated | Answer::Away => Err(Broken::Barren),
        }
    }

    fn made(
        &mut self,
        command: &Command,
        id: impl Fn(&Event) -> Option<u128>,
    ) -> Result<u128, Broken> {
        let events = self.run(command)?;
        events.iter().find_map(id).ok_or(Broken::Barren)
    }

    fn provider(&mut self, number: usize, amount: Money) -> Result<ProviderId, Broken> {
        let label = label(number as u64);
        let made = self.made(&Command::RegisterProvider { label }, |event| match event {
            Event::ProviderRegistered { provider, .. } => Some(provider.as_u128()),
            _ => None,
        })?;
        let (provider, rail) = (ProviderId::from_u128(made), Rail::Bank);
        self.run(&Command::DepositBond {
            provider,
            amount,
            rail,
        })?;
        Ok(provider)
    }

    fn site(
        &mut self,
        provider: ProviderId,
        number: usize,
        country: Country,
        place: Place,
    ) -> Result<SiteId, Broken> {
        let command = Command::RegisterSite {
            provider,
            label: label(number as u64),
            country,
            place,
        };
        let made = self.made(&command, |event| match event {
            Event::SiteRegistered { site, .. } => Some(site.as_u128()),
            _ => None,
        })?;
        Ok(SiteId::from_u128(made))
    }

    fn node(
        &mut self,
        offer: &NodeOffer,
        provider: ProviderId,
        site: SiteId,
    ) -> Result<(), Broken> {
        self.run(&Command::EnrolNode(Box::new(EnrolNode {
            node: offer.node,
            provider,
            site,
            class: offer.class,
            capacity: offer.capacity,
            price: offer.price,
        })))?;
        if self.control.introduce(self.now, offer.node, offer.capacity) {
            return Ok(());
        }
        Err(Broken::Barren)
    }

    fn project(&mut self, number: u32) -> Result<ProjectId, Broken> {
        let label = label(u64::from(number));
        let made = self.made(&Command::CreateTenant { label }, |event| match event {
            Event::TenantCreated { tenant, .. } => Some(tenant.as_u128()),
            _ => None,
        })?;
        let tenant = TenantId::from_u128(made);
        let made = self.made(
            &Command::CreateProject { tenant, label },
            |event| match event {
                Event::ProjectCreated { project, .. } => Some(project.as_u128()),
                _ => None,
            },
        )?;
        let (project, amount, rail) = (ProjectId::from_u128(made), AMPLE, Rail::Bank);
        self.run(&Command::TopUp {
            tenant,
            amount,
            rail,
        })?;
        self.run(&Command::FundBudget { project, amount })?;
        Ok(project)
    }
}

/// The name of the thing of this number.
pub(crate) fn label(number: u64) -> Label {
    let mut label = [0; 16];
    label[..8].copy_from_slice(&number.to_be_bytes());
    Label(label)
}
