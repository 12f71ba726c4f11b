//! The two sides: which trials are good, and which are not.
//!
//! **Level.** Trials are compared at the highest level at which enough of them have reported, as in BOHB (Falkner et al.
//! 2018): long trainings say more, but only once there are some. Enough is `startup_trials`, and at least two more
//! than there are axes.
//!
//! **Good** are the best there: `gamma` of *all* trials that have reported anything (those that were stopped earlier are part of
//! the population whose best are sought), but at most half of those at the level and at most [`MAX_GOOD`]. The cap
//! keeps the model sharp and its cost flat (Bergstra et al. 2011 cap at 25 too). Trials that failed, and metrics that
//! are no numbers, are never good.
//!
//! **Bad** are the others, also those that are not at the level:
//!
//! | trial | side |
//! |---|---|
//! | at the level, not good | bad |
//! | failed, refused its hyperparameters | bad: somewhere else is better |
//! | has reported nothing | bad (the constant liar), so that trials which run at once do not pile up |
//! | below the level, not among the best `gamma` of the level that it has reached | bad |
//! | below the level, among them | neither: it is on its way, and its fate is open |
//!
//! **Flat cost.** Of the bad at most [`MAX_BAD`] are looked at: one from each of as many equal parts of the sequence of trials
//! (by a random number of the trial that is placed), so that they are a sample without bias of all, spread over
//! the whole search. The newest [`MAX_RUNNING`] running trials are there always. So a suggestion takes O(log n) steps in the
//! history for each of a fixed number of trials, and nothing is kept or updated between suggestions.

use super::TpeConfig;
use crate::history::{History, Observed, Progress};
use crate::stream::Stream;
use std::collections::BTreeSet;

/// At most so many are good.
pub(super) const MAX_GOOD: usize = 25;
/// At most so many of all others are looked at.
pub(super) const MAX_BAD: u64 = 192;
/// At most so many running ones beside.
pub(super) const MAX_RUNNING: usize = 64;

/// Points of the trials on each side.
pub(super) struct Sides<'a> {
    pub(super) good: Vec<&'a [f64]>,
    pub(super) bad: Vec<&'a [f64]>,
    /// Whether they were compared at the greatest length there is.
    pub(super) at_top: bool,
}

impl<'a> Sides<'a> {
    /// None while there is too little to learn from.
    pub(super) fn new(
        config: &TpeConfig,
        history: &'a History,
        axes: usize,
        stream: &mut Stream,
    ) -> Option<Self> {
        let enough = (config.startup_trials as usize).max(axes + 2);
        let level = (0..history.lengths().len())
            .rev()
            .find(|&level| history.ranking(level).len() as usize >= enough)?;
        let good = good(config, history, level);
        if good.is_empty() {
            return None;
        }
        let mut numbers: BTreeSet<u32> = history.running().rev().take(MAX_RUNNING).collect();
        numbers.extend(sample(history.len() as u64, stream));
        let bad = numbers.iter().filter(|number| !good.contains(number)).filter_map(|&number| {
            let observed = history.trial(number)?;
            is_bad(config, history, level, number, observed).then_some(observed.point.as_slice())
        });
        let bad = bad.collect();
        let point = |number: &u32| history.trial(*number).map(|observed| observed.point.as_slice());
        let good = good.iter().filter_map(point).collect();
        Some(Self { good, bad, at_top: level + 1 == history.lengths().len() })
    }
}

/// The numbers of the good trials.
fn good(config: &TpeConfig, history: &History, level: usize) -> BTreeSet<u32> {
    let ranking = history.ranking(level);
    let share = (config.gamma * f64::from(history.ranking(0).len())).ceil() as usize;
    let wanted = share.min(MAX_GOOD).min(ranking.len().div_ceil(2) as usize);
    // Some of the best may have failed later.
    let best = ranking.first(2 * wanted + 8).into_iter();
    let sound = best.filter(|&entry| {
        let metric = ranking.key(entry).metric().unwrap_or(f64::INFINITY);
        let failed = |observed: &Observed| matches!(observed.progress, Progress::Failed | Progress::Invalid);
        metric < f64::INFINITY && !history.trial(ranking.trial(entry)).is_none_or(failed)
    });
    sound.map(|entry| ranking.trial(entry)).take(wanted).collect()
}

/// Whether a trial that is not good is bad.
fn is_bad(config: &TpeConfig, history: &History, level: usize, number: u32, observed: &Observed) -> bool {
    let reached = usize::from(observed.levels);
    if reached == 0 || reached > level || matches!(observed.progress, Progress::Failed | Progress::Invalid) {
        return true;
    }
    let ranking = history.ranking(reached - 1);
    let Some(key) = history.at_level(number, reached - 1) else { return true };
    ranking.better_than(key) as f64 >= (config.gamma * f64::from(ranking.len())).ceil()
}

/// Up to [`MAX_BAD`] different numbers of `1 ..= count`, one from each of as many equal parts.
fn sample(count: u64, stream: &mut Stream) -> Vec<u32> {
    let parts = count.min(MAX_BAD);
    let edge = |part: u64| part * count / parts;
    (0..parts).map(|part| (edge(part) + stream.index(edge(part + 1) - edge(part) - 1) + 1) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::{ExitReason, TrialId};
    use crate::stream::Purpose;

    fn stream(trial: u32) -> Stream {
        Stream::new(1, TrialId(trial), Purpose::Decision(7))
    }

    fn numbers(points: &[&[f64]]) -> Vec<u32> {
        points.iter().map(|point| point[0] as u32).collect()
    }

    /// Trials whose point is their number; the first `reached` lengths of each are validated with the metric.
    fn history(lengths: &[u64], trials: &[(usize, f64)]) -> History {
        let mut history = History::new(lengths.to_vec());
        for (&(reached, metric), number) in trials.iter().zip(1..) {
            history.begin(vec![f64::from(number)]);
            for &length in &lengths[..reached] {
                history.validated(TrialId(number), length, metric);
            }
        }
        history
    }

    fn config(gamma: f64) -> TpeConfig {
        TpeConfig { startup_trials: 4, gamma, ..TpeConfig::default() }
    }

    fn sides(history: &History, gamma: f64) -> Option<(Vec<u32>, Vec<u32>)> {
        let sides = Sides::new(&config(gamma), history, 1, &mut stream(1))?;
        Some((numbers(&sides.good), numbers(&sides.bad)))
    }

    #[test]
    fn the_highest_level_with_enough_trials_counts() {
        let four = [(1, 9.0), (2, 3.0), (2, 2.0), (2, 1.0)];
        assert_eq!(sides(&history(&[1, 3], &four[..3]), 0.25), None);
        assert_eq!(sides(&history(&[1, 3], &four), 0.25), Some((vec![4], vec![1, 2, 3])));
        let fifth = [(2, 8.0), (2, 7.0), (2, 6.0), (2, 5.0), (1, 1.0)];
        // The fifth is the best of the level that it has reached, and may come to the other: it is on no side.
        assert_eq!(sides(&history(&[1, 3], &fifth), 0.2), Some((vec![4], vec![1, 2, 3])));
        // Not so with one that is below and not among the best there.
        let fifth = [(2, 8.0), (2, 7.0), (2, 6.0), (2, 5.0), (1, 5.5)];
        assert_eq!(sides(&history(&[1, 3], &fifth), 0.2), Some((vec![4], vec![1, 2, 3, 5])));
    }

    #[test]
    fn running_and_failed_trials_are_bad() {
        let mut history = history(&[1], &[(1, 1.0), (1, 2.0), (1, 3.0), (1, 4.0), (0, 0.0), (0, 0.0)]);
        assert_eq!(sides(&history, 0.25), Some((vec![1], vec![2, 3, 4, 5, 6])));
        history.exited(TrialId(1), ExitReason::Errored);
        history.exited(TrialId(6), ExitReason::InvalidHyperparameters);
        assert_eq!(sides(&history, 0.25), Some((vec![2], vec![1, 3, 4, 5, 6])));
    }

    #[test]
    fn what_is_no_number_is_never_good() {
        let nothing = [f64::NAN, f64::INFINITY, f64::NAN, f64::NAN, f64::NAN].map(|metric| (1, metric));
        assert_eq!(sides(&history(&[1], &nothing), 0.5), None);
        let one = [f64::NAN, f64::INFINITY, 7.0, f64::NAN, f64::NAN].map(|metric| (1, metric));
        assert_eq!(sides(&history(&[1], &one), 0.5), Some((vec![3], vec![1, 2, 4, 5])));
    }

    #[test]
    fn the_sample_is_bounded_and_without_bias() {
        let trials: Vec<(usize, f64)> = (0..2000).map(|number| (1, f64::from(number % 977))).collect();
        let history = history(&[1], &trials);
        let mut counts = vec![0_u32; 2000];
        for trial in 1..=2000 {
            let sampled = sample(history.len() as u64, &mut stream(trial));
            assert!(sampled.len() == MAX_BAD as usize && sampled.is_sorted_by(|one, next| one < next));
            sampled.iter().for_each(|&number| counts[number as usize - 1] += 1);
        }
        // Each is expected 192 times, with a deviation of 13.
        assert!(counts.iter().all(|count| (120..270).contains(count)), "{counts:?}");
        assert_eq!(sample(5, &mut stream(1)), [1, 2, 3, 4, 5]);
        assert_eq!(sample(0, &mut stream(1)), [0; 0]);
        let sides = Sides::new(&config(0.2), &history, 1, &mut stream(1)).unwrap();
        assert!(sides.good.len() == MAX_GOOD && sides.bad.len() <= MAX_BAD as usize + MAX_RUNNING);
    }
}
