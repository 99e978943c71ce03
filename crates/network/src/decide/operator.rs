//! What the operator says: parameters, gateways, models.

use remuda_types::{Digest, GatewayKey, Label, Span};

use super::draft::Draft;
use crate::event::Event;
use crate::policy::Policy;
use crate::refusal::Refusal;

pub(super) fn set_policy(draft: &mut Draft<'_>, policy: &Policy) -> Result<(), Refusal> {
    check_policy(policy).map_err(|(field, problem)| Refusal::Invalid { field, problem })?;
    draft.push(Event::PolicySet {
        policy: Box::new(policy.clone()),
    });
    Ok(())
}

/// Refuses parameters under which the clock would run on the spot or money come from nowhere.
fn check_policy(policy: &Policy) -> Result<(), (&'static str, String)> {
    let shares = policy.fee_bp.saturating_add(policy.pool_bp);
    if shares > 10_000 {
        let problem =
            format!("fee and pool together are {shares} basis points, over the whole charge");
        return Err(("fee_bp", problem));
    }
    if policy.slice > policy.lease_term {
        return Err((
            "slice",
            "a slice is no longer than the lease term".to_owned(),
        ));
    }
    let spans = [
        ("slice", policy.slice),
        ("slice_min", policy.slice_min),
        ("replace_backoff", policy.replace_backoff),
        ("replace_backoff_max", policy.replace_backoff_max),
        ("id_window", policy.id_window),
        ("accept_within", policy.accept_within),
        ("start_within", policy.start_within),
        ("drain_retry", policy.drain_retry),
        ("kin_window", policy.kin.window),
        ("kin_half_life", policy.kin.half_life),
    ];
    if let Some((field, _)) = spans.into_iter().find(|(_, span)| *span == Span::ZERO) {
        return Err((field, "a time above zero is expected".to_owned()));
    }
    let amounts = [
        ("tranche_max", policy.tranche_max),
        ("tranche_min", policy.tranche_min),
        ("migration_cost", policy.migration_cost),
        ("repack_emptied", policy.repack.emptied),
    ];
    if let Some((field, _)) = amounts.into_iter().find(|(_, sum)| sum.is_negative()) {
        return Err((field, "an amount is never below zero".to_owned()));
    }
    let share = policy.kin.site_failed_milli;
    if !(1..=1_000).contains(&share) {
        let problem = format!("{share}: 1 to 1000 thousandths of a site's nodes are expected");
        return Err(("site_failed_milli", problem));
    }
    if policy.tick_limit == 0 {
        let problem = "0: nothing would ever be settled or placed again".to_owned();
        return Err(("tick_limit", problem));
    }
    Ok(())
}

pub(super) fn admit_gateway(draft: &mut Draft<'_>, gateway: GatewayKey) {
    if !draft.state.gateways.contains(&gateway) {
        draft.push(Event::GatewayAdmitted { gateway });
    }
}

/// Another file under a known name is what its operator says that it is: what runs keeps the old
/// one, but what is deployed from then on would be something else.
pub(super) fn add_model(
    draft: &mut Draft<'_>,
    label: Label,
    (digest, bytes): (Digest, u64),
    replaces: Option<Digest>,
) -> Result<(), Refusal> {
    if bytes == 0 {
        let problem = "the model's file is empty".to_owned();
        return Err(Refusal::Invalid {
            field: "bytes",
            problem,
        });
    }
    let known = draft.state.models.get(&label).map(|model| model.digest);
    if known.is_none() && replaces.is_some() {
        let problem = "there is no model of this name to replace".to_owned();
        return Err(Refusal::Invalid {
            field: "replaces",
            problem,
        });
    }
    if let Some(known) = known.filter(|known| *known != digest && Some(*known) != replaces) {
        return Err(Refusal::OtherFile { known });
    }
    draft.push(Event::ModelAdded {
        label,
        digest,
        bytes,
    });
    Ok(())
}
