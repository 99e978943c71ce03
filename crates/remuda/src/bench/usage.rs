//! What this process has used of the machine so far.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

/// Time on the CPUs, its own and the system's for it.
pub(super) fn cpu() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}

/// The most memory that was resident.
pub(super) fn rss_mib() -> anyhow::Result<u64> {
    let most = getrusage(UsageWho::RUSAGE_SELF)?.max_rss().unsigned_abs();
    // In bytes there, in kibibytes elsewhere.
    Ok(if cfg!(target_os = "macos") {
        most >> 20
    } else {
        most >> 10
    })
}

/// How many a second.
pub(super) fn rate(count: u64, over: Duration) -> u64 {
    let micros = over.as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / micros).unwrap_or(u64::MAX)
}
