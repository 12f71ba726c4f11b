//! `kill -9` in the middle of a search.

use crate::document::{self, Experiment};
use crate::processes::wait_until;
use crate::workplace::{Workplace, repository};
use nix::sys::signal::Signal;
use std::collections::HashSet;

#[test]
fn a_killed_process_goes_on_where_the_store_ends() {
    let place = Workplace::new();
    let file = repository("tests/fixtures/logreg/search.yaml");
    let options = ["--set", "searcher.max_concurrent_trials=1"];
    let mut run = place.start_run(&file, &[&options[..], &["--set", "data.sleep_ms=30"]].concat());
    // In the second rung of some trial: one that goes on from a checkpoint.
    run.wait_for("attempt 2 runs");
    run.signal(Signal::SIGKILL);
    run.wait().expect(-1);
    assert!(place.work().join(".toprung/server.json").exists(), "nobody could remove it");

    let resume = ["resume", "1", "--json", "--slots", "2"];
    let ended = Experiment(place.ask(&resume).expect(0).json()["experiment"].clone());
    assert_eq!(ended.state(), "completed");
    assert_eq!(ended.trials("total"), 9);
    let straight = Workplace::new();
    let undisturbed = straight.run(&file, &options);
    assert_eq!(ended.0["best"]["hparams"], undisturbed.0["best"]["hparams"]);
    assert_eq!(ended.best_metric(), undisturbed.best_metric());
    for (trial, other) in document::trials(&place).iter().zip(&document::trials(&straight)) {
        let seen: HashSet<_> = trial.reports.iter().map(|report| (report.attempt, report.length)).collect();
        assert_eq!(seen.len(), trial.reports.len(), "counted once per attempt: {:?}", trial.reports);
        // At the moment of the kill one length may have been reported and not yet saved.
        assert!(trial.reports.len() as u64 <= trial.number("length") + 1, "{:?}", trial.reports);
        assert_eq!(trial.number("restarts"), 0, "a lost agent is not the trial's failure");
        assert_eq!((trial.state(), &trial.value["reason"]), (other.state(), &other.value["reason"]));
        for report in &trial.reports {
            assert!(other.curve().contains(&(report.length, report.metrics.clone())), "{report:?}");
        }
    }
    place.wait_for_silence();
}

#[test]
fn looking_after_a_crash_needs_no_resume() {
    let place = Workplace::new();
    let file = repository("tests/fixtures/logreg/search.yaml");
    let mut run = place.start_run(&file, &["--set", "data.sleep_ms=30"]);
    run.wait_for("rung 0 (length 1): rank");
    run.signal(Signal::SIGKILL);
    run.wait().expect(-1);
    let shown = place.json(&["show", "1"])["experiment"].take();
    assert_eq!(shown["state"], "active");
    assert!(shown["best"]["metric"].is_f64(), "an acknowledged report is durable: {shown}");
    place.ask(&["pause", "1"]).expect(0);
}

#[test]
fn trials_do_not_outlive_a_killed_process() {
    let place = Workplace::with_search(
        "\
name: sleeps
entrypoint: python3 sleeps.py
hyperparameters: {rate: {type: double, minval: 0, maxval: 1}}
searcher: {name: random, metric: loss, max_trials: 2, max_length: {epochs: 2}}
",
    );
    place.write("sleeps.py", "import time\nprint('asleep', flush=True)\ntime.sleep(600)\n");
    let run = place.start_run("search.yaml", &[]);
    wait_until("two sleeping trials", String::new, || {
        let said = place.ask(&["logs", "1"]).out;
        (said.matches("asleep").count() == 2).then_some(())
    });
    assert!(place.processes().len() > 2, "the command and its trials");
    run.signal(Signal::SIGKILL);
    run.wait().expect(-1);
    place.wait_for_silence();
}
