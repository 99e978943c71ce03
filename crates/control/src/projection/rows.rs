//! Events as rows.

use std::collections::BTreeMap;

use remuda_network::event::{Charge, Usage};
use remuda_network::ledger::{Account, Entry, Purpose};
use remuda_network::state::{EndReason, Fault, Meter};
use remuda_network::{Event, State};
use remuda_types::{
    LeaseId, Money, NodeKey, ProjectId, ProviderId, ReplicaId, Time, TransferId, WorkloadId,
};
use rusqlite::{Connection, params};

use crate::sequencer::Committed;

/// A row and where it stands in the journal.
#[derive(Debug)]
pub(super) struct Row {
    seq: i64,
    ordinal: i64,
    at_ms: i64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Event {
        kind: String,
        body: String,
        project: Option<ProjectId>,
        provider: Option<ProviderId>,
    },
    Line {
        entry: i64,
        debit: Account,
        credit: Account,
        amount: Money,
        purpose: Purpose,
        transfer: TransferId,
    },
    Slice {
        lease: LeaseId,
        of: Parties,
        meter: Meter,
        charge: Charge,
    },
    Usage(Usage, ProjectId),
    LeaseEnd {
        lease: LeaseId,
        of: Parties,
        reason: EndReason,
        fault: Fault,
    },
    Forfeit {
        provider: ProviderId,
        level: u8,
        from_held: Money,
        from_bond: Money,
        to_tenants: Money,
        to_pool: Money,
    },
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn millis(at: Time) -> i64 {
    signed(at.as_millis())
}

/// The rows of a record that is about to be applied to `before`.
pub(super) fn of(before: &State, record: &Committed) -> Vec<Row> {
    let mut rows = Vec::new();
    let at = |ordinal: usize, content| Row {
        seq: signed(record.seq.0),
        ordinal: signed(ordinal as u64),
        at_ms: millis(record.at),
        content,
    };
    // A batch's own facts refer to each other: parties are looked up in the state as it grows.
    let mut state = Overlay::of(before);
    for (ordinal, event) in record.events.iter().enumerate() {
        state.note(event);
        rows.push(at(ordinal, feed(&state, event)));
        rows.extend(
            contents(&state, record, event)
                .into_iter()
                .map(|content| at(ordinal, content)),
        );
    }
    rows
}

/// Who a lease is about.
#[derive(Clone, Copy, Debug)]
struct Parties {
    replica: ReplicaId,
    workload: WorkloadId,
    project: ProjectId,
    provider: ProviderId,
    node: NodeKey,
    granted: Time,
}

/// The state before the record, and what the record itself adds to it.
struct Overlay<'a> {
    before: &'a State,
    projects: BTreeMap<WorkloadId, ProjectId>,
    workloads: BTreeMap<ReplicaId, WorkloadId>,
    leases: BTreeMap<LeaseId, Parties>,
}

impl<'a> Overlay<'a> {
    fn of(before: &'a State) -> Self {
        let (projects, workloads, leases) = Default::default();
        Self {
            before,
            projects,
            workloads,
            leases,
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::WorkloadAccepted {
                workload, project, ..
            } => {
                self.projects.insert(*workload, *project);
            }
            Event::ReplicaAdded { replica, workload } => {
                self.workloads.insert(*replica, *workload);
            }
            Event::LeaseGranted {
                lease,
                replica,
                node,
                at,
                ..
            } => {
                if let Some(parties) = self.parties(*replica, *node, *at) {
                    self.leases.insert(*lease, parties);
                }
            }
            _ => {}
        }
    }

    fn parties(&self, replica: ReplicaId, node: NodeKey, granted: Time) -> Option<Parties> {
        let workload = self.workload_of(replica)?;
        let project = self.project_of(workload)?;
        let provider = self.before.nodes.get(&node)?.provider;
        Some(Parties {
            replica,
            workload,
            project,
            provider,
            node,
            granted,
        })
    }

    fn workload_of(&self, replica: ReplicaId) -> Option<WorkloadId> {
        let known = self
            .before
            .replicas
            .get(&replica)
            .map(|replica| replica.workload);
        known.or_else(|| self.workloads.get(&replica).copied())
    }

    fn project_of(&self, workload: WorkloadId) -> Option<ProjectId> {
        let known = self
            .before
            .workloads
            .get(&workload)
            .map(|workload| workload.project);
        known.or_else(|| self.projects.get(&workload).copied())
    }

    fn lease(&self, id: LeaseId) -> Option<Parties> {
        let known = self.before.leases.get(&id).map(|lease| Parties {
            replica: lease.replica,
            workload: lease.workload,
            project: lease.project,
            provider: lease.provider,
            node: lease.node,
            granted: lease.granted,
        });
        known.or_else(|| self.leases.get(&id).copied())
    }
}

fn contents(state: &Overlay<'_>, record: &Committed, event: &Event) -> Vec<Content> {
    match event {
        Event::MoneyMoved { entries } => lines(state.before, record, entries),
        Event::LeaseSettled {
            lease,
            meter,
            charge,
            ..
        } => state
            .lease(*lease)
            .map(|of| Content::Slice {
                lease: *lease,
                of,
                meter: *meter,
                charge: *charge,
            })
            .into_iter()
            .collect(),
        Event::LeaseEnded {
            lease,
            reason,
            fault,
            ..
        } => state
            .lease(*lease)
            .map(|of| Content::LeaseEnd {
                lease: *lease,
                of,
                reason: *reason,
                fault: *fault,
            })
            .into_iter()
            .collect(),
        Event::UsagePosted {
            tranche, usages, ..
        } => {
            let project = state
                .before
                .tranches
                .get(tranche)
                .map(|tranche| tranche.project);
            let usages = usages.iter().zip(std::iter::repeat(project));
            usages
                .filter_map(|(usage, project)| Some(Content::Usage(*usage, project?)))
                .collect()
        }
        Event::Forfeited {
            provider,
            level,
            from_held,
            from_bond,
            to_tenants,
            to_pool,
            ..
        } => {
            let paid = to_tenants
                .iter()
                .fold(Money::ZERO, |sum, c| sum.saturating_add(c.amount));
            vec![Content::Forfeit {
                provider: *provider,
                level: *level,
                from_held: *from_held,
                from_bond: *from_bond,
                to_tenants: paid,
                to_pool: *to_pool,
            }]
        }
        _ => Vec::new(),
    }
}

/// Money that moved; reservations are not lines of a statement.
fn lines(before: &State, record: &Committed, entries: &[Entry]) -> Vec<Content> {
    let reserved_here = |id: TransferId| {
        record.events.iter().find_map(|event| match event {
            Event::MoneyMoved { entries } => entries.iter().find_map(|entry| match entry {
                Entry::Reserve {
                    id: of,
                    debit,
                    credit,
                    purpose,
                    ..
                } if *of == id => Some((*debit, *credit, *purpose)),
                _ => None,
            }),
            _ => None,
        })
    };
    let parties = |id: TransferId| {
        let pending = before
            .ledger
            .pending(id)
            .map(|p| (p.debit, p.credit, p.purpose));
        pending.or_else(|| reserved_here(id))
    };
    let mut lines = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        let moved = match entry {
            Entry::Transfer {
                debit,
                credit,
                amount,
                purpose,
                ..
            } => Some((*debit, *credit, *purpose, *amount)),
            Entry::Post { id, amount } | Entry::PostPart { id, amount } => {
                parties(*id).map(|(debit, credit, purpose)| (debit, credit, purpose, *amount))
            }
            Entry::Reserve { .. } | Entry::Void { .. } => None,
        };
        if let Some((debit, credit, purpose, amount)) = moved {
            let entry_position = signed(position as u64);
            let transfer = entry.id();
            lines.push(Content::Line {
                entry: entry_position,
                debit,
                credit,
                amount,
                purpose,
                transfer,
            });
        }
    }
    lines
}

fn feed(state: &Overlay<'_>, event: &Event) -> Content {
    let body = serde_json::to_value(event).unwrap_or_default();
    let kind = body
        .get("type")
        .and_then(serde_json::Value::as_str)
        .unwrap_or("unknown")
        .to_owned();
    let (project, provider) = subjects(state, event);
    Content::Event {
        kind,
        body: body.to_string(),
        project,
        provider,
    }
}

/// Who may see an event besides the operator.
fn subjects(state: &Overlay<'_>, event: &Event) -> (Option<ProjectId>, Option<ProviderId>) {
    let of_lease = |id: &LeaseId| {
        state
            .lease(*id)
            .map(|lease| (lease.project, lease.provider))
    };
    let both = |found: Option<(ProjectId, ProviderId)>| (found.map(|f| f.0), found.map(|f| f.1));
    match event {
        Event::ProviderRegistered { provider, .. }
        | Event::ProviderStands { provider, .. }
        | Event::SiteRegistered { provider, .. }
        | Event::NodeEnrolled { provider, .. }
        | Event::HoldbackReleased { provider, .. }
        | Event::Forfeited { provider, .. } => (None, Some(*provider)),
        Event::NodePresent { node, .. } | Event::NodeResized { node, .. } => {
            (None, state.before.nodes.get(node).map(|node| node.provider))
        }
        Event::ProjectCreated { project, .. }
        | Event::WorkloadAccepted { project, .. }
        | Event::TrancheOpened { project, .. } => (Some(*project), None),
        Event::WorkloadStopping { workload }
        | Event::WorkloadEnded { workload }
        | Event::ReplicaAdded { workload, .. } => (state.project_of(*workload), None),
        Event::ReplicaRemoved { replica }
        | Event::ReplicaUnplaced { replica, .. }
        | Event::ReplicaMoved { replica } => {
            let workload = state.workload_of(*replica);
            (
                workload.and_then(|workload| state.project_of(workload)),
                None,
            )
        }
        Event::LeaseGranted { lease, .. }
        | Event::LeasePhased { lease, .. }
        | Event::LeaseSettled { lease, .. }
        | Event::LeaseEnded { lease, .. } => both(of_lease(lease)),
        Event::UsagePosted { tranche, .. } | Event::TrancheClosed { tranche } => (
            state
                .before
                .tranches
                .get(tranche)
                .map(|tranche| tranche.project),
            None,
        ),
        Event::PolicySet { .. }
        | Event::GatewayAdmitted { .. }
        | Event::ModelAdded { .. }
        | Event::TenantCreated { .. }
        | Event::KeyIssued { .. }
        | Event::KeyRevoked { .. }
        | Event::LeaseForgotten { .. }
        | Event::MoneyMoved { .. } => (None, None),
    }
}

impl Row {
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each table; each arm is one statement"
    )]
    pub(super) fn insert(&self, to: &Connection) -> Result<(), rusqlite::Error> {
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
        }
        Ok(())
    }
}
