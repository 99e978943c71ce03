//! What a replica printed, from the node it runs or ran on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use remuda_network::state::Scope;
use remuda_types::{LeaseId, NodeKey, ReplicaId, WorkloadId};
use remuda_wire::api::replica::{Logs, Replica};
use rusqlite::OptionalExtension;
use serde::Deserialize;

use super::super::Api;
use super::super::auth::Caller;
use super::super::body::{Id, Params};
use super::super::problem::Problem;
use super::seen;
use crate::session::LogsError;

/// Lines sent when the client does not say.
const TAIL_DEFAULT: u32 = 100;

/// The most lines of one answer.
const TAIL_MAX: u32 = 2_000;

/// Which lines.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogsQuery {
    /// Of this replica; of the first if not given.
    #[param(value_type = Option<String>)]
    replica: Option<ReplicaId>,
    /// The last so many: 1 to 2,000, 100 if not given.
    #[param(minimum = 1, maximum = 2000)]
    tail: Option<u32>,
}

/// What a replica printed: of the lease it has, or else of its last one. Scope `read`.
#[utoipa::path(get, path = "/v1/workloads/{id}/logs", tag = "workloads", security(("key" = [])),
    params(("id" = String, Path, description = "The workload"), LogsQuery),
    responses((status = 200, body = Logs)))]
pub(super) async fn logs(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<WorkloadId>,
    Params(query): Params<LogsQuery>,
) -> Result<Json<Logs>, Problem> {
    caller.needs(Scope::Read)?;
    let tail = query.tail.unwrap_or(TAIL_DEFAULT);
    if !(1..=TAIL_MAX).contains(&tail) {
        return Err(Problem::invalid(format!(
            "tail is {tail}: 1 to {TAIL_MAX} is expected"
        )));
    }
    let workload = seen(&api, &caller, id)?;
    let replica = chosen(&workload.replicas, query.replica)?;
    let now = replica
        .placement
        .as_ref()
        .map(|placement| (placement.node, placement.lease));
    let runs = now.into_iter().chain(last_ended(&api, replica.id).await?);
    let mut failed = None;
    for (node, lease) in runs {
        match api.app.sessions.logs(node, lease, tail).await {
            Ok(lines) => {
                return Ok(Json(Logs {
                    replica: replica.id,
                    lease,
                    lines,
                }));
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.map_or_else(|| never_ran(replica.id), Problem::from))
}

fn chosen(replicas: &[Replica], wanted: Option<ReplicaId>) -> Result<&Replica, Problem> {
    let found = match wanted {
        Some(id) => replicas.iter().find(|replica| replica.id == id),
        None => replicas.first(),
    };
    found.ok_or_else(|| match wanted {
        Some(id) => Problem::not_found("replica of this workload", id),
        None => Problem::new(
            StatusCode::CONFLICT,
            "wrong-state",
            "the workload has no replica left",
        ),
    })
}

fn never_ran(replica: ReplicaId) -> Problem {
    let detail = format!("{replica} has not run yet: look again when it has a node");
    Problem::new(StatusCode::CONFLICT, "wrong-state", detail)
}

impl From<LogsError> for Problem {
    fn from(error: LogsError) -> Self {
        let (status, code) = match error {
            LogsError::Away(_) => (StatusCode::CONFLICT, "node-away"),
            LogsError::Silent(_) => (StatusCode::GATEWAY_TIMEOUT, "node-silent"),
            LogsError::Unknown(_) => (StatusCode::NOT_FOUND, "no-logs"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// The replica's last lease that ended, and its node.
async fn last_ended(api: &Api, replica: ReplicaId) -> Result<Option<(NodeKey, LeaseId)>, Problem> {
    let projections = api.app.projections.clone();
    let query = move || {
        projections.query(|connection| {
            let select = "select node, lease from lease_end where replica = ?1
                          order by seq desc, ordinal desc limit 1";
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            connection
                .prepare_cached(select)?
                .query_row([replica.to_string()], row)
                .optional()
        })
    };
    let found = tokio::task::spawn_blocking(query).await;
    let found: Option<(String, String)> = found
        .map_err(|error| Problem::internal(&error))?
        .map_err(|error| Problem::internal(&error))?;
    Ok(found.and_then(|(node, lease)| Some((node.parse().ok()?, lease.parse().ok()?))))
}
