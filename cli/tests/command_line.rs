//! The binary as a person or a script calls it, where no engine is needed: help, plan, mistakes, exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;
use std::process::Output;

const SEARCH: &str = "\
name: digits
entrypoint: python train.py
hyperparameters:
  learning_rate: {type: log, base: 10, minval: -4, maxval: -1}
searcher: {name: adaptive_asha, metric: error, max_trials: 64, max_length: {epochs: 27}}
";

/// A directory with a search and its script, and the command in it, free of the caller's environment.
fn toprung(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("toprung").unwrap();
    for name in ["SERVER", "TOKEN", "TLS_CA", "DATA_DIR", "LOG"] {
        command.env_remove(format!("TOPRUNG_{name}"));
    }
    command.env("NO_COLOR", "1").env("XDG_STATE_HOME", directory.join("state"));
    command.current_dir(directory).args(arguments).output().unwrap()
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("search.yaml"), SEARCH).unwrap();
    std::fs::write(directory.path().join("train.py"), "").unwrap();
    directory
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Compares with a file; `BLESS=1 cargo test -p toprung` writes it.
fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, expected, "{} differs; BLESS=1 writes it anew", path.display());
}

#[test]
fn a_store_is_checked_written_down_and_made_again() {
    let directory = directory();
    let run = |arguments: &[&str]| toprung(directory.path(), arguments);
    assert_eq!(run(&["store", "check"]).status.code(), Some(3), "no store");
    let store = toprung_store::Store::open(
        &directory.path().join(".toprung/store"),
        toprung_store::Options::default(),
    );
    let store = store.unwrap();
    assert_eq!(run(&["store", "check"]).status.code(), Some(5), "in use");
    drop(store);
    let checked = run(&["store", "check", "--json"]);
    assert_eq!(checked.status.code(), Some(0), "{}", error(&checked));
    assert_eq!(serde_json::from_str::<Value>(&text(&checked)).unwrap()["ok"], true);
    for (arguments, code) in [
        (["store", "export", "all.jsonl", "--data-dir", ".toprung"], 0),
        (["store", "export", "all.jsonl", "--data-dir", ".toprung"], 2),
        (["store", "import", "all.jsonl", "--data-dir", "other"], 0),
        (["store", "import", "all.jsonl", "--data-dir", "other"], 2),
        (["store", "backup", "copy", "--data-dir", "other"], 0),
        (["store", "backup", "copy", "--data-dir", "other"], 5),
        (["store", "check", "--rebuild", "--data-dir", "copy"], 0),
        (["store", "import", "search.yaml", "--data-dir", "third"], 5),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", error(&output));
    }
    assert_eq!(
        text(&run(&["store", "export", "-", "--data-dir", "copy"])),
        std::fs::read_to_string(directory.path().join("all.jsonl")).unwrap()
    );
    std::fs::write(directory.path().join("copy/store/models"), "junk").unwrap();
    assert_eq!(run(&["store", "check", "--data-dir", "copy"]).status.code(), Some(5));
}

#[test]
fn the_help_is_as_written_down() {
    let directory = directory();
    golden("help.txt", &text(&toprung(directory.path(), &["--help"])));
    golden("help-run.txt", &text(&toprung(directory.path(), &["run", "--help"])));
}

#[test]
fn a_plan_needs_no_engine_and_leaves_nothing() {
    let directory = directory();
    let output = toprung(directory.path(), &["plan", "search.yaml", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["plan"]["trials"], 64);
    assert_eq!(document["plan"]["full_length"], 64 * 27);
    assert_eq!(document["sample_hparams"].as_array().unwrap().len(), 3);
    assert!(!directory.path().join(".toprung").exists());
}

#[test]
fn changes_count_before_the_plan() {
    let directory = directory();
    let arguments = ["plan", "search.yaml", "--json", "--set", "searcher.max_trials=5"];
    let document: Value = serde_json::from_slice(&toprung(directory.path(), &arguments).stdout).unwrap();
    assert_eq!(document["plan"]["trials"], 5);
}

#[test]
fn a_mistake_in_the_file_is_drawn_and_ends_with_2() {
    let directory = directory();
    let wrong = SEARCH.replace("max_trials", "max_trails");
    std::fs::write(directory.path().join("wrong.yaml"), wrong).unwrap();
    let output = toprung(directory.path(), &["run", "wrong.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let shown = error(&output);
    assert!(shown.contains("wrong.yaml:5") && shown.contains("did you mean `max_trials`?"), "{shown}");
    assert!(!directory.path().join(".toprung").exists());
}

#[test]
fn a_missing_script_is_named_before_an_engine_starts() {
    let directory = directory();
    std::fs::rename(directory.path().join("train.py"), directory.path().join("trian.py")).unwrap();
    let output = toprung(directory.path(), &["run", "search.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(error(&output).contains("did you mean `trian.py`?"), "{}", error(&output));
    assert!(!directory.path().join(".toprung").exists());
}

#[test]
fn looking_where_nothing_was_run_ends_with_3() {
    let directory = directory();
    for arguments in [&["list"][..], &["show", "1"], &["resume", "1"], &["kill", "1"], &["agents"]] {
        let output = toprung(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {}", error(&output));
        assert!(error(&output).contains("no experiments here"), "{}", error(&output));
    }
    assert!(!directory.path().join(".toprung").exists());
}

#[test]
fn an_unreachable_server_ends_with_4() {
    let directory = directory();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for arguments in [&["list"][..], &["run", "search.yaml"], &["plan", "search.yaml"]] {
        let output = toprung(directory.path(), &[arguments, &["--server", &closed]].concat());
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {}", error(&output));
        assert!(error(&output).contains(&format!("cannot reach {closed}")), "{}", error(&output));
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let directory = directory();
    for arguments in [
        &["frobnicate"][..],
        &["run"],
        &["serve", "--listen", "0.0.0.0:0"],
        &["agent"],
        &["run", "search.yaml", "--slots", "2", "--server", "http://127.0.0.1:1"],
    ] {
        let output = toprung(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", error(&output));
    }
}

#[test]
fn the_schema_is_a_json_schema() {
    let directory = directory();
    let output = toprung(directory.path(), &["schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["searcher"].is_object() || schema["$defs"].is_object());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let directory = directory();
    let output = std::process::Command::new("sh")
        .args(["-c", "\"$0\" completions bash 2>err | head -c 1 >/dev/null"])
        .arg(env!("CARGO_BIN_EXE_toprung"))
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(std::fs::read_to_string(directory.path().join("err")).unwrap(), "");
}
