//! The incumbent of each run at each budget: the best metric reported until then.

use super::error::Error;
use super::setup::Setup;
use crate::run::{Run, Step};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Against what an incumbent is plotted and judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Virtual time.
    Time,
    /// The length trained by all trials together.
    Length,
    /// The cost of that length.
    Cost,
}

impl Axis {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Time, Self::Length, Self::Cost];

    /// Its name in files and sentences.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Length => "length",
            Self::Cost => "cost",
        }
    }

    /// Where a step lies on it.
    pub fn position(self, step: &Step) -> f64 {
        match self {
            Self::Time => step.time,
            Self::Length => step.length as f64,
            Self::Cost => step.cost,
        }
    }

    /// Where a run ends on it.
    pub fn end(self, run: &Run) -> f64 {
        match self {
            Self::Time => run.end_time,
            Self::Length => run.total_length as f64,
            Self::Cost => run.total_cost,
        }
    }
}

/// One run at one budget.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The task's name.
    pub task: String,
    /// The searcher's label.
    pub searcher: String,
    /// The seed.
    pub seed: u32,
    /// What the budget is counted in.
    pub axis: Axis,
    /// The part of the whole budget.
    pub fraction: f64,
    /// The budget itself, in the axis' unit.
    pub budget: f64,
    /// The best metric until then, as reported (not negated).
    pub best: f64,
    /// Its normalised regret.
    pub regret: f64,
}

/// Runs by (task, searcher, seed), checked, with each task's cap and budgets.
pub(crate) struct Table<'a> {
    pub setup: &'a Setup,
    pub seeds: Vec<u32>,
    runs: Vec<Option<&'a Run>>,
    worst: Vec<f64>,
}

impl<'a> Table<'a> {
    /// Sorts the runs in, or says what is wrong with them.
    pub fn new(setup: &'a Setup, runs: &'a [Run]) -> Result<Self, Error> {
        setup.check()?;
        if runs.is_empty() {
            return Err(Error::Empty { what: "run" });
        }
        let seeds: Vec<u32> = runs.iter().map(|run| run.seed).collect::<BTreeSet<_>>().into_iter().collect();
        let tasks = places(setup.tasks.iter().map(|task| task.name.as_str()));
        let searchers = places(setup.searchers.iter().map(|searcher| searcher.label.as_str()));
        let seed_places: BTreeMap<u32, usize> =
            seeds.iter().enumerate().map(|(place, &seed)| (seed, place)).collect();
        let mut sorted = vec![None; setup.tasks.len() * setup.searchers.len() * seeds.len()];
        for run in runs {
            let task = place_of(&tasks, "task", &run.task)?;
            let searcher = place_of(&searchers, "searcher", &run.searcher)?;
            check_order(run)?;
            let place = (task * searchers.len() + searcher) * seeds.len() + seed_places[&run.seed];
            if sorted[place].replace(run).is_some() {
                let Run { task, searcher, seed, .. } = run.clone();
                return Err(Error::SameRun { task, searcher, seed });
            }
        }
        let mut table = Self { setup, seeds, runs: sorted, worst: Vec::new() };
        table.worst = (0..setup.tasks.len()).map(|task| table.worst_of(task)).collect();
        Ok(table)
    }

    fn worst_of(&self, task: usize) -> f64 {
        let scale = &self.setup.tasks[task];
        let first = |run: &Run| run.steps.iter().map(|step| step.best).find(|best| best.is_finite());
        let worst_first = self.runs_of(task).filter_map(first).fold(scale.median, f64::max);
        scale.worst.filter(|worst| worst.is_finite()).unwrap_or(worst_first)
    }

    /// The run of a task, searcher and seed (by place), if there is one.
    pub fn run(&self, task: usize, searcher: usize, seed: usize) -> Option<&'a Run> {
        self.runs[(task * self.setup.searchers.len() + searcher) * self.seeds.len() + seed]
    }

    /// All runs of a searcher on a task, by seed.
    pub fn runs_by(&self, task: usize, searcher: usize) -> impl Iterator<Item = &'a Run> + '_ {
        (0..self.seeds.len()).filter_map(move |seed| self.run(task, searcher, seed))
    }

    /// All runs of a task.
    pub fn runs_of(&self, task: usize) -> impl Iterator<Item = &'a Run> + '_ {
        (0..self.setup.searchers.len()).flat_map(move |searcher| self.runs_by(task, searcher))
    }

    /// The whole budget of a task: for time what its scale says; otherwise the end of the longest run. `None`: nothing
    /// was spent on this axis.
    pub fn budget(&self, task: usize, axis: Axis) -> Option<f64> {
        let longest = self.runs_of(task).map(|run| axis.end(run)).fold(0.0, f64::max);
        let stated = self.setup.tasks[task].budget.filter(|_| axis == Axis::Time);
        Some(stated.unwrap_or(longest)).filter(|budget| budget.is_finite() && *budget > 0.0)
    }

    /// A run's incumbent at a budget, capped; the task's worst value before the first report.
    pub fn incumbent(&self, task: usize, run: &Run, axis: Axis, budget: f64) -> f64 {
        let done = run.steps.partition_point(|step| axis.position(step) <= budget);
        let worst = self.worst[task];
        let best = run.steps[..done].last().map_or(worst, |step| step.best);
        if best.is_nan() { worst } else { best.min(worst) }
    }

    /// The normalised regret of a run's incumbent at a budget.
    pub fn regret(&self, task: usize, run: &Run, axis: Axis, budget: f64) -> f64 {
        self.setup.tasks[task].normalised(self.incumbent(task, run, axis, budget))
    }

    /// Every run's regret at a part of the whole budget.
    pub fn board(&self, axis: Axis, fraction: f64) -> Board {
        let (tasks, searchers, seeds) =
            (self.setup.tasks.len(), self.setup.searchers.len(), self.seeds.len());
        let mut board = Board { tasks, searchers, seeds, values: vec![f64::NAN; self.runs.len()] };
        for task in 0..tasks {
            let Some(budget) = self.budget(task, axis) else { continue };
            for searcher in 0..searchers {
                for seed in 0..seeds {
                    if let Some(run) = self.run(task, searcher, seed) {
                        let place = board.place(task, searcher, seed);
                        board.values[place] = self.regret(task, run, axis, budget * fraction);
                    }
                }
            }
        }
        board
    }
}

/// Normalised regrets by (task, searcher, seed); NaN where there is no run.
#[derive(Clone, Debug)]
pub struct Board {
    /// How many tasks.
    pub tasks: usize,
    /// How many searchers.
    pub searchers: usize,
    /// How many seeds.
    pub seeds: usize,
    values: Vec<f64>,
}

impl Board {
    /// A board from a function of (task, searcher, seed).
    pub fn from_fn(
        tasks: usize,
        searchers: usize,
        seeds: usize,
        value: impl Fn(usize, usize, usize) -> f64,
    ) -> Self {
        let mut board = Self { tasks, searchers, seeds, values: vec![f64::NAN; tasks * searchers * seeds] };
        for task in 0..tasks {
            for searcher in 0..searchers {
                for seed in 0..seeds {
                    let place = board.place(task, searcher, seed);
                    board.values[place] = value(task, searcher, seed);
                }
            }
        }
        board
    }

    fn place(&self, task: usize, searcher: usize, seed: usize) -> usize {
        (task * self.searchers + searcher) * self.seeds + seed
    }

    /// The regret of one run; NaN if there is none.
    pub fn get(&self, task: usize, searcher: usize, seed: usize) -> f64 {
        self.values[self.place(task, searcher, seed)]
    }

    /// The regrets of a searcher on a task, by seed.
    pub fn row(&self, task: usize, searcher: usize) -> &[f64] {
        let start = self.place(task, searcher, 0);
        &self.values[start..start + self.seeds]
    }
}

fn places<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    names.enumerate().map(|(place, name)| (name, place)).collect()
}

fn place_of(known: &BTreeMap<&str, usize>, what: &'static str, name: &str) -> Result<usize, Error> {
    known.get(name).copied().ok_or_else(|| Error::Unknown {
        what,
        name: name.to_owned(),
        known: known.keys().copied().collect::<Vec<_>>().join(", "),
    })
}

fn check_order(run: &Run) -> Result<(), Error> {
    let backwards =
        |pair: &[Step]| Axis::ALL.iter().any(|axis| axis.position(&pair[1]) < axis.position(&pair[0]));
    match run.steps.windows(2).position(backwards) {
        None => Ok(()),
        Some(place) => {
            let Run { task, searcher, seed, .. } = run.clone();
            Err(Error::Order { task, searcher, seed, step: place + 1 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::samples;

    #[test]
    fn the_incumbent_holds_from_its_step_on() {
        let setup = samples::setup(1, 1);
        let step = |time, best| Step { time, length: time as u64 * 2, cost: time * 3.0, best };
        let mut run = samples::run(&setup, 0, 0, 0);
        run.steps = vec![step(1.0, f64::NAN), step(2.0, 1e18), step(3.0, 0.4)];
        let runs = [run];
        let table = Table::new(&setup, &runs).unwrap();
        let at = |axis, budget| table.incumbent(0, &runs[0], axis, budget);
        let worst = setup.tasks[0].worst.unwrap();
        assert_eq!(at(Axis::Time, 0.5), worst, "no report yet");
        assert_eq!(at(Axis::Time, 1.0), worst, "NaN counts as the worst");
        assert_eq!(at(Axis::Time, 2.0), worst, "capped");
        assert_eq!(at(Axis::Time, 3.0), 0.4, "a step counts at its own time");
        assert_eq!(at(Axis::Length, 5.9), worst);
        assert_eq!(at(Axis::Length, 6.0), 0.4);
        assert_eq!(at(Axis::Cost, 1e9), 0.4, "and is kept after the end");
    }

    #[test]
    fn without_a_cap_the_worst_first_report_counts() {
        let mut setup = samples::setup(1, 2);
        setup.tasks[0].worst = None;
        let runs: Vec<Run> = (0..2).map(|searcher| samples::run(&setup, 0, searcher, 0)).collect();
        let table = Table::new(&setup, &runs).unwrap();
        let first = runs.iter().map(|run| run.steps[0].best).fold(setup.tasks[0].median, f64::max);
        assert_eq!(table.regret(0, &runs[0], Axis::Time, 0.0), setup.tasks[0].normalised(first));
    }

    #[test]
    fn wrong_runs_are_named() {
        let setup = samples::setup(1, 1);
        let good = samples::run(&setup, 0, 0, 3);
        let fault = |runs: Vec<Run>| {
            Table::new(&setup, &runs).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(fault(vec![good.clone()]), "");
        assert!(fault(vec![]).contains("at least one run"));
        assert!(fault(vec![good.clone(), good.clone()]).contains("have the seed 3"));
        assert!(fault(vec![Run { task: "x".into(), ..good.clone() }]).contains("which is not in the setup"));
        let mut steps = good.steps.clone();
        steps.swap(0, 1);
        assert!(fault(vec![Run { steps, ..good }]).contains("step 1 lies before"));
    }
}
