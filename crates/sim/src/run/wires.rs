//! The way between control and machines: messages are late, lost and doubled.

use remuda_types::{Span, Time};

use super::dice::Dice;
use super::message::Message;
use crate::scenario;

/// What was lost of a session's stream is sent again after so long.
const RESEND: Span = Span::from_millis(250);

/// A report is followed by another.
const NEXT_REPORT: Span = Span::from_secs(1);

/// The longest that a stream tries before its connection counts as broken.
const RESENDS_MAX: u32 = 12;

/// Decides what becomes of messages.
#[derive(Debug)]
pub(crate) struct Wires {
    dice: Dice,
    wanted: scenario::Wires,
    latency: Span,
}

impl Wires {
    pub(crate) fn new(dice: Dice, wanted: scenario::Wires) -> Self {
        let again = if wanted.lost.0 > 0.0 {
            NEXT_REPORT
        } else {
            Span::ZERO
        };
        Self {
            dice,
            latency: wanted.late.0.saturating_add(again),
            wanted,
        }
    }

    /// How long what is said takes to arrive, at most: a report that is lost is followed by
    /// another.
    pub(crate) const fn latency(&self) -> Span {
        self.latency
    }

    /// From now on nothing is lost or doubled.
    pub(crate) const fn mend(&mut self) {
        self.wanted.lost = scenario::Chance(0.0);
        self.wanted.doubled = scenario::Chance(0.0);
    }

    /// When a message that is sent now arrives, once or twice or never.
    pub(crate) fn carry(&mut self, now: Time, message: &Message) -> Vec<Time> {
        let Some(resent) = self.resent(message) else {
            return Vec::new();
        };
        let copies = if self.dice.falls(self.wanted.doubled.0) {
            2
        } else {
            1
        };
        let mut arrive = || now + resent + self.dice.up_to(self.wanted.late.0);
        (0..copies).map(|_| arrive()).collect()
    }

    /// For how long a message is tried in vain; nothing if it is lost for good.
    fn resent(&mut self, message: &Message) -> Option<Span> {
        let mut spent = Span::ZERO;
        for _ in 0..RESENDS_MAX {
            if !self.dice.falls(self.wanted.lost.0) {
                return Some(spent);
            }
            match message {
                // A probe is asked once: the next is another.
                Message::Probe(_) | Message::Answer(_) => return None,
                Message::Report(_) | Message::Assignment(..) => {
                    spent = spent.saturating_add(RESEND);
                }
            }
        }
        None
    }
}
