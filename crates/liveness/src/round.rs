//! One round of probes to one node.

use remuda_types::{NodeKey, Time};

use crate::evidence::{Cause, Tally};
use crate::output::{Probe, Vantage, Vantages};
use crate::policy::Settings;

/// A round in progress. Probes are due at fixed offsets from its start; each has its whole timeout
/// from when it was really sent, so a late tick never shortens the time to answer.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) cause: Cause,
    started: Time,
    /// The attempt number of the first probe.
    first: u32,
    sent: Vec<Sent>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    vantage: Vantage,
    at: Time,
    failed: bool,
}

impl Round {
    pub(crate) fn new(cause: Cause, first: u32, at: Time) -> Self {
        Self {
            cause,
            started: at,
            first,
            sent: Vec::new(),
        }
    }

    /// Sends the next probe if it is due.
    pub(crate) fn send(
        &mut self,
        node: NodeKey,
        at: Time,
        settings: &Settings,
        vantages: Vantages,
    ) -> Option<Probe> {
        let ordinal = self.count();
        self.next_send(settings).filter(|due| *due <= at)?;
        let vantage = vantages.pick(ordinal);
        self.sent.push(Sent {
            vantage,
            at,
            failed: false,
        });
        Some(Probe {
            node,
            vantage,
            attempt: self.first.wrapping_add(u32::from(ordinal)),
        })
    }

    /// Probes sent so far.
    pub(crate) fn count(&self) -> u8 {
        // A round never sends more than `MAX_PROBES`.
        u8::try_from(self.sent.len()).unwrap_or(u8::MAX)
    }

    /// Whether the probe belongs to this round and was sent.
    pub(crate) fn asked(&self, probe: &Probe) -> bool {
        self.position(probe).is_some()
    }

    /// Marks a probe as failed. Twice is once; one of an earlier round is none.
    pub(crate) fn fail(&mut self, probe: &Probe) {
        if let Some(index) = self.position(probe) {
            self.sent[index].failed = true;
        }
    }

    /// Whether at least one probe has failed.
    pub(crate) fn doubtful(&self, at: Time, settings: &Settings) -> bool {
        self.sent.iter().any(|sent| sent.over(at, settings))
    }

    /// A broken connection outweighs what the round began with.
    pub(crate) fn worsen(&mut self, cause: Cause) {
        match cause {
            Cause::ConnectionBroken => self.cause = cause,
            Cause::Silence | Cause::Sighting => {}
        }
    }

    /// When the round wants to be looked at next; nothing when it is over: all probes were sent, all
    /// have failed, and the session is either broken or silent since before `silent`. So a node
    /// that reports on time is never lost by a gateway's word.
    pub(crate) fn open_until(&self, silent: Time, at: Time, settings: &Settings) -> Option<Time> {
        let open = self.sent.iter().filter(|sent| !sent.over(at, settings));
        let end = open.map(|sent| sent.end(settings)).min();
        let probing = self.next_send(settings).into_iter().chain(end).min();
        let patience = match self.cause {
            Cause::ConnectionBroken => None,
            Cause::Silence | Cause::Sighting => Some(silent).filter(|silent| at < *silent),
        };
        probing.or(patience)
    }

    /// The probes that have failed.
    pub(crate) fn unanswered(&self, at: Time, settings: &Settings) -> Tally {
        let mut tally = Tally::default();
        let failed = self.sent.iter().filter(|sent| sent.over(at, settings));
        failed.for_each(|sent| tally.count(sent.vantage));
        tally
    }

    fn next_send(&self, settings: &Settings) -> Option<Time> {
        let ordinal = self.count();
        (ordinal < settings.probes).then(|| self.started + settings.offset(ordinal))
    }

    fn position(&self, probe: &Probe) -> Option<usize> {
        let ordinal = usize::try_from(probe.attempt.wrapping_sub(self.first)).ok()?;
        self.sent
            .get(ordinal)
            .filter(|sent| sent.vantage == probe.vantage)?;
        Some(ordinal)
    }
}

impl Sent {
    fn end(&self, settings: &Settings) -> Time {
        self.at + settings.probe_timeout
    }

    fn over(&self, at: Time, settings: &Settings) -> bool {
        self.failed || self.end(settings) <= at
    }
}
