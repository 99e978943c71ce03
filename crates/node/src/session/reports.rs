//! What is reported: the present state of every replica, and before it every end that control was
//! not told of yet, though the replica may run again by now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use remuda_assignment::LeaseAt;
use remuda_types::Time;
use remuda_wire::node::{Observed, Report};

use crate::view::{Seen, View, holds};

/// The reports of one session after the other.
#[derive(Debug)]
pub(super) struct Reports {
    seq: u64,
    /// When each replica's last end was first told in this session.
    told: BTreeMap<LeaseAt, Told>,
    /// A session that lives so long after an end was told has delivered it.
    noted_after: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    end: Time,
    at: Instant,
    noted: bool,
}

/// Beyond the silence after which a session breaks.
const MARGIN: Duration = Duration::from_millis(500);

impl Reports {
    /// Reports of sessions that break within `silence` when the peer is gone: what was sent before
    /// has arrived if the session still lives.
    pub(super) fn after(silence: Duration) -> Self {
        Self {
            seq: 0,
            told: BTreeMap::new(),
            noted_after: silence + MARGIN,
        }
    }

    /// A new session: what the last one did not surely deliver is told again.
    pub(super) fn begin(&mut self) {
        self.seq = 0;
        self.told.retain(|_, told| told.noted);
    }

    /// The reports to send now.
    pub(super) fn of(&mut self, view: &View, now: Time) -> Vec<Report> {
        let held: Vec<_> = view.replicas.iter().map(|seen| seen.at).collect();
        self.told.retain(|at, _| held.contains(at));
        let fresh: Vec<_> = view
            .replicas
            .iter()
            .filter_map(|seen| self.fresh_end(seen))
            .collect();
        let before = (!fresh.is_empty()).then(|| with_ends(view, &fresh));
        let reports = before.into_iter().chain([view.report()]);
        reports
            .map(|replicas| self.report(view, now, replicas))
            .collect()
    }

    fn report(&mut self, view: &View, now: Time, replicas: Vec<Observed>) -> Report {
        self.seq += 1;
        Report {
            seq: self.seq,
            clock: now,
            holds: holds(view),
            replicas,
        }
    }

    /// The ends that control has surely been told since this was last asked.
    pub(super) fn noted(&mut self) -> Vec<(LeaseAt, Time)> {
        let after = self.noted_after;
        let due = self
            .told
            .iter_mut()
            .filter(|(_, told)| !told.noted && told.at.elapsed() >= after);
        let note = |(at, told): (&LeaseAt, &mut Told)| {
            told.noted = true;
            (*at, told.end)
        };
        due.map(note).collect()
    }

    /// The end of a replica that was not told yet; from now on it was. One that is over now is told
    /// by its present state.
    fn fresh_end(&mut self, seen: &Seen) -> Option<Observed> {
        let end = seen.last_end.as_ref()?;
        if self
            .told
            .get(&seen.at)
            .is_some_and(|told| told.end == end.at)
        {
            return None;
        }
        let told = Told {
            end: end.at,
            at: Instant::now(),
            noted: false,
        };
        self.told.insert(seen.at, told);
        (!seen.state.has_ended()).then(|| seen.report_of(end))
    }
}

/// The view's report with `ends` in the place of what their replicas do now.
fn with_ends(view: &View, ends: &[Observed]) -> Vec<Observed> {
    let mut replicas = view.report();
    for replica in &mut replicas {
        let which = (replica.lease, replica.lease_epoch);
        if let Some(end) = ends
            .iter()
            .find(|end| (end.lease, end.lease_epoch) == which)
        {
            *replica = end.clone();
        }
    }
    replicas
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use remuda_assignment::{Exit, State};
    use remuda_types::LeaseId;
    use remuda_wire::node::{ExitReason, ObservedState};

    use super::*;
    use crate::exit::without_process;
    use crate::view::{End, Route};

    fn view(state: State, ended: Option<u64>) -> View {
        let exit = without_process(ExitReason::Crashed, "it crashed");
        let seen = Seen {
            at: LeaseAt {
                lease: LeaseId::from_u128(1),
                epoch: 1,
            },
            state,
            since: Time::from_millis(9),
            stop_grace: remuda_types::Span::ZERO,
            last_end: ended.map(|at| End {
                at: Time::from_millis(at),
                exit,
            }),
            progress: Arc::default(),
            route: Arc::new(Route::to(None)),
        };
        View {
            replicas: vec![seen],
            ..View::default()
        }
    }

    fn states(reports: &[Report]) -> Vec<ObservedState> {
        reports
            .iter()
            .map(|report| report.replicas[0].state.clone())
            .collect()
    }

    #[test]
    fn an_end_is_told_once_though_its_replica_runs_again() {
        let mut reports = Reports::after(Duration::from_hours(1));
        assert_eq!(reports.of(&view(State::Ready, None), Time::EPOCH).len(), 1);
        let restarted = view(State::Starting, Some(7));
        let told = reports.of(&restarted, Time::EPOCH);
        assert!(matches!(
            states(&told)[..],
            [ObservedState::Ended(_), ObservedState::Starting]
        ));
        assert_eq!(
            told.iter().map(|report| report.seq).collect::<Vec<_>>(),
            [2, 3]
        );
        assert_eq!(reports.of(&restarted, Time::EPOCH).len(), 1);
        reports.begin();
        assert_eq!(
            reports.of(&restarted, Time::EPOCH).len(),
            2,
            "the last session may have lost it"
        );
        assert!(reports.noted().is_empty());
    }

    #[test]
    fn an_end_is_noted_when_the_session_outlives_it() {
        let mut reports = Reports::after(Duration::ZERO);
        reports.noted_after = Duration::ZERO;
        let ended = view(State::Ended(Exit::Crashed), Some(9));
        assert_eq!(reports.of(&ended, Time::EPOCH).len(), 1);
        assert_eq!(
            reports.noted(),
            [(ended.replicas[0].at, Time::from_millis(9))]
        );
        assert!(reports.noted().is_empty());
    }
}
