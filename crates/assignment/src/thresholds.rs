//! Time as a plan may use it: only through the question whether an instant has passed.

use remuda_types::Time;

/// Now, and the earliest future instant that any decision asked about. A plan made with it says
/// the same thing until then, for all its answers are the same.
pub(crate) struct Thresholds {
    now: Time,
    next: Option<Time>,
}

impl Thresholds {
    pub(crate) fn new(now: Time) -> Self {
        Self { now, next: None }
    }

    /// Whether `instant` is now or was before.
    pub(crate) fn passed(&mut self, instant: Time) -> bool {
        if instant <= self.now {
            return true;
        }
        if instant < Time::FOREVER {
            self.next = Some(self.next.map_or(instant, |next| next.min(instant)));
        }
        false
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.next
    }
}
