//! A backup in the middle of a search, made by the engine that runs it.

use crate::document::{self, Experiment};
use crate::workplace::{Workplace, repository};
use nix::sys::signal::Signal;

#[test]
fn a_backup_of_a_running_search_is_sound_and_goes_on() {
    let place = Workplace::new();
    let file = repository("tests/fixtures/logreg/search.yaml");
    let options = ["--set", "searcher.max_concurrent_trials=1"];
    let mut run = place.start_run(&file, &[&options[..], &["--set", "data.sleep_ms=100"]].concat());
    run.wait_for("attempt 2 runs");
    let made = place.json(&["store", "backup", "copy"]);
    run.signal(Signal::SIGKILL);
    run.wait().expect(-1);
    assert!(made["files"].as_u64().unwrap() > 2, "{made}");
    assert!(!place.work().join(".toprung/backup.partial").exists());
    place.ask(&["store", "backup", "copy"]).expect(5).says(&["directory not empty"]);
    place.ask(&["store", "check", "--data-dir", "copy"]).expect(0).prints(&["experiment 1: ok", "store: ok"]);

    let resume = ["resume", "1", "--json", "--slots", "2", "--data-dir", "copy"];
    let ended = Experiment(place.ask(&resume).expect(0).json()["experiment"].clone());
    assert_eq!((ended.state(), ended.trials("total")), ("completed", 9));
    let straight = Workplace::new();
    let undisturbed = straight.run(&file, &options);
    assert_eq!(ended.0["best"]["hparams"], undisturbed.0["best"]["hparams"]);
    assert_eq!(ended.best_metric(), undisturbed.best_metric());
    for (id, other) in (1..).zip(&document::trials(&straight)) {
        let trial = document::Trial::with(&place, id, &["--data-dir", "copy"]);
        assert_eq!((trial.state(), &trial.value["reason"]), (other.state(), &other.value["reason"]));
        for report in &trial.reports {
            assert!(other.curve().contains(&(report.length, report.metrics.clone())), "{report:?}");
        }
    }
}
