//! The treasury after a restart, from what the spool holds.

use remuda_routing::Purse;
use remuda_routing::tranche::{Ask, Policy, Tranche};
use remuda_types::Time;

use super::{Known, State, wire};
use crate::spool::{Found, Recovered, Standing};

pub(super) fn state(policy: Policy, recovered: Recovered, now: Time) -> State {
    let mut state = State {
        next_ordinal: recovered.next_ordinal,
        ..State::default()
    };
    for found in recovered.tranches {
        take_up(&mut state, policy, found, now);
    }
    for billed in recovered.bills {
        let bill = billed.delivery.bill(billed.rate);
        state
            .usage
            .record(billed.tranche, billed.key, &bill, billed.digest());
    }
    state
}

fn take_up(state: &mut State, policy: Policy, found: Found, now: Time) {
    let Found {
        tranche,
        project,
        standing,
        acknowledged,
        outstanding,
    } = found;
    match standing {
        Standing::Asked { amount } => {
            // Long ago, so that control is asked again at once.
            state
                .purse(project, policy)
                .asked(Ask { tranche, amount }, Time::EPOCH);
        }
        Standing::Open { left, deadline } => {
            let spooled = outstanding.as_ref().map_or(acknowledged, |post| post.seq);
            state.tranches.insert(
                tranche,
                Known {
                    project,
                    deadline,
                    spooled,
                    backoff: None,
                },
            );
            state
                .usage
                .restore(tranche, acknowledged, outstanding.map(wire::read));
            let open = Tranche {
                id: tranche,
                amount: left,
                deadline,
            };
            if left.is_zero() || now >= deadline {
                state.closing.insert(tranche);
            } else {
                hand_over(state.purse(project, policy), open, now);
            }
        }
    }
}

/// Gives a purse what it had; to the purse it is as if control had just given it.
fn hand_over(purse: &mut Purse, open: Tranche, now: Time) {
    purse.asked(
        Ask {
            tranche: open.id,
            amount: open.amount,
        },
        now,
    );
    purse.granted(open, now);
}
