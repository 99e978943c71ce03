//! What this process has used of the machine so far, and what another one has.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::Pid;

/// The kernel's unit of a process's time, a hundredth of a second on every machine Rust runs on.
const TICKS_PER_S: u64 = 100;

/// Time on the CPUs, its own and the system's for it.
pub(super) fn cpu() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}

/// Time on the CPUs of another process, its own and the system's for it.
pub(super) fn cpu_of(pid: Pid) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} is not as Linux writes it"))?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_S))
}

/// The 14th and 15th field; the second is the name, which stands in brackets and may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut times = after.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processes_time_is_its_own_and_the_systems_for_it() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 900 0 0 0 1234 66 0 0 20 0 5 0 100 9 9";
        assert_eq!(ticks(stat), Some(1_300));
        assert_eq!(ticks("7 (a) S 1 7"), None);
        assert!(cpu_of(Pid::this()).is_ok());
        assert!(cpu_of(Pid::from_raw(i32::MAX)).is_err());
    }
}
