//! Which reports the model holds, and their scores.
//!
//! A row is a trial at a level. All reports are rows up to a limit. Beyond it the rows are chosen anew: from the top level
//! down each level gets half of the room that is left, the lowest all of it; a level with more reports than room gives the
//! best half, the newest quarter, and for the rest every so many-th in the order of arrival. Until a quarter more have come, what
//! arrives is appended. A trial that failed, or refused its hyperparameters, is a row of the worst score at the level that it
//! did not reach. One that was resumed and failed between two suggestions is the exception: its reports alone count.
//!
//! Scores are ranks dealt out as normal quantiles (Salinas et al., ICML 2020), so no metric is too large, and the units do not
//! matter; where sizes say more, they are blended in ([`super::sizes`]). Ties share their middle. What is not finite is a tie at the end, beyond all that are there. In a level, trials that ended or wait below it count
//! as worse than those in it: that is why they are not there. So scores of levels are comparable.

use super::normal::quantile;
use super::sizes::sizes;
use crate::history::{History, Progress};
use crate::rung::Key;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// So many failed trials are remembered.
const MAX_FAILED: usize = 256;
/// What did not end well has at least this score, also if all else is worse than usual.
const BAD: f64 = 1.0;

/// A trial at a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) level: u8,
    pub(super) trial: u32,
}

/// The rows, and how far the history has been followed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Rows {
    held: Vec<Row>,
    /// Reports of each level that were seen.
    seen: Vec<u32>,
    /// The newest trials that failed.
    failed: Vec<u32>,
    /// Trials that may have failed since: they ran when last looked at.
    watched: Vec<u32>,
    /// Trials with higher numbers are new.
    known: u32,
}

impl Rows {
    pub(super) fn as_slice(&self) -> &[Row] {
        &self.held
    }

    /// How many reports there were, also those that are no rows.
    pub(super) fn reports(&self) -> u64 {
        self.seen.iter().map(|&count| u64::from(count)).sum::<u64>() + self.failed.len() as u64
    }

    /// How many trials have a row.
    pub(super) fn trials(&self) -> u64 {
        u64::from(self.seen.first().copied().unwrap_or(0)) + self.failed.len() as u64
    }

    /// Takes what is new. Whether the rows were chosen anew, instead of some appended.
    pub(super) fn follow(&mut self, history: &History, limit: usize) -> bool {
        let levels = history.lengths().len();
        self.seen.resize(levels, 0);
        let before = self.held.len();
        for level in 0..levels {
            let ranking = history.ranking(level);
            for entry in self.seen[level]..ranking.len() {
                self.held.push(Row { level: level as u8, trial: ranking.trial(entry) });
            }
            self.seen[level] = ranking.len();
        }
        self.follow_failures(history);
        let most = limit + limit / 4;
        let anew = self.held.len() > most;
        if anew {
            self.held = chosen(history, &self.failed, limit);
        }
        debug_assert!(anew || self.held.len() >= before);
        anew
    }

    fn follow_failures(&mut self, history: &History) {
        let (known, newest) = (self.known, history.len() as u32);
        let looked_at = std::mem::take(&mut self.watched).into_iter().chain(known + 1..=newest);
        for trial in looked_at {
            if let Some(row) = failure(history, trial) {
                self.held.push(row);
                self.failed.push(trial);
            }
        }
        let excess = self.failed.len().saturating_sub(MAX_FAILED);
        self.failed.drain(..excess);
        self.watched = history.running().collect();
        self.known = newest;
    }

    /// The rows that parameters are fitted to: all, or fewer chosen the same way.
    pub(super) fn fitted(&self, history: &History, limit: usize) -> Vec<Row> {
        if self.held.len() <= limit { self.held.clone() } else { chosen(history, &self.failed, limit) }
    }

    /// The score of each row.
    pub(super) fn scores(&self, history: &History) -> Vec<f64> {
        scores(history, &self.held)
    }
}

/// The row of a trial that failed.
fn failure(history: &History, trial: u32) -> Option<Row> {
    let observed = history.trial(trial)?;
    let top = history.lengths().len() - 1;
    matches!(observed.progress, Progress::Failed | Progress::Invalid)
        .then(|| Row { level: usize::from(observed.levels).min(top) as u8, trial })
}

/// At most so many rows, see the head of this file.
pub(super) fn chosen(history: &History, failed: &[u32], limit: usize) -> Vec<Row> {
    let newest = failed.iter().rev().take(limit / 8);
    let mut rows: BTreeSet<Row> = newest.filter_map(|&trial| failure(history, trial)).collect();
    for level in (0..history.lengths().len()).rev() {
        let left = limit.saturating_sub(rows.len());
        let room = if level == 0 { left } else { left / 2 };
        let ranking = history.ranking(level);
        for entry in entries(ranking.len(), room, |best| ranking.first(best)) {
            rows.insert(Row { level: level as u8, trial: ranking.trial(entry) });
        }
    }
    rows.into_iter().collect()
}

/// Which of the entries 0 … count − 1 there is room for.
fn entries(count: u32, room: usize, first: impl Fn(usize) -> Vec<u32>) -> BTreeSet<u32> {
    if count as usize <= room {
        return (0..count).collect();
    }
    let mut found: BTreeSet<u32> = first(room / 2).into_iter().collect();
    found.extend(count - (room / 4) as u32..count);
    let missing = room - found.len();
    let all = (0..missing as u64).map(|at| (at * u64::from(count) / missing as u64) as u32);
    found.extend(all);
    found
}

/// Scores of rows, smaller is better.
pub(super) fn scores(history: &History, rows: &[Row]) -> Vec<f64> {
    let populations = populations(history);
    let score = |row: &Row| {
        let level = usize::from(row.level);
        let ranking = history.ranking(level);
        let population = populations[level];
        let metric = history.at_level(row.trial, level).and_then(Key::metric);
        match metric.filter(|&metric| metric < f64::INFINITY) {
            Some(metric) => {
                let better = ranking.better_than(Key::new(metric));
                let not_worse = ranking.better_than(Key::new(metric.next_up()));
                quantile(0.5 * (better + not_worse) as f64 / population)
            }
            None => {
                let good = ranking.better_than(Key::new(f64::INFINITY)) as f64;
                quantile(0.5 * (good + population + 1.0) / (population + 1.0)).max(BAD)
            }
        }
    };
    let mut ranks: Vec<f64> = rows.iter().map(score).collect();
    blend(history, rows, &mut ranks);
    ranks
}

/// A metric of a row, where it is one.
fn metric(history: &History, row: Row) -> Option<f64> {
    let key = history.at_level(row.trial, usize::from(row.level))?;
    key.metric().filter(|metric| metric.is_finite())
}

/// Puts sizes in the place of ranks, as far as they are as normal as those.
fn blend(history: &History, rows: &[Row], scores: &mut [f64]) {
    for level in 0..history.lengths().len() {
        let of_level = || rows.iter().enumerate().filter(|(_, row)| usize::from(row.level) == level);
        let found: Vec<(usize, f64)> =
            of_level().filter_map(|(at, row)| Some((at, metric(history, *row)?))).collect();
        let ranks: Vec<f64> = found.iter().map(|&(at, _)| scores[at]).collect();
        let metrics: Vec<f64> = found.iter().map(|&(_, metric)| metric).collect();
        for (&(at, _), size) in found.iter().zip(sizes(&metrics, &ranks)) {
            scores[at] = size;
        }
        // What did not end well is never better than what did.
        let worst = found.iter().fold(BAD, |worst, &(at, _)| worst.max(scores[at]));
        for (at, row) in of_level() {
            if scores[at] >= BAD && metric(history, *row).is_none() {
                scores[at] = scores[at].max(worst);
            }
        }
    }
}

/// Of each level, how many trials are in it, or would be if they had been good enough.
fn populations(history: &History) -> Vec<f64> {
    let levels = history.lengths().len();
    let mut on_the_way = vec![0_u32; levels + 1];
    for observed in history.running().filter_map(|trial| history.trial(trial)) {
        on_the_way[usize::from(observed.levels).min(levels)] += 1;
    }
    let all = history.ranking(0).len();
    let mut below = 0;
    (0..levels)
        .map(|level| {
            // Those without any report are not counted in `all`.
            below += if level == 0 { 0 } else { on_the_way[level] };
            f64::from(all.saturating_sub(below).max(history.ranking(level).len()).max(1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::{ExitReason, TrialId};

    fn history(metrics: &[f64]) -> History {
        let mut history = History::new(vec![1, 3]);
        for (trial, &metric) in (1..).zip(metrics) {
            history.begin(vec![0.5]);
            history.validated(TrialId(trial), 1, metric);
            history.exited(TrialId(trial), ExitReason::Paused { resumable: true });
        }
        history
    }

    #[test]
    fn scores_are_ranks_whatever_the_metrics() {
        let history = history(&[3.0, 6e18, f64::NAN, 1.0, f64::INFINITY, 1.0, f64::NEG_INFINITY, -5.0, 2.0]);
        let mut rows = Rows::default();
        assert!(!rows.follow(&history, 100));
        let scores = rows.scores(&history);
        let ranked = [6, 7, 3, 8, 0, 1, 2].map(|row: usize| scores[row]);
        assert!(ranked.windows(2).all(|pair| pair[0] < pair[1]), "{scores:?}");
        assert_eq!((scores[3], scores[2]), (scores[5], scores[4]));
        assert!(scores.iter().all(|score| score.abs() < 3.0));
    }

    #[test]
    fn those_that_were_left_behind_count_as_worse() {
        let mut history = history(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        for (trial, metric) in [(1, 0.5), (2, 0.4)] {
            history.progress(TrialId(trial), Progress::Running);
            history.validated(TrialId(trial), 3, metric);
        }
        let mut rows = Rows::default();
        rows.follow(&history, 100);
        let scores = rows.scores(&history);
        assert_eq!(rows.as_slice()[6..], [1, 2].map(|trial| Row { level: 1, trial }));
        for (above, below) in [(6, 1), (7, 0)] {
            assert!((scores[above] - scores[below]).abs() < 0.2, "{scores:?}");
        }
    }

    #[test]
    fn failures_are_the_worst_where_they_did_not_come_to() {
        let mut history = history(&[1.0, 2.0, 3.0, 4.0]);
        let mut rows = Rows::default();
        rows.follow(&history, 100);
        history.begin(vec![0.1]);
        history.progress(TrialId(2), Progress::Running);
        rows.follow(&history, 100);
        history.exited(TrialId(5), ExitReason::InvalidHyperparameters);
        history.exited(TrialId(2), ExitReason::Errored);
        rows.follow(&history, 100);
        assert_eq!(rows.as_slice()[4..], [Row { level: 1, trial: 2 }, Row { level: 0, trial: 5 }]);
        let scores = rows.scores(&history);
        assert!(scores[4..].iter().all(|&score| score >= BAD), "{scores:?}");
        assert!(scores[..4].iter().all(|&good| good <= scores[5]), "{scores:?}");
        assert_eq!((rows.reports(), rows.trials()), (6, 6));
    }

    #[test]
    fn the_best_and_the_newest_are_held_within_the_limit() {
        let metrics: Vec<f64> = (0..1000).map(|at| f64::from(at * 377 % 1000)).collect();
        let mut history = history(&metrics);
        for trial in 1..=60 {
            history.validated(TrialId(trial), 3, f64::from(trial));
        }
        let mut rows = Rows::default();
        assert!(rows.follow(&history, 200));
        let held: BTreeSet<Row> = rows.as_slice().iter().copied().collect();
        assert!(held.len() == rows.as_slice().len() && (190..=200).contains(&held.len()), "{}", held.len());
        assert!((1..=60).all(|trial| held.contains(&Row { level: 1, trial })));
        for (trial, &metric) in (1..).zip(&metrics) {
            let expected = metric < 60.0 || trial > 970;
            assert!(!expected || held.contains(&Row { level: 0, trial }), "{trial} {metric}");
        }
        history.begin(vec![0.0]);
        history.validated(TrialId(1001), 1, 5.5);
        assert!(!rows.follow(&history, 200));
        assert_eq!(rows.as_slice().last(), Some(&Row { level: 0, trial: 1001 }));
    }
}
