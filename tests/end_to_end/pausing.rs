//! Ctrl-C, and going on from checkpoints.

use crate::document::{self, Experiment, Trial};
use crate::workplace::{Workplace, repository};
use nix::sys::signal::Signal;

/// Two trials, each long enough to be caught in the middle.
const LONG: &str = "\
name: long
entrypoint: python3 train.py
hyperparameters:
  learning_rate: {type: log, base: 10, minval: -2, maxval: 0}
searcher: {name: random, metric: validation_loss, max_trials: 2, max_length: {epochs: 20}}
data: {sleep_ms: 40}
reproducibility: {experiment_seed: 3}
";

#[test]
fn ctrl_c_pauses_and_resume_goes_on_from_the_checkpoints() {
    let place = Workplace::with_search(LONG);
    let mut run = place.start_run("search.yaml", &[]);
    run.wait_for("trial 2: attempt 1 runs");
    let saved = place.wait_for(&["trials", "1"], |found| {
        let lengths = found["trials"].as_array()?.iter().map(|trial| trial["checkpoint"]["length"].as_u64());
        lengths.min().flatten().filter(|least| *least >= 2)
    });
    run.signal(Signal::SIGINT);
    let answer = run.wait().expect(130);
    answer.says(&["pausing: trials save their checkpoints", "toprung resume 1"]);
    let paused = Experiment(answer.json()["experiment"].clone());
    assert_eq!(paused.state(), "paused");
    assert_eq!(place.processes(), Vec::<i32>::new(), "no trial outlives the command");
    assert_eq!(place.json(&["list"])["experiments"][0]["state"], "paused");

    let resume = ["resume", "1", "--json", "--slots", "2"];
    let ended = Experiment(place.ask(&resume).expect(0).json()["experiment"].clone());
    assert_eq!(ended.state(), "completed");
    for trial in document::trials(&place) {
        let first = trial.reports.iter().filter(|report| report.attempt == 1).count() as u64;
        assert!((saved..20).contains(&first), "paused in the middle: {first}");
        assert_eq!(trial.number("attempt"), 2);
        assert_eq!(trial.number("restarts"), 0, "a pause is no failure");
        let id = trial.number("id");
        let from =
            document::log(&place, id).iter().find_map(|line| line.strip_prefix("resumed at ")?.parse().ok());
        assert_eq!(from, Some(first), "it goes on from its newest checkpoint");
        assert_eq!(trial.lengths(), (1..=20).collect::<Vec<u64>>(), "no length is trained twice");
    }

    // A search that was never paused ends the same, to the last bit.
    let other = Workplace::with_search(LONG);
    let straight = other.run("search.yaml", &["--set", "data.sleep_ms=0"]);
    assert_eq!(straight.best_trial(), ended.best_trial());
    for (a, b) in document::trials(&place).iter().zip(&document::trials(&other)) {
        assert_eq!(a.curve(), b.curve());
    }
}

#[test]
fn halving_decides_the_same_after_a_pause() {
    let file = repository("tests/fixtures/logreg/search.yaml");
    // One at a time: the order of arrival is then a matter of the seed alone.
    let options = ["--set", "searcher.max_concurrent_trials=1"];
    let paused = Workplace::new();
    let mut run = paused.start_run(&file, &options);
    run.wait_for("trial 4: attempt 1 runs");
    run.signal(Signal::SIGINT);
    run.wait().expect(130);
    paused.ask(&["resume", "1", "--quiet"]).expect(0);
    let straight = Workplace::new();
    straight.run(&file, &options);
    let ends = |place: &Workplace| {
        let end = |trial: &Trial| (trial.state().to_owned(), trial.value["reason"].clone(), trial.curve());
        document::trials(place).iter().map(end).collect::<Vec<_>>()
    };
    assert_eq!(ends(&paused), ends(&straight));
    for trial in document::trials(&paused) {
        let whole: Vec<u64> = (1..=trial.number("length")).collect();
        assert_eq!(trial.lengths(), whole, "no length is trained twice: {:?}", trial.value);
    }
}

#[test]
fn a_second_ctrl_c_leaves_at_once_and_nothing_is_lost() {
    let search = LONG.replace("python3 train.py", "python3 stubborn.py");
    let place = Workplace::with_search(&search);
    let patient = "\
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('epoch=1 validation_loss=0.5', flush=True)
time.sleep(600)
";
    place.write("stubborn.py", patient);
    let mut run = place.start_run("search.yaml", &[]);
    place.wait_for(&["trials", "1"], |found| {
        let trials = found["trials"].as_array()?;
        (trials.len() == 2 && trials.iter().all(|trial| trial["length"] == 1)).then_some(())
    });
    run.signal(Signal::SIGINT);
    run.wait_for("Ctrl-C again leaves at once");
    run.signal(Signal::SIGINT);
    run.wait().expect(130).says(&["toprung resume 1"]);
    assert_eq!(place.processes(), Vec::<i32>::new(), "no trial outlives the command");
    assert_eq!(Trial::of(&place, 1).lengths(), [1]);
    assert_ne!(place.json(&["show", "1"])["experiment"]["state"], "error");
}
