//! Evidence that the kernel killed for memory.

use std::fs;

/// How often the kernel has killed a process of this daemon's control group for memory; nothing
/// where the kernel does not say.
pub(crate) fn kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let events = fs::read_to_string(format!("/sys/fs/cgroup{group}/memory.events")).ok()?;
    kills_in(&events)
}

fn kills_in(events: &str) -> Option<u64> {
    let count = events
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_among_the_others() {
        let events = "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(kills_in(events), Some(1));
        assert_eq!(kills_in("low 0\noom_kill x\n"), None);
        assert_eq!(kills_in(""), None);
    }
}
