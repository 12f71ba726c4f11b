//! New experiments from earlier ones: forked, continued, started from a checkpoint.

use crate::document;
use crate::workplace::Workplace;
use serde_json::Value;

/// One trial, whose course depends on its weights alone.
const SINGLE: &str = "\
name: one
entrypoint: python3 train.py
hyperparameters: {learning_rate: 0.3, l2: 0.01}
searcher: {name: single, metric: validation_loss, max_length: {epochs: 4}}
reproducibility: {experiment_seed: 3}
";

/// (length, metrics) of trial `trial` of experiment `id`.
fn curve(place: &Workplace, id: &str, trial: &str) -> Vec<(u64, Value)> {
    let found = place.json(&["trials", id, trial]);
    let pair =
        |report: &Value| (report["report"]["length"].as_u64().unwrap(), report["report"]["metrics"].clone());
    found["reports"].as_array().unwrap().iter().map(pair).collect()
}

fn resumed(place: &Workplace, id: &str) -> usize {
    place.ask(&["logs", id]).expect(0).out.matches("resumed at 0").count()
}

#[test]
fn a_fork_needs_no_files_and_a_continuation_goes_on_from_the_weights() {
    let place = Workplace::with_search(SINGLE);
    place.run("search.yaml", &[]);
    // Everything that the new ones need is with the old one.
    for name in ["train.py", "search.yaml"] {
        std::fs::remove_file(place.work().join(name)).unwrap();
    }
    let forked = place.json(&["fork", "1", "--set", "searcher.max_length.epochs=7", "--name", "longer"]);
    let forked = &forked["experiment"];
    assert_eq!((&forked["source_experiment"], &forked["name"]), (&1.into(), &"longer".into()));
    assert_eq!(resumed(&place, "2"), 0);

    let continued = place.json(&["continue", "1", "--set", "searcher.max_length.epochs=3"]);
    assert_eq!(continued["experiment"]["state"], "completed");
    assert_eq!(continued["experiment"]["source_experiment"], 1);
    assert_eq!(resumed(&place, "3"), 1, "its lengths count from 0");

    // 4 epochs and 3 more are the 7 of the fork, to the last bit.
    let whole = curve(&place, "2", "1");
    let parts: Vec<Value> = [curve(&place, "1", "1"), curve(&place, "3", "1")]
        .concat()
        .into_iter()
        .map(|(_, metrics)| metrics)
        .collect();
    assert_eq!(parts, whole.into_iter().map(|(_, metrics)| metrics).collect::<Vec<_>>());
    assert_eq!(curve(&place, "3", "1").iter().map(|(length, _)| *length).collect::<Vec<_>>(), [1, 2, 3]);

    // A continuation can be continued.
    place.json(&["continue", "3", "--set", "searcher.max_length.epochs=1"]);
    assert_eq!(resumed(&place, "4"), 1);
}

#[test]
fn every_trial_of_a_search_starts_from_the_named_checkpoint() {
    let place = Workplace::with_search(SINGLE);
    let first = place.run("search.yaml", &[]);
    let uuid = first.0["best"]["checkpoint"]["uuid"].as_str().unwrap().to_owned();
    let many = [
        "--set",
        "searcher.name=random",
        "--set",
        "searcher.max_trials=3",
        "--set",
        "hyperparameters.learning_rate={type: double, minval: 0.1, maxval: 0.5}",
    ];
    for source in
        ["searcher.source_trial_id=1/1".to_owned(), format!("searcher.source_checkpoint_uuid={uuid}")]
    {
        let next = place.run("search.yaml", &[&many[..], &["--set", &source]].concat());
        assert_eq!((next.state(), next.trials("completed")), ("completed", 3));
        assert_eq!(resumed(&place, &next.0["id"].to_string()), 3);
    }
    assert_eq!(document::trials(&place).len(), 1);
}

#[test]
fn what_cannot_be_started_from_is_said_at_once() {
    let place = Workplace::with_search(SINGLE);
    let random = ["--set", "searcher.name=random", "--set", "searcher.max_trials=1"];
    place.run("search.yaml", &random);
    for (setting, message) in [
        ("searcher.source_trial_id=3", "`3/7` is trial 7 of experiment 3"),
        ("searcher.source_trial_id=9/1", "there is no experiment 9"),
        ("searcher.source_trial_id=1/5", "experiment 1 has no trial 5"),
        ("searcher.source_checkpoint_uuid=abc", "there is no checkpoint abc"),
    ] {
        let answer = place.ask(&["run", "search.yaml", "--set", setting]);
        assert_ne!(answer.code, 0, "{setting}");
        answer.says(&[message]);
    }
    let answer = place.ask(&["continue", "1"]);
    assert_ne!(answer.code, 0);
    answer.says(&["only one with `single` can be continued"]);
    place.ask(&["fork", "7"]).says(&["there is no experiment 7"]);
    assert_eq!(place.json(&["list"])["experiments"].as_array().unwrap().len(), 1, "nothing was created");
}
