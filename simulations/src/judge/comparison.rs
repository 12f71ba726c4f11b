//! A comparison: everything that is said about a set of runs, as data.

use super::conclusion;
use super::curves::{AxisCurves, Profile, RankCurve, axis_curves, profiles, rank_curves};
use super::duel::{Duel, duels};
use super::error::Error;
use super::interval::{Interval, Resampler};
use super::rank::mean_ranks;
use super::scores::{Axis, Board, Score, Table};
use super::setup::Setup;
use super::work::{Work, work};
use crate::run::Run;
use serde::Serialize;

/// A searcher at one budget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// The searcher's place in the setup.
    pub searcher: usize,
    /// The interquartile mean of its normalised regret.
    pub regret: Interval,
    /// Its mean rank among the searchers: 1 is the best. NaN if no (task, seed) has runs of all searchers.
    pub rank: f64,
    /// The standard error of the mean rank over seeds; NaN for one seed.
    pub rank_error: f64,
}

/// All searchers at one budget, over all tasks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// What the budget is counted in.
    pub axis: Axis,
    /// The part of the whole budget.
    pub fraction: f64,
    /// Each searcher's standing, in the order of the setup.
    pub standings: Vec<Standing>,
    /// Each pair of searchers.
    pub duels: Vec<Duel>,
    /// How many (task, seed) pairs the ranks leave out, because a searcher has no run there.
    pub left_out: usize,
}

impl Verdict {
    /// One searcher against another, whichever way round it was computed.
    pub fn duel(&self, first: usize, second: usize) -> Option<Duel> {
        self.duels.iter().find_map(|duel| match (duel.first, duel.second) {
            (one, other) if (one, other) == (first, second) => Some(duel.clone()),
            (one, other) if (one, other) == (second, first) => Some(duel.turned()),
            _ => None,
        })
    }

    /// The standings, best mean rank first; the lower regret decides between equals.
    pub fn ranking(&self) -> Vec<&Standing> {
        let mut ranking: Vec<&Standing> = self.standings.iter().collect();
        ranking.sort_by(|one, other| {
            one.rank.total_cmp(&other.rank).then(one.regret.value.total_cmp(&other.regret.value))
        });
        ranking
    }
}

/// All searchers on one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskVerdict {
    /// The task's place in the setup.
    pub task: usize,
    /// The budget in time.
    pub budget: f64,
    /// The standings at each part of the budget in time, in the order of the setup's fractions and searchers.
    pub standings: Vec<Vec<Standing>>,
    /// The curves, against each axis on which something was spent.
    pub axes: Vec<AxisCurves>,
    /// Whether the cost of every run is its length, so that the one says as much as the other.
    pub cost_is_length: bool,
    /// What each searcher's runs did.
    pub work: Vec<Work>,
}

/// A few plain sentences about one matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Paragraph {
    /// What it is about.
    pub heading: String,
    /// The sentences.
    pub sentences: Vec<String>,
}

/// A set of runs, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What was compared.
    pub setup: Setup,
    /// The seeds of the runs.
    pub seeds: Vec<u32>,
    /// How many runs.
    pub runs: usize,
    /// The outcome in plain words.
    pub conclusion: Vec<Paragraph>,
    /// The standings over all tasks, for each axis and part of the budget.
    pub verdicts: Vec<Verdict>,
    /// Each task by itself.
    pub tasks: Vec<TaskVerdict>,
    /// What each searcher's runs did, over all tasks.
    pub work: Vec<Work>,
    /// Mean ranks as the budget in time grows.
    pub ranks: Vec<RankCurve>,
    /// The share of runs below each regret at the end.
    pub profiles: Vec<Profile>,
    /// Every run at every budget.
    pub scores: Vec<Score>,
}

impl Comparison {
    /// Judges runs, or says what is wrong with them. Takes O(runs) memory beside the resamples, and time proportional to
    /// tasks × searchers × seeds × resamples × points.
    pub fn new(setup: Setup, runs: &[Run]) -> Result<Self, Error> {
        let table = Table::new(&setup, runs)?;
        let tasks: Vec<TaskVerdict> =
            (0..setup.tasks.len()).filter_map(|task| task_verdict(&table, task)).collect();
        let all: Vec<usize> = (0..setup.tasks.len()).collect();
        let last = setup.fractions[setup.fractions.len() - 1];
        let mut comparison = Self {
            seeds: table.seeds.clone(),
            runs: runs.len(),
            conclusion: Vec::new(),
            verdicts: verdicts(&table),
            tasks,
            work: work(&table, &all),
            ranks: rank_curves(&table),
            profiles: profiles(&table.board(Axis::Time, last)),
            scores: scores(&table),
            setup: setup.clone(),
        };
        comparison.conclusion = conclusion::conclude(&comparison);
        Ok(comparison)
    }

    /// The standings over all tasks at one budget in time (by its place among the fractions).
    pub fn in_time(&self, fraction: usize) -> Option<&Verdict> {
        self.verdicts.iter().filter(|verdict| verdict.axis == Axis::Time).nth(fraction)
    }

    /// The standings over all tasks at the last budget in time.
    pub fn at_the_end(&self) -> Option<&Verdict> {
        self.in_time(self.setup.fractions.len() - 1)
    }
}

fn verdicts(table: &Table<'_>) -> Vec<Verdict> {
    let setup = table.setup;
    let tasks = setup.tasks.len();
    let resampler = Resampler::new(setup.bootstrap_seed, setup.resamples as usize, tasks, table.seeds.len());
    let spent = |axis: &Axis| (0..tasks).any(|task| table.budget(task, *axis).is_some());
    let budgets = Axis::ALL.into_iter().filter(spent);
    let budgets = budgets.flat_map(|axis| setup.fractions.iter().map(move |&fraction| (axis, fraction)));
    let verdict = |(axis, fraction)| {
        let board = table.board(axis, fraction);
        let (standings, left_out) = standings(&board, &resampler, setup.confidence);
        Verdict { axis, fraction, standings, duels: duels(&board, &resampler, setup.confidence), left_out }
    };
    budgets.map(verdict).collect()
}

fn standings(board: &Board, resampler: &Resampler, confidence: f64) -> (Vec<Standing>, usize) {
    let (ranks, left_out) = mean_ranks(board);
    let standing = |(searcher, rank): (usize, &super::rank::MeanRank)| Standing {
        searcher,
        regret: resampler.interval(board, searcher, 0..board.tasks, confidence),
        rank: rank.mean,
        rank_error: rank.error,
    };
    (ranks.iter().enumerate().map(standing).collect(), left_out)
}

fn task_verdict(table: &Table<'_>, task: usize) -> Option<TaskVerdict> {
    let setup = table.setup;
    let budget = table.budget(task, Axis::Time)?;
    let resampler = Resampler::new(setup.bootstrap_seed, setup.resamples as usize, 1, table.seeds.len());
    let at = |&fraction: &f64| {
        let whole = table.board(Axis::Time, fraction);
        let board = Board::from_fn(1, whole.searchers, whole.seeds, |_, searcher, seed| {
            whole.get(task, searcher, seed)
        });
        standings(&board, &resampler, setup.confidence).0
    };
    let same = |run: &Run| run.total_cost == run.total_length as f64;
    Some(TaskVerdict {
        task,
        budget,
        standings: setup.fractions.iter().map(at).collect(),
        axes: Axis::ALL.iter().filter_map(|&axis| axis_curves(table, task, axis)).collect(),
        cost_is_length: table.runs_of(task).all(same),
        work: work(table, &[task]),
    })
}

fn scores(table: &Table<'_>) -> Vec<Score> {
    let setup = table.setup;
    let mut scores = Vec::new();
    for (task, scale) in setup.tasks.iter().enumerate() {
        for run in table.runs_of(task) {
            for axis in Axis::ALL {
                let Some(whole) = table.budget(task, axis) else { continue };
                for &fraction in &setup.fractions {
                    let budget = whole * fraction;
                    let incumbent = table.incumbent(task, run, axis, budget);
                    let regret = scale.normalised(incumbent);
                    let Run { task, searcher, seed, .. } = run;
                    let (task, searcher, best) =
                        (task.clone(), searcher.clone(), scale.as_reported(incumbent));
                    scores.push(Score { task, searcher, seed: *seed, axis, fraction, budget, best, regret });
                }
            }
        }
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::samples;

    #[test]
    fn a_comparison_is_the_same_each_time_and_in_any_order_of_runs() {
        let (setup, mut runs) = samples::comparison_input(2, 4, 5);
        let first = Comparison::new(setup.clone(), &runs).unwrap();
        runs.reverse();
        assert_eq!(first, Comparison::new(setup, &runs).unwrap());
        assert_eq!(first.scores.len(), 2 * 4 * 5 * 3 * 4);
        assert_eq!(first.verdicts.len(), 3 * 4);
    }

    #[test]
    fn the_better_searcher_of_the_samples_wins() {
        let (setup, runs) = samples::comparison_input(2, 4, 12);
        let comparison = Comparison::new(setup, &runs).unwrap();
        let end = comparison.at_the_end().unwrap();
        assert_eq!(end.ranking()[0].searcher, samples::BEST);
        let duel = end.duel(3, samples::BEST).unwrap();
        assert_eq!((duel.first, duel.first_leads, duel.wins + duel.ties + duel.losses), (3, false, 24));
        assert!(end.duel(0, 0).is_none());
    }

    #[test]
    fn missing_runs_make_no_difference_to_the_rest() {
        let (setup, mut runs) = samples::comparison_input(2, 3, 6);
        runs.retain(|run| !(run.searcher == setup.searchers[2].label && run.task == setup.tasks[1].name));
        let comparison = Comparison::new(setup, &runs).unwrap();
        assert_eq!(comparison.at_the_end().unwrap().left_out, 6);
        assert_eq!(comparison.tasks[1].axes[0].curves.len(), 2);
        assert_eq!(comparison.work[2].runs, 6);
    }

    #[test]
    fn without_cost_there_is_no_cost_axis() {
        let (setup, mut runs) = samples::comparison_input(1, 2, 3);
        for run in &mut runs {
            run.total_cost = 0.0;
            run.steps.iter_mut().for_each(|step| step.cost = 0.0);
        }
        let comparison = Comparison::new(setup, &runs).unwrap();
        assert!(comparison.verdicts.iter().all(|verdict| verdict.axis != Axis::Cost));
        assert_eq!(comparison.tasks[0].axes.len(), 2);
    }
}
