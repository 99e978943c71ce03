//! Who judges whether a node is alive: our detector, or the timings of others for comparison.

use std::collections::{BTreeMap, BTreeSet};

use remuda_liveness::{Detector, Output, Probe, Settings, Transition, Verdict};
use remuda_types::{NodeKey, Span, Time};

/// How nodes are watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detection {
    /// As this network does: a report a second, suspicion, probes from two vantage points.
    #[default]
    Remuda,
    /// As Kubernetes does by default: not ready after 50 s, evicted 300 s later
    /// (`node-monitor-grace-period`, `tolerationSeconds` of `node.kubernetes.io/unreachable`).
    Kubernetes,
    /// A heartbeat every minute, missed once.
    Minute,
}

impl Detection {
    /// How long nothing may be heard of a node before its leases are no longer charged.
    pub(crate) fn unnoticed(self) -> Span {
        if let Some((suspect_after, _)) = self.patience() {
            return suspect_after;
        }
        // After an answer to a probe the rest of the round may fail too.
        let settings = Settings::default();
        settings.silence.saturating_add(settings.probe_timeout)
    }

    /// After how long a silence others suspect a node, and hold it for lost.
    const fn patience(self) -> Option<(Span, Span)> {
        match self {
            Self::Remuda => None,
            Self::Kubernetes => Some((Span::from_secs(50), Span::from_secs(350))),
            Self::Minute => Some((Span::from_secs(60), Span::from_secs(60))),
        }
    }
}

/// What follows from having watched.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Finding {
    Probe(Probe),
    Verdict {
        node: NodeKey,
        to: Verdict,
        last_seen: Time,
    },
    /// It could not tell whether it or the nodes were silent.
    InDoubt,
}

/// Watches nodes.
#[derive(Clone, Debug)]
pub(crate) enum Watch {
    Ours(Box<Detector>),
    Others(Patience),
}

/// A judge that waits so long after the last sign of life, and does not ask.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    suspect_after: Span,
    lost_after: Span,
    /// Each node's last sign of life, and what was found since.
    nodes: BTreeMap<NodeKey, (Time, Verdict)>,
    due: BTreeSet<(Time, NodeKey)>,
}

impl Watch {
    pub(crate) fn new(detection: Detection) -> Self {
        match detection.patience() {
            None => Self::Ours(Box::default()),
            Some((suspect_after, lost_after)) => Self::Others(Patience {
                suspect_after,
                lost_after,
                nodes: BTreeMap::new(),
                due: BTreeSet::new(),
            }),
        }
    }

    pub(crate) fn joined(&mut self, node: NodeKey, at: Time) -> Vec<Finding> {
        match self {
            Self::Ours(detector) => findings(detector.joined(node, at)),
            Self::Others(patience) => patience.heard(node, at),
        }
    }

    pub(crate) fn report(&mut self, node: NodeKey, at: Time) -> Vec<Finding> {
        match self {
            Self::Ours(detector) => findings(detector.report(node, at)),
            Self::Others(patience) if patience.is_alive(&node) => patience.heard(node, at),
            Self::Others(_) => Vec::new(),
        }
    }

    pub(crate) fn answered(&mut self, probe: Probe, at: Time) -> Vec<Finding> {
        match self {
            Self::Ours(detector) => findings(detector.probe_answered(probe, at)),
            Self::Others(_) => Vec::new(),
        }
    }

    pub(crate) fn tick(&mut self, at: Time) -> Vec<Finding> {
        match self {
            Self::Ours(detector) => findings(detector.tick(at)),
            Self::Others(patience) => patience.tick(at),
        }
    }

    /// No longer watches a node.
    pub(crate) fn left(&mut self, node: NodeKey) -> Vec<Finding> {
        match self {
            Self::Ours(detector) => findings(detector.left(node)),
            Self::Others(patience) => {
                patience.forget(&node);
                Vec::new()
            }
        }
    }

    pub(crate) fn verdict(&self, node: &NodeKey) -> Option<Verdict> {
        match self {
            Self::Ours(detector) => detector.verdict(node),
            Self::Others(patience) => patience.nodes.get(node).map(|(_, verdict)| *verdict),
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        match self {
            Self::Ours(detector) => detector.next_deadline(),
            Self::Others(patience) => patience.due.first().map(|(at, _)| *at),
        }
    }
}

fn findings(outputs: Vec<Output>) -> Vec<Finding> {
    let finding = |output| match output {
        Output::Probe(probe) => Finding::Probe(probe),
        Output::Verdict(Transition {
            node,
            to,
            last_seen,
            ..
        }) => Finding::Verdict {
            node,
            to,
            last_seen,
        },
        Output::Isolated { .. } | Output::Reached { .. } | Output::Paused { .. } => {
            Finding::InDoubt
        }
    };
    outputs.into_iter().map(finding).collect()
}

impl Patience {
    fn is_alive(&self, node: &NodeKey) -> bool {
        let known = self.nodes.get(node);
        known.is_some_and(|(_, verdict)| *verdict != Verdict::Lost)
    }

    fn forget(&mut self, node: &NodeKey) -> Option<Verdict> {
        let (seen, verdict) = self.nodes.remove(node)?;
        self.due.remove(&(seen + self.suspect_after, *node));
        self.due.remove(&(seen + self.lost_after, *node));
        Some(verdict)
    }

    fn heard(&mut self, node: NodeKey, at: Time) -> Vec<Finding> {
        let before = self.forget(&node);
        self.nodes.insert(node, (at, Verdict::Alive));
        self.due.insert((at + self.suspect_after, node));
        let news = before.is_some_and(|before| before != Verdict::Alive);
        let (to, last_seen) = (Verdict::Alive, at);
        let verdict = Finding::Verdict {
            node,
            to,
            last_seen,
        };
        news.then_some(verdict).into_iter().collect()
    }

    fn tick(&mut self, at: Time) -> Vec<Finding> {
        let mut found = Vec::new();
        while let Some((due, node)) = self.due.first().copied().filter(|(due, _)| *due <= at) {
            self.due.remove(&(due, node));
            let Some((last_seen, verdict)) = self.nodes.get_mut(&node) else {
                continue;
            };
            let lost_at = *last_seen + self.lost_after;
            let to = if lost_at <= due {
                Verdict::Lost
            } else {
                self.due.insert((lost_at, node));
                Verdict::Suspect
            };
            *verdict = to;
            let last_seen = *last_seen;
            found.push(Finding::Verdict {
                node,
                to,
                last_seen,
            });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeKey = NodeKey([1; 32]);

    fn verdicts(watch: &mut Watch, at: Time) -> Vec<Verdict> {
        let found = watch.tick(at);
        let verdict = |finding: &Finding| match finding {
            Finding::Verdict { to, .. } => Some(*to),
            Finding::Probe(_) | Finding::InDoubt => None,
        };
        found.iter().filter_map(verdict).collect()
    }

    #[test]
    fn others_wait_for_as_long_as_they_say() {
        let start = Time::from_millis(1_000_000);
        let at = |secs| start + Span::from_secs(secs);
        let mut watch = Watch::new(Detection::Kubernetes);
        assert!(watch.joined(NODE, start).is_empty());
        assert_eq!(verdicts(&mut watch, at(49)), []);
        assert_eq!(verdicts(&mut watch, at(50)), [Verdict::Suspect]);
        assert_eq!(verdicts(&mut watch, at(349)), []);
        assert_eq!(verdicts(&mut watch, at(350)), [Verdict::Lost]);
        assert!(
            watch.report(NODE, at(351)).is_empty(),
            "only a new session brings it back"
        );
        assert_eq!(watch.joined(NODE, at(352)).len(), 1);
        assert_eq!(watch.next_deadline(), Some(at(402)));
        let mut minute = Watch::new(Detection::Minute);
        minute.joined(NODE, start);
        assert_eq!(verdicts(&mut minute, at(60)), [Verdict::Lost]);
    }
}
