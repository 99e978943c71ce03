//! What the detector holds of one node, and how that moves.

use remuda_types::{NodeKey, Time};

use crate::evidence::{Cause, Doubt, Evidence, Sign};
use crate::output::{Output, Probe, Transition, Vantages, Verdict};
use crate::policy::Settings;
use crate::round::Round;

/// One watched node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    key: NodeKey,
    verdict: Verdict,
    last_seen: Time,
    /// From when silence counts: the last sign of life, or the end of control's own trouble.
    window: Time,
    /// The last sign of life was no report: the node is there, but its session may not be.
    /// Silence is then questioned first and told only when a question fails, so that a node which
    /// answers but does not report is not suspected anew every second.
    vouched: bool,
    /// Boxed, for few nodes have one: it would double what is touched of each.
    round: Option<Box<Round>>,
    /// Probes sent so far, over all rounds.
    attempts: u32,
}

/// What the detector knows beside the node.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) at: Time,
    pub(crate) settings: &'a Settings,
    pub(crate) vantages: Vantages,
    /// No node at all is heard: nobody may be condemned.
    pub(crate) deaf: bool,
}

/// What became of a node that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Look at it again then.
    Watched(Time),
    /// It did not answer, but nobody does.
    Held,
    /// It did not answer.
    Lost,
}

impl Node {
    pub(crate) fn new(key: NodeKey, at: Time) -> Self {
        Self {
            key,
            verdict: Verdict::Alive,
            last_seen: at,
            window: at,
            vouched: false,
            round: None,
            attempts: 0,
        }
    }

    pub(crate) fn key(&self) -> NodeKey {
        self.key
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub(crate) fn last_seen(&self) -> Time {
        self.last_seen
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.verdict == Verdict::Lost
    }

    pub(crate) fn in_round(&self) -> bool {
        self.round.is_some()
    }

    /// Whether `probe` is one whose answer is still of interest.
    pub(crate) fn asked(&self, probe: &Probe) -> bool {
        self.round.as_ref().is_some_and(|round| round.asked(probe))
    }

    /// A sign of life: whatever was doubted is not any more.
    pub(crate) fn heard(&mut self, at: Time, sign: Sign, out: &mut Vec<Output>) {
        self.last_seen = at;
        self.window = at;
        self.vouched = !sign.of_session();
        self.round = None;
        self.turn(Verdict::Alive, at, Evidence::Heard(sign), out);
    }

    /// Silence counts from `at`, and running questions are dropped: control was in trouble itself.
    pub(crate) fn restart(&mut self, at: Time) {
        self.window = at;
        self.round = None;
    }

    /// Begins a round, or adds to the one that runs. Only a gateway's word is questioned before it is told.
    pub(crate) fn doubt(&mut self, cause: Cause, at: Time, out: &mut Vec<Output>) {
        match &mut self.round {
            None => self.round = Some(Box::new(Round::new(cause, self.attempts, at))),
            Some(round) => round.worsen(cause),
        }
        let loud = match cause {
            Cause::Silence => !self.vouched,
            Cause::ConnectionBroken => true,
            Cause::Sighting => false,
        };
        if loud {
            let silence = at.since(self.last_seen);
            let doubt = Doubt {
                cause,
                silence,
                unanswered: crate::Tally::default(),
            };
            self.turn(Verdict::Suspect, at, Evidence::Unheard(doubt), out);
        }
    }

    /// A probe of the running round failed.
    pub(crate) fn fail(&mut self, probe: &Probe) {
        if let Some(round) = &mut self.round {
            round.fail(probe);
        }
    }

    /// Does whatever is due.
    pub(crate) fn advance(&mut self, context: Context<'_>, out: &mut Vec<Output>) -> Fate {
        let due = self.window + context.settings.silence;
        if self.round.is_none() && context.at < due {
            return Fate::Watched(due);
        }
        if self.round.is_none() {
            self.doubt(Cause::Silence, context.at, out);
        }
        self.question(context, out)
    }

    /// Goes on with the round.
    fn question(&mut self, context: Context<'_>, out: &mut Vec<Output>) -> Fate {
        let Some(mut round) = self.round.take() else {
            return Fate::Watched(self.window + context.settings.silence);
        };
        while let Some(probe) = round.send(self.key, context.at, context.settings, context.vantages)
        {
            self.attempts = self.attempts.wrapping_add(1);
            out.push(Output::Probe(probe));
        }
        self.judge(round, context, out)
    }

    /// Says what the round shows so far, and keeps it if it is not over.
    fn judge(&mut self, round: Box<Round>, context: Context<'_>, out: &mut Vec<Output>) -> Fate {
        let Context {
            at, settings, deaf, ..
        } = context;
        let doubt = Evidence::Unheard(Doubt {
            cause: round.cause,
            silence: at.since(self.last_seen),
            unanswered: round.unanswered(at, settings),
        });
        if round.doubtful(at, settings) {
            self.turn(Verdict::Suspect, at, doubt, out);
        }
        if let Some(deadline) = round.open_until(self.window + settings.silence, at, settings) {
            self.round = Some(round);
            return Fate::Watched(deadline);
        }
        if deaf {
            return Fate::Held;
        }
        self.turn(Verdict::Lost, at, doubt, out);
        Fate::Lost
    }

    /// Tells a new verdict; nothing when it is the old one.
    fn turn(&mut self, to: Verdict, at: Time, evidence: Evidence, out: &mut Vec<Output>) {
        let from = std::mem::replace(&mut self.verdict, to);
        if from != to {
            let (node, last_seen) = (self.key, self.last_seen);
            out.push(Output::Verdict(Transition {
                node,
                from,
                to,
                at,
                last_seen,
                evidence,
            }));
        }
    }
}
