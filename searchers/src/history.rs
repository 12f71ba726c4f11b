//! What trials have reported, as models want it.
//!
//! Reports are compared at *levels*: the rungs of the method, or, of a method without rungs, the lengths that a bracket of
//! successive halving would have. A trial enters a level with its first validation at that length or later. Trials that
//! have not come so far are not absent: a model sees where each of them is and why it is not further (see [`Progress`]).
//!
//! Cost: O(L log n) a validation for L levels; some 35 bytes for each entry in a level, 40 bytes and its coordinates a trial.

use crate::method::{ExitReason, TrialId};
use crate::rung::{Key, NO_ENTRY, Ranking};
use serde::{Deserialize, Serialize};

/// How far a trial is, and why it is not further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Progress {
    /// It trains, or waits for slots to train.
    Running,
    /// It is paused and may go on.
    Waiting,
    /// It ended: stopped by the search, trained in full, or killed.
    Ended,
    /// It failed for good.
    Failed,
    /// It refused its hyperparameters.
    Invalid,
}

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observed {
    /// Its coordinates, see [`crate::space::encoding`]; NaN where inactive.
    pub(crate) point: Vec<f64>,
    pub(crate) progress: Progress,
    /// In how many levels it has an entry: those below this number.
    pub(crate) levels: u8,
    /// Its entry in the highest of them.
    entry: u32,
    /// Its newest metric.
    pub(crate) metric: Key,
    /// The length of that.
    pub(crate) length: u64,
}

/// All trials of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    /// Lengths, ascending.
    lengths: Vec<u64>,
    rankings: Vec<Ranking>,
    /// Trial i at index i − 1.
    trials: Vec<Observed>,
    /// Those that are `Running`, in the order of their numbers.
    running: std::collections::BTreeSet<u32>,
}

impl History {
    /// An empty one with these levels: ascending lengths, at least one, at most 255.
    pub(crate) fn new(lengths: Vec<u64>) -> Self {
        let rankings = lengths.iter().map(|_| Ranking::new()).collect();
        Self { lengths, rankings, trials: Vec::new(), running: std::collections::BTreeSet::new() }
    }

    /// The lengths of the levels, ascending.
    pub(crate) fn lengths(&self) -> &[u64] {
        &self.lengths
    }

    /// How many trials there are.
    pub(crate) fn len(&self) -> usize {
        self.trials.len()
    }

    /// A trial by its number, from 1.
    pub(crate) fn trial(&self, number: u32) -> Option<&Observed> {
        self.trials.get((number as usize).checked_sub(1)?)
    }

    /// The numbers of the trials that run, in order.
    pub(crate) fn running(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.running.iter().copied()
    }

    /// The metrics of a level in order; the trial of each entry is its number.
    pub(crate) fn ranking(&self, level: usize) -> &Ranking {
        &self.rankings[level]
    }

    /// A trial's metric at a level, if it has come so far.
    pub(crate) fn at_level(&self, number: u32, level: usize) -> Option<Key> {
        let observed = self.trial(number)?;
        let mut at = usize::from(observed.levels).checked_sub(1)?;
        let mut entry = observed.entry;
        while at > level {
            entry = self.rankings[at].below(entry);
            at -= 1;
        }
        (at == level).then(|| self.rankings[level].key(entry))
    }

    /// A trial begins; its number must be one more than the last.
    pub(crate) fn begin(&mut self, point: Vec<f64>) {
        self.trials.push(Observed {
            point,
            progress: Progress::Running,
            levels: 0,
            entry: NO_ENTRY,
            metric: Key::FAILED,
            length: 0,
        });
        self.running.insert(self.trials.len() as u32);
    }

    /// A validation. One that is not beyond the trial's last changes nothing.
    pub(crate) fn validated(&mut self, trial: TrialId, length: u64, metric: f64) {
        let Some(observed) = self.trials.get_mut((trial.0 as usize).wrapping_sub(1)) else { return };
        if length <= observed.length {
            return;
        }
        (observed.length, observed.metric) = (length, Key::new(metric));
        let mut level = usize::from(observed.levels);
        while self.lengths.get(level).is_some_and(|&reached| reached <= length) {
            observed.entry = self.rankings[level].insert(observed.metric, trial.0, observed.entry).entry;
            level += 1;
        }
        observed.levels = level as u8;
    }

    /// What a trial does now. One that is over stays so.
    pub(crate) fn progress(&mut self, trial: TrialId, progress: Progress) {
        let Some(observed) = self.trials.get_mut((trial.0 as usize).wrapping_sub(1)) else { return };
        if matches!(observed.progress, Progress::Failed | Progress::Invalid) {
            return;
        }
        observed.progress = progress;
        if progress == Progress::Running {
            self.running.insert(trial.0);
        } else {
            self.running.remove(&trial.0);
        }
    }

    /// A trial holds no slots any more.
    pub(crate) fn exited(&mut self, trial: TrialId, reason: ExitReason) {
        let progress = match reason {
            ExitReason::Paused { resumable: true } => Progress::Waiting,
            ExitReason::Errored => Progress::Failed,
            ExitReason::InvalidHyperparameters => Progress::Invalid,
            ExitReason::Paused { resumable: false }
            | ExitReason::Completed
            | ExitReason::Stopped
            | ExitReason::Killed => Progress::Ended,
        };
        let over = self.trial(trial.0).is_none_or(|observed| observed.progress == Progress::Ended);
        if !over || progress != Progress::Waiting {
            self.progress(trial, progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_enters_every_level_that_it_passed() {
        let mut history = History::new(vec![1, 3, 9]);
        history.begin(vec![0.5]);
        history.begin(vec![0.25]);
        for (trial, length, metric) in
            [(1, 1, 5.0), (2, 4, 2.0), (1, 2, 4.0), (1, 2, 0.0), (1, 9, 1.0), (7, 9, 1.0)]
        {
            history.validated(TrialId(trial), length, metric);
        }
        let metrics = |trial| {
            (0..3).map(|level| history.at_level(trial, level).and_then(Key::metric)).collect::<Vec<_>>()
        };
        assert_eq!(metrics(1), [Some(5.0), Some(1.0), Some(1.0)]);
        assert_eq!(metrics(2), [Some(2.0), Some(2.0), None]);
        assert_eq!(
            history
                .ranking(1)
                .first(2)
                .iter()
                .map(|&entry| history.ranking(1).trial(entry))
                .collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!((history.ranking(0).len(), history.ranking(2).len()), (2, 1));
    }

    #[test]
    fn what_is_over_stays_over() {
        let mut history = History::new(vec![1]);
        history.begin(vec![]);
        history.begin(vec![]);
        history.exited(TrialId(1), ExitReason::Errored);
        history.progress(TrialId(1), Progress::Running);
        assert_eq!(history.trial(1).unwrap().progress, Progress::Failed);
        history.progress(TrialId(2), Progress::Ended);
        history.exited(TrialId(2), ExitReason::Paused { resumable: true });
        assert_eq!(history.trial(2).unwrap().progress, Progress::Ended);
        assert_eq!(history.running().count(), 0);
    }
}
