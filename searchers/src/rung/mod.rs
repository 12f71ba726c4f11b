//! One rung: who reported there with what metric, who went on, who may still.

mod key;
mod ranking;

use crate::method::RungView;
use serde::{Deserialize, Serialize};

pub(crate) use key::Key;
pub(crate) use ranking::{NO_ENTRY, Ranked, Ranking};

/// A rung and its counts. A trial *heads* for a rung while it trains towards its length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rung {
    pub(crate) length: u64,
    /// Trials on the way to it.
    pub(crate) heading: u32,
    /// Trials in it that were told to pause and have not exited yet.
    pub(crate) pausing: u32,
    /// Trials that went on to the next rung.
    pub(crate) promoted: u32,
    /// All that have a place in it. Open entries are the paused trials that can be promoted.
    pub(crate) ranking: Ranking,
}

impl Rung {
    pub(crate) fn new(length: u64) -> Self {
        Self { length, heading: 0, pausing: 0, promoted: 0, ranking: Ranking::new() }
    }

    pub(crate) fn view(&self, index: usize) -> RungView {
        RungView {
            bracket: 0,
            index: index as u32,
            length: self.length,
            trials: u64::from(self.ranking.len()),
            promoted: u64::from(self.promoted),
            best: self.ranking.best().and_then(Key::metric),
        }
    }
}
