//! What is said when something that was wanted for later is given up.

use remuda_types::WorkloadId;
use serde::Serialize;

use crate::context::Context;

/// A reservation or a standing order that is no more.
#[derive(Serialize)]
struct Cancelled {
    id: WorkloadId,
    state: &'static str,
}

pub(super) fn tell(id: WorkloadId, context: &Context) -> anyhow::Result<()> {
    let cancelled = Cancelled {
        id,
        state: "cancelled",
    };
    let text = |it: &Cancelled| format!("{} is {}", it.id, it.state);
    Ok(context.output.show(&cancelled, text)?)
}
