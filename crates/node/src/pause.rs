//! Notices that the whole daemon stood still: it was frozen, or its machine slept.
//!
//! While control is there, it sees the silence. While it is away it cannot, and takes the node's
//! word for what was served: a node that knows of no pause would let a tenant pay for one.

use std::time::Duration;

use remuda_link::clock::boot_time;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::reconcile::Input;

/// Between two looks at the clock.
const BEAT: Duration = Duration::from_millis(250);

/// A beat that comes later than this was a pause. As long as the silence after which control asks
/// where a node is; a busy machine is not so late.
const PAUSE: Duration = Duration::from_millis(1_500);

/// Tells the reconciler of every pause, until it is gone.
pub(crate) async fn watch(inputs: mpsc::Sender<Input>) {
    let mut before = boot_time();
    loop {
        sleep(BEAT).await;
        let now = boot_time();
        let passed = now.saturating_sub(before);
        before = now;
        if passed < PAUSE {
            continue;
        }
        tracing::warn!(
            passed_ms = passed.as_millis(),
            "this node stood still: what it runs counts as ready from now on"
        );
        if inputs.send(Input::Paused).await.is_err() {
            return;
        }
    }
}
