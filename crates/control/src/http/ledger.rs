//! Accounts, and statements of what was charged and what was not.

use axum::Json;
use axum::extract::State;
use remuda_network::Network;
use remuda_network::ledger::{Account, Balance};
use remuda_network::state::{KeyOwner, Scope};
use remuda_wire::api::PageQuery;
use remuda_wire::api::ledger::{AccountBalance, Accounts};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::Caller;
use super::body::Params;
use super::page::Window;
use super::problem::Problem;
use super::tenants::{balance, own_tenant};

mod statement;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(accounts))
        .routes(routes!(statement::statement))
}

fn account_balance(account: Account, of: Balance) -> AccountBalance {
    AccountBalance {
        account: account.to_string(),
        balance: balance(of),
    }
}

/// Whether an account is the caller's: a project's budget and its tenant's money, a provider's own.
fn sees(caller: &Caller, network: &Network, account: Account) -> bool {
    let operator = caller.owner == KeyOwner::Operator;
    match account {
        Account::TenantPrepaid(tenant) | Account::TenantCredit(tenant) => {
            operator || own_tenant(network, caller) == Some(tenant)
        }
        Account::ProjectBudget(project) => caller.sees_project(project),
        Account::ProviderHeld(provider)
        | Account::ProviderAvailable(provider)
        | Account::ProviderBond(provider) => caller.sees_provider(provider),
        Account::Rail(_)
        | Account::Settlement
        | Account::InsurancePool
        | Account::PlatformFee
        | Account::SlaCredits => operator,
    }
}

/// Accounts with money: the operator sees all and their sum, others their own. Scope `read`.
#[utoipa::path(get, path = "/v1/ledger/accounts", tag = "ledger", security(("key" = [])),
    params(PageQuery), responses((status = 200, body = Accounts)))]
async fn accounts(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Accounts>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::<Account>::of(&query)?;
    Ok(Json(api.app.core.read(|network| {
        let ledger = &network.state().ledger;
        let rest = ledger
            .accounts()
            .filter(|(at, _)| window.after.is_none_or(|after| *at > after));
        let own = rest.filter(|(account, _)| sees(&caller, network, *account));
        let page = window.fill(own.map(|(account, of)| (account, account_balance(account, of))));
        let total = || i64::try_from(ledger.total_micros()).unwrap_or(i64::MAX);
        Accounts {
            data: page.data,
            total_micros: (caller.owner == KeyOwner::Operator).then(total),
            next_cursor: page.next_cursor,
        }
    })))
}
