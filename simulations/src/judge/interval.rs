//! The interquartile mean and its bootstrap interval, resampled within tasks.
//!
//! After Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (2021): the mean of the
//! middle half of all (task, seed) results, with a percentile interval from resamples that draw the seeds anew within
//! each task. A quarter of the weight is cut from each end exactly; a value on the border counts in part.

use super::scores::Board;
use serde::Serialize;
use std::ops::Range;
use toprung_searchers::TrialId;
use toprung_searchers::stream::{Purpose, Stream};

/// A value and the interval that its bootstrap gives. All NaN where nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The value from all runs.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The mean of the middle half of the values; a value on the border counts in part. NaN for no values.
pub fn interquartile_mean(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    middle_mean(sorted.iter().map(|&value| (value, 1)), values.len())
}

fn middle_mean(sorted: impl Iterator<Item = (f64, u32)>, count: usize) -> f64 {
    let (from, to) = (count as f64 / 4.0, count as f64 * 0.75);
    let (mut passed, mut sum) = (0.0, 0.0);
    for (value, weight) in sorted {
        let end = passed + f64::from(weight);
        let inside = end.min(to) - f64::max(passed, from);
        if inside > 0.0 {
            sum += inside * value;
        }
        passed = end;
        if passed >= to {
            break;
        }
    }
    sum / (to - from)
}

/// Which seeds each resample has drawn, how often, for each task. The same for all searchers, so that differences are paired.
pub struct Resampler {
    resamples: usize,
    seeds: usize,
    tasks: usize,
    drawn: Vec<u16>,
}

impl Resampler {
    /// Draws the resamples from the stream of a seed. Each task is a stratum.
    pub fn new(seed: u32, resamples: usize, tasks: usize, seeds: usize) -> Self {
        let mut drawn = vec![0; resamples * tasks * seeds];
        for task in 0..tasks {
            let mut stream = Stream::new(seed, TrialId(task as u32), Purpose::Decision(1));
            for resample in 0..resamples {
                let start = (resample * tasks + task) * seeds;
                for _ in 0..seeds {
                    drawn[start + stream.index(seeds as u64 - 1) as usize] += 1;
                }
            }
        }
        Self { resamples, seeds, tasks, drawn }
    }

    /// A searcher's interquartile mean over some of the tasks: from all runs, and from each resample (NaN for one that
    /// has drawn no run).
    pub fn means(&self, board: &Board, searcher: usize, tasks: Range<usize>) -> (f64, Vec<f64>) {
        let mut sorted: Vec<(f64, usize)> = Vec::with_capacity(tasks.len() * self.seeds);
        for task in tasks {
            let row = board.row(task, searcher).iter().enumerate();
            sorted.extend(
                row.filter(|(_, value)| !value.is_nan())
                    .map(|(seed, &value)| (value, task * self.seeds + seed)),
            );
        }
        sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
        let value = middle_mean(sorted.iter().map(|&(value, _)| (value, 1)), sorted.len());
        let stride = self.tasks * self.seeds;
        let means = (0..self.resamples).map(|resample| {
            let drawn = &self.drawn[resample * stride..(resample + 1) * stride];
            let count = sorted.iter().map(|&(_, place)| usize::from(drawn[place])).sum();
            middle_mean(sorted.iter().map(|&(value, place)| (value, u32::from(drawn[place]))), count)
        });
        (value, means.collect())
    }

    /// A searcher's interquartile mean with its percentile interval.
    pub fn interval(&self, board: &Board, searcher: usize, tasks: Range<usize>, confidence: f64) -> Interval {
        let (value, means) = self.means(board, searcher, tasks);
        percentiles(value, means, confidence)
    }
}

/// The percentile interval around a value from its resamples. NaN among them is left out.
pub fn percentiles(value: f64, mut resampled: Vec<f64>, confidence: f64) -> Interval {
    resampled.retain(|mean| !mean.is_nan());
    if resampled.is_empty() {
        return Interval { value, low: f64::NAN, high: f64::NAN };
    }
    resampled.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Interval { value, low: quantile(&resampled, tail), high: quantile(&resampled, 1.0 - tail) }
}

/// A quantile of sorted values, on the line between its two neighbours.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = part * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let share = at - below as f64;
    if share == 0.0 { sorted[below] } else { sorted[below] + share * (sorted[above] - sorted[below]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use statrs::distribution::{ContinuousCDF, Normal};

    #[test]
    fn interquartile_means_by_hand() {
        assert_eq!(interquartile_mean(&[1.0, 2.0, 3.0, 100.0]), 2.5);
        // Twelve values: the middle six.
        let twelve = [5.0, 8.0, 4.0, 38.0, 8.0, 6.0, 9.0, 7.0, 7.0, 3.0, 1.0, 6.0];
        assert_eq!(interquartile_mean(&twelve), 6.5);
        // Nine values: 4.5 of weight in the middle, so the third and the seventh count with 3/4.
        let nine = [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0];
        assert_eq!(interquartile_mean(&nine), (0.75 * 5.0 + 7.0 + 9.0 + 11.0 + 0.75 * 13.0) / 4.5);
        assert_eq!(interquartile_mean(&[2.0]), 2.0);
        assert!(interquartile_mean(&[]).is_nan());
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let sorted = [1.0, 2.0, 4.0];
        assert_eq!(
            [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| quantile(&sorted, part)),
            [1.0, 1.5, 2.0, 3.0, 4.0]
        );
    }

    /// 95 % intervals should hold the true value in about 95 of 100 experiments; a percentile bootstrap of 40 values
    /// falls a little short of that.
    #[test]
    fn intervals_cover_the_truth_about_as_often_as_they_say() {
        let normal = Normal::new(0.0, 1.0).unwrap();
        let mut covered = 0;
        for experiment in 0..500 {
            let draw = |task: usize, _, seed: usize| {
                let id = TrialId((task * 100 + seed) as u32);
                let uniform = Stream::new(experiment, id, Purpose::Decision(9)).unit();
                normal.inverse_cdf(uniform.clamp(1e-12, 1.0 - 1e-12))
            };
            let board = Board::from_fn(2, 1, 20, draw);
            let interval = Resampler::new(experiment, 400, 2, 20).interval(&board, 0, 0..2, 0.95);
            covered += usize::from(interval.low <= 0.0 && 0.0 <= interval.high);
        }
        assert!((455..=490).contains(&covered), "{covered} of 500");
    }

    #[test]
    fn tasks_are_strata() {
        // Each task's seeds agree: no resample within tasks can differ from the whole.
        let board = Board::from_fn(4, 1, 10, |task, _, _| task as f64);
        let interval = Resampler::new(1, 200, 4, 10).interval(&board, 0, 0..4, 0.95);
        assert_eq!(interval, Interval { value: 1.5, low: 1.5, high: 1.5 });
    }

    #[test]
    fn missing_runs_are_left_out() {
        let board = Board::from_fn(
            1,
            2,
            8,
            |_, searcher, seed| if searcher == 0 && seed > 3 { f64::NAN } else { 7.0 },
        );
        let resampler = Resampler::new(1, 200, 1, 8);
        assert_eq!(resampler.interval(&board, 0, 0..1, 0.9), Interval { value: 7.0, low: 7.0, high: 7.0 });
        let none = Board::from_fn(1, 1, 8, |_, _, _| f64::NAN);
        assert!(resampler.interval(&none, 0, 0..1, 0.9).low.is_nan());
    }

    proptest! {
        #[test]
        fn the_middle_lies_between_the_quartiles(values in prop::collection::vec(-1e6_f64..1e6, 4..60)) {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let count = sorted.len();
            let mean = interquartile_mean(&values);
            prop_assert!(mean >= sorted[count / 4] - 1e-6 && mean <= sorted[(count * 3).div_ceil(4) - 1] + 1e-6);
        }

        #[test]
        fn extremes_change_nothing(values in prop::collection::vec(-10.0_f64..10.0, 8..40)) {
            let mut worse = values.clone();
            let place = (0..worse.len()).max_by(|&one, &other| worse[one].total_cmp(&worse[other])).unwrap();
            worse[place] = 1e18;
            prop_assert!((interquartile_mean(&values) - interquartile_mean(&worse)).abs() < 1e-9);
        }
    }
}
