//! `adaptive_asha` against plain ASHA: what several brackets cost where one would do, and what they save where it would not.

use crate::figures::{APART, median, p_value, regret};
use crate::page::Scene;
use crate::standings::{pairs, ranks};
use std::fmt::Write as _;
use toprung_simulations::Run;

/// Each mode with the plain search of the same rule.
const MODES: [(&str, &str); 6] = [
    ("adaptive-conservative", "asha-promotion"),
    ("adaptive-standard", "asha-promotion"),
    ("adaptive-aggressive", "asha-promotion"),
    ("adaptive-conservative-stopping", "asha-stopping"),
    ("adaptive-standard-stopping", "asha-stopping"),
    ("adaptive-aggressive-stopping", "asha-stopping"),
];

/// One table for some tasks.
pub fn table(scene: &Scene<'_>, tasks: &[usize]) -> String {
    let mut text = String::from(
        "| mode | against | rank at 25 / 50 / 100 % | better / equal / worse at 25 % | at 100 % | p at 100 % | time to plain ASHA's \
         half-way result | not there by T |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (mode, plain) in MODES {
        let (Some(one), Some(other)) = (scene.searcher(mode), scene.searcher(plain)) else { continue };
        let lead = |checkpoint| {
            let ranks = ranks(scene, tasks, checkpoint);
            format!("{:+.2}", ranks[one].mean - ranks[other].mean).replace('-', "−")
        };
        let [quarter, end] = [1, 3].map(|checkpoint| pairs(scene, tasks, checkpoint, one, other));
        let counts = |[better, equal, worse]: [usize; 3]| format!("{better} / {equal} / {worse}");
        let times = times(scene, tasks, one, other);
        let late = times.iter().filter(|time| time.is_infinite()).count();
        let _ = writeln!(
            text,
            "| {mode} | {plain} | {} / {} / {} | {} | {} | {} | {} | {:.0} % |",
            lead(1),
            lead(2),
            lead(3),
            counts(quarter.counts),
            counts(end.counts),
            p_value(end.p),
            many_times(median(&times)),
            100.0 * late as f64 / times.len() as f64
        );
    }
    text
}

fn many_times(factor: f64) -> String {
    if factor.is_finite() { format!("{factor:.2} ×") } else { "more than half never".to_owned() }
}

/// In each pair of runs: how many times as long the first takes to where the second was at half of the budget.
fn times(scene: &Scene<'_>, tasks: &[usize], first: usize, second: usize) -> Vec<f64> {
    let pair = |task: usize, seed: usize| {
        let (one, other) = (scene.played.run(task, first, seed), scene.played.run(task, second, seed));
        time_ratio(one, other, scene.budget(task))
    };
    tasks.iter().flat_map(|&task| (0..scene.played.seeds).filter_map(move |seed| pair(task, seed))).collect()
}

/// How many times as long `run` takes to the best value that `plain` has at half of the budget; infinite if it does not get
/// there, none if the other had nothing yet.
fn time_ratio(run: &Run, plain: &Run, budget: f64) -> Option<f64> {
    let reached = plain.steps.iter().rev().find(|step| step.time <= budget / 2.0)?;
    let there = run.steps.iter().find(|step| step.best <= reached.best);
    Some(there.map_or(f64::INFINITY, |step| step.time / reached.time))
}

/// On how many tasks each mode has the lower median, in words.
pub fn summary(scene: &Scene<'_>) -> String {
    let mut text = String::new();
    for (mode, plain) in MODES {
        let (Some(one), Some(other)) = (scene.searcher(mode), scene.searcher(plain)) else { continue };
        let [quarter, end] = [1, 3].map(|checkpoint| {
            let at = |task, searcher| median(scene.played.regrets(checkpoint, task, searcher));
            let differences = (0..scene.grounds.len()).map(|task| at(task, one) - at(task, other));
            let (lower, rest): (Vec<f64>, Vec<f64>) =
                differences.partition(|difference| *difference < -APART);
            (lower.len(), rest.iter().filter(|difference| **difference > APART).count())
        });
        let _ = writeln!(
            text,
            "* {mode} against {plain}, of {} tasks: lower at T/4 on {}, higher on {}; lower at T on {}, higher on {}.",
            scene.grounds.len(),
            quarter.0,
            quarter.1,
            end.0,
            end.1
        );
    }
    text
}

/// In which tasks a mode is better in the median at T than the plain search, and in which worse.
pub fn by_task(scene: &Scene<'_>) -> String {
    let mut text = String::from("| task |");
    for (mode, _) in MODES {
        let _ = write!(text, " {mode} |");
    }
    text += "\n|---|---|---|---|---|---|---|\n";
    for task in 0..scene.grounds.len() {
        let _ = write!(text, "| {} |", scene.grounds[task].task.name());
        for (mode, plain) in MODES {
            let (Some(one), Some(other)) = (scene.searcher(mode), scene.searcher(plain)) else { continue };
            let at = |checkpoint, searcher| median(scene.played.regrets(checkpoint, task, searcher));
            let difference = |checkpoint| {
                let found = regret(at(checkpoint, one) - at(checkpoint, other));
                if found.starts_with('−') || found == "0.000" { found } else { format!("+{found}") }
            };
            let _ = write!(text, " {} / {} |", difference(1), difference(3));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use toprung_simulations::Step;

    fn run(steps: &[(f64, f64)]) -> Run {
        let step = |&(time, best): &(f64, f64)| Step { time, length: 0, cost: 0.0, best };
        Run {
            task: String::new(),
            searcher: String::new(),
            seed: 0,
            steps: steps.iter().map(step).collect(),
            end_time: 100.0,
            total_length: 0,
            total_cost: 0.0,
            wasted_length: 0,
            utilisation: 1.0,
            trials: 0,
            reports: 0,
        }
    }

    #[test]
    fn times_by_hand() {
        let plain = run(&[(10.0, 0.5), (20.0, 0.3), (60.0, 0.1)]);
        // At 50 the plain one has 0.3, since 20.
        assert_eq!(time_ratio(&run(&[(1.0, 0.9), (30.0, 0.3)]), &plain, 100.0), Some(1.5));
        assert_eq!(time_ratio(&run(&[(1.0, 0.9)]), &plain, 100.0), Some(f64::INFINITY));
        assert_eq!(time_ratio(&plain, &run(&[(60.0, 0.2)]), 100.0), None);
    }
}
