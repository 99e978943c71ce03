//! Rows into their tables.

use rusqlite::{Connection, params};

use super::{Content, Row, millis, signed};

impl Row {
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each table; each arm is one statement"
    )]
    pub(in crate::projection) fn insert(&self, to: &Connection) -> Result<(), rusqlite::Error> {
        let (seq, ordinal, at) = (self.seq, self.ordinal, self.at_ms);
        match &self.content {
            Content::Event {
                kind,
                body,
                project,
                provider,
            } => {
                let (project, provider) = (
                    project.map(|p| p.to_string()),
                    provider.map(|p| p.to_string()),
                );
                to.prepare_cached("insert or replace into event values (?1,?2,?3,?4,?5,?6,?7)")?
                    .execute(params![seq, ordinal, at, kind, project, provider, body])?;
            }
            Content::Line {
                entry,
                debit,
                credit,
                amount,
                purpose,
                transfer,
            } => {
                let mut insert = to.prepare_cached(
                    "insert or replace into line values (?1,?2,?3,?4,?5,?6,?7,?8,?9)",
                )?;
                let ordinal = ordinal.saturating_mul(1_000_000).saturating_add(*entry);
                let (debit, credit) = (debit.to_string(), credit.to_string());
                let (amount, purpose) = (amount.as_micros(), purpose.as_str());
                let transfer = transfer.to_string();
                insert.execute(params![
                    seq, ordinal, 0, at, debit, credit, -amount, purpose, transfer
                ])?;
                insert.execute(params![
                    seq, ordinal, 1, at, credit, debit, amount, purpose, transfer
                ])?;
            }
            Content::Slice {
                lease,
                of,
                meter,
                charge,
            } => {
                to.prepare_cached(
                    "insert or replace into slice values (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
                )?
                .execute(params![
                    seq, ordinal, at, lease.to_string(), of.replica.to_string(),
                    of.workload.to_string(), of.project.to_string(), of.provider.to_string(),
                    of.node.to_string(), signed(meter.ready.as_millis()),
                    signed(meter.starting.as_millis()), signed(meter.suspect.as_millis()),
                    signed(meter.silent.as_millis()), charge.amount.as_micros(),
                    charge.earned.as_micros(), charge.fee.as_micros(), charge.pool.as_micros(),
                ])?;
            }
            Content::Usage(usage, project) => {
                let (total, charge) = (usage.total, usage.charge);
                to.prepare_cached(
                    "insert into usage values (?1,coalesce((select max(ordinal)+1 from usage where seq=?1),0),?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
                )?
                .execute(params![
                    seq, at, total.lease.to_string(), total.key.to_string(), project.to_string(),
                    usage.provider.to_string(), signed(total.requests), signed(total.prompt_tokens),
                    signed(total.completion_tokens), charge.amount.as_micros(),
                    charge.earned.as_micros(), charge.fee.as_micros(), charge.pool.as_micros(),
                ])?;
            }
            Content::LeaseEnd {
                lease,
                of,
                reason,
                fault,
            } => {
                to.prepare_cached(
                    "insert or replace into lease_end values (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
                )?
                .execute(params![
                    seq, ordinal, at, lease.to_string(), of.replica.to_string(),
                    of.workload.to_string(), of.project.to_string(), of.provider.to_string(),
                    of.node.to_string(), millis(of.granted), reason.as_str(), fault.as_str(),
                ])?;
            }
            Content::Forfeit {
                provider,
                level,
                from_held,
                from_bond,
                to_tenants,
                to_pool,
            } => {
                to.prepare_cached(
                    "insert or replace into forfeit values (?1,?2,?3,?4,?5,?6,?7,?8,?9)",
                )?
                .execute(params![
                    seq,
                    ordinal,
                    at,
                    provider.to_string(),
                    level,
                    from_held.as_micros(),
                    from_bond.as_micros(),
                    to_tenants.as_micros(),
                    to_pool.as_micros(),
                ])?;
            }
            Content::Compensation { lease, of, amount } => {
                to.prepare_cached(
                    "insert or replace into compensation values (?1,?2,?3,?4,?5,?6,?7)",
                )?
                .execute(params![
                    seq,
                    ordinal,
                    at,
                    lease.to_string(),
                    of.project.to_string(),
                    of.provider.to_string(),
                    amount.as_micros(),
                ])?;
            }
        }
        Ok(())
    }
}
