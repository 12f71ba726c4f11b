//! Median stopping around other methods.

use crate::world::{brief, capacity, exited, run, start, validated};
use proptest::prelude::*;
use std::collections::BTreeMap;
use toprung_searchers::{Action, ExitReason, Reason, SearcherConfig};

fn median(inner: SearcherConfig, min_length: u64, min_trials: u64) -> SearcherConfig {
    SearcherConfig::MedianStopping { inner: Box::new(inner), min_length, min_trials }
}

fn random(max_trials: u64, max_length: u64) -> SearcherConfig {
    SearcherConfig::Random { max_trials, max_length, max_concurrent_trials: 0 }
}

#[test]
fn worse_than_the_median_of_averages_is_stopped() {
    let mut searcher = start(median(random(9, 100), 2, 3));
    capacity(&mut searcher, 5);
    for (trial, metrics) in [(1, [4.0, 2.0]), (2, [6.0, 2.0]), (3, [6.0, 4.0])] {
        for (length, metric) in [(1, metrics[0]), (2, metrics[1])] {
            assert_eq!(brief(&validated(&mut searcher, trial, length, metric)), [""; 0]);
        }
    }
    // Averages at length 2 are 3, 4 and 5. The best counts, not the newest.
    validated(&mut searcher, 4, 1, 4.0);
    assert_eq!(brief(&validated(&mut searcher, 4, 2, 99.0)), [""; 0], "4 is not worse than the median");
    validated(&mut searcher, 5, 1, 99.0);
    let actions = validated(&mut searcher, 5, 2, 51.0);
    let reason = Reason::BelowMedian { length: 2, better: 3, of: 4 };
    assert_eq!(actions, [Action::Stop { trial: toprung_searchers::TrialId(5), reason: reason.clone() }]);
    assert_eq!(reason.to_string(), "at length 2, 3 of 4 others are better on average than it is at its best");
    assert_eq!(brief(&validated(&mut searcher, 5, 3, 0.0)), [""; 0], "too late");
    assert_eq!(brief(&exited(&mut searcher, 5, ExitReason::Stopped)), ["+6"]);
}

#[test]
fn it_says_nothing_too_early_or_of_too_few() {
    for (min_length, min_trials) in [(5, 1), (1, 3)] {
        let mut searcher = start(median(random(9, 100), min_length, min_trials));
        capacity(&mut searcher, 3);
        validated(&mut searcher, 1, 4, 1.0);
        validated(&mut searcher, 2, 4, 1.0);
        assert_eq!(brief(&validated(&mut searcher, 3, 4, 9.0)), [""; 0]);
    }
    let mut searcher = start(median(random(9, 100), 4, 2));
    capacity(&mut searcher, 3);
    validated(&mut searcher, 1, 4, 1.0);
    validated(&mut searcher, 2, 4, 1.0);
    assert_eq!(brief(&validated(&mut searcher, 3, 4, 9.0)), ["3 stop"]);
}

#[test]
fn a_trial_that_it_stops_ranks_last_in_its_rung() {
    let halving = crate::world::asha(2, 3, 3.0, 3, false);
    let mut searcher = start(median(halving, 0, 1));
    capacity(&mut searcher, 3);
    assert_eq!(brief(&validated(&mut searcher, 1, 1, 2.0)), ["1 pause"], "the rung decides, not the median");
    assert_eq!(brief(&validated(&mut searcher, 2, 1, 1.0)), ["2 pause"]);
    let rungs = |searcher: &toprung_searchers::Searcher| searcher.rungs()[0].trials;
    assert_eq!(rungs(&searcher), 2);
    let mut searcher = start(median(crate::world::asha(1, 3, 3.0, 9, false), 0, 1));
    capacity(&mut searcher, 2);
    validated(&mut searcher, 1, 1, 1.0);
    assert_eq!(brief(&validated(&mut searcher, 2, 1, 2.0)), ["2 stop"]);
    assert_eq!(brief(&exited(&mut searcher, 2, ExitReason::Stopped)), ["+3"]);
    assert_eq!(rungs(&searcher), 1, "it has its place, behind all others");
}

#[test]
fn half_of_the_bad_ones_save_their_time() {
    // Only full lengths are seen by this world, so rungs must be where validations are.
    let history = run(&mut start(median(random(6, 8), 0, 1)), 2, |trial, _| f64::from(trial));
    assert_eq!(history.ended_at(8), 6, "the method itself decides at the greatest length");
}

proptest! {
    /// Against the rule written down naively.
    #[test]
    fn agrees_with_sorted_averages(reports in prop::collection::vec((1_u32..7, prop::sample::select(vec![f64::NAN, f64::INFINITY, 0.0, 1.0, 2.0, 3.0])), 0..60)) {
        let mut searcher = start(median(random(6, 1000), 2, 2));
        capacity(&mut searcher, 6);
        let mut curves: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        let mut averages: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let mut stopped = Vec::new();
        for (trial, metric) in reports {
            if stopped.contains(&trial) {
                continue;
            }
            let curve = curves.entry(trial).or_default();
            curve.push(metric);
            let length = curve.len();
            let best = curve.iter().copied().filter(|metric| !metric.is_nan()).fold(f64::NAN, f64::min);
            let others = averages.entry(length).or_default();
            let better = others.iter().filter(|other| **other < best || (best.is_nan() && !other.is_nan())).count();
            let stops = length >= 2 && others.len() >= 2 && 2 * better > others.len();
            others.push(curve.iter().sum::<f64>() / length as f64);
            let actions = brief(&validated(&mut searcher, trial, length as u64, metric));
            prop_assert_eq!(actions, if stops { vec![format!("{trial} stop")] } else { vec![] });
            if stops {
                stopped.push(trial);
            }
        }
    }
}
