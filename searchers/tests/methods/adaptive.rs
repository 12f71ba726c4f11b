//! Adaptive ASHA: how brackets share places.

use crate::world::{EXITS, capacity, exited, run, start};
use proptest::prelude::*;
use toprung_searchers::{Action, Event, ExitReason, Mode, SearcherConfig, TrialId};

fn adaptive(trials: u64, bracket_rungs: &[u32], places: u32) -> SearcherConfig {
    SearcherConfig::AdaptiveAsha {
        max_trials: trials,
        mode: Mode::Standard,
        divisor: 4.0,
        max_rungs: 5,
        bracket_rungs: bracket_rungs.to_vec(),
        min_length: None,
        max_length: 64,
        max_concurrent_trials: places,
        stop_once: false,
    }
}

fn brackets(actions: &[Action]) -> Vec<u32> {
    let bracket = |action: &Action| match action {
        Action::Create(create) => Some(create.bracket),
        _ => None,
    };
    actions.iter().filter_map(bracket).collect()
}

#[test]
fn places_are_split_evenly_with_the_remainder_to_the_earliest() {
    let started = capacity(&mut start(adaptive(100, &[4, 3, 2], 8)), 1000);
    assert_eq!(brackets(&started), [0, 0, 0, 1, 1, 1, 2, 2]);
    let started = capacity(&mut start(adaptive(100, &[4, 3, 2], 100)), 5);
    assert_eq!(brackets(&started), [0, 0, 1, 1, 2], "capacity is split alike");
    let started = capacity(&mut start(adaptive(100, &[4, 3, 2], 2)), 1000);
    assert_eq!(brackets(&started), [0, 1], "never more than the limit");
}

#[test]
fn without_a_limit_every_bracket_gets_places_for_the_last() {
    let started = capacity(&mut start(adaptive(100, &[4, 3, 2], 0)), 1000);
    assert_eq!(brackets(&started), [[0; 8], [1; 8], [2; 8]].concat());
}

#[test]
fn what_a_bracket_does_not_use_another_may() {
    let mut searcher = start(adaptive(100, &[4, 3, 2], 30));
    let started = brackets(&capacity(&mut searcher, 1000));
    let counts = [0, 1, 2].map(|bracket| started.iter().filter(|&&one| one == bracket).count());
    assert_eq!(counts, [12, 10, 8], "the last bracket has only 8 trials");
}

#[test]
fn a_free_place_goes_back_to_the_bracket_it_was_lent_by() {
    let mut searcher = start(adaptive(100, &[4, 3, 2], 6));
    capacity(&mut searcher, 6);
    // Trials 5 and 6 are of bracket 2.
    assert_eq!(brackets(&exited(&mut searcher, 5, ExitReason::Completed)), [2]);
    assert_eq!(brackets(&exited(&mut searcher, 1, ExitReason::Completed)), [0]);
}

#[test]
fn every_bracket_brings_a_trial_to_the_top() {
    for places in [1, 2, 7, 50] {
        let mut searcher = start(adaptive(100, &[4, 3, 2], places));
        let history = run(&mut searcher, 20, |trial, _| f64::from(trial));
        assert_eq!(history.lengths.len(), 100);
        assert!(history.most_at_once <= places.min(20) as usize);
        let tops: Vec<_> = searcher.rungs().into_iter().filter(|rung| rung.length == 64).collect();
        assert_eq!(tops.len(), 3);
        assert!(tops.iter().all(|rung| rung.trials > 0), "{tops:?}");
    }
}

proptest! {
    /// So whatever is shown of `async_halving`, each trap in both rules, is shown of a bracket too.
    #[test]
    fn one_bracket_is_async_halving(
        rungs in 1_u32..4,
        stop_once in any::<bool>(),
        events in prop::collection::vec((0_u8..8, 1_u32..12, 0_usize..7, 0_i8..5), 0..150),
    ) {
        let (divisor, max_length, max_concurrent_trials) = (2.0, 8, 3);
        let mut one = start(SearcherConfig::AdaptiveAsha {
            max_trials: 10,
            mode: Mode::Standard,
            divisor,
            max_rungs: 5,
            bracket_rungs: vec![rungs],
            min_length: None, max_length,
            max_concurrent_trials,
            stop_once,
        });
        let mut other = start(SearcherConfig::AsyncHalving {
            num_rungs: rungs,
            max_trials: 10,
            divisor,
            min_length: None, max_length,
            max_concurrent_trials,
            stop_once,
        });
        prop_assert_eq!(capacity(&mut one, 3), capacity(&mut other, 3));
        for (kind, trial, exit, metric) in events {
            let trial = TrialId(trial);
            let event = match kind {
                0 => Event::Capacity(trial.0 % 5),
                1..=4 => Event::Validated { trial, length: 1 << (exit % 4), metric: f64::from(metric) },
                5 => Event::CannotPause { trial },
                _ => Event::Exited { trial, reason: EXITS[exit] },
            };
            prop_assert_eq!(one.handle(&event), other.handle(&event));
            prop_assert_eq!(one.rungs(), other.rungs());
        }
    }
}
