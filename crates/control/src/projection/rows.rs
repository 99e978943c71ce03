//! Events as rows.

use remuda_network::event::{Charge, Usage};
use remuda_network::ledger::{Account, Entry, Purpose};
use remuda_network::state::{EndReason, Fault, Meter};
use remuda_network::{Event, State};
use remuda_types::{LeaseId, Money, ProjectId, ProviderId, Time, TransferId};

use crate::sequencer::Committed;

mod insert;
mod parties;

use parties::{Overlay, Parties, subjects};

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
    Compensation {
        lease: LeaseId,
        of: Parties,
        amount: Money,
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
            let forfeit = Content::Forfeit {
                provider: *provider,
                level: *level,
                from_held: *from_held,
                from_bond: *from_bond,
                to_tenants: paid,
                to_pool: *to_pool,
            };
            let payments = to_tenants.iter().filter_map(|paid| {
                Some(Content::Compensation {
                    lease: paid.lease,
                    of: state.lease(paid.lease)?,
                    amount: paid.amount,
                })
            });
            [forfeit].into_iter().chain(payments).collect()
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
