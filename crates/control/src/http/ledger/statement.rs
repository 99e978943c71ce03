//! A statement: totals from the projections, what accrues from the state, lines a page at a time.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use remuda_network::Network;
use remuda_network::ledger::Account;
use remuda_network::state::{KeyOwner, Lease, Scope};
use remuda_types::{Money, ProjectId, ProviderId};
use remuda_wire::api::lease::Metered;
use remuda_wire::api::ledger::{AccountBalance, Accruing, Charged, Earned, Line, Statement};
use remuda_wire::api::{Page, PageQuery, Usd};
use serde::Deserialize;

use super::super::Api;
use super::super::auth::Caller;
use super::super::body::Params;
use super::super::events::Position;
use super::super::leases::accruing;
use super::super::page::Window;
use super::super::problem::Problem;
use super::{account_balance, sees};
use crate::projection::Projections;
use crate::projection::statement::{Line as Row, ProjectTotals, ProviderTotals};

/// Whose statement; exactly one, or none for the caller's own.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StatementQuery {
    /// A project's.
    #[param(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// A provider's.
    #[param(value_type = Option<String>)]
    provider: Option<ProviderId>,
    /// An account's, as `project-budget:prj_…`.
    account: Option<String>,
}

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Project(ProjectId),
    Provider(ProviderId),
    Account(Account),
}

#[derive(Debug, Default)]
struct Read {
    charged: Option<ProjectTotals>,
    earned: Option<ProviderTotals>,
    rows: Vec<(Account, Row)>,
}

/// What was charged or earned, what was not charged and why, and every movement. Scope `read`.
#[utoipa::path(get, path = "/v1/ledger/statement", tag = "ledger", security(("key" = [])),
    params(PageQuery, StatementQuery), responses((status = 200, body = Statement)))]
pub(super) async fn statement(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<PageQuery>,
    Params(whose): Params<StatementQuery>,
) -> Result<Json<Statement>, Problem> {
    caller.needs(Scope::Read)?;
    let window = Window::<Position>::of(&query)?;
    let subject = Subject::of(&caller, &whose)?;
    subject.check(&api, &caller)?;
    let projections = api.app.projections.clone();
    let read = tokio::task::spawn_blocking(move || subject.read(&projections, &window)).await;
    let read = read
        .map_err(|error| Problem::internal(&error))?
        .map_err(|error| Problem::internal(&error))?;
    let now = api.app.core.clock().now();
    let (balances, accruing) = api.app.core.read(|network| {
        let live = network
            .state()
            .leases
            .iter()
            .filter(|(_, lease)| subject.concerns(lease));
        let accruing: Vec<_> = live
            .map(|(id, lease)| Accruing {
                lease: *id,
                metered: accruing(lease, now),
            })
            .collect();
        (subject.balances(network), accruing)
    });
    let Page { data, next_cursor } = lines(&window, read.rows);
    Ok(Json(Statement {
        subject: subject.to_string(),
        balances,
        charged: read.charged.as_ref().map(charged),
        earned: read.earned.as_ref().map(earned),
        accruing,
        data,
        next_cursor,
    }))
}

impl Subject {
    fn of(caller: &Caller, whose: &StatementQuery) -> Result<Self, Problem> {
        let account = whose.account.as_deref().map(Account::from_str).transpose();
        let account = account.map_err(|error| Problem::invalid(error.to_string()))?;
        match (whose.project, whose.provider, account) {
            (Some(project), None, None) => Ok(Self::Project(project)),
            (None, Some(provider), None) => Ok(Self::Provider(provider)),
            (None, None, Some(account)) => Ok(Self::Account(account)),
            (None, None, None) => Self::own(caller),
            _ => Err(Problem::invalid(
                "only one of project, provider and account is expected",
            )),
        }
    }

    fn own(caller: &Caller) -> Result<Self, Problem> {
        match caller.owner {
            KeyOwner::Project(project) => Ok(Self::Project(project)),
            KeyOwner::Provider(provider) => Ok(Self::Provider(provider)),
            KeyOwner::Operator => Err(Problem::invalid(
                "project, provider or account is expected in the query",
            )),
        }
    }

    fn check(self, api: &Api, caller: &Caller) -> Result<(), Problem> {
        let exists = api.app.core.read(|network| {
            let state = network.state();
            match self {
                Self::Project(project) => {
                    caller.sees_project(project) && state.projects.contains_key(&project)
                }
                Self::Provider(provider) => {
                    caller.sees_provider(provider) && state.providers.contains_key(&provider)
                }
                Self::Account(account) => sees(caller, network, account),
            }
        });
        exists
            .then_some(())
            .ok_or_else(|| Problem::not_found("statement of", self))
    }

    fn accounts(self) -> Vec<Account> {
        match self {
            Self::Project(project) => vec![Account::ProjectBudget(project)],
            Self::Provider(provider) => vec![
                Account::ProviderHeld(provider),
                Account::ProviderAvailable(provider),
                Account::ProviderBond(provider),
            ],
            Self::Account(account) => vec![account],
        }
    }

    fn balances(self, network: &Network) -> Vec<AccountBalance> {
        let ledger = &network.state().ledger;
        let accounts = self.accounts().into_iter();
        accounts
            .map(|account| account_balance(account, ledger.balance(account)))
            .collect()
    }

    /// Whether what a lease accrues will come to this subject.
    fn concerns(self, lease: &Lease) -> bool {
        match self {
            Self::Project(project) | Self::Account(Account::ProjectBudget(project)) => {
                lease.project == project
            }
            Self::Provider(provider) | Self::Account(Account::ProviderHeld(provider)) => {
                lease.provider == provider
            }
            Self::Account(_) => false,
        }
    }

    fn read(
        self,
        projections: &Projections,
        window: &Window<Position>,
    ) -> Result<Read, rusqlite::Error> {
        let after = window.after.unwrap_or_default();
        let limit = u32::try_from(window.limit + 1).unwrap_or(u32::MAX);
        let mut rows = Vec::new();
        for account in self.accounts() {
            let of = projections.lines(&account.to_string(), after.pair(), limit)?;
            rows.extend(of.into_iter().map(|row| (account, row)));
        }
        rows.sort_by_key(|(account, row)| (row.seq, row.ordinal, *account));
        let (charged, earned) = match self {
            Self::Project(project) => (Some(projections.project_totals(project)?), None),
            Self::Provider(provider) => (None, Some(projections.provider_totals(provider)?)),
            Self::Account(_) => (None, None),
        };
        Ok(Read {
            charged,
            earned,
            rows,
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(project) => project.fmt(f),
            Self::Provider(provider) => provider.fmt(f),
            Self::Account(account) => account.fmt(f),
        }
    }
}

/// A page of lines. A movement between two accounts of one subject is two lines of one position;
/// a page never ends between them.
fn lines(window: &Window<Position>, rows: Vec<(Account, Row)>) -> Page<Line> {
    let at = |row: &Row| Position::new(row.seq, row.ordinal);
    let split = rows
        .get(window.limit)
        .zip(rows.get(window.limit.saturating_sub(1)));
    let together = split.is_some_and(|((_, next), (_, last))| at(next) == at(last));
    let window = Window {
        limit: window.limit + usize::from(together),
        after: window.after,
    };
    window.fill(
        rows.into_iter()
            .map(|(account, row)| (at(&row), line(account, row))),
    )
}

fn line(account: Account, row: Row) -> Line {
    Line {
        seq: row.seq.unsigned_abs(),
        at_ms: row.at_ms.unsigned_abs(),
        account: account.to_string(),
        other: row.other,
        amount_usd: usd(row.amount),
        purpose: row.purpose,
        transfer: row.transfer,
    }
}

const fn usd(micros: i64) -> Usd {
    Usd(Money::from_micros(micros))
}

const fn charged(totals: &ProjectTotals) -> Charged {
    Charged {
        leases: Metered {
            ready_ms: totals.ready_ms.unsigned_abs(),
            starting_ms: totals.starting_ms.unsigned_abs(),
            suspect_ms: totals.suspect_ms.unsigned_abs(),
            silent_ms: totals.silent_ms.unsigned_abs(),
            amount_usd: usd(totals.lease_amount),
        },
        requests: totals.requests.unsigned_abs(),
        prompt_tokens: totals.prompt_tokens.unsigned_abs(),
        completion_tokens: totals.completion_tokens.unsigned_abs(),
        tokens_usd: usd(totals.token_amount),
        compensated_usd: usd(totals.compensated),
    }
}

const fn earned(totals: &ProviderTotals) -> Earned {
    Earned {
        ready_ms: totals.ready_ms.unsigned_abs(),
        leases_usd: usd(totals.lease_earned),
        completion_tokens: totals.completion_tokens.unsigned_abs(),
        tokens_usd: usd(totals.token_earned),
        forfeited_held_usd: usd(totals.forfeited_held),
        forfeited_bond_usd: usd(totals.forfeited_bond),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(account: Account, seq: i64) -> (Account, Row) {
        let text = String::new;
        let row = Row {
            seq,
            ordinal: 0,
            at_ms: 0,
            other: text(),
            amount: 1,
            purpose: text(),
            transfer: text(),
        };
        (account, row)
    }

    #[test]
    fn a_page_never_ends_between_two_lines_of_one_movement() {
        let provider = ProviderId::from_u128(1);
        let (held, available) = (
            Account::ProviderHeld(provider),
            Account::ProviderAvailable(provider),
        );
        let rows = vec![row(held, 1), row(held, 2), row(available, 2), row(held, 3)];
        let window = Window {
            after: None,
            limit: 2,
        };
        let page = lines(&window, rows.clone());
        assert_eq!(
            page.data.iter().map(|line| line.seq).collect::<Vec<_>>(),
            [1, 2, 2]
        );
        assert!(page.next_cursor.is_some());
        let whole = lines(
            &Window {
                after: None,
                limit: 4,
            },
            rows,
        );
        assert_eq!((whole.data.len(), whole.next_cursor), (4, None));
    }
}
