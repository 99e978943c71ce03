//! Whether the sequencer may write, and what leads back to writing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use remuda_journal::{AppendError, ReadError, ReopenError};

use crate::core::recover::{RecoverError, chain};

/// While the journal cannot be written, an append is tried again this often.
const RETRY: Duration = Duration::from_secs(1);

/// Whether commands are taken.
pub(super) enum Standing {
    /// They are.
    Writing,
    /// The journal could not be written; it is tried again at `retry`.
    Trying {
        why: Arc<str>,
        retry: Instant,
        reopen: bool,
    },
    /// Another control has the journal. This one never writes again, whatever happens: only a new
    /// start, by a person, may take the journal back.
    Fenced { why: Arc<str> },
}

/// Why control still cannot write.
#[derive(Debug, thiserror::Error)]
pub(super) enum RetryError {
    #[error(transparent)]
    Reopen(#[from] ReopenError),
    #[error("the journal cannot be read back")]
    Recover(#[from] RecoverError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<ReadError> for RetryError {
    fn from(error: ReadError) -> Self {
        Self::Recover(error.into())
    }
}

impl Standing {
    /// After a failure, which ends a fenced writer for good.
    pub(super) fn after(error: &RetryError) -> Self {
        let why = chain(error).into();
        match error {
            RetryError::Append(AppendError::Fenced { .. })
            | RetryError::Reopen(ReopenError::Fenced { .. }) => Self::Fenced { why },
            RetryError::Append(AppendError::Full { .. } | AppendError::TooLarge { .. }) => {
                Self::trying(why, false)
            }
            RetryError::Append(_) | RetryError::Reopen(_) | RetryError::Recover(_) => {
                Self::trying(why, true)
            }
        }
    }

    fn trying(why: Arc<str>, reopen: bool) -> Self {
        let retry = Instant::now() + RETRY;
        Self::Trying { why, retry, reopen }
    }

    /// Why commands are not taken.
    pub(super) fn why(&self) -> Option<Arc<str>> {
        match self {
            Self::Writing => None,
            Self::Trying { why, .. } | Self::Fenced { why } => Some(Arc::clone(why)),
        }
    }

    pub(super) const fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }

    /// Whether to try again, and if so whether the journal has to be opened again first.
    pub(super) fn due(&self, now: Instant) -> Option<bool> {
        match self {
            Self::Trying { retry, reopen, .. } => (now >= *retry).then_some(*reopen),
            Self::Writing | Self::Fenced { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use remuda_journal::WriterEpoch;

    use super::*;

    #[test]
    fn nothing_leads_out_of_being_fenced() {
        let (ours, current) = (WriterEpoch(1), WriterEpoch(2));
        for error in [
            RetryError::Append(AppendError::Fenced { ours, current }),
            RetryError::Reopen(ReopenError::Fenced { ours, current }),
        ] {
            let standing = Standing::after(&error);
            let late = Instant::now() + Duration::from_secs(1 << 30);
            assert!(standing.is_fenced() && standing.why().is_some());
            assert_eq!(standing.due(late), None);
        }
    }

    #[test]
    fn a_full_disk_needs_no_reopening_and_a_broken_one_does() {
        let dir = std::path::PathBuf::new();
        let full = Standing::after(&AppendError::Full { dir }.into());
        let broken = Standing::after(&AppendError::Stopped.into());
        assert_eq!(full.due(Instant::now()), None, "not at once");
        let later = Instant::now() + RETRY * 2;
        assert_eq!(
            (full.due(later), broken.due(later)),
            (Some(false), Some(true))
        );
    }
}
