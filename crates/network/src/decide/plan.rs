//! A plan of the whole network, made elsewhere from a state of a moment ago.

use super::draft::Draft;
use crate::command::NewPlan;
use crate::event::Event;
use crate::refusal::Refusal;
use crate::state::AdoptedPlan;

/// A quota steers and reserves nothing, so a plan cannot be wrong, only useless; but it lies in the
/// state until the next one, so it must be bounded, and of places that there are.
pub(super) fn adopt(draft: &mut Draft<'_>, plan: &NewPlan) -> Result<(), Refusal> {
    let last = draft.state.plan.as_ref().map_or(0, |plan| plan.number);
    if plan.number != last.saturating_add(1) {
        return Err(Refusal::WrongState {
            kind: "the plan",
            state: "not the next one",
            way_out: "make it anew: another was adopted meanwhile",
        });
    }
    check_rows(draft, plan)?;
    draft.push(Event::PlanAdopted {
        plan: Box::new(AdoptedPlan {
            number: plan.number,
            at: draft.now,
            quotas: plan.quotas.clone(),
            packing: plan.packing.clone(),
        }),
    });
    Ok(())
}

fn check_rows(draft: &Draft<'_>, plan: &NewPlan) -> Result<(), Refusal> {
    let maximum = draft.state.policy.plan_rows_max;
    if plan.quotas.len() > maximum as usize {
        return Err(Refusal::LimitMet {
            limit: "plan_rows_max",
            maximum: u64::from(maximum),
            way_out: "plan fewer classes of demand (plan_classes_max)",
        });
    }
    let sites = &draft.state.sites;
    let unknown = plan.quotas.iter().map(|quota| quota.cell.site);
    unknown
        .into_iter()
        .find(|site| !sites.contains_key(site))
        .map_or(Ok(()), |site| Err(Refusal::not_found("site", site)))
}
