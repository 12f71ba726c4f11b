//! How often one attempt may report: as a burst at first, then so many times a second. No I/O.
//!
//! What comes faster is neither lost nor refused, it waits: a trial that reports in a tight loop slows itself and not the
//! trials beside it. The rule is the leaky bucket as a meter (ITU-T I.371, "virtual scheduling"): one time is all its state.

use std::time::{Duration, Instant};

/// Reports of an attempt that may come at any speed.
pub(crate) const BURST: u32 = 2_000;
/// Reports a second after that.
pub(crate) const PER_SECOND: u32 = 1_000;

/// The pace of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When everything let through so far would have come at exactly the allowed speed.
    due: Option<Instant>,
}

impl Pace {
    /// How long what comes at `now` has to wait. Counts it.
    pub(crate) fn wait(&mut self, now: Instant) -> Duration {
        let step = Duration::from_secs(1) / PER_SECOND;
        let due = self.due.map_or(now, |due| due.max(now));
        self.due = Some(due + step);
        (due - now).saturating_sub(step * BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_the_pace_is_kept() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let waits: Vec<Duration> = (0..BURST + 3 * PER_SECOND).map(|_| pace.wait(start)).collect();
        assert!(waits[..=BURST as usize].iter().all(Duration::is_zero));
        assert_eq!(waits.last(), Some(&Duration::from_millis(2_999)));
    }

    #[test]
    fn a_rest_gives_the_burst_back_and_no_more() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for _ in 0..BURST * 2 {
            pace.wait(start);
        }
        let later = start + Duration::from_hours(1);
        assert!((0..=BURST).all(|_| pace.wait(later).is_zero()));
        assert!(!pace.wait(later).is_zero());
    }

    #[test]
    fn who_keeps_the_pace_never_waits() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let step = Duration::from_secs(1) / PER_SECOND;
        assert!((0..BURST * 5).all(|index| pace.wait(start + step * index).is_zero()));
    }
}
