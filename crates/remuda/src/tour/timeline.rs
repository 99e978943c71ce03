//! What a failover took, as the journal and the client saw it.

use std::time::Duration;

use remuda_types::Time;
use serde::Serialize;

use super::failover::Failover;
use crate::client::Client;
use crate::up::Loss;

/// How long the journal may take to show what is over already.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// Milliseconds after the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "units stand last in names")]
pub(super) struct Timeline {
    killed_ms: u64,
    stream_resumed_ms: u64,
    detected_ms: u64,
    replacement_ready_ms: u64,
}

impl Timeline {
    /// Out of the feed of events.
    pub(super) async fn read(client: &Client, failover: &Failover) -> anyhow::Result<Self> {
        let loss = Loss::follow(client, &failover.since, failover.node);
        let loss = tokio::time::timeout(SHOWN_WITHIN, loss).await??;
        let after = |at: Time| at.since(failover.killed).as_millis();
        Ok(Self {
            killed_ms: 0,
            stream_resumed_ms: after(failover.resumed),
            detected_ms: after(loss.judged),
            replacement_ready_ms: after(loss.replaced),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut rows = [
            (self.killed_ms, "the node was killed"),
            (self.stream_resumed_ms, "the stream went on"),
            (self.detected_ms, "control judged the node lost"),
            (self.replacement_ready_ms, "the replacement was ready"),
        ];
        rows.sort_by_key(|(at, _)| *at);
        let lines = rows.map(|(at, what)| format!("{at:>7} ms  {what}"));
        format!("timeline\n{}\n", lines.join("\n"))
    }
}
