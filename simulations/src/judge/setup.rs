//! What is compared: the tasks with their scales, the searchers, the budgets, and where it all came from.

use super::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A task, and the scale on which its metric is judged. Metrics are normalised as in [`Run`](crate::Run): smaller is better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The name that the runs carry.
    pub name: String,
    /// The metric's name, for labels.
    pub metric: String,
    /// Whether the metric is minimised. If not, the runs carry its negative, and labels show it as it was reported.
    pub smaller_is_better: bool,
    /// The best value that the task has: regret is measured from it.
    pub best: f64,
    /// The value of a median configuration after full training: its normalised regret is 1.
    pub median: f64,
    /// What counts for a run that has not reported yet, and the cap for everything worse. `None`: the worst first
    /// report of any run of the task, or the median, if that is worse.
    pub worst: Option<f64>,
    /// The whole budget in virtual time. `None`: the end of the longest run.
    pub budget: Option<f64>,
    /// The unit of virtual time, for labels.
    pub time_unit: String,
    /// The unit of length, for labels.
    pub length_unit: String,
    /// The unit of cost, for labels.
    pub cost_unit: String,
}

impl Task {
    /// The regret of a value in units of the way from the best to the median: 0 is the best, 1 the median.
    pub fn normalised(&self, value: f64) -> f64 {
        (value - self.best) / (self.median - self.best)
    }

    /// A normalised value of the metric as it was reported: negated back where the metric is maximised.
    pub fn as_reported(&self, value: f64) -> f64 {
        if self.smaller_is_better { value } else { -value }
    }

    /// A normalised regret as a value of the metric, as it was reported.
    pub fn metric_at(&self, normalised: f64) -> f64 {
        self.as_reported(self.best + normalised * (self.median - self.best))
    }
}

/// A searcher that takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contestant {
    /// The label that the runs carry.
    pub label: String,
    /// Whether it is there to be measured against, such as random search.
    pub baseline: bool,
    /// Its settings in a line, as a person would write them.
    pub settings: String,
}

/// All that a comparison needs to know besides the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// The searchers, in the order in which they are shown where no other order says more.
    pub searchers: Vec<Contestant>,
    /// At which parts of the budget to judge, each in `0.0 < .. <= 1.0`, ascending.
    pub fractions: Vec<f64>,
    /// The confidence of intervals, and 1 − the level of tests; in `0.5 ..= 0.999`.
    pub confidence: f64,
    /// How many resamples a bootstrap draws; in `100 ..= 100 000`.
    pub resamples: u32,
    /// The normalised regret that counts as "good enough" for the time to a target; at least 0.
    pub target: f64,
    /// The seed of the bootstrap.
    pub bootstrap_seed: u32,
    /// The command that made the runs, so that it can be repeated.
    pub command: String,
    /// Settings that all runs share (slots, start-up time…): name and value.
    pub settings: Vec<(String, String)>,
}

impl Setup {
    /// A setup with budgets of 1/8, 1/4, 1/2 and all, intervals of 95 % by 2 000 resamples, and a target of 0.05.
    pub fn new(tasks: Vec<Task>, searchers: Vec<Contestant>) -> Self {
        Self {
            tasks,
            searchers,
            fractions: vec![0.125, 0.25, 0.5, 1.0],
            confidence: 0.95,
            resamples: 2_000,
            target: 0.05,
            bootstrap_seed: 0,
            command: String::new(),
            settings: Vec::new(),
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_names("task", self.tasks.iter().map(|task| task.name.as_str()))?;
        check_names("searcher", self.searchers.iter().map(|searcher| searcher.label.as_str()))?;
        for task in &self.tasks {
            if !(task.best.is_finite() && task.median.is_finite() && task.median > task.best) {
                let (best, median) = (task.best, task.median);
                return Err(Error::Scale { task: task.name.clone(), best, median });
            }
            let budget = task.budget.unwrap_or(1.0);
            within("budget", budget, budget > 0.0 && budget.is_finite(), "a positive number")?;
        }
        let inside = self.fractions.iter().all(|&fraction| fraction > 0.0 && fraction <= 1.0);
        if self.fractions.is_empty() || !inside || !self.fractions.is_sorted_by(|one, next| one < next) {
            let found = format!("{:?}", self.fractions);
            let allowed = "at least one number in 0.0 < .. <= 1.0, ascending";
            return Err(Error::Setting { setting: "fractions", found, allowed });
        }
        within("confidence", self.confidence, (0.5..=0.999).contains(&self.confidence), "0.5 to 0.999")?;
        let resamples = f64::from(self.resamples);
        within("resamples", resamples, (100..=100_000).contains(&self.resamples), "100 to 100 000")?;
        within("target", self.target, self.target >= 0.0, "a number of at least 0")
    }
}

fn check_names<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Error::Twice { what, name: name.to_owned() });
        }
    }
    if seen.is_empty() { Err(Error::Empty { what }) } else { Ok(()) }
}

fn within(setting: &'static str, found: f64, good: bool, allowed: &'static str) -> Result<(), Error> {
    if good { Ok(()) } else { Err(Error::Setting { setting, found: found.to_string(), allowed }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::samples;

    #[test]
    fn mistakes_are_named() {
        let good = samples::setup(2, 3);
        assert_eq!(good.check(), Ok(()));
        let wrong = |change: &dyn Fn(&mut Setup)| {
            let mut setup = good.clone();
            change(&mut setup);
            setup.check().unwrap_err().to_string()
        };
        assert!(wrong(&|setup| setup.tasks[1].name = setup.tasks[0].name.clone()).contains("given twice"));
        assert!(wrong(&|setup| setup.tasks[1].median = setup.tasks[1].best).contains("must be larger"));
        assert!(wrong(&|setup| setup.searchers.clear()).contains("at least one searcher"));
        assert!(wrong(&|setup| setup.fractions = vec![0.5, 0.25]).contains("ascending"));
        assert!(wrong(&|setup| setup.confidence = 1.0).contains("0.5 to 0.999"));
        assert!(wrong(&|setup| setup.target = f64::NAN).contains("target is NaN"));
        assert!(wrong(&|setup| setup.tasks[0].budget = Some(0.0)).contains("a positive number"));
    }

    #[test]
    fn a_maximised_metric_is_shown_as_it_was_reported() {
        let mut task = samples::setup(1, 1).tasks.remove(0);
        (task.best, task.median, task.smaller_is_better) = (-0.9, -0.5, false);
        assert_eq!(task.normalised(-0.5), 1.0);
        assert_eq!(task.metric_at(0.0), 0.9);
    }
}
