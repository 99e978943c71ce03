//! Statements: what an account holder was charged or earned, and what was not charged and why.

use remuda_types::{ProjectId, ProviderId};
use rusqlite::{Row, params};
use serde::Serialize;

use super::Projections;

/// Sums of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "named after the columns")]
pub struct ProjectTotals {
    pub requests: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub token_amount: i64,
    pub ready_ms: i64,
    pub starting_ms: i64,
    pub suspect_ms: i64,
    pub silent_ms: i64,
    pub lease_amount: i64,
    pub compensated: i64,
}

/// Sums of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "named after the columns")]
pub struct ProviderTotals {
    pub ready_ms: i64,
    pub lease_earned: i64,
    pub token_earned: i64,
    pub completion_tokens: i64,
    pub forfeited_held: i64,
    pub forfeited_bond: i64,
}

/// One movement on an account; amounts in micro-USD, negative when money left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "named after the columns")]
pub struct Line {
    pub seq: i64,
    pub ordinal: i64,
    pub at_ms: i64,
    pub other: String,
    pub amount: i64,
    pub purpose: String,
    pub transfer: String,
}

/// An event of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the columns")]
pub struct FeedEvent {
    pub seq: i64,
    pub ordinal: i64,
    pub at_ms: i64,
    pub kind: String,
    /// JSON.
    pub body: String,
}

/// Whose events are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All.
    Operator,
    /// Those of a project.
    Project(ProjectId),
    /// Those of a provider.
    Provider(ProviderId),
}

fn line(row: &Row<'_>) -> Result<Line, rusqlite::Error> {
    Ok(Line {
        seq: row.get(0)?,
        ordinal: row.get(1)?,
        at_ms: row.get(2)?,
        other: row.get(3)?,
        amount: row.get(4)?,
        purpose: row.get(5)?,
        transfer: row.get(6)?,
    })
}

fn feed_event(row: &Row<'_>) -> Result<FeedEvent, rusqlite::Error> {
    Ok(FeedEvent {
        seq: row.get(0)?,
        ordinal: row.get(1)?,
        at_ms: row.get(2)?,
        kind: row.get(3)?,
        body: row.get(4)?,
    })
}

impl Projections {
    /// What a project was charged, what time was not charged, and what it was paid.
    pub fn project_totals(&self, project: ProjectId) -> Result<ProjectTotals, rusqlite::Error> {
        let project = project.to_string();
        self.query(|connection| {
            let mut totals = connection.query_row(
                "select coalesce(sum(ready_ms),0), coalesce(sum(starting_ms),0),
                        coalesce(sum(suspect_ms),0), coalesce(sum(silent_ms),0), coalesce(sum(amount),0)
                 from slice where project = ?1",
                params![project],
                |row| {
                    Ok(ProjectTotals {
                        ready_ms: row.get(0)?,
                        starting_ms: row.get(1)?,
                        suspect_ms: row.get(2)?,
                        silent_ms: row.get(3)?,
                        lease_amount: row.get(4)?,
                        ..ProjectTotals::default()
                    })
                },
            )?;
            connection.query_row(
                "select coalesce(sum(requests),0), coalesce(sum(prompt_tokens),0),
                        coalesce(sum(completion_tokens),0), coalesce(sum(amount),0)
                 from usage where project = ?1",
                params![project],
                |row| {
                    totals.requests = row.get(0)?;
                    totals.prompt_tokens = row.get(1)?;
                    totals.completion_tokens = row.get(2)?;
                    totals.token_amount = row.get(3)?;
                    Ok(())
                },
            )?;
            totals.compensated = connection.query_row(
                "select coalesce(sum(amount),0) from compensation where project = ?1",
                params![project],
                |row| row.get(0),
            )?;
            Ok(totals)
        })
    }

    /// What a provider earned and forfeited.
    pub fn provider_totals(&self, provider: ProviderId) -> Result<ProviderTotals, rusqlite::Error> {
        let provider = provider.to_string();
        self.query(|connection| {
            connection.query_row(
                "select
                    (select coalesce(sum(ready_ms),0) from slice where provider = ?1),
                    (select coalesce(sum(earned),0) from slice where provider = ?1),
                    (select coalesce(sum(earned),0) from usage where provider = ?1),
                    (select coalesce(sum(completion_tokens),0) from usage where provider = ?1),
                    (select coalesce(sum(from_held),0) from forfeit where provider = ?1),
                    (select coalesce(sum(from_bond),0) from forfeit where provider = ?1)",
                params![provider],
                |row| {
                    Ok(ProviderTotals {
                        ready_ms: row.get(0)?,
                        lease_earned: row.get(1)?,
                        token_earned: row.get(2)?,
                        completion_tokens: row.get(3)?,
                        forfeited_held: row.get(4)?,
                        forfeited_bond: row.get(5)?,
                    })
                },
            )
        })
    }

    /// Movements of an account after a cursor, oldest first.
    pub fn lines(
        &self,
        account: &str,
        after: (i64, i64),
        limit: u32,
    ) -> Result<Vec<Line>, rusqlite::Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "select seq, ordinal, at_ms, other, amount, purpose, transfer from line
                     where account = ?1 and (seq, ordinal) > (?2, ?3) order by seq, ordinal limit ?4",
                )?
                .query_map(params![account, after.0, after.1, limit], line)?
                .collect()
        })
    }

    /// Events after a cursor, oldest first.
    pub fn events(
        &self,
        audience: Audience,
        after: (i64, i64),
        limit: u32,
    ) -> Result<Vec<FeedEvent>, rusqlite::Error> {
        let (column, owner) = match audience {
            Audience::Operator => ("seq > -1", String::new()),
            Audience::Project(project) => ("project = ?4", project.to_string()),
            Audience::Provider(provider) => ("provider = ?4", provider.to_string()),
        };
        let select = format!(
            "select seq, ordinal, at_ms, kind, body from event
             where {column} and (seq, ordinal) > (?1, ?2) and ?4 is not null
             order by seq, ordinal limit ?3"
        );
        self.query(|connection| {
            connection
                .prepare_cached(&select)?
                .query_map(params![after.0, after.1, limit, owner], feed_event)?
                .collect()
        })
    }
}
