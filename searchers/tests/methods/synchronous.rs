//! Synchronous halving and Hyperband.

use crate::world::{PAUSED, brief, capacity, exited, run, start, validated};
use toprung_searchers::config::hyperband_round;
use toprung_searchers::{Action, ExitReason, Reason, Searcher, SearcherConfig};

fn sync(max_trials: u64, divisor: f64, max_length: u64, places: u32) -> SearcherConfig {
    SearcherConfig::SyncHalving {
        max_trials,
        divisor,
        min_length: None,
        max_length,
        max_concurrent_trials: places,
    }
}

fn hyperband(max_trials: u64, max_length: u64, places: u32) -> SearcherConfig {
    SearcherConfig::Hyperband {
        max_trials,
        divisor: 3.0,
        min_length: None,
        max_length,
        max_concurrent_trials: places,
    }
}

/// Trials `from ..= to` validate at `length` in this order, each by its number, and pause.
fn arrive(searcher: &mut Searcher, from: u32, to: u32, length: u64) {
    for trial in from..=to {
        assert_eq!(brief(&validated(searcher, trial, length, f64::from(trial))), [format!("{trial} pause")]);
        exited(searcher, trial, PAUSED);
    }
}

#[test]
fn the_best_go_on_whatever_the_order() {
    for places in [1, 2, 9, 27] {
        let metric = |trial: u32, length: u64| f64::from(trial * 7 % 27) + 1.0 / length as f64;
        let history = run(&mut start(sync(27, 3.0, 9, places)), 27, metric);
        assert_eq!([1, 3, 9].map(|length| history.ended_at(length)), [18, 6, 3], "{places} places");
        let mut best: Vec<u32> = (1..=27).collect();
        best.sort_by_key(|trial| trial * 7 % 27);
        assert!(
            best[..3].iter().all(|trial| history.lengths[trial] == 9),
            "exactly the three best: {history:?}"
        );
        assert!(best[3..9].iter().all(|trial| history.lengths[trial] == 3));
    }
}

#[test]
fn a_rung_is_decided_when_the_last_has_arrived() {
    let mut searcher = start(sync(4, 2.0, 2, 4));
    assert_eq!(brief(&capacity(&mut searcher, 4)), ["+1", "+2", "+3", "+4"]);
    capacity(&mut searcher, 2);
    arrive(&mut searcher, 1, 2, 1);
    // 2 of 4 go on; trials 3 and 4 could still be the two best.
    let actions = validated(&mut searcher, 3, 1, 3.0);
    assert_eq!(brief(&actions), ["3 pause"], "there is no free place");
    let actions = exited(&mut searcher, 3, PAUSED);
    assert_eq!(brief(&actions), ["1>2"], "only trial 4 can still be better");
    assert_eq!(brief(&validated(&mut searcher, 4, 1, 4.0)), ["4 stop", "3 stop"]);
    assert_eq!(brief(&exited(&mut searcher, 4, ExitReason::Stopped)), ["2>2"]);
}

#[test]
fn nobody_waits_who_is_certain_to_go_on() {
    let mut searcher = start(sync(4, 2.0, 2, 4));
    capacity(&mut searcher, 4);
    arrive(&mut searcher, 2, 3, 1);
    assert_eq!(brief(&validated(&mut searcher, 1, 1, 1.0)), ["1>2"], "one straggler cannot take its place");
}

#[test]
fn the_straggler_that_is_gone_is_waited_for_no_longer() {
    for reason in [ExitReason::Errored, ExitReason::Killed, ExitReason::Completed] {
        let mut searcher = start(sync(3, 3.0, 3, 3));
        capacity(&mut searcher, 3);
        arrive(&mut searcher, 1, 2, 1);
        assert_eq!(brief(&exited(&mut searcher, 3, reason)), ["2 stop", "1>3"], "{reason:?}");
    }
}

#[test]
fn who_cannot_resume_makes_room_for_the_next() {
    let mut searcher = start(sync(3, 3.0, 3, 3));
    capacity(&mut searcher, 3);
    validated(&mut searcher, 1, 1, 1.0);
    arrive(&mut searcher, 2, 2, 1);
    assert_eq!(
        brief(&validated(&mut searcher, 3, 1, 3.0)),
        ["3 pause"],
        "trial 1 may turn out to have no checkpoint"
    );
    exited(&mut searcher, 3, PAUSED);
    let actions = exited(&mut searcher, 1, ExitReason::Paused { resumable: false });
    assert_eq!(brief(&actions), ["1 stop", "3 stop", "2>3"]);
}

#[test]
fn a_failure_takes_one_of_the_places_that_go_on() {
    let mut searcher = start(sync(4, 2.0, 4, 4));
    capacity(&mut searcher, 4);
    for trial in 1..=3 {
        exited(&mut searcher, trial, ExitReason::Errored);
    }
    assert_eq!(brief(&validated(&mut searcher, 4, 1, 9.0)), ["4>2"], "the only one left goes on");
    assert_eq!(brief(&validated(&mut searcher, 4, 2, 9.0)), ["4>4"]);
    assert_eq!(brief(&validated(&mut searcher, 4, 4, 9.0)), ["4 stop"]);
    let end = exited(&mut searcher, 4, ExitReason::Stopped);
    assert_eq!(end, [Action::Shutdown { reason: Reason::SearchOver { trials: 4 } }]);
}

#[test]
fn invalid_trials_are_replaced_while_rung_0_is_undecided() {
    let mut searcher = start(sync(2, 2.0, 2, 2));
    capacity(&mut searcher, 2);
    assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::InvalidHyperparameters)), ["+3"]);
    arrive(&mut searcher, 2, 2, 1);
    assert_eq!(brief(&validated(&mut searcher, 3, 1, 1.0)), ["3>2", "2 stop"]);
    let end = exited(&mut searcher, 3, ExitReason::InvalidHyperparameters);
    assert_eq!(end, [Action::Shutdown { reason: Reason::SearchOver { trials: 1 } }], "not replaced any more");
}

#[test]
fn free_places_go_to_the_next_bracket() {
    // Brackets of 9, 5 and 3 trials.
    let mut searcher = start(hyperband(17, 9, 9));
    let brackets = |actions: &[Action]| -> Vec<u32> {
        let bracket = |action: &Action| match action {
            Action::Create(create) => Some(create.bracket),
            _ => None,
        };
        actions.iter().filter_map(bracket).collect()
    };
    assert_eq!(brackets(&capacity(&mut searcher, 99)), [0; 9]);
    validated(&mut searcher, 9, 1, 0.0);
    assert_eq!(brackets(&exited(&mut searcher, 9, PAUSED)), [1], "no slot idles while bracket 0 waits");
    for trial in 1..=6 {
        validated(&mut searcher, trial, 1, f64::from(trial));
        assert_eq!(brackets(&exited(&mut searcher, trial, PAUSED)).len(), usize::from(trial < 6), "{trial}");
    }
}

#[test]
fn hyperband_trains_what_its_plan_says() {
    assert_eq!(hyperband_round(3.0, None, 9), Some(9 + 5 + 3));
    assert_eq!(hyperband_round(3.0, Some(3), 10), Some(9 + 5 + 3), "3 9 10");
    assert_eq!(hyperband_round(3.0, Some(11), 10), None);
    assert_eq!(hyperband_round(2.0, None, 1_000_000_000), None);
    for places in [1, 4, 17] {
        let history = run(&mut start(hyperband(17, 9, places)), 99, |trial, _| f64::from(trial));
        let ended = [1, 3, 9].map(|length| history.ended_at(length));
        assert_eq!(ended, [6, 2 + 4, 1 + 1 + 3], "{places} places");
        assert_eq!(history.most_at_once, places as usize);
    }
}
