//! Trials that fail, and trials whose hyperparameters make no sense.

use crate::document::{self, Trial};
use crate::workplace::{Workplace, repository};

#[test]
fn a_failed_trial_starts_again_from_its_checkpoint() {
    let search = "\
name: fails
entrypoint: python3 train.py
hyperparameters: {learning_rate: 0.5}
searcher: {name: single, metric: validation_loss, max_length: {epochs: 6}}
data: {fail_at: 4}
max_restarts: 2
reproducibility: {experiment_seed: 3}
";
    let place = Workplace::with_search(search);
    let mut run = place.start_run("search.yaml", &[]);
    run.wait_for("RuntimeError: failed at 4 as told");
    let answer = run.wait().expect(0);
    assert_eq!(answer.json()["experiment"]["state"], "completed");
    let trial = Trial::of(&place, 1);
    assert_eq!((trial.number("restarts"), trial.number("attempt")), (1, 2));
    let reports: Vec<_> = trial.reports.iter().map(|report| (report.attempt, report.length)).collect();
    assert_eq!(reports, [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (2, 6)]);
    assert!(document::log(&place, 1).contains(&"resumed at 3".to_owned()));

    // The same as one that never failed.
    let straight = Workplace::with_search(&search.replace("fail_at: 4", "fail_at: 0"));
    straight.run("search.yaml", &[]);
    assert_eq!(trial.curve(), Trial::of(&straight, 1).curve());
}

#[test]
fn a_trial_that_fails_too_often_ends_and_the_search_goes_on() {
    let place = Workplace::with_search(
        "\
name: one_of_three_fails
entrypoint: python3 train.py
hyperparameters:
  learning_rate: {type: double, minval: 0.1, maxval: 0.3, count: 3}
  sleep_ms: 0
searcher: {name: grid, metric: validation_loss, max_length: {epochs: 2}}
max_restarts: 0
",
    );
    let script = "import os, sys\nif os.environ['TOPRUNG_TRIAL_ID'] == '2':\n    sys.exit('no good')\n";
    place.write("train.py", &format!("{script}{}", crate::workplace::TRAIN));
    let answer = place.start_run("search.yaml", &[]).wait().expect(0);
    let document = answer.json();
    let counts = &document["experiment"]["trials"];
    assert_eq!((&counts["completed"], &counts["error"]), (&2.into(), &1.into()), "{counts}");
    let failed = Trial::of(&place, 2);
    assert_eq!(failed.value["failure"]["exit_code"], 1);
    assert_eq!(failed.value["failure"]["last_lines"], serde_json::json!(["no good"]));
}

#[test]
fn invalid_hyperparameters_are_replaced_and_not_counted() {
    let place = Workplace::new();
    let file = repository("tests/fixtures/logreg/search.yaml");
    let experiment = place.run(&file, &["--set", "data.invalid_above=0.3"]);
    assert_eq!(experiment.state(), "completed");
    let invalid = experiment.trials("invalid");
    assert!(invalid >= 3, "the seed draws at least three: {:?}", experiment.0);
    assert_eq!(experiment.trials("total") - invalid, 9, "as many valid ones as asked for");
    for trial in document::trials(&place) {
        let above = trial.value["hparams"]["learning_rate"].as_f64().unwrap() > 0.3;
        assert_eq!(trial.state() == "invalid_hyperparameters", above, "{:?}", trial.value);
        if above {
            assert_eq!(trial.reports, []);
            assert_eq!(trial.number("restarts"), 0);
            assert!(trial.value["reason"].as_str().unwrap().contains("is above 0.3"), "{:?}", trial.value);
        }
    }
}

#[test]
fn a_log_policy_ends_a_trial_at_once_and_is_named() {
    let place = Workplace::with_search(
        "\
name: quota
entrypoint: python3 train.py
hyperparameters:
  learning_rate: {type: double, minval: 0.1, maxval: 0.3, count: 3}
searcher: {name: grid, metric: validation_loss, max_length: {epochs: 2}}
log_policies: [{name: Quota, pattern: 'quota.*exceeded', action: cancel_retries}]
",
    );
    let script =
        "import os, sys\nif os.environ['TOPRUNG_TRIAL_ID'] == '2':\n    sys.exit('disk quota is exceeded')\n";
    place.write("train.py", &format!("{script}{}", crate::workplace::TRAIN));
    let answer = place.start_run("search.yaml", &[]).wait().expect(0);
    assert_eq!(answer.json()["experiment"]["ends"], serde_json::json!({"failed": 1}));
    let failed = Trial::of(&place, 2);
    assert_eq!((failed.state(), failed.number("attempt")), ("error", 1), "{:?}", failed.value);
    assert_eq!(failed.value["log_policies"][0]["line"], "disk quota is exceeded");
    let expected = "exit code 1: disk quota is exceeded; not tried again: log policy `Quota` (line: disk quota is exceeded)";
    assert_eq!(failed.value["reason"], expected);
    place
        .ask(&["trials", "1", "2"])
        .expect(0)
        .prints(&["log policy       Quota: disk quota", "attempts         1 failed"]);
}
