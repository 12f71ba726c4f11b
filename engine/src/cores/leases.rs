//! Which programs that run trials themselves are silent for longer than they may. The time comes in with each call.

use std::collections::BTreeMap;

use crate::experiment::external::Lane;

/// When each lane was heard last.
#[derive(Debug)]
pub struct Leases {
    lease_ms: u64,
    heard: BTreeMap<Lane, u64>,
}

impl Leases {
    /// Leases of so many milliseconds, at least 1.
    pub fn new(lease_ms: u64) -> Self {
        Self { lease_ms: lease_ms.max(1), heard: BTreeMap::new() }
    }

    /// A lane was heard.
    pub fn heard(&mut self, lane: Lane, now_ms: u64) {
        self.heard.insert(lane, now_ms);
    }

    /// Takes out the lanes that were silent for too long.
    pub fn silent(&mut self, now_ms: u64) -> Vec<Lane> {
        let lease_ms = self.lease_ms;
        let is_silent = |_: &Lane, heard: &mut u64| now_ms.saturating_sub(*heard) > lease_ms;
        self.heard.extract_if(.., is_silent).map(|(lane, _)| lane).collect()
    }

    /// Milliseconds until it is worth looking again; `None`: there is nobody to look for.
    pub fn look_after(&self, now_ms: u64) -> Option<u64> {
        let first = self.heard.values().min()?;
        let ends = first.saturating_add(self.lease_ms).saturating_add(1);
        // Lanes that are heard all the time must not be looked at all the time.
        Some(ends.saturating_sub(now_ms).max(self.lease_ms / 8).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_silent_after_its_lease_and_no_earlier() {
        let mut leases = Leases::new(100);
        assert_eq!(leases.look_after(0), None);
        let (one, other) = (Lane::new("a", 0), Lane::new("a", 1));
        leases.heard(one.clone(), 0);
        leases.heard(other.clone(), 50);
        assert_eq!(leases.look_after(0), Some(101));
        assert_eq!(leases.silent(100), []);
        assert_eq!(leases.silent(101), [one]);
        assert_eq!(leases.silent(101), [], "told once");
        leases.heard(other.clone(), 140);
        assert_eq!(leases.silent(200), [], "every call renews it");
        assert_eq!(leases.look_after(239), Some(12), "no more often than eight times a lease");
        assert_eq!(leases.silent(241), [other]);
    }
}
