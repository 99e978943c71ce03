//! The side that sells: providers, their sites and nodes, and what could be had of them.

use remuda_types::{NodeKey, ProviderId, SiteId};
use remuda_wire::api::node::{Node, Offer};
use remuda_wire::api::provider::{
    LeaveManner, LeaveProvider, Provider, RegisterProvider, RegisterSite, Site, SiteDrain,
};
use remuda_wire::api::tenant::Deposit;

use super::{Client, Error};

impl Client {
    /// An owner of nodes joins.
    pub(crate) async fn register_provider(&self, name: String) -> Result<Provider, Error> {
        self.post("/v1/providers", &RegisterProvider { name }).await
    }

    /// All providers that the key may see.
    pub(crate) async fn providers(&self) -> Result<Vec<Provider>, Error> {
        self.list("/v1/providers", &[]).await
    }

    /// One provider.
    pub(crate) async fn provider(&self, provider: ProviderId) -> Result<Provider, Error> {
        self.get(&format!("/v1/providers/{provider}"), &[]).await
    }

    /// A provider deposits a bond.
    pub(crate) async fn deposit_bond(
        &self,
        provider: ProviderId,
        deposit: &Deposit,
    ) -> Result<Provider, Error> {
        self.post(&format!("/v1/providers/{provider}/bond"), deposit)
            .await
    }

    /// A provider leaves.
    pub(crate) async fn leave(
        &self,
        provider: ProviderId,
        manner: LeaveManner,
    ) -> Result<Provider, Error> {
        self.post(
            &format!("/v1/providers/{provider}/leave"),
            &LeaveProvider { manner },
        )
        .await
    }

    /// A provider names a place where its nodes stand.
    pub(crate) async fn register_site(
        &self,
        provider: ProviderId,
        site: &RegisterSite,
    ) -> Result<Site, Error> {
        self.post(&format!("/v1/providers/{provider}/sites"), site)
            .await
    }

    /// All sites that the key may see.
    pub(crate) async fn sites(&self) -> Result<Vec<Site>, Error> {
        self.list("/v1/sites", &[]).await
    }

    /// All nodes that the key may see.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>, Error> {
        self.list("/v1/nodes", &[]).await
    }

    /// One node.
    pub(crate) async fn node(&self, node: NodeKey) -> Result<Node, Error> {
        self.get(&format!("/v1/nodes/{node}"), &[]).await
    }

    /// Moves a node's leases away.
    pub(crate) async fn drain(&self, node: NodeKey) -> Result<Node, Error> {
        self.post(&format!("/v1/nodes/{node}/drain"), &()).await
    }

    /// Moves the leases of all nodes of a site away at once.
    pub(crate) async fn drain_site(&self, site: SiteId) -> Result<SiteDrain, Error> {
        self.post(&format!("/v1/sites/{site}/drain"), &()).await
    }

    /// Has a node that drains take leases again.
    pub(crate) async fn resume(&self, node: NodeKey) -> Result<Node, Error> {
        self.delete(&format!("/v1/nodes/{node}/drain")).await
    }

    /// Has those of a site's nodes that drain take leases again.
    pub(crate) async fn resume_site(&self, site: SiteId) -> Result<SiteDrain, Error> {
        self.delete(&format!("/v1/sites/{site}/drain")).await
    }

    /// What could be rented now.
    pub(crate) async fn offers(&self, query: &[(&str, String)]) -> Result<Vec<Offer>, Error> {
        self.list("/v1/offers", query).await
    }
}
