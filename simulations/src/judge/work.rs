//! What a search did with its slots: utilisation, wasted work, trials, and the time it took to reach a target.

use super::scores::{Axis, Table};
use crate::run::Run;
use serde::Serialize;

/// The work of a searcher's runs, as means over them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Work {
    /// The searcher's place in the setup.
    pub searcher: usize,
    /// How many runs.
    pub runs: usize,
    /// The part of slot-seconds in which a slot trained.
    pub utilisation: f64,
    /// The part of the trained length that was lost to failures and preemption.
    pub wasted: f64,
    /// Trials created by a run.
    pub trials: f64,
    /// Validations reported by a run.
    pub reports: f64,
    /// Length trained by a run.
    pub length: f64,
    /// Cost of a run.
    pub cost: f64,
    /// How many runs reached the target within the budget.
    pub reached: usize,
    /// The part of the budget at which the target was reached, in the median over all runs; `None` where fewer than
    /// half of them reached it.
    pub time_to_target: Option<f64>,
}

/// The work of each searcher on some of the tasks.
pub(crate) fn work(table: &Table<'_>, tasks: &[usize]) -> Vec<Work> {
    (0..table.setup.searchers.len()).map(|searcher| of_searcher(table, tasks, searcher)).collect()
}

fn of_searcher(table: &Table<'_>, tasks: &[usize], searcher: usize) -> Work {
    let runs: Vec<(usize, &Run)> =
        tasks.iter().flat_map(|&task| table.runs_by(task, searcher).map(move |run| (task, run))).collect();
    let mean =
        |of: &dyn Fn(&Run) -> f64| runs.iter().map(|(_, run)| of(run)).sum::<f64>() / runs.len() as f64;
    let mut times: Vec<f64> = runs.iter().map(|&(task, run)| time_to_target(table, task, run)).collect();
    times.sort_by(f64::total_cmp);
    Work {
        searcher,
        runs: runs.len(),
        utilisation: mean(&|run| run.utilisation),
        wasted: mean(&|run| run.wasted_length as f64 / run.total_length.max(1) as f64),
        trials: mean(&|run| run.trials as f64),
        reports: mean(&|run| run.reports as f64),
        length: mean(&|run| run.total_length as f64),
        cost: mean(&|run| run.total_cost),
        reached: times.iter().filter(|time| time.is_finite()).count(),
        time_to_target: times.get(times.len().saturating_sub(1) / 2).copied().filter(|time| time.is_finite()),
    }
}

/// The part of the budget at which a run reached the target; infinite if it did not.
fn time_to_target(table: &Table<'_>, task: usize, run: &Run) -> f64 {
    let scale = &table.setup.tasks[task];
    let budget = table.budget(task, Axis::Time).unwrap_or(f64::INFINITY);
    let reached =
        |step: &&crate::run::Step| scale.normalised(step.best) <= table.setup.target && step.time <= budget;
    run.steps.iter().find(reached).map_or(f64::INFINITY, |step| step.time / budget)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::samples;
    use crate::run::Step;

    #[test]
    fn targets_and_means_by_hand() {
        let mut setup = samples::setup(1, 1);
        setup.tasks[0].budget = Some(100.0);
        let target = setup.tasks[0].best;
        let run = |seed, reached: Option<f64>| {
            let mut run = samples::run(&setup, 0, 0, seed);
            run.steps = vec![Step { time: 1.0, length: 1, cost: 1.0, best: setup.tasks[0].median }];
            run.steps.extend(reached.map(|time| Step { time, length: 2, cost: 2.0, best: target }));
            (run.total_length, run.wasted_length, run.trials) = (10, u64::from(seed), 5);
            run
        };
        let runs = [run(0, Some(20.0)), run(1, Some(40.0)), run(2, None), run(3, Some(101.0))];
        let work = &work(&Table::new(&setup, &runs).unwrap(), &[0])[0];
        assert_eq!((work.runs, work.reached, work.time_to_target), (4, 2, Some(0.4)));
        assert!((work.wasted - 0.15).abs() < 1e-12 && work.trials == 5.0);
        let few = [run(0, Some(20.0)), run(1, None), run(2, None)];
        assert_eq!(super::work(&Table::new(&setup, &few).unwrap(), &[0])[0].time_to_target, None);
    }
}
