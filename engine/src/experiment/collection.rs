//! Which checkpoints nothing keeps any more. Pure; the collector reads them from the store and acts.
//!
//! Kept are the best of the experiment, the best of each trial and the latest of each trial, as many as the file says.
//! A checkpoint counts among the best by the validation at its length; without one it counts only toward the latest.
//!
//! While the search goes on, each trial is looked at alone, with [`Policy::of_one_trial`]. What is found then is never
//! kept by the whole policy at the end: more checkpoints and more trials only push the others down. So a collection
//! may be left out, cut short or repeated at any moment, and the end is the same (see the property below).

use std::cmp::Ordering;
use std::collections::BTreeSet;

/// How many checkpoints are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The experiment's best.
    pub experiment_best: usize,
    /// Each trial's best.
    pub trial_best: usize,
    /// Each trial's latest.
    pub trial_latest: usize,
}

impl Policy {
    /// What may be kept of a trial however the others end. At least its best one, which may be shown as the best of
    /// all, and its latest one while it goes on.
    pub fn of_one_trial(self, goes_on: bool) -> Self {
        Self {
            experiment_best: 0,
            trial_best: self.trial_best.max(self.experiment_best).max(1),
            trial_latest: self.trial_latest.max(usize::from(goes_on)),
        }
    }
}

/// One trial of an experiment that goes on.
#[derive(Clone, Debug)]
pub struct OfTrial {
    /// The trial.
    pub trial: u32,
    /// Whether it has not ended.
    pub goes_on: bool,
    /// Only checkpoints of smaller lengths are looked at: the newest of the trial when this was asked for, and all
    /// that came since, are not.
    pub below: u64,
    /// Checkpoints that a trial would continue from, or that are shown as the best.
    pub spared: BTreeSet<String>,
}

/// A checkpoint as far as it matters here.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// Its name.
    pub uuid: String,
    /// Its trial.
    pub trial: u32,
    /// Where it was saved.
    pub length: u64,
    /// When it was saved.
    pub time_ms: i64,
    /// The validation at its length, normalised (smaller is better). `None`: there is none. NaN comes last.
    pub metric: Option<f64>,
}

/// The checkpoints that nothing keeps, of those given. `spared`: names of those that are needed otherwise.
pub fn superfluous<'a>(saved: &'a [Saved], policy: Policy, spared: &BTreeSet<String>) -> Vec<&'a Saved> {
    let mut kept: BTreeSet<&str> = spared.iter().map(String::as_str).collect();
    let mut order: Vec<&Saved> = saved.iter().collect();
    order.sort_by(|a, b| a.trial.cmp(&b.trial).then(newer_first(a, b)));
    for of_trial in order.chunk_by(|a, b| a.trial == b.trial) {
        kept.extend(of_trial.iter().take(policy.trial_latest).map(|saved| saved.uuid.as_str()));
        kept.extend(best(of_trial, policy.trial_best));
    }
    kept.extend(best(&order, policy.experiment_best));
    saved.iter().filter(|saved| !kept.contains(saved.uuid.as_str())).collect()
}

/// The best `count` of those that have a validation.
fn best<'a>(saved: &[&'a Saved], count: usize) -> Vec<&'a str> {
    if count == 0 {
        return Vec::new();
    }
    let mut validated: Vec<&Saved> = saved.iter().copied().filter(|saved| saved.metric.is_some()).collect();
    validated.sort_by(|a, b| better_first(a, b));
    validated.into_iter().take(count).map(|saved| saved.uuid.as_str()).collect()
}

fn newer_first(a: &Saved, b: &Saved) -> Ordering {
    b.length.cmp(&a.length).then(b.time_ms.cmp(&a.time_ms)).then(b.uuid.cmp(&a.uuid))
}

fn better_first(a: &Saved, b: &Saved) -> Ordering {
    // The sign of a NaN says nothing.
    let rank = |saved: &Saved| match saved.metric {
        Some(metric) if !metric.is_nan() => (0, metric),
        _ => (1, 0.0),
    };
    let (a_rank, b_rank) = (rank(a), rank(b));
    let by_metric = a_rank.0.cmp(&b_rank.0).then(a_rank.1.total_cmp(&b_rank.1));
    by_metric.then(a.trial.cmp(&b.trial)).then(a.length.cmp(&b.length)).then(a.uuid.cmp(&b.uuid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn saved(uuid: &str, trial: u32, length: u64, metric: Option<f64>) -> Saved {
        Saved { uuid: uuid.into(), trial, length, time_ms: 0, metric }
    }

    /// The example of the reference: trial 1 has 1 … 5, trial 2 has 6 … 10.
    fn example() -> Vec<Saved> {
        let metrics = [None, None, Some(0.6), Some(0.5), Some(0.4), None, Some(0.2), Some(0.3), None, None];
        let one = |(metric, number): (Option<f64>, u32)| {
            saved(&number.to_string(), if number <= 5 { 1 } else { 2 }, u64::from(number), metric)
        };
        metrics.into_iter().zip(1..).map(one).collect()
    }

    fn policy((experiment_best, trial_best, trial_latest): (usize, usize, usize)) -> Policy {
        Policy { experiment_best, trial_best, trial_latest }
    }

    fn kept(saved: &[Saved], policy: Policy, spared: &[&str]) -> Vec<String> {
        let spared = spared.iter().map(ToString::to_string).collect();
        let gone: Vec<&str> =
            superfluous(saved, policy, &spared).iter().map(|saved| saved.uuid.as_str()).collect();
        saved
            .iter()
            .filter(|saved| !gone.contains(&saved.uuid.as_str()))
            .map(|saved| saved.uuid.clone())
            .collect()
    }

    #[test]
    fn the_worked_example() {
        let rows = [
            ((2, 0, 0), "7 8"),
            ((0, 1, 0), "5 7"),
            ((0, 0, 1), "5 10"),
            ((2, 1, 0), "5 7 8"),
            ((0, 1, 1), "5 7 10"),
            ((0, 0, 0), ""),
        ];
        for (numbers, expected) in rows {
            assert_eq!(kept(&example(), policy(numbers), &[]).join(" "), expected, "{numbers:?}");
        }
    }

    #[test]
    fn what_is_needed_otherwise_stays() {
        assert_eq!(kept(&example(), policy((0, 0, 0)), &["2", "9"]), ["2", "9"]);
    }

    #[test]
    fn no_number_is_the_worst_of_all_validations() {
        for nan in [f64::NAN, -f64::NAN] {
            let all =
                [saved("a", 1, 1, Some(nan)), saved("b", 1, 2, Some(f64::INFINITY)), saved("c", 1, 3, None)];
            assert_eq!(kept(&all, policy((0, 1, 0)), &[]), ["b"]);
            assert_eq!(kept(&all, policy((0, 2, 0)), &[]), ["a", "b"]);
        }
    }

    #[test]
    fn a_trial_that_goes_on_keeps_its_latest() {
        let going = policy((0, 0, 0)).of_one_trial(true);
        assert_eq!(kept(&example()[..3], going, &[]), ["3"]);
        assert_eq!(kept(&example()[..2], going, &[]), ["2"]);
        assert_eq!(policy((5, 2, 3)).of_one_trial(false), policy((0, 5, 3)));
    }

    proptest! {
        #[test]
        fn collecting_on_the_way_changes_nothing_at_the_end(
            events in prop::collection::vec((1_u32..4, prop::option::of(0_u8..6), any::<bool>()), 0..60),
            numbers in (0_usize..4, 0_usize..4, 0_usize..4),
        ) {
            let policy = policy(numbers);
            let (mut all, mut left): (Vec<Saved>, Vec<Saved>) = (Vec::new(), Vec::new());
            for (number, (trial, metric, collects)) in events.into_iter().enumerate() {
                let new = saved(&number.to_string(), trial, number as u64, metric.map(f64::from));
                all.push(new.clone());
                left.push(new);
                if collects {
                    let of_trial: Vec<Saved> = left.iter().filter(|saved| saved.trial == trial).cloned().collect();
                    let found = superfluous(&of_trial, policy.of_one_trial(true), &BTreeSet::new());
                    prop_assert!(found.iter().all(|found| found.uuid != number.to_string()), "the latest stays");
                    left.retain(|saved| found.iter().all(|found| found.uuid != saved.uuid));
                }
            }
            prop_assert_eq!(kept(&left, policy, &[]), kept(&all, policy, &[]));
        }
    }
}
