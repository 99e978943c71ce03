//! What the journal says of a node that was lost: when that was judged, and when what it ran was
//! ready elsewhere. Times are control's.

use std::collections::BTreeSet;

use remuda_types::{NodeKey, Time};
use remuda_wire::api::event::Event;

use crate::client::{Client, Error, Since};

/// What followed the loss of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// When it was judged lost.
    pub(crate) judged: Time,
    /// When the first lease that was granted instead was ready.
    pub(crate) replaced: Time,
}

/// The place in the feed after everything that has happened.
pub(crate) async fn bookmark(client: &Client) -> Result<Since, Error> {
    let seq = client.network().await?.seq;
    Ok(Since {
        after: Some(format!("{seq}.{}", u32::MAX)),
    })
}

/// What is still to be seen.
#[derive(Debug, Default)]
struct Watching {
    judged: Option<Time>,
    granted: BTreeSet<String>,
}

impl Loss {
    /// Follows the feed since `since` until `node` was lost and replaced.
    pub(crate) async fn follow(
        client: &Client,
        since: &Since,
        node: NodeKey,
    ) -> Result<Self, Error> {
        let mut events = client.follow(since.clone());
        let mut watching = Watching::default();
        loop {
            if let Some(loss) = watching.see(&events.next().await?, node) {
                return Ok(loss);
            }
        }
    }
}

impl Watching {
    fn see(&mut self, event: &Event, node: NodeKey) -> Option<Loss> {
        let at = Time::from_millis(event.at_ms);
        let text = |field: &str| event.data[field].as_str().unwrap_or_default();
        let Some(judged) = self.judged else {
            let is_lost = event.data["presence"].get("lost").is_some();
            if event.kind == "node_present" && is_lost && text("node") == node.to_string() {
                self.judged = Some(at);
            }
            return None;
        };
        if event.kind == "lease_granted" {
            self.granted.insert(text("lease").to_owned());
        }
        let is_ready = event.kind == "lease_phased" && text("phase") == "ready";
        let replaced = is_ready && self.granted.contains(text("lease"));
        replaced.then_some(Loss {
            judged,
            replaced: at,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(at_ms: u64, kind: &str, data: Value) -> Event {
        let (seq, ordinal) = (at_ms, 0);
        Event {
            id: format!("{seq}.0"),
            seq,
            ordinal,
            at_ms,
            kind: kind.to_owned(),
            data,
        }
    }

    #[test]
    fn a_loss_is_judged_and_then_replaced() {
        let (node, other) = (NodeKey([1; 32]), NodeKey([2; 32]));
        let present = |node: NodeKey, presence: Value| json!({ "node": node.to_string(), "presence": presence });
        let events = [
            event(1, "node_present", present(other, json!({ "lost": 1 }))),
            event(2, "lease_granted", json!({ "lease": "before" })),
            event(3, "node_present", present(node, json!({ "suspect": 3 }))),
            event(4, "node_present", present(node, json!({ "lost": 3 }))),
            event(4, "lease_granted", json!({ "lease": "after" })),
            event(
                5,
                "lease_phased",
                json!({ "lease": "before", "phase": "ready" }),
            ),
            event(
                6,
                "lease_phased",
                json!({ "lease": "after", "phase": "starting" }),
            ),
            event(
                7,
                "lease_phased",
                json!({ "lease": "after", "phase": "ready" }),
            ),
        ];
        let mut watching = Watching::default();
        let mut seen = events.iter().filter_map(|event| watching.see(event, node));
        let expected = Loss {
            judged: Time::from_millis(4),
            replaced: Time::from_millis(7),
        };
        assert_eq!(seen.next(), Some(expected));
    }
}
