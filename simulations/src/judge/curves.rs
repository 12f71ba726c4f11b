//! What a plot shows: regret against each axis, mean rank against the budget, and performance profiles.

use super::interval::{Interval, Resampler};
use super::rank::mean_ranks;
use super::scores::{Axis, Board, Table};
use serde::Serialize;

/// How many points a curve has, evenly spaced in the logarithm of the budget.
pub const POINTS: usize = 61;
/// The first point of a curve, as a part of the whole budget.
pub const FIRST: f64 = 0.01;
/// How many resamples the bands of curves take at most: they are looked at, not read off.
const BAND_RESAMPLES: usize = 500;

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Where on the axis, in its unit.
    pub at: f64,
    /// The interquartile mean of the normalised regret over seeds.
    pub regret: Interval,
}

/// A searcher's curve on one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// The searcher's place in the setup.
    pub searcher: usize,
    /// Its points. For length and cost they end where half of the searcher's runs have ended.
    pub points: Vec<Point>,
}

/// All searchers' curves on one task against one axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AxisCurves {
    /// The axis.
    pub axis: Axis,
    /// The whole budget, in the axis' unit.
    pub budget: f64,
    /// A curve for each searcher that has runs.
    pub curves: Vec<Curve>,
}

/// A searcher's mean rank as the budget grows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RankCurve {
    /// The searcher's place in the setup.
    pub searcher: usize,
    /// The part of the budget in time, the mean rank, and its standard error.
    pub points: Vec<(f64, f64, f64)>,
}

/// A performance profile (Dolan & Moré, 2002): the share of runs that end with at most some regret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// The searcher's place in the setup.
    pub searcher: usize,
    /// The normalised regret, and the share of runs at or below it, each task weighing the same.
    pub points: Vec<(f64, f64)>,
}

/// The parts of the budget at which curves have points, ascending to 1.
pub fn grid() -> impl Iterator<Item = f64> {
    (0..POINTS).map(|point| FIRST.powf(1.0 - point as f64 / (POINTS - 1) as f64))
}

/// The curves of a task against an axis; `None` where nothing was spent on it.
pub(crate) fn axis_curves(table: &Table<'_>, task: usize, axis: Axis) -> Option<AxisCurves> {
    let budget = table.budget(task, axis)?;
    let setup = table.setup;
    let resamples = BAND_RESAMPLES.min(setup.resamples as usize);
    let resampler = Resampler::new(setup.bootstrap_seed, resamples, 1, table.seeds.len());
    let mut curves: Vec<Curve> = (0..setup.searchers.len())
        .filter(|&searcher| table.runs_by(task, searcher).next().is_some())
        .map(|searcher| Curve { searcher, points: Vec::with_capacity(POINTS) })
        .collect();
    let ends: Vec<f64> =
        curves.iter().map(|curve| median_end(table, task, curve.searcher, axis, budget)).collect();
    for fraction in grid() {
        let at = fraction * budget;
        let board = Board::from_fn(1, setup.searchers.len(), table.seeds.len(), |_, searcher, seed| {
            table.run(task, searcher, seed).map_or(f64::NAN, |run| table.regret(task, run, axis, at))
        });
        for (curve, end) in curves.iter_mut().zip(&ends) {
            if at <= *end || curve.points.is_empty() {
                let regret = resampler.interval(&board, curve.searcher, 0..1, setup.confidence);
                curve.points.push(Point { at, regret });
            }
        }
    }
    Some(AxisCurves { axis, budget, curves })
}

/// Where half of a searcher's runs have ended. In time, a finished search keeps its incumbent to the end of the budget.
fn median_end(table: &Table<'_>, task: usize, searcher: usize, axis: Axis, budget: f64) -> f64 {
    if axis == Axis::Time {
        return budget;
    }
    let mut ends: Vec<f64> = table.runs_by(task, searcher).map(|run| axis.end(run)).collect();
    ends.sort_by(f64::total_cmp);
    ends.get(ends.len() / 2).copied().unwrap_or(budget)
}

/// Every searcher's mean rank at each part of the budget in time.
pub(crate) fn rank_curves(table: &Table<'_>) -> Vec<RankCurve> {
    let searchers = table.setup.searchers.len();
    let mut curves: Vec<RankCurve> =
        (0..searchers).map(|searcher| RankCurve { searcher, points: Vec::with_capacity(POINTS) }).collect();
    for fraction in grid() {
        let (ranks, _) = mean_ranks(&table.board(Axis::Time, fraction));
        for (curve, rank) in curves.iter_mut().zip(ranks) {
            if rank.mean.is_finite() {
                curve.points.push((fraction, rank.mean, if rank.error.is_nan() { 0.0 } else { rank.error }));
            }
        }
    }
    curves
}

/// Every searcher's performance profile at the end of the budget in time.
pub(crate) fn profiles(board: &Board) -> Vec<Profile> {
    let regrets = (0..POINTS).map(|point| 1e-3_f64.powf(1.0 - point as f64 / (POINTS - 1) as f64));
    let regrets: Vec<f64> = regrets.collect();
    let share = |searcher: usize, regret: f64| {
        let of_task = |task| {
            let runs: Vec<f64> =
                board.row(task, searcher).iter().copied().filter(|value| !value.is_nan()).collect();
            runs.iter().filter(|value| **value <= regret).count() as f64 / runs.len() as f64
        };
        let shares: Vec<f64> = (0..board.tasks).map(of_task).filter(|share| !share.is_nan()).collect();
        shares.iter().sum::<f64>() / shares.len() as f64
    };
    let profile = |searcher| Profile {
        searcher,
        points: regrets.iter().map(|&regret| (regret, share(searcher, regret))).collect(),
    };
    (0..board.searchers).map(profile).filter(|profile| !profile.points[0].1.is_nan()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::samples;

    #[test]
    fn curves_fall_and_bands_hold_them() {
        let (setup, runs) = samples::comparison_input(2, 3, 6);
        let table = Table::new(&setup, &runs).unwrap();
        for axis in Axis::ALL {
            let curves = axis_curves(&table, 1, axis).unwrap();
            assert_eq!(curves.curves.len(), 3);
            for curve in &curves.curves {
                assert!(curve.points.windows(2).all(|pair| pair[1].regret.value <= pair[0].regret.value));
                let held = |point: &Point| {
                    point.regret.low <= point.regret.value && point.regret.value <= point.regret.high
                };
                assert!(curve.points.iter().all(held));
                let end = median_end(&table, 1, curve.searcher, axis, curves.budget);
                assert!(curve.points.iter().all(|point| point.at <= end * (1.0 + 1e-12)));
            }
        }
    }

    #[test]
    fn the_grid_ends_at_the_whole_budget() {
        let grid: Vec<f64> = grid().collect();
        assert_eq!((grid[0], grid[POINTS - 1]), (FIRST, 1.0));
    }

    #[test]
    fn profiles_are_shares_of_runs() {
        let board = Board::from_fn(
            2,
            2,
            2,
            |task, searcher, seed| if searcher == 0 { 0.0 } else { (task + seed) as f64 },
        );
        let profiles = profiles(&board);
        assert!(profiles[0].points.iter().all(|point| point.1 == 1.0));
        // Of the first task one of two runs is at 0, of the second none; at 1.0 both of the first, one of the second.
        assert_eq!((profiles[1].points[0].1, profiles[1].points[POINTS - 1].1), (0.25, 0.75));
    }
}
