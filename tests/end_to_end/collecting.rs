//! What is kept of the checkpoints, on the disk.

use crate::document::{self, Experiment, Trial};
use crate::workplace::Workplace;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Two trials of some epochs, a checkpoint after each.
const SEARCH: &str = "\
name: kept
entrypoint: python3 train.py
hyperparameters:
  learning_rate: {type: log, base: 10, minval: -2, maxval: 0}
searcher: {name: random, metric: validation_loss, max_trials: 2, max_length: {epochs: 12}}
data: {sleep_ms: 0}
reproducibility: {experiment_seed: 3}
";

/// The checkpoints that lie on the disk: (trial, length), from what the script wrote into each.
fn on_disk(place: &Workplace) -> BTreeSet<(u64, u64)> {
    let root = place.work().join(".toprung/agent/checkpoints/1");
    let names = |path: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let mut found = BTreeSet::new();
    for trial in names(&root) {
        for uuid in names(&root.join(&trial)) {
            assert!(!uuid.contains("incomplete") && !uuid.contains("deleted"), "left over: {uuid}");
            let text = std::fs::read_to_string(root.join(&trial).join(&uuid).join("model.json")).unwrap();
            let model: Value = serde_json::from_str(&text).unwrap();
            found.insert((trial.parse().unwrap(), model["length"].as_u64().unwrap()));
        }
    }
    found
}

fn loss(trial: &Trial, length: u64) -> f64 {
    let report = trial.reports.iter().find(|report| report.length == length).unwrap();
    report.metrics["validation_loss"].as_f64().unwrap()
}

/// The `count` best lengths of a trial.
fn best(trial: &Trial, count: usize) -> Vec<u64> {
    let mut lengths = trial.lengths();
    lengths.sort_by(|a, b| loss(trial, *a).total_cmp(&loss(trial, *b)));
    lengths.truncate(count);
    lengths
}

#[test]
fn the_end_leaves_what_the_policy_keeps() {
    for (best_of_trial, latest, best_of_all) in [(1, 1, 0), (2, 0, 0), (0, 1, 3)] {
        let place = Workplace::with_search(SEARCH);
        let settings = [
            format!("checkpoint_storage.save_trial_best={best_of_trial}"),
            format!("checkpoint_storage.save_trial_latest={latest}"),
            format!("checkpoint_storage.save_experiment_best={best_of_all}"),
        ];
        let options: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let ended = place.run("search.yaml", &options);
        assert_eq!(ended.state(), "completed");

        let trials = document::trials(&place);
        let mut expected = BTreeSet::new();
        let mut all: Vec<(f64, u64, u64)> = Vec::new();
        for trial in &trials {
            let id = trial.number("id");
            expected.extend((13 - latest..=12).map(|length| (id, length)));
            expected.extend(best(trial, best_of_trial).into_iter().map(|length| (id, length)));
            all.extend(trial.lengths().into_iter().map(|length| (loss(trial, length), id, length)));
        }
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        expected.extend(all.iter().take(best_of_all).map(|(_, id, length)| (*id, *length)));
        assert_eq!(on_disk(&place), expected, "{settings:?}");

        // What is shown is there, with the hash of what is in it.
        let shown = &ended.0["best"]["checkpoint"];
        let file = Path::new(shown["path"].as_str().unwrap()).join("model.json");
        assert!(file.exists());
        assert_eq!(shown["files"][0]["path"], "model.json");
        assert_eq!(shown["files"][0]["sha256"].as_str().unwrap().len(), 64);
        for trial in &trials {
            let path = &trial.value["checkpoint"]["path"];
            assert!(path.as_str().is_none_or(|path| Path::new(path).exists()), "{path} is shown");
        }
    }
}

#[test]
fn a_paused_search_has_what_it_goes_on_from() {
    let place = Workplace::with_search(&SEARCH.replace("epochs: 12", "epochs: 90"));
    // Long enough that checkpoints are collected on the way.
    let nothing =
        ["save_trial_best=0", "save_trial_latest=0"].map(|text| format!("checkpoint_storage.{text}"));
    let mut run = place
        .start_run("search.yaml", &["--set", "data.sleep_ms=15", "--set", &nothing[0], "--set", &nothing[1]]);
    run.wait_for("trial 2: attempt 1 runs");
    place.wait_for(&["trials", "1"], |found| {
        let lengths = found["trials"].as_array()?.iter().map(|trial| trial["checkpoint"]["length"].as_u64());
        lengths.min().flatten().filter(|least| *least >= 66)
    });
    run.signal(Signal::SIGINT);
    let paused = Experiment(run.wait().expect(130).json()["experiment"].clone());
    assert_eq!(paused.state(), "paused");
    let left = on_disk(&place);
    for trial in document::trials(&place) {
        let (id, latest) = (trial.number("id"), trial.value["checkpoint"]["length"].as_u64().unwrap());
        assert!(left.contains(&(id, latest)), "{latest} of trial {id} in {left:?}");
        let count = left.iter().filter(|(of, _)| *of == id).count();
        assert!(count <= 2, "its latest, and its best: {left:?}");
    }

    place.ask(&["resume", "1", "--quiet", "--slots", "2"]).expect(0);
    for trial in document::trials(&place) {
        assert_eq!(trial.state(), "completed");
        assert_eq!(trial.lengths(), (1..=90).collect::<Vec<u64>>(), "it went on where it was");
    }
    let shown = place.json(&["best", "1"]);
    assert_eq!(on_disk(&place).len(), 1, "the one that is shown: {}", shown["best"]["checkpoint"]);
    assert!(Path::new(shown["best"]["checkpoint"]["path"].as_str().unwrap()).exists());
}
