//! ASHA by its rules: promotion, stopping, closing.

use crate::world::{PAUSED, asha, brief, capacity, exited, run, start, validated};
use toprung_searchers::{Action, ExitReason, Reason, Standing};

#[test]
fn stopping_worked_example() {
    for places in [1, 2, 5, 12] {
        let history = run(&mut start(asha(3, 12, 3.0, 900, true)), places, |trial, _| f64::from(trial));
        assert_eq!((history.ended_at(100), history.ended_at(900)), (11, 1), "{places} places: {history:?}");
        assert_eq!(history.total(), 2000);
    }
}

#[test]
fn stopping_cuts_a_constant_metric_like_any_other() {
    let history = run(&mut start(asha(3, 12, 3.0, 900, true)), 1, |_, _| 0.5);
    assert_eq!((history.ended_at(100), history.ended_at(900), history.total()), (11, 1, 2000));
}

#[test]
fn stopping_keeps_all_that_improve() {
    let history = run(&mut start(asha(3, 12, 3.0, 900, true)), 1, |trial, _| -f64::from(trial));
    assert_eq!(history.ended_at(900), 12);
}

#[test]
fn stopping_enters_every_rung_that_a_report_passes() {
    let mut searcher = start(asha(3, 12, 3.0, 900, true));
    capacity(&mut searcher, 1);
    assert_eq!(brief(&validated(&mut searcher, 1, 350, 0.5)), ["1>900"]);
    let entered: Vec<u64> = searcher.rungs().iter().map(|rung| rung.trials).collect();
    assert_eq!(entered, [1, 1, 0]);
}

#[test]
fn promotion_halves_when_later_trials_are_worse() {
    for places in [1, 3, 9] {
        let history = run(&mut start(asha(3, 9, 3.0, 9, false)), places, |trial, _| f64::from(trial));
        let ended = [1, 3, 9].map(|length| history.ended_at(length));
        assert_eq!(ended, [6, 2, 1], "{places} places: {history:?}");
        assert_eq!(history.lengths[&1], 9);
    }
}

#[test]
fn promotion_prefers_the_top_rung_then_the_best() {
    let mut searcher = start(asha(3, 20, 2.0, 4, false));
    assert_eq!(brief(&capacity(&mut searcher, 4)), ["+1", "+2", "+3", "+4"]);
    capacity(&mut searcher, 0);
    assert_eq!(brief(&validated(&mut searcher, 1, 1, 4.0)), ["1 pause"], "floor(1/2) go on");
    assert_eq!(brief(&validated(&mut searcher, 2, 1, 3.0)), ["2>2"], "best of 2");
    assert_eq!(brief(&validated(&mut searcher, 2, 2, 3.0)), ["2 pause"]);
    assert_eq!(brief(&validated(&mut searcher, 3, 1, 5.0)), ["3 pause"]);
    assert_eq!(brief(&validated(&mut searcher, 4, 1, 6.0)), ["4 pause"]);
    for trial in 1..=4 {
        assert_eq!(brief(&exited(&mut searcher, trial, PAUSED)), [""; 0]);
    }
    assert_eq!(brief(&capacity(&mut searcher, 1)), ["1>2"], "2 of 4 go on: trial 1 is the second");
    assert_eq!(brief(&validated(&mut searcher, 1, 2, 9.0)), ["1 pause"]);
    let started = exited(&mut searcher, 1, PAUSED);
    let standing = Standing { rung: 1, length: 2, rank: 1, of: 2, go_on: 1 };
    let Action::TrainTo { trial, length: 4, reason: Reason::Promoted(why) } = started[0] else {
        panic!("{started:?}")
    };
    assert_eq!((trial.0, why), (2, standing));
}

#[test]
fn all_that_can_be_promoted_are_promoted_at_once() {
    let mut searcher = start(asha(2, 6, 3.0, 3, false));
    capacity(&mut searcher, 6);
    capacity(&mut searcher, 0);
    for trial in 1..=6 {
        let action = if trial < 3 { "pause" } else { "stop" };
        assert_eq!(
            brief(&validated(&mut searcher, trial, 1, f64::from(trial))),
            [format!("{trial} {action}")]
        );
    }
    exited(&mut searcher, 1, PAUSED);
    exited(&mut searcher, 2, PAUSED);
    assert_eq!(brief(&capacity(&mut searcher, 6)), ["1>3", "2>3"]);
}

#[test]
fn a_member_among_the_best_keeps_its_slots() {
    let mut searcher = start(asha(3, 9, 3.0, 9, false));
    capacity(&mut searcher, 1);
    capacity(&mut searcher, 0);
    validated(&mut searcher, 1, 1, 5.0);
    exited(&mut searcher, 1, PAUSED);
    capacity(&mut searcher, 2);
    validated(&mut searcher, 2, 1, 6.0);
    let actions = validated(&mut searcher, 3, 1, 1.0);
    assert_eq!(brief(&actions), ["3>3"]);
    let Action::TrainTo { ref reason, .. } = actions[0] else { panic!("{actions:?}") };
    assert_eq!(reason.to_string(), "rung 0 (length 1): rank 1 of 3, best 1 goes on");
}

#[test]
fn a_report_past_the_next_rung_climbs_several() {
    let mut searcher = start(asha(4, 1, 2.0, 8, false));
    capacity(&mut searcher, 1);
    assert_eq!(brief(&validated(&mut searcher, 1, 5, 0.0)), ["1>8"]);
    let counts: Vec<_> = searcher.rungs().iter().map(|rung| (rung.trials, rung.promoted)).collect();
    assert_eq!(counts, [(1, 1), (1, 1), (1, 1), (0, 0)]);
}

#[test]
fn a_paused_member_that_is_past_the_next_rung_needs_no_slots_to_get_there() {
    let mut searcher = start(asha(3, 4, 2.0, 4, false));
    capacity(&mut searcher, 2);
    assert_eq!(brief(&validated(&mut searcher, 1, 3, 1.0)), ["1 pause"]);
    capacity(&mut searcher, 1);
    exited(&mut searcher, 1, PAUSED);
    assert_eq!(brief(&validated(&mut searcher, 2, 1, 2.0)), ["2 pause"]);
    assert_eq!(
        brief(&exited(&mut searcher, 2, PAUSED)),
        ["+3"],
        "trial 1 moved up to length 2 without running"
    );
    assert_eq!((searcher.rungs()[1].trials, searcher.rungs()[0].promoted), (1, 1));
}

#[test]
fn few_trials_still_have_one_that_reaches_the_top() {
    for (rungs, trials) in [(3, 1), (3, 2), (4, 3), (5, 7)] {
        let length = 4_u64.pow(rungs - 1);
        let history =
            run(&mut start(asha(rungs, trials, 4.0, length, false)), 2, |trial, _| f64::from(trial));
        assert_eq!(history.ended_at(length), 1, "{trials} trials, {rungs} rungs: {history:?}");
        assert_eq!(history.lengths[&1], length);
    }
}

#[test]
fn members_are_closed_once_no_promotion_can_reach_them() {
    let mut searcher = start(asha(2, 6, 3.0, 3, false));
    capacity(&mut searcher, 3);
    capacity(&mut searcher, 0);
    assert_eq!(brief(&validated(&mut searcher, 1, 1, 9.0)), ["1 pause"]);
    exited(&mut searcher, 1, PAUSED);
    assert_eq!(brief(&validated(&mut searcher, 2, 1, 8.0)), ["2 pause"], "2 of 6 can go on");
    let actions = validated(&mut searcher, 3, 1, 7.0);
    assert_eq!(brief(&actions), ["3>3", "1 stop"], "trial 1 is the third now");
    let Action::Stop { ref reason, .. } = actions[1] else { panic!("{actions:?}") };
    assert_eq!(reason.to_string(), "rung 0 (length 1): rank 3 of 3, at most 2 can go on");
    assert_eq!(brief(&exited(&mut searcher, 2, PAUSED)), [""; 0]);
}

#[test]
fn a_running_member_that_is_outranked_stops_instead_of_pausing() {
    let mut searcher = start(asha(2, 4, 2.0, 2, false));
    capacity(&mut searcher, 4);
    for (trial, metric) in [(1, 1.0), (2, 2.0)] {
        assert_eq!(brief(&validated(&mut searcher, trial, 1, metric)), [format!("{trial} pause")]);
    }
    assert_eq!(brief(&validated(&mut searcher, 3, 1, 3.0)), ["3 stop"]);
    assert_eq!(brief(&exited(&mut searcher, 3, ExitReason::Stopped)), [""; 0]);
}

#[test]
fn one_rung_trains_everything_in_full() {
    let history = run(&mut start(asha(1, 5, 4.0, 7, false)), 2, |_, _| 1.0);
    assert_eq!((history.ended_at(7), history.most_at_once), (5, 2));
}

#[test]
fn progress_grows_from_nothing_to_one() {
    let mut searcher = start(asha(3, 9, 3.0, 9, false));
    assert_eq!(searcher.progress(), 0.0);
    capacity(&mut searcher, 1);
    validated(&mut searcher, 1, 1, 0.0);
    let early = searcher.progress();
    assert!(early > 0.0 && early < 0.2, "{early}");
    let mut searcher = start(asha(3, 9, 3.0, 9, false));
    run(&mut searcher, 2, |trial, _| f64::from(trial));
    assert_eq!(searcher.progress(), 1.0);
}
