//! `toprung run` without a server, and every command that looks at what it left.

use crate::document::{self, Trial};
use crate::workplace::{Workplace, repository};

fn logreg() -> String {
    repository("tests/fixtures/logreg/search.yaml")
}

#[test]
fn a_search_runs_and_every_command_agrees_on_it() {
    let place = Workplace::new();
    let answer = place.start_run(&logreg(), &[]).wait().expect(0);
    let document = answer.json();
    let experiment = document::Experiment(document["experiment"].clone());
    assert_eq!(experiment.state(), "completed");
    assert_eq!(experiment.trials("total"), 9);
    assert_eq!(experiment.trials("completed") + experiment.trials("stopped"), 9);
    let ranked = document["best_trials"].as_array().unwrap();
    assert_eq!(ranked[0]["id"], experiment.best_trial());
    assert_eq!(document["failed_trial"], serde_json::Value::Null);

    // Each in a process of its own, from the store.
    let shown = place.json(&["show", "1"])["experiment"].take();
    for field in ["state", "trials", "best", "total_length", "ended_unix_ms"] {
        assert_eq!(shown[field], experiment.0[field], "{field}");
    }
    let listed = place.json(&["list"]);
    assert_eq!(listed["experiments"][0]["best"], experiment.0["best"]);
    assert_eq!(place.json(&["best", "1"])["best"], experiment.0["best"]);
    assert_eq!(place.json(&["agents"])["agents"].as_array().unwrap().len(), 0);

    let trials = document::trials(&place);
    assert_eq!(trials.len(), 9);
    let trained: u64 = trials.iter().map(|trial| trial.number("length")).sum();
    assert_eq!(experiment.0["total_length"], trained);
    for trial in &trials {
        let whole: Vec<u64> = (1..=trial.number("length")).collect();
        assert_eq!(trial.lengths(), whole, "one report per length: {:?}", trial.value);
        let least = trial.reports.iter().map(|report| report.metrics["validation_loss"].as_f64().unwrap());
        assert_eq!(trial.value["best_metric"].as_f64(), least.reduce(f64::min), "{:?}", trial.value);
    }
    let best = trials[usize::try_from(experiment.best_trial()).unwrap() - 1].value["best_metric"].as_f64();
    assert_eq!(best, Some(experiment.best_metric()));
}

#[test]
fn the_best_checkpoint_holds_what_the_best_trial_trained() {
    let place = Workplace::new();
    let experiment = place.run(&logreg(), &["--set", "searcher.max_trials=3"]);
    let checkpoint = &experiment.0["best"]["checkpoint"];
    let path = std::path::Path::new(checkpoint["path"].as_str().unwrap()).join("model.json");
    let model: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(model["length"], checkpoint["length"]);
    assert_eq!(model["weights"].as_array().unwrap().len(), 3);
}

#[test]
fn a_person_gets_a_table_and_the_next_commands() {
    let place = Workplace::new();
    let run = ["run", &logreg(), "--quiet", "--slots", "2", "--set", "searcher.max_trials=3"];
    let answer = place.ask(&run).expect(0);
    answer.prints(&[
        "logreg: experiment 1 completed",
        "rank  trial  validation_loss  length",
        "toprung logs 1",
    ]);
    assert!(!answer.err.contains("attempt"), "--quiet shows no progress:\n{}", answer.err);
    place.ask(&["show", "1"]).expect(0).prints(&["state       completed", "3: ", "of 27 epochs"]);
    place.ask(&["best", "1"]).expect(0).prints(&["hyperparameters", "learning_rate="]);
    place.ask(&["trials", "1"]).expect(0).prints(&["learning_rate="]);
    place.ask(&["logs", "1"]).expect(0).prints(&["trial 1   | "]);
    place.wait_for_silence();
}

#[test]
fn a_metric_that_is_no_number_ranks_last() {
    let place = Workplace::new();
    let experiment = place.run(&logreg(), &["--set", "data.nan_above=0.3"]);
    assert_eq!(experiment.state(), "completed");
    let trials = document::trials(&place);
    let diverges = |trial: &&Trial| trial.value["hparams"]["learning_rate"].as_f64().unwrap() > 0.3;
    let diverged: Vec<_> = trials.iter().filter(diverges).collect();
    assert_eq!(diverged.len(), 3, "the seed draws three such rates");
    for trial in diverged {
        assert_eq!(trial.reports[0].metrics["validation_loss"], "NaN");
        assert_eq!(trial.state(), "stopped");
        assert_ne!(trial.number("id"), experiment.best_trial());
        assert_eq!(trial.value["restarts"], 0, "no failure: {:?}", trial.value);
    }
    assert!(experiment.best_metric().is_finite());
}

#[test]
fn the_same_seed_gives_the_same_search() {
    let one_by_one = ["--set", "searcher.max_concurrent_trials=1", "--set", "searcher.max_trials=6"];
    let search = || {
        let place = Workplace::new();
        place.run(&logreg(), &one_by_one);
        let found = document::trials(&place);
        found.iter().map(|trial| (trial.value["hparams"].clone(), trial.curve())).collect::<Vec<_>>()
    };
    assert_eq!(search(), search());
}

#[test]
fn a_second_terminal_uses_the_engine_that_runs() {
    let place = Workplace::new();
    let short = ["--set", "searcher.max_trials=2", "--set", "data.sleep_ms=60"];
    let mut first = place.start_run(&logreg(), &short);
    first.wait_for("attempt 1 runs");
    let second =
        place.start(&["run", &logreg(), "--json", "--name", "second", "--set", "searcher.max_trials=4"]);
    let second = second.wait().expect(0);
    second.says(&["experiment 2: second, submitted to the engine that runs already"]);
    assert_eq!(second.json()["experiment"]["trials"]["total"], 4);
    // The first stays as long as its engine is needed, and prints its own result alone.
    assert_eq!(first.wait().expect(0).json()["experiment"]["id"], 1);
    let states: Vec<_> = place.json(&["list"])["experiments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|experiment| (experiment["id"].as_u64(), experiment["state"].as_str().map(str::to_owned)))
        .collect();
    let completed = || Some("completed".to_owned());
    assert_eq!(states, [(Some(2), completed()), (Some(1), completed())], "newest first");
}
