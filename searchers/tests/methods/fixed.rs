//! Single, random search and grid.

use crate::world::{PAUSED, SEED, brief, capacity, exited, run, space, start, validated};
use std::collections::BTreeSet;
use toprung_searchers::{Action, ExitReason, Reason, SearcherConfig, TrialId, to_json_text};

fn random(trials: u64, places: u32) -> SearcherConfig {
    SearcherConfig::Random { max_trials: trials, max_length: 8, max_concurrent_trials: places }
}

#[test]
fn random_trials_train_in_full() {
    let history = run(&mut start(random(5, 2)), 10, |_, _| 0.0);
    assert_eq!((history.ended_at(8), history.most_at_once), (5, 2));
    assert_eq!(history.end, Some(Reason::SearchOver { trials: 5 }));
}

#[test]
fn only_the_validation_at_full_length_counts() {
    let mut searcher = start(random(2, 1));
    assert_eq!(brief(&capacity(&mut searcher, 1)), ["+1"]);
    assert_eq!(brief(&validated(&mut searcher, 1, 7, 0.0)), [""; 0]);
    assert_eq!(searcher.progress(), 7.0 / 16.0);
    assert_eq!(brief(&validated(&mut searcher, 1, 8, 0.0)), ["1 stop"]);
    assert_eq!(brief(&validated(&mut searcher, 1, 9, 0.0)), [""; 0]);
    assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::Stopped)), ["+2"]);
    assert_eq!(brief(&exited(&mut searcher, 2, PAUSED)), ["2>8"]);
    assert_eq!(brief(&exited(&mut searcher, 2, ExitReason::Completed)), ["end"]);
    assert_eq!(brief(&capacity(&mut searcher, 5)), [""; 0], "only one end");
}

#[test]
fn random_replaces_invalid_trials_up_to_a_cap() {
    let mut searcher = start(random(2, 1));
    capacity(&mut searcher, 1);
    for trial in 1..100 {
        assert_eq!(
            brief(&exited(&mut searcher, trial, ExitReason::InvalidHyperparameters)),
            [format!("+{}", trial + 1)]
        );
    }
    let actions = exited(&mut searcher, 100, ExitReason::InvalidHyperparameters);
    assert_eq!(actions, [Action::Shutdown { reason: Reason::TooManyInvalid { invalid: 100, allowed: 100 } }]);
}

#[test]
fn a_single_trial_is_not_replaced() {
    let mut searcher = start(SearcherConfig::Single { max_length: 3 });
    assert_eq!(brief(&capacity(&mut searcher, 9)), ["+1"]);
    assert_eq!(brief(&exited(&mut searcher, 1, ExitReason::InvalidHyperparameters)), ["end"]);
}

#[test]
fn a_grid_visits_every_point_once() {
    let mut searcher = start(SearcherConfig::Grid { max_length: 1, max_concurrent_trials: 0 });
    let points: Vec<String> = capacity(&mut searcher, 100)
        .iter()
        .map(|action| match action {
            Action::Create(create) => to_json_text(&create.hparams),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(points.len(), 6);
    assert_eq!(points.iter().collect::<BTreeSet<_>>().len(), 6);
    assert_eq!(points[0], r#"{"kind":"a","rate":0.0001}"#);
    assert_eq!(points[5], r#"{"kind":2,"rate":1.0}"#);
    assert_eq!(
        brief(&exited(&mut searcher, 1, ExitReason::InvalidHyperparameters)),
        [""; 0],
        "no other point"
    );
}

#[test]
fn hyperparameters_depend_on_seed_and_trial_alone() {
    let mut searcher = start(random(9, 3));
    for (place, action) in capacity(&mut searcher, 3).iter().enumerate() {
        let Action::Create(create) = action else { panic!("{action:?}") };
        assert_eq!(create.hparams, space().draw(SEED, TrialId(place as u32 + 1)));
    }
}
