//! Whether the system killed a process for memory: counters of the kernel.
//!
//! The counter of the agent's own cgroup (version 2) is used where there is one, else that of the whole node. Neither
//! names the process. So each kill explains one death only: an attempt asks with [`Watch::explains`] when it died by
//! SIGKILL and the agent did not send it, and gets "yes" once for each kill since it began that no other attempt has
//! claimed.

use std::{
    fs,
    sync::{Mutex, PoisonError},
};

/// Kills that have explained a death, since this process began.
static CLAIMED: Mutex<u64> = Mutex::new(0);

/// The counter at the beginning of an attempt.
#[derive(Debug)]
pub(crate) struct Watch {
    kills: Option<u64>,
    claimed: u64,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn start() -> Self {
        let claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
        Self { kills: kills(), claimed: *claimed }
    }

    /// Whether a kill since the beginning explains the attempt's death; if so, it explains no other.
    pub(crate) fn explains(&self) -> bool {
        let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
        let left = unclaimed(self, kills(), *claimed) > 0;
        *claimed += u64::from(left);
        left
    }
}

fn unclaimed(watch: &Watch, kills: Option<u64>, claimed: u64) -> u64 {
    let since = kills.zip(watch.kills).map_or(0, |(now, then)| now.saturating_sub(then));
    since.saturating_sub(claimed - watch.claimed)
}

/// Processes killed for memory so far; `None` where the system does not count.
fn kills() -> Option<u64> {
    let own = own("memory.events").and_then(|events| counter(&events));
    own.or_else(|| counter(&fs::read_to_string("/proc/vmstat").ok()?))
}

/// The memory that the agent and its attempts may use, in bytes: that of the container, else that of the node.
pub(crate) fn limit() -> Option<u64> {
    let container = own("memory.max").and_then(|text| text.trim().parse().ok());
    container.or_else(|| {
        let info = fs::read_to_string("/proc/meminfo").ok()?;
        let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    })
}

fn own(file: &str) -> Option<String> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    fs::read_to_string(format!("/sys/fs/cgroup{}/{file}", own.trim_end_matches('/'))).ok()
}

fn counter(events: &str) -> Option<u64> {
    events.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_read() {
        assert_eq!(counter("low 0\nhigh 0\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(counter("nr_free_pages 7\noom_kill 4\n"), Some(4));
        assert_eq!(counter(""), None);
    }

    #[test]
    fn a_kill_explains_one_death() {
        let (early, late) = (Watch { kills: Some(3), claimed: 1 }, Watch { kills: Some(4), claimed: 1 });
        assert_eq!(unclaimed(&early, Some(3), 1), 0, "nothing was killed");
        assert_eq!(unclaimed(&early, Some(4), 1), 1);
        assert_eq!(unclaimed(&early, Some(4), 2), 0, "it has explained another attempt's death");
        assert_eq!(unclaimed(&late, Some(4), 1), 0, "it was killed before this attempt began");
        assert_eq!(unclaimed(&early, None, 1), 0);
    }
}
