//! PASHA: how far its trials train.

use crate::world::{PAUSED, brief, capacity, exited, run, start, validated};
use toprung_searchers::SearcherConfig;

fn pasha(max_trials: u64, max_length: u64) -> SearcherConfig {
    SearcherConfig::Pasha {
        max_trials,
        divisor: 3.0,
        max_rungs: 5,
        min_length: None,
        max_length,
        max_concurrent_trials: 4,
    }
}

#[test]
fn as_long_as_rankings_agree_nobody_trains_beyond_the_second_rung() {
    let history = run(&mut start(pasha(81, 81)), 4, |trial, _| f64::from(trial));
    assert_eq!([1, 3, 9, 27, 81].map(|length| history.ended_at(length)), [54, 27, 0, 0, 0]);
}

#[test]
fn rankings_that_turn_round_at_every_rung_reach_the_top() {
    let metric = |trial: u32, length: u64| {
        let sign = if length.ilog(3).is_multiple_of(2) { 1.0 } else { -1.0 };
        sign * f64::from(trial)
    };
    let history = run(&mut start(pasha(243, 81)), 4, metric);
    assert!(history.ended_at(81) > 0, "{:?}", [1, 3, 9, 27, 81].map(|length| history.ended_at(length)));
}

#[test]
fn a_ranking_that_turns_once_costs_one_more_rung() {
    // Rungs 1 and 3 disagree, 3 and 9 agree.
    let metric = |trial: u32, length: u64| if length < 3 { -f64::from(trial) } else { f64::from(trial) };
    let history = run(&mut start(pasha(81, 81)), 4, metric);
    let ended = [1, 3, 9, 27, 81].map(|length| history.ended_at(length));
    assert!(ended[2] > 1 && ended[3..] == [0, 0], "{ended:?}");
}

/// Trials 1 and 2 change places between the rungs at 3 and 9. Whether anybody goes on to 27.
fn goes_on(between: &[(u64, f64, f64)]) -> bool {
    let config = SearcherConfig::Pasha {
        max_trials: 9,
        divisor: 3.0,
        max_rungs: 3,
        min_length: None,
        max_length: 27,
        max_concurrent_trials: 0,
    };
    let mut searcher = start(config);
    capacity(&mut searcher, 9);
    capacity(&mut searcher, 0);
    for trial in 1..=9 {
        validated(&mut searcher, trial, 3, 0.49 + f64::from(trial) / 100.0);
        exited(&mut searcher, trial, PAUSED);
    }
    assert_eq!(brief(&capacity(&mut searcher, 9)), ["1>9", "2>9", "3>9"]);
    for &(length, one, two) in between {
        validated(&mut searcher, 1, length, one);
        validated(&mut searcher, 2, length, two);
    }
    let mut actions = Vec::new();
    for (trial, metric) in [(1, 0.42), (2, 0.40), (3, 0.9)] {
        actions.extend(brief(&validated(&mut searcher, trial, 9, metric)));
        actions.extend(brief(&exited(&mut searcher, trial, PAUSED)));
    }
    let goes_on = actions.contains(&"2>27".to_owned());
    assert_ne!(goes_on, actions.contains(&"end".to_owned()), "{actions:?}");
    goes_on
}

#[test]
fn what_is_within_the_noise_is_no_disagreement() {
    assert!(goes_on(&[]), "a plain change of places");
    assert!(
        !goes_on(&[(4, 0.60, 0.50), (5, 0.50, 0.60)]),
        "they pass each other all the time, by up to 0.02"
    );
    assert!(goes_on(&[(4, 0.60, 0.50)]), "they cross once");
}

#[test]
fn a_pair_that_never_meets_at_a_length_tells_nothing_of_noise() {
    assert!(goes_on(&[(4, 0.50, 0.50), (5, 0.50, 0.50)]));
}
