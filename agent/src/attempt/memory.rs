//! Whether the system killed something of this cgroup for memory: a counter of cgroup v2.

use std::fs;

/// How many processes of the agent's cgroup were killed for memory so far; `None` where the system does not count.
pub(crate) fn kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    parse(&fs::read_to_string(format!("/sys/fs/cgroup{}/memory.events", own.trim_end_matches('/'))).ok()?)
}

fn parse(events: &str) -> Option<u64> {
    events.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_read() {
        assert_eq!(parse("low 0\nhigh 0\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(parse(""), None);
    }
}
