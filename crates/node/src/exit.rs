//! From how a process ended to why its replica did.

use remuda_assignment::StopReason;
use remuda_wire::node::{Exit, ExitReason};

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The kernel killed a process of this daemon's control group for memory while it ran.
    pub memory_kill: bool,
}

/// What the daemon did to a process that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing: it ended by itself.
    None,
    /// It was asked to stop.
    Stopped(StopReason),
    /// It had drained.
    Drained,
    /// It was killed: a newer epoch of its lease exists, or its grace was over.
    Killed,
    /// It never served a probe.
    NeverReady,
}

const SIGKILL: i32 = 9;

/// Why the replica ended. `completes` says whether its program may end by itself with success.
pub(crate) fn classify(ended: Ended, cause: Cause, completes: bool) -> Exit {
    let (reason, detail) = match cause {
        Cause::Stopped(StopReason::LeaseEnded) => (
            ExitReason::LeaseEnded,
            "the lease's hard end passed".to_owned(),
        ),
        Cause::Stopped(reason) => (ExitReason::Stopped, format!("stopped: {reason}")),
        Cause::Drained => (ExitReason::Stopped, "drained".to_owned()),
        Cause::Killed => (ExitReason::Stopped, "killed by the node daemon".to_owned()),
        Cause::NeverReady => (
            ExitReason::NeverReady,
            "no probe was ever served".to_owned(),
        ),
        Cause::None => by_itself(ended, completes),
    };
    Exit {
        reason,
        code: ended.code,
        signal: ended.signal,
        detail,
    }
}

fn by_itself(ended: Ended, completes: bool) -> (ExitReason, String) {
    match (ended.code, ended.signal) {
        (Some(0), _) if completes => (ExitReason::Completed, "ended with success".to_owned()),
        (Some(0), _) => (
            ExitReason::Crashed,
            "ended though nobody asked it to".to_owned(),
        ),
        (_, Some(SIGKILL)) if ended.memory_kill => (
            ExitReason::OutOfMemory,
            "killed by the kernel for its memory".to_owned(),
        ),
        (_, Some(signal)) => (ExitReason::Crashed, format!("ended by signal {signal}")),
        (Some(code), None) => (ExitReason::Crashed, format!("ended with exit code {code}")),
        (None, None) => (ExitReason::Crashed, "ended, nobody knows how".to_owned()),
    }
}

/// An end without a process.
pub(crate) fn without_process(reason: ExitReason, detail: impl Into<String>) -> Exit {
    Exit {
        reason,
        code: None,
        signal: None,
        detail: detail.into(),
    }
}

/// An error with its causes, for people.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(code: Option<i32>, signal: Option<i32>, memory_kill: bool) -> ExitReason {
        let ended = Ended {
            code,
            signal,
            memory_kill,
        };
        classify(ended, Cause::None, true).reason
    }

    #[test]
    fn out_of_memory_needs_evidence() {
        assert_eq!(reason(None, Some(9), false), ExitReason::Crashed);
        assert_eq!(reason(None, Some(9), true), ExitReason::OutOfMemory);
        assert_eq!(reason(None, Some(11), true), ExitReason::Crashed);
        assert_eq!(reason(Some(0), None, true), ExitReason::Completed);
        assert_eq!(reason(Some(3), None, false), ExitReason::Crashed);
    }

    #[test]
    fn what_the_daemon_did_is_the_reason() {
        let killed = Ended {
            signal: Some(9),
            ..Ended::default()
        };
        let of = |cause| classify(killed, cause, true).reason;
        assert_eq!(
            of(Cause::Stopped(StopReason::LeaseEnded)),
            ExitReason::LeaseEnded
        );
        assert_eq!(
            of(Cause::Stopped(StopReason::NotAssigned)),
            ExitReason::Stopped
        );
        assert_eq!(of(Cause::NeverReady), ExitReason::NeverReady);
        assert_eq!(of(Cause::Killed), ExitReason::Stopped);
    }

    #[test]
    fn an_engine_does_not_complete() {
        let success = Ended {
            code: Some(0),
            ..Ended::default()
        };
        assert_eq!(
            classify(success, Cause::None, false).reason,
            ExitReason::Crashed
        );
        assert_eq!(
            classify(success, Cause::None, true).reason,
            ExitReason::Completed
        );
    }
}
