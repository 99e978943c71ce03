//! Commands to facts. One file for each group of commands, `draft` for what they share.

use remuda_types::{CommandId, Time};

use crate::command::Command;
use crate::event::Event;
use crate::index::Index;
use crate::refusal::Refusal;
use crate::state::State;

mod charge;
mod demand;
mod deploy;
mod draft;
mod gang;
mod kin;
mod lease;
mod leave;
mod observe;
mod operator;
mod order;
mod plan;
mod presence;
mod repack;
mod reserve;
mod seek;
mod standby;
mod supply;
mod tick;
mod tranche;

use draft::Draft;

/// The facts that `command` makes, or why it is refused. The index is as before when this returns. Spot
/// may be spared for now.
pub(crate) fn decide(
    (state, index, spares_spot): (&State, &mut Index, bool),
    now: Time,
    id: CommandId,
    command: &Command,
) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft::new(state, index, now, id);
    draft.spares_spot = spares_spot;
    let decided = dispatch(&mut draft, command);
    if decided.is_ok() {
        standby::recount(&mut draft);
    }
    let events = draft.finish();
    decided?;
    check_money(state, &events)?;
    Ok(events)
}

fn dispatch(draft: &mut Draft<'_>, command: &Command) -> Result<(), Refusal> {
    match command {
        Command::SetPolicy(policy) => operator::set_policy(draft, policy),
        Command::AdmitGateway { gateway } => {
            operator::admit_gateway(draft, *gateway);
            Ok(())
        }
        Command::AddModel {
            label,
            digest,
            bytes,
            replaces,
        } => operator::add_model(draft, *label, (*digest, *bytes), *replaces),
        Command::RegisterProvider { label } => supply::register_provider(draft, *label),
        Command::DepositBond {
            provider,
            amount,
            rail,
        } => supply::deposit_bond(draft, *provider, *amount, *rail),
        Command::RegisterSite {
            provider,
            label,
            country,
            place,
        } => supply::register_site(draft, *provider, *label, *country, *place),
        Command::EnrolNode(terms) => supply::enrol_node(draft, terms),
        Command::NodeConnected { node, capacity } => presence::connected(draft, *node, *capacity),
        Command::NodeDisconnected { node } => presence::disconnected(draft, *node),
        Command::NodeSuspected { node, last_seen } => presence::suspected(draft, *node, *last_seen),
        Command::NodeCleared { node } => presence::cleared(draft, *node),
        Command::NodeLost { node, last_seen } => presence::lost(draft, *node, *last_seen),
        Command::NodeLeaving { node } => presence::leaving(draft, *node),
        Command::NodeReturned { node } => presence::returned(draft, *node),
        Command::DrainNode { node } => presence::drain(draft, *node),
        Command::DrainSite { site } => presence::drain_site(draft, *site),
        Command::ResumeNode { node } => presence::resume(draft, *node),
        Command::ResumeSite { site } => presence::resume_site(draft, *site),
        Command::LeaveProvider { provider, manner } => leave::leave(draft, *provider, *manner),
        Command::CreateTenant { label } => demand::create_tenant(draft, *label),
        Command::TopUp {
            tenant,
            amount,
            rail,
        } => demand::top_up(draft, *tenant, *amount, *rail),
        Command::CreateProject { tenant, label } => demand::create_project(draft, *tenant, *label),
        Command::FundBudget { project, amount } => demand::fund_budget(draft, *project, *amount),
        Command::IssueKey(key) => demand::issue_key(draft, key),
        Command::RevokeKey { key } => demand::revoke_key(draft, *key),
        Command::Deploy {
            project,
            terms,
            replicas,
        } => deploy::deploy(draft, *project, terms, *replicas),
        Command::PlaceOrder {
            project,
            terms,
            replicas,
            until,
        } => order::place(draft, *project, terms, *replicas, *until),
        Command::CancelOrder { workload } => order::cancel(draft, *workload),
        Command::Scale { workload, replicas } => deploy::scale(draft, *workload, *replicas),
        Command::StopWorkload { workload } => deploy::stop(draft, *workload),
        Command::Reserve {
            project,
            terms,
            replicas,
            from,
            to,
        } => reserve::reserve(draft, *project, terms, *replicas, (*from, *to)),
        Command::CancelReservation { workload } => reserve::cancel(draft, *workload),
        Command::ObserveReplica {
            node,
            lease,
            epoch,
            observed,
            since,
        } => observe::observe(draft, *node, (*lease, *epoch), (*observed, *since)),
        Command::OpenTranche {
            gateway,
            tranche,
            project,
            amount,
        } => tranche::open(draft, *gateway, *tranche, *project, *amount),
        Command::PostUsage {
            gateway,
            tranche,
            seq,
            totals,
            rows,
        } => tranche::post(draft, *gateway, *tranche, *seq, totals, *rows),
        Command::CloseTranche { gateway, tranche } => tranche::close(draft, *gateway, *tranche),
        Command::AdoptPlan(plan) => plan::adopt(draft, plan),
        Command::Repack { from } => {
            repack::repack(draft, *from);
            Ok(())
        }
        Command::Tick { adopting } => {
            tick::tick(draft, *adopting);
            Ok(())
        }
    }
}

/// The ledger has the last word: every entry of the batch together, or none.
fn check_money(state: &State, events: &[Event]) -> Result<(), Refusal> {
    let moved = events.iter().filter_map(|event| match event {
        Event::MoneyMoved { entries } => Some(entries),
        _ => None,
    });
    Ok(state.ledger.check(moved.flatten())?)
}
