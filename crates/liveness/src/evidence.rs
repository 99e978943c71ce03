//! Why a verdict changed: data that prints as a sentence.

use std::fmt;

use remuda_types::Span;

use crate::output::Vantage;

/// What a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The node gave a sign of life.
    Heard(Sign),
    /// It did not.
    Unheard(Doubt),
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A new session.
    Joined,
    /// A report in its session.
    Report,
    /// The answer to a probe.
    Answer(Vantage),
    /// A gateway's own request was served.
    Sighting,
}

/// What made control doubt, and what became of its questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What it began with.
    pub cause: Cause,
    /// Since the last sign of life.
    pub silence: Span,
    /// Probes that failed or went without an answer so far.
    pub unanswered: Tally,
}

/// What a doubt began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing was heard for the policy's silence.
    Silence,
    /// The connection of its session broke.
    ConnectionBroken,
    /// A gateway's own request failed.
    Sighting,
}

/// Probes by vantage point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sent by control.
    pub control: u8,
    /// Sent by a gateway.
    pub gateway: u8,
}

impl Sign {
    /// Whether it shows that the node's session works; an answer only shows that it is there.
    pub(crate) const fn of_session(self) -> bool {
        match self {
            Self::Joined | Self::Report => true,
            Self::Answer(_) | Self::Sighting => false,
        }
    }
}

impl Tally {
    /// Counts one more from `vantage`.
    pub(crate) fn count(&mut self, vantage: Vantage) {
        let counter = match vantage {
            Vantage::Control => &mut self.control,
            Vantage::Gateway => &mut self.gateway,
        };
        *counter = counter.saturating_add(1);
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heard(sign) => sign.fmt(f),
            Self::Unheard(doubt) => doubt.fmt(f),
        }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined => f.write_str("it began a new session"),
            Self::Report => f.write_str("it reported"),
            Self::Answer(vantage) => write!(f, "it answered a probe from {vantage}"),
            Self::Sighting => f.write_str("it served a gateway's request"),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Silence => write!(f, "silent for {}", self.silence)?,
            Cause::ConnectionBroken => {
                write!(f, "its connection broke, silent for {}", self.silence)?;
            }
            Cause::Sighting => {
                write!(f, "a gateway's request failed, silent for {}", self.silence)?;
            }
        }
        self.unanswered.fmt(f)
    }
}

impl fmt::Display for Tally {
    /// A clause that goes on from another, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.control, self.gateway) {
            (0, 0) => Ok(()),
            (n, 0) => write!(f, "; unanswered probes: {n} from control"),
            (0, n) => write!(f, "; unanswered probes: {n} from gateways"),
            (c, g) => write!(
                f,
                "; unanswered probes: {c} from control, {g} from gateways"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_reads_as_a_sentence() {
        let doubt = Doubt {
            cause: Cause::ConnectionBroken,
            silence: Span::from_millis(1_160),
            unanswered: Tally {
                control: 4,
                gateway: 4,
            },
        };
        assert_eq!(
            Evidence::Unheard(doubt).to_string(),
            "its connection broke, silent for 1.160 s; unanswered probes: 4 from control, 4 from gateways"
        );
        let fresh = Doubt {
            cause: Cause::Silence,
            unanswered: Tally::default(),
            ..doubt
        };
        assert_eq!(Evidence::Unheard(fresh).to_string(), "silent for 1.160 s");
        let sign = Evidence::Heard(Sign::Answer(Vantage::Gateway));
        assert_eq!(sign.to_string(), "it answered a probe from a gateway");
    }
}
