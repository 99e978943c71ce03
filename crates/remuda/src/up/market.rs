//! Who takes part, as control knows them: found by name, made where they are missing. So a second
//! start makes nothing anew, and one that was cut off is taken up where it stopped.

use std::collections::BTreeSet;
use std::path::PathBuf;

use remuda_types::{Money, ProjectId, ProviderId, SiteId, TenantId};
use remuda_wire::api::Usd;
use remuda_wire::api::key::{IssueKey, Owner, Scope};
use remuda_wire::api::model::{AddModel, Model};
use remuda_wire::api::provider::{Provider, RegisterSite};
use remuda_wire::api::tenant::{Deposit, FundBudget, Project, Rail};

use super::cast::{self, Seat};
use super::layout::{self, Layout};
use crate::client::Client;
use crate::settings::Key;

/// An owner of nodes with its site and its key.
#[derive(Clone, Debug)]
pub(crate) struct Seller {
    /// Its name.
    pub(crate) name: String,
    /// Its id.
    pub(crate) provider: ProviderId,
    /// Where its node stands.
    pub(crate) site: SiteId,
    /// The file with its key.
    pub(crate) key_file: PathBuf,
}

/// Who buys.
#[derive(Clone, Debug)]
pub(crate) struct Buyer {
    /// The project that pays.
    pub(crate) project: ProjectId,
    /// Its key.
    pub(crate) key: Key,
    /// The file with the key.
    pub(crate) key_file: PathBuf,
}

/// The operator's view of who takes part.
#[derive(Debug)]
pub(crate) struct Market<'a> {
    /// As the operator.
    pub(crate) client: &'a Client,
    /// Where keys are kept.
    pub(crate) layout: &'a Layout,
}

impl Market<'_> {
    /// The owner of a seat's node; a new one where the last has left.
    pub(crate) async fn seller(&self, seat: &Seat) -> anyhow::Result<Seller> {
        let provider = self.owner(seat).await?;
        let bond: Money = cast::BOND_USD.parse()?;
        let missing = bond.saturating_sub(provider.bond_usd.0);
        if missing > Money::ZERO {
            self.client
                .deposit_bond(provider.id, &deposit(missing))
                .await?;
        }
        let site = self.site(provider.id, seat).await?;
        let scopes = [Scope::Read, Scope::Supply];
        let key_file = self.key(Owner::Provider(provider.id), &scopes).await?;
        Ok(Seller {
            name: provider.name,
            provider: provider.id,
            site,
            key_file,
        })
    }

    async fn owner(&self, seat: &Seat) -> anyhow::Result<Provider> {
        let known = self.client.providers().await?;
        let name = |number: u32| match number {
            1 => seat.owner.to_owned(),
            number => format!("{}-{number}", seat.owner),
        };
        let mut number = 1;
        loop {
            match known.iter().find(|provider| provider.name == name(number)) {
                Some(provider) if provider.standing == "active" => return Ok(provider.clone()),
                Some(_) => number += 1,
                None => return Ok(self.client.register_provider(name(number)).await?),
            }
        }
    }

    async fn site(&self, provider: ProviderId, seat: &Seat) -> anyhow::Result<SiteId> {
        let sites = self.client.sites().await?;
        if let Some(site) = sites
            .iter()
            .find(|site| site.provider == provider && site.name == seat.site)
        {
            return Ok(site.id);
        }
        let site = RegisterSite {
            name: seat.site.to_owned(),
            country: seat.country.parse()?,
            latitude: seat.latitude,
            longitude: seat.longitude,
        };
        Ok(self.client.register_site(provider, &site).await?.id)
    }

    /// The buyer, with a budget that is worth spending from.
    pub(crate) async fn buyer(&self) -> anyhow::Result<Buyer> {
        let tenant = self.tenant().await?;
        let project = self.project(tenant).await?;
        let (low, full): (Money, Money) =
            (cast::BUDGET_LOW_USD.parse()?, cast::BUDGET_USD.parse()?);
        let available = project.budget.available_usd.0;
        if available < low {
            let amount = full.saturating_sub(available);
            self.client.top_up(tenant, &deposit(amount)).await?;
            self.client
                .fund(
                    project.id,
                    &FundBudget {
                        amount_usd: Usd(amount),
                    },
                )
                .await?;
        }
        let scopes = [Scope::Read, Scope::Deploy, Scope::Inference];
        let key_file = self.key(Owner::Project(project.id), &scopes).await?;
        let key = layout::read(&key_file)?.unwrap_or_default().parse()?;
        Ok(Buyer {
            project: project.id,
            key,
            key_file,
        })
    }

    async fn tenant(&self) -> anyhow::Result<TenantId> {
        let known = self.client.tenants().await?;
        match known.iter().find(|tenant| tenant.name == cast::TENANT) {
            Some(tenant) => Ok(tenant.id),
            None => Ok(self.client.create_tenant(cast::TENANT.to_owned()).await?.id),
        }
    }

    async fn project(&self, tenant: TenantId) -> anyhow::Result<Project> {
        let known = self.client.projects().await?;
        let is_it = |project: &Project| project.tenant == tenant && project.name == cast::PROJECT;
        match known.into_iter().find(is_it) {
            Some(project) => Ok(project),
            None => Ok(self
                .client
                .create_project(tenant, cast::PROJECT.to_owned())
                .await?),
        }
    }

    /// The file with a key of `owner`'s. A key is shown once, when it is issued; one that was
    /// issued but not written is never used.
    async fn key(&self, owner: Owner, scopes: &[Scope]) -> anyhow::Result<PathBuf> {
        let path = self.layout.key(&owner.to_string());
        if layout::read(&path)?.is_none() {
            let issued = self
                .client
                .issue_key(&IssueKey {
                    owner: Some(owner),
                    scopes: scopes.iter().copied().collect::<BTreeSet<_>>(),
                    expires_in_s: None,
                    requests_per_minute: 0,
                })
                .await?;
            layout::write(&path, &issued.secret)?;
        }
        Ok(path)
    }

    /// The model, with the file as it is now.
    pub(crate) async fn model(&self, model: &AddModel) -> anyhow::Result<Model> {
        Ok(self.client.add_model(model, None).await?)
    }
}

const fn deposit(amount: Money) -> Deposit {
    Deposit {
        amount_usd: Usd(amount),
        rail: Rail::Bank,
    }
}
