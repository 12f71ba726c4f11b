//! `toprung bench --quick`: every benchmark runs to its end over a real engine, and its figures have a meaning.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use assert_cmd::Command;
use serde_json::Value;

#[test]
fn every_benchmark_runs_and_gives_figures() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::cargo_bin("toprung").unwrap();
    command.env("XDG_STATE_HOME", directory.path().join("state")).current_dir(directory.path());
    let output = command.args(["bench", "--quick", "--json", "--dir", "."]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let figures = document["figures"].as_array().unwrap();
    for figure in figures {
        assert!(figure["value"].as_f64().is_some_and(|value| value > 0.0), "{figure}");
        for bare in figure["bare"].as_array().unwrap() {
            assert!(bare["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{figure}");
        }
    }
    let with_target = figures.iter().filter(|figure| figure["met"].is_boolean()).count();
    assert_eq!(with_target, 15, "{document:#}");
    // What was started is gone, and so is what was written.
    let left: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_wrong_name_is_refused_with_the_right_ones() {
    let output = Command::cargo_bin("toprung").unwrap().args(["bench", "speed"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("transitions") && error.contains("decisions"), "{error}");
}
