//! How many members a rung holds, can still get, and lets go on.

use super::Halving;
use crate::config::invalid_allowed;
use crate::reason::Standing;
use crate::rung::{NO_ENTRY, Rung};

impl Halving {
    /// How many members can still be created.
    pub(super) fn creatable(&self) -> u64 {
        if self.invalid >= invalid_allowed(self.max_trials) { 0 } else { self.max_trials - self.trials() }
    }

    /// How many of a rung go on as it is now.
    pub(super) fn go_on(&self, rung: usize) -> u64 {
        if rung >= usize::from(self.ceiling) {
            return 0;
        }
        let share = self.divisor.share(u64::from(self.rungs[rung].ranking.len()));
        if share == 0 && (self.stops() || self.coming(rung) == 0) { 1 } else { share }
    }

    /// The most of a rung that can ever go on, when at most so many are still `coming`.
    pub(super) fn can_go_on(&self, rung: usize, coming: u64) -> u64 {
        self.divisor.share(u64::from(self.rungs[rung].ranking.len()) + coming).max(1)
    }

    /// At most so many members can still come to a rung.
    pub(super) fn coming(&self, rung: usize) -> u64 {
        let lowest = u64::from(self.rungs[0].heading) + self.creatable();
        (0..rung).fold(lowest, |coming, below| self.coming_above(below, coming))
    }

    /// The same of the rung above `rung`, to which so many are `coming`.
    pub(super) fn coming_above(&self, rung: usize, coming: u64) -> u64 {
        let here = &self.rungs[rung];
        let waiting = u64::from(here.ranking.open()) + u64::from(here.pausing);
        waiting + coming + u64::from(self.rungs[rung + 1].heading)
    }

    /// Where the entry stands that has so many before it.
    pub(super) fn standing(&self, rung: usize, before: u64, go_on: u64) -> Standing {
        let Rung { length, ranking, .. } = &self.rungs[rung];
        let of = u64::from(ranking.len());
        Standing { rung: rung as u32, length: *length, rank: before + 1, of, go_on }
    }

    /// A member has trained for a rung; `below` is its entry in the one below.
    pub(super) fn arrive(&mut self, rung: usize, below: u32) {
        let before = if rung == 0 || below == NO_ENTRY { 0 } else { self.rungs[rung - 1].length };
        self.trained = self.trained.saturating_add(self.rungs[rung].length - before);
    }
}
