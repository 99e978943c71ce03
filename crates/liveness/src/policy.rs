//! How long silence may last and how it is questioned; with the arithmetic of the defaults.
//!
//! **Speed.** A node that is killed, frozen or cut off right after a report is silent from then on.
//! Suspicion comes after `silence` (1.5 s), eight probes follow 80 ms apart (the last after 0.56 s),
//! and the last may take 0.6 s: 1.5 + 0.56 + 0.6 = 2.66 s in the worst case, a broken connection
//! 1.16 s. Ticks that come ε late add at most 3 ε (begin, last probe, end): under 2.8 s for ε ≤ 46 ms.
//!
//! **False alarms.** With 1 % of packets lost, a report is missed once in 100, so 1,000 nodes fall
//! under suspicion 864,000 times a day. A probe and its answer fail with q = 1 − 0.99² = 0.0199. A
//! live node is lost only if all 8 probes fail and so does the report that falls into the 1.16 s of
//! the round: 864,000 × 0.0199⁸ × 0.01 = 2·10⁻¹⁰ false alarms a day. At 10 % loss it is still
//! 8,640,000 × 0.19⁸ × 0.1 = 1.5 a day. Losses in bursts are not independent; a burst as long as
//! the bound is a cut, and is judged as one. Without probes, three missed reports would raise
//! 86,400 × 1,000 × 10⁻⁶ = 86 alarms a day.

use remuda_types::Span;

/// The most probes a round may have.
pub const MAX_PROBES: u8 = 32;

/// What an operator may choose. [`Policy`] is made of it once it holds together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Between two reports of a node.
    pub report_interval: Span,
    /// How long a node may be silent before it is questioned.
    pub silence: Span,
    /// Probes of a round, over all vantage points.
    pub probes: u8,
    /// Between two probes of a round; they alternate between the vantage points.
    pub probe_spacing: Span,
    /// How long a probe may go without an answer.
    pub probe_timeout: Span,
    /// A tick later than this past its deadline means that control itself was paused.
    pub lateness: Span,
    /// Verdicts are held when no node at all was heard for longer than this.
    pub isolation_silence: Span,
    /// Verdicts are held only if at least so many nodes are watched: in smaller networks all may
    /// well fail at once, and the loss of one of one must be seen.
    pub isolation_nodes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            report_interval: Span::from_secs(1),
            silence: Span::from_millis(1_500),
            probes: 8,
            probe_spacing: Span::from_millis(80),
            probe_timeout: Span::from_millis(600),
            lateness: Span::from_millis(500),
            isolation_silence: Span::from_millis(1_100),
            isolation_nodes: 5,
        }
    }
}

/// Settings that hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy(Settings);

/// Why settings do not hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nodes would be questioned before their next report is due.
    #[error("silence ({silence}) must be longer than report_interval ({report_interval})")]
    Impatient {
        /// The silence given.
        silence: Span,
        /// The interval given.
        report_interval: Span,
    },
    /// A round without probes proves nothing; one with too many is no round.
    #[error("probes is {0}, it must be between 1 and 32")]
    Probes(u8),
    /// Nothing could ever answer in time, or every tick would count as a pause.
    #[error("{0} must not be zero")]
    Zero(&'static str),
    /// The rule would hold back verdicts in health, or never.
    #[error(
        "isolation_silence ({given}) must be longer than report_interval ({report_interval}) and shorter than a round of probes ({round})"
    )]
    Isolation {
        /// The span given.
        given: Span,
        /// It must be longer than this.
        report_interval: Span,
        /// And shorter than this.
        round: Span,
    },
}

impl Settings {
    /// From the first probe of a round to the end of the last.
    pub fn round(&self) -> Span {
        self.offset(self.probes.saturating_sub(1))
            .saturating_add(self.probe_timeout)
    }

    /// From the beginning of a round to its probe number `ordinal`, counted from 0.
    pub(crate) fn offset(&self, ordinal: u8) -> Span {
        Span::from_millis(
            self.probe_spacing
                .as_millis()
                .saturating_mul(u64::from(ordinal)),
        )
    }
}

impl Policy {
    /// What it is made of.
    pub const fn settings(&self) -> &Settings {
        &self.0
    }

    /// The longest time from a node's last sign of life to the verdict that it is lost, for ticks
    /// that come on time.
    pub fn detection_bound(&self) -> Span {
        self.0.silence.saturating_add(self.0.round())
    }
}

impl TryFrom<Settings> for Policy {
    type Error = Error;

    fn try_from(settings: Settings) -> Result<Self, Error> {
        patient(&settings)?;
        probing(&settings)?;
        isolating(&settings)?;
        Ok(Self(settings))
    }
}

fn patient(s: &Settings) -> Result<(), Error> {
    if s.silence > s.report_interval {
        return Ok(());
    }
    Err(Error::Impatient {
        silence: s.silence,
        report_interval: s.report_interval,
    })
}

fn probing(s: &Settings) -> Result<(), Error> {
    if !(1..=MAX_PROBES).contains(&s.probes) {
        return Err(Error::Probes(s.probes));
    }
    let spans = [("probe_timeout", s.probe_timeout), ("lateness", s.lateness)];
    let zero = spans.into_iter().find(|(_, span)| *span == Span::ZERO);
    zero.map_or(Ok(()), |(name, _)| Err(Error::Zero(name)))
}

fn isolating(s: &Settings) -> Result<(), Error> {
    if s.isolation_silence > s.report_interval && s.isolation_silence < s.round() {
        return Ok(());
    }
    Err(Error::Isolation {
        given: s.isolation_silence,
        report_interval: s.report_interval,
        round: s.round(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_holds_together_and_keeps_its_word() {
        let policy = Policy::try_from(Settings::default()).unwrap();
        assert_eq!(policy, Policy::default());
        assert_eq!(policy.detection_bound(), Span::from_millis(2_660));
    }

    #[test]
    fn each_refusal_names_its_setting() {
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            Policy::try_from(settings).unwrap_err().to_string()
        };
        assert!(refused(|s| s.silence = s.report_interval).starts_with("silence (1.000 s)"));
        assert!(refused(|s| s.probes = 0).starts_with("probes is 0"));
        assert!(refused(|s| s.probes = 33).starts_with("probes is 33"));
        assert!(refused(|s| s.lateness = Span::ZERO).starts_with("lateness"));
        assert!(refused(|s| s.isolation_silence = s.report_interval).starts_with("isolation"));
        assert!(refused(|s| s.isolation_silence = s.round()).starts_with("isolation"));
    }
}
