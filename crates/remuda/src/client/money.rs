//! Tenants, projects, keys and accounts.

use remuda_types::{ApiKeyId, ProjectId, TenantId};
use remuda_wire::api::key::{ApiKey, IssueKey, IssuedKey};
use remuda_wire::api::ledger::{Accounts, Statement};
use remuda_wire::api::tenant::{CreateProject, CreateTenant, Deposit, FundBudget, Project, Tenant};

use super::{Client, Error, Query, page};

impl Client {
    /// An organisation that buys.
    pub(crate) async fn create_tenant(&self, name: String) -> Result<Tenant, Error> {
        self.post("/v1/tenants", &CreateTenant { name }).await
    }

    /// All tenants.
    pub(crate) async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        self.list("/v1/tenants", &[]).await
    }

    /// Money arrives for a tenant.
    pub(crate) async fn top_up(
        &self,
        tenant: TenantId,
        deposit: &Deposit,
    ) -> Result<Tenant, Error> {
        self.post(&format!("/v1/tenants/{tenant}/top-ups"), deposit)
            .await
    }

    /// A tenant's project.
    pub(crate) async fn create_project(
        &self,
        tenant: TenantId,
        name: String,
    ) -> Result<Project, Error> {
        self.post(
            &format!("/v1/tenants/{tenant}/projects"),
            &CreateProject { name },
        )
        .await
    }

    /// All projects that the key may see.
    pub(crate) async fn projects(&self) -> Result<Vec<Project>, Error> {
        self.list("/v1/projects", &[]).await
    }

    /// Moves prepaid money into a project's budget.
    pub(crate) async fn fund(
        &self,
        project: ProjectId,
        fund: &FundBudget,
    ) -> Result<Project, Error> {
        self.post(&format!("/v1/projects/{project}/budget"), fund)
            .await
    }

    /// A key.
    pub(crate) async fn issue_key(&self, key: &IssueKey) -> Result<IssuedKey, Error> {
        self.post("/v1/keys", key).await
    }

    /// All keys that the key may see.
    pub(crate) async fn keys(&self) -> Result<Vec<ApiKey>, Error> {
        self.list("/v1/keys", &[]).await
    }

    /// Takes a key back.
    pub(crate) async fn revoke_key(&self, key: ApiKeyId) -> Result<(), Error> {
        self.delete(&format!("/v1/keys/{key}")).await
    }

    /// All accounts with money that the key may see.
    pub(crate) async fn accounts(&self) -> Result<Accounts, Error> {
        let mut all: Accounts = self.get("/v1/ledger/accounts", &page(&[], None)).await?;
        while let Some(cursor) = all.next_cursor.take() {
            let more: Accounts = self
                .get("/v1/ledger/accounts", &page(&[], Some(cursor)))
                .await?;
            all.data.extend(more.data);
            all.next_cursor = more.next_cursor;
        }
        Ok(all)
    }

    /// What was charged or earned: of `subject`, as in `("project", "prj_…")`, or the key's own.
    pub(crate) async fn statement(&self, subject: Query<'_>) -> Result<Statement, Error> {
        let mut statement = self.statement_page(subject, None).await?;
        while let Some(cursor) = statement.next_cursor.take() {
            let more = self.statement_page(subject, Some(cursor)).await?;
            statement.data.extend(more.data);
            statement.next_cursor = more.next_cursor;
        }
        Ok(statement)
    }

    async fn statement_page(
        &self,
        subject: Query<'_>,
        cursor: Option<String>,
    ) -> Result<Statement, Error> {
        self.get("/v1/ledger/statement", &page(subject, cursor))
            .await
    }
}
