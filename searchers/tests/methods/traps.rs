//! What search methods are known to get wrong.

use crate::world::{PAUSED, asha, brief, capacity, exited, run, start, validated};
use toprung_searchers::{ExitReason, Reason, Searcher};

fn counts(searcher: &Searcher) -> Vec<u64> {
    searcher.rungs().iter().map(|rung| rung.trials).collect()
}

#[test]
fn a_report_of_a_stopped_trial_changes_nothing() {
    for stop_once in [false, true] {
        let mut searcher = start(asha(2, 4, 2.0, 2, stop_once));
        capacity(&mut searcher, 4);
        for trial in 1..=3 {
            validated(&mut searcher, trial, 1, f64::from(trial));
        }
        let before = searcher.clone();
        assert_eq!(brief(&validated(&mut searcher, 3, 2, -100.0)), [""; 0], "told to stop");
        assert_eq!(searcher, before);
        exited(&mut searcher, 3, ExitReason::Stopped);
        let before = searcher.clone();
        assert_eq!(brief(&validated(&mut searcher, 3, 2, -100.0)), [""; 0], "stopped");
        assert_eq!(brief(&exited(&mut searcher, 3, ExitReason::Errored)), [""; 0]);
        assert_eq!(searcher, before);
    }
}

#[test]
fn a_second_report_of_a_pausing_trial_is_not_counted() {
    let mut searcher = start(asha(2, 9, 3.0, 3, false));
    capacity(&mut searcher, 1);
    assert_eq!(brief(&validated(&mut searcher, 1, 1, 5.0)), ["1 pause"]);
    let before = searcher.clone();
    assert_eq!(brief(&validated(&mut searcher, 1, 1, 5.0)), [""; 0]);
    assert_eq!(brief(&validated(&mut searcher, 1, 3, 0.0)), [""; 0]);
    assert_eq!(searcher, before);
}

#[test]
fn reports_below_the_rung_and_of_unknown_trials_change_nothing() {
    let mut searcher = start(asha(2, 9, 3.0, 30, false));
    capacity(&mut searcher, 1);
    let before = searcher.clone();
    validated(&mut searcher, 1, 9, 0.0);
    for stranger in [0, 2, u32::MAX] {
        validated(&mut searcher, stranger, 10, 0.0);
        exited(&mut searcher, stranger, ExitReason::Killed);
    }
    assert_eq!(searcher, before);
}

#[test]
fn a_clean_exit_below_the_top_frees_its_place() {
    for stop_once in [false, true] {
        let mut searcher = start(asha(2, 3, 3.0, 3, stop_once));
        capacity(&mut searcher, 1);
        assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::Completed)), ["+2"]);
        assert_eq!(brief(&exited(&mut searcher, 2, ExitReason::Killed)), ["+3"]);
        assert_eq!(brief(&exited(&mut searcher, 3, ExitReason::Completed)), ["end"]);
        assert_eq!(counts(&searcher), [0, 0]);
    }
}

#[test]
fn a_failed_trial_ranks_last_and_is_replaced() {
    let mut searcher = start(asha(2, 4, 2.0, 2, true));
    capacity(&mut searcher, 1);
    assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::Errored)), ["+2"]);
    assert_eq!(counts(&searcher), [1, 0]);
    assert_eq!(brief(&validated(&mut searcher, 2, 1, f64::NAN)), ["2>2"], "even NaN is before a failure");
    assert_eq!(brief(&exited(&mut searcher, 2, ExitReason::Errored)), ["+3"], "failed on the way to rung 1");
    assert_eq!(counts(&searcher), [2, 1]);
    exited(&mut searcher, 3, ExitReason::Errored);
    assert_eq!(
        brief(&exited(&mut searcher, 4, ExitReason::Errored)),
        ["end"],
        "failures count toward max_trials"
    );
}

#[test]
fn a_trial_that_fails_while_pausing_falls_to_the_end() {
    let mut searcher = start(asha(2, 4, 2.0, 2, false));
    capacity(&mut searcher, 2);
    validated(&mut searcher, 1, 1, 1.0);
    capacity(&mut searcher, 0);
    exited(&mut searcher, 1, ExitReason::Errored);
    assert_eq!(brief(&validated(&mut searcher, 2, 1, 9.0)), ["2>2"], "the failed one ranks behind it");
    assert_eq!(counts(&searcher), [2, 0]);
}

#[test]
fn invalid_hyperparameters_leave_every_rung_and_do_not_count() {
    let mut searcher = start(asha(3, 2, 2.0, 4, false));
    capacity(&mut searcher, 2);
    validated(&mut searcher, 1, 1, 2.0);
    assert_eq!(brief(&validated(&mut searcher, 2, 1, 1.0)), ["2>2"]);
    assert_eq!((counts(&searcher), searcher.rungs()[0].promoted), (vec![2, 0, 0], 1));
    let actions = exited(&mut searcher, 2, ExitReason::InvalidHyperparameters);
    assert_eq!(brief(&actions), ["+3"]);
    assert_eq!((counts(&searcher), searcher.rungs()[0].promoted), (vec![1, 0, 0], 0));
}

#[test]
fn a_pausing_trial_leaves_the_rung_it_waits_in_too() {
    let mut searcher = start(asha(3, 3, 2.0, 4, false));
    capacity(&mut searcher, 3);
    validated(&mut searcher, 1, 1, 2.0);
    validated(&mut searcher, 2, 1, 1.0);
    validated(&mut searcher, 2, 2, 1.0);
    assert_eq!(counts(&searcher), [2, 1, 0]);
    exited(&mut searcher, 2, ExitReason::InvalidHyperparameters);
    assert_eq!(counts(&searcher), [1, 0, 0]);
}

#[test]
fn a_space_that_is_all_invalid_ends() {
    let mut searcher = start(asha(3, 20, 2.0, 4, false));
    capacity(&mut searcher, 1);
    for trial in 1..200 {
        assert_eq!(
            brief(&exited(&mut searcher, trial, ExitReason::InvalidHyperparameters)),
            [format!("+{}", trial + 1)]
        );
    }
    let actions = exited(&mut searcher, 200, ExitReason::InvalidHyperparameters);
    let reason = Reason::TooManyInvalid { invalid: 200, allowed: 200 };
    assert_eq!(actions, [toprung_searchers::Action::Shutdown { reason }]);
}

#[test]
fn nan_ranks_last() {
    let mut searcher = start(asha(2, 4, 2.0, 2, true));
    capacity(&mut searcher, 3);
    assert_eq!(brief(&validated(&mut searcher, 1, 1, f64::NAN)), ["1>2"]);
    assert_eq!(brief(&validated(&mut searcher, 2, 1, f64::INFINITY)), ["2>2"], "infinity is before NaN");
    assert_eq!(brief(&validated(&mut searcher, 3, 1, f64::NAN)), ["3 stop"]);
    assert_eq!(searcher.rungs()[0].best, Some(f64::INFINITY));
}

#[test]
fn nan_alone_ends_like_any_other_search() {
    let history = run(&mut start(asha(3, 27, 3.0, 9, false)), 4, |_, _| f64::NAN);
    assert_eq!([1, 3, 9].map(|length| history.ended_at(length)), [18, 6, 3]);
}

#[test]
fn without_a_checkpoint_trials_are_judged_by_the_stopping_rule() {
    let mut searcher = start(asha(2, 6, 2.0, 2, false));
    capacity(&mut searcher, 1);
    assert_eq!(brief(&validated(&mut searcher, 1, 1, 3.0)), ["1 pause"], "whether it saves is not known yet");
    assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::Paused { resumable: false })), ["1 stop", "+2"]);
    assert_eq!(brief(&validated(&mut searcher, 2, 1, 4.0)), ["2 stop"], "trial 1 keeps its rank");
    exited(&mut searcher, 2, ExitReason::Stopped);
    assert_eq!(brief(&validated(&mut searcher, 3, 1, 2.0)), ["3>2"], "the best of 3");
    assert_eq!(brief(&validated(&mut searcher, 3, 2, 2.0)), ["3 stop"], "trained in full");
    let before = counts(&searcher);
    exited(&mut searcher, 3, ExitReason::Stopped);
    assert_eq!((before, counts(&searcher)), (vec![3, 1], vec![3, 1]));
    assert_eq!(brief(&validated(&mut searcher, 4, 1, 9.0)), ["4 stop"]);
}

#[test]
fn one_checkpoint_shows_that_the_script_saves() {
    let mut searcher = start(asha(2, 12, 2.0, 2, false));
    capacity(&mut searcher, 3);
    for trial in 1..=3 {
        assert_eq!(
            brief(&validated(&mut searcher, trial, 1, 1.0))[0],
            ["1 pause", "2 pause", "3 pause"][trial as usize - 1]
        );
    }
    capacity(&mut searcher, 0);
    exited(&mut searcher, 1, ExitReason::Paused { resumable: false });
    exited(&mut searcher, 2, PAUSED);
    assert_eq!(brief(&exited(&mut searcher, 3, ExitReason::Paused { resumable: false })), ["3 stop"]);
    capacity(&mut searcher, 1);
    assert_eq!(brief(&validated(&mut searcher, 4, 1, 9.0)), ["4 pause"], "promotion goes on");
}

#[test]
fn brackets_share_what_pauses_have_shown() {
    let mut searcher = start(toprung_searchers::SearcherConfig::AdaptiveAsha {
        max_trials: 40,
        mode: toprung_searchers::Mode::Standard,
        divisor: 2.0,
        max_rungs: 3,
        bracket_rungs: vec![3, 2],
        min_length: None,
        max_length: 4,
        max_concurrent_trials: 2,
        stop_once: false,
    });
    assert_eq!(brief(&capacity(&mut searcher, 2)), ["+1", "+2"]);
    assert_eq!(brief(&validated(&mut searcher, 1, 1, 1.0)), ["1 pause"]);
    exited(&mut searcher, 1, ExitReason::Paused { resumable: false });
    assert_eq!(
        brief(&validated(&mut searcher, 2, 2, 1.0)),
        ["2>4"],
        "the first of its rung, by the stopping rule"
    );
}

#[test]
fn a_trial_is_not_promoted_before_its_checkpoint_is_saved() {
    let mut searcher = start(asha(2, 6, 2.0, 2, false));
    capacity(&mut searcher, 3);
    validated(&mut searcher, 1, 1, 1.0);
    validated(&mut searcher, 2, 1, 2.0);
    assert_eq!(brief(&exited(&mut searcher, 2, PAUSED)), ["+4"], "trial 1 leads but is still saving");
    assert_eq!(brief(&exited(&mut searcher, 1, PAUSED)), ["1>2"]);
}

#[test]
fn a_paused_trial_that_a_person_kills_is_not_promoted() {
    let mut searcher = start(asha(2, 6, 2.0, 2, false));
    capacity(&mut searcher, 1);
    validated(&mut searcher, 1, 1, 1.0);
    assert_eq!(brief(&exited(&mut searcher, 1, PAUSED)), ["+2"]);
    assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::Killed)), [""; 0]);
    validated(&mut searcher, 2, 1, 2.0);
    assert_eq!(brief(&exited(&mut searcher, 2, PAUSED)), ["+3"]);
}

#[test]
fn an_interrupted_trial_goes_on_first() {
    let mut searcher = start(asha(2, 6, 2.0, 2, false));
    capacity(&mut searcher, 1);
    assert_eq!(brief(&exited(&mut searcher, 1, PAUSED)), ["1>1"]);
    capacity(&mut searcher, 0);
    assert_eq!(brief(&exited(&mut searcher, 1, PAUSED)), [""; 0]);
    assert_eq!(brief(&capacity(&mut searcher, 2)), ["1>1", "+2"]);
}

#[test]
fn less_capacity_ends_nothing_and_holds_new_work_back() {
    let mut searcher = start(asha(2, 6, 2.0, 2, false));
    assert_eq!(brief(&capacity(&mut searcher, 3)), ["+1", "+2", "+3"]);
    assert_eq!(brief(&capacity(&mut searcher, 1)), [""; 0]);
    assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::Completed)), [""; 0]);
    assert_eq!(brief(&exited(&mut searcher, 2, ExitReason::Completed)), [""; 0]);
    assert_eq!(brief(&exited(&mut searcher, 3, ExitReason::Completed)), ["+4"]);
}

#[test]
fn by_promotion_too_a_failed_trial_ranks_last_and_is_replaced() {
    let mut searcher = start(asha(2, 4, 2.0, 2, false));
    capacity(&mut searcher, 1);
    assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::Errored)), ["+2"]);
    assert_eq!(counts(&searcher), [1, 0]);
    assert_eq!(brief(&validated(&mut searcher, 2, 1, f64::NAN)), ["2>2"], "the best of 2");
    assert_eq!(brief(&exited(&mut searcher, 2, ExitReason::Errored)), ["+3"]);
    assert_eq!(counts(&searcher), [2, 1]);
    for trial in [3, 4] {
        exited(&mut searcher, trial, ExitReason::Errored);
    }
    assert!(searcher.is_over(), "failures count toward max_trials");
}

#[test]
fn by_stopping_too_invalid_hyperparameters_leave_every_rung_and_do_not_count() {
    let mut searcher = start(asha(3, 2, 2.0, 4, true));
    capacity(&mut searcher, 1);
    assert_eq!(brief(&validated(&mut searcher, 1, 2, 1.0)), ["1>4"]);
    assert_eq!((counts(&searcher), searcher.rungs()[1].promoted), (vec![1, 1, 0], 1));
    assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::InvalidHyperparameters)), ["+2"]);
    assert_eq!((counts(&searcher), searcher.rungs()[1].promoted), (vec![0, 0, 0], 0));
    for trial in [2, 3] {
        assert_eq!(brief(&exited(&mut searcher, trial, ExitReason::Completed)).len(), 1, "two that count");
    }
    assert!(searcher.is_over());
}

#[test]
fn concurrency_holds_after_kills_and_restarts() {
    for stop_once in [false, true] {
        let mut searcher = start(toprung_searchers::SearcherConfig::AsyncHalving {
            num_rungs: 2,
            max_trials: 9,
            divisor: 3.0,
            min_length: None,
            max_length: 3,
            max_concurrent_trials: 2,
            stop_once,
        });
        assert_eq!(brief(&capacity(&mut searcher, 9)), ["+1", "+2"]);
        assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::Killed)), ["+3"]);
        assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::Killed)), [""; 0], "said twice");
        assert_eq!(brief(&exited(&mut searcher, 3, PAUSED)), ["3>1"], "interrupted, and on again");
        let stored = serde_json::to_string(&searcher).unwrap();
        let mut restored: Searcher = serde_json::from_str(&stored).unwrap();
        assert_eq!(brief(&capacity(&mut restored, 9)), [""; 0]);
        assert_eq!(brief(&exited(&mut restored, 2, ExitReason::Errored)), ["+4"]);
    }
}
