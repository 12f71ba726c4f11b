//! Trials that are told to pause and have no checkpoint.

use crate::world::{PAUSED, asha, brief, cannot_pause, capacity, exited, start, validated};
use proptest::prelude::*;
use std::collections::VecDeque;
use toprung_searchers::{Action, Event, ExitReason, Mode, Reason, Searcher, SearcherConfig, TrialId};

fn counts(searcher: &Searcher) -> Vec<(u64, u64)> {
    searcher.rungs().iter().map(|rung| (rung.trials, rung.promoted)).collect()
}

#[test]
fn the_first_trial_goes_on_and_a_worse_one_is_stopped() {
    let mut searcher = start(asha(2, 6, 2.0, 2, false));
    capacity(&mut searcher, 1);
    assert_eq!(brief(&validated(&mut searcher, 1, 1, 3.0)), ["1 pause"], "whether it saves is not known yet");
    let actions = cannot_pause(&mut searcher, 1);
    let Action::TrainTo { trial: TrialId(1), length: 2, reason } = &actions[0] else { panic!("{actions:?}") };
    assert_eq!(
        (actions.len(), reason.to_string().as_str()),
        (1, "rung 0 (length 1): rank 1 of 1, best 1 goes on")
    );
    assert_eq!(counts(&searcher), [(1, 1), (0, 0)]);
    assert_eq!(brief(&validated(&mut searcher, 1, 2, 3.0)), ["1 stop"], "trained in full");
    exited(&mut searcher, 1, ExitReason::Stopped);
    assert_eq!(brief(&validated(&mut searcher, 2, 1, 4.0)), ["2 stop"], "from then on nobody pauses");
    exited(&mut searcher, 2, ExitReason::Stopped);
    assert_eq!(brief(&validated(&mut searcher, 3, 1, 2.0)), ["3>2"]);
    assert_eq!(counts(&searcher), [(3, 2), (1, 0)]);
}

#[test]
fn it_is_judged_where_it_stands_when_it_says_so() {
    let mut searcher = start(asha(2, 6, 2.0, 2, false));
    capacity(&mut searcher, 3);
    for (trial, metric) in [(1, 3.0), (2, 4.0), (3, 5.0)] {
        let pauses = format!("{trial} pause");
        let before = if trial == 2 { "2 pause" } else { pauses.as_str() };
        assert_eq!(brief(&validated(&mut searcher, trial, 1, metric)), [before]);
    }
    assert_eq!(brief(&cannot_pause(&mut searcher, 3)), ["3 stop"]);
    assert_eq!(brief(&cannot_pause(&mut searcher, 1)), ["1>2"], "the best 1 of 3");
    let actions = cannot_pause(&mut searcher, 2);
    let Action::Stop { reason: Reason::Cut(standing), .. } = &actions[0] else { panic!("{actions:?}") };
    assert_eq!((standing.rank, standing.of, standing.go_on), (2, 3, 1));
    assert_eq!(brief(&exited(&mut searcher, 2, ExitReason::Stopped)), ["+4"], "its place is free");
    assert_eq!(counts(&searcher), [(3, 1), (0, 0)]);
}

#[test]
fn one_that_validated_past_the_next_rung_is_judged_there() {
    let mut searcher = start(asha(3, 6, 2.0, 4, false));
    capacity(&mut searcher, 1);
    assert_eq!(brief(&validated(&mut searcher, 1, 2, 3.0)), ["1 pause"]);
    assert_eq!(brief(&cannot_pause(&mut searcher, 1)), ["1>4"]);
    assert_eq!(counts(&searcher), [(1, 1), (1, 1), (0, 0)]);
}

#[test]
fn said_late_or_again_it_changes_nothing() {
    let mut searcher = start(asha(2, 6, 2.0, 2, false));
    capacity(&mut searcher, 3);
    validated(&mut searcher, 1, 1, 1.0);
    validated(&mut searcher, 2, 1, 2.0);
    cannot_pause(&mut searcher, 1);
    cannot_pause(&mut searcher, 2);
    validated(&mut searcher, 3, 1, 9.0);
    exited(&mut searcher, 3, ExitReason::Stopped);
    for trial in [0, 1, 2, 3, 4, 99] {
        let before = searcher.clone();
        assert_eq!(brief(&cannot_pause(&mut searcher, trial)), [""; 0], "trial {trial}");
        assert_eq!(searcher, before);
    }
}

#[test]
fn where_the_script_is_known_to_save_promotion_stays() {
    let mut searcher = start(asha(2, 12, 2.0, 2, false));
    capacity(&mut searcher, 3);
    for trial in 1..=3 {
        validated(&mut searcher, trial, 1, f64::from(trial));
    }
    capacity(&mut searcher, 0);
    exited(&mut searcher, 3, PAUSED);
    assert_eq!(brief(&cannot_pause(&mut searcher, 2)), ["2 stop"], "that one is judged at once");
    capacity(&mut searcher, 1);
    exited(&mut searcher, 1, PAUSED);
    exited(&mut searcher, 2, ExitReason::Stopped);
    assert_eq!(brief(&capacity(&mut searcher, 2)), ["+4"], "trial 1 was promoted before");
    assert_eq!(brief(&validated(&mut searcher, 4, 1, 9.0)), ["4 pause"]);
}

#[test]
fn brackets_share_what_one_trial_has_shown() {
    let mut searcher = start(SearcherConfig::AdaptiveAsha {
        max_trials: 40,
        mode: Mode::Standard,
        divisor: 2.0,
        max_rungs: 3,
        bracket_rungs: vec![3, 2],
        min_length: None,
        max_length: 4,
        max_concurrent_trials: 2,
        stop_once: false,
    });
    capacity(&mut searcher, 2);
    assert_eq!(brief(&validated(&mut searcher, 1, 1, 1.0)), ["1 pause"]);
    assert_eq!(brief(&cannot_pause(&mut searcher, 1)), ["1>2"]);
    assert_eq!(
        brief(&validated(&mut searcher, 2, 2, 1.0)),
        ["2>4"],
        "the first of its rung, without a pause"
    );
}

#[test]
fn methods_that_cannot_do_without_checkpoints_let_the_pause_stand() {
    for config in [
        SearcherConfig::SyncHalving {
            max_trials: 4,
            divisor: 2.0,
            min_length: None,
            max_length: 2,
            max_concurrent_trials: 0,
        },
        SearcherConfig::Custom { max_length: 9, max_concurrent_trials: 0 },
    ] {
        let mut searcher = start(config);
        capacity(&mut searcher, 2);
        validated(&mut searcher, 1, 1, 1.0);
        let before = searcher.clone();
        assert_eq!(brief(&cannot_pause(&mut searcher, 1)), [""; 0]);
        assert_eq!(searcher, before);
    }
}

/// What a search without checkpoints does but for its pauses: each is answered at once by this event.
fn played(mut searcher: Searcher, places: u32, metrics: &[u8]) -> Vec<String> {
    let (mut events, mut running) = (VecDeque::from([Event::Capacity(places)]), VecDeque::new());
    let (mut said, mut reports) = (Vec::new(), 0);
    loop {
        while let Some(event) = events.pop_front() {
            for action in searcher.handle(&event) {
                match &action {
                    Action::Create(create) => running.push_back((create.trial, create.train_to)),
                    Action::TrainTo { trial, length, .. } => running.push_back((*trial, *length)),
                    Action::Pause { trial, .. } => {
                        events.push_back(Event::CannotPause { trial: *trial });
                        continue;
                    }
                    Action::Stop { trial, .. } => {
                        events.push_back(Event::Exited { trial: *trial, reason: ExitReason::Stopped });
                    }
                    Action::Shutdown { .. } => {}
                }
                said.push(format!("{action:?}"));
            }
        }
        let Some((trial, length)) = running.pop_front() else { break };
        let metric = f64::from(metrics[reports % metrics.len()]);
        reports += 1;
        events.push_back(Event::Validated { trial, length, metric });
    }
    assert!(searcher.is_over());
    said
}

proptest! {
    #[test]
    fn without_checkpoints_promotion_decides_as_the_stopping_rule_does(
        rungs in 1_u32..5,
        trials in 1_u64..40,
        divisor in prop::sample::select(vec![2.0, 3.0, 4.0]),
        places in 1_u32..6,
        metrics in prop::collection::vec(any::<u8>(), 1..60),
    ) {
        let of = |stop_once| played(start(asha(rungs, trials, divisor, 27, stop_once)), places, &metrics);
        prop_assert_eq!(of(false), of(true));
    }
}
