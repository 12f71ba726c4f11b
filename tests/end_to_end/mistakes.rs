//! What goes wrong outside the file: each with its exit code, the words a person needs, and nothing left behind.

use crate::processes::wait_until;
use crate::workplace::Workplace;
use serde_json::Value;
use std::fs::File;
use std::net::TcpListener;

const SEARCH: &str = "\
name: search
entrypoint: python3 train.py
hyperparameters:
  learning_rate: {type: log, base: 10, minval: -2, maxval: 0}
searcher: {name: random, metric: validation_loss, max_trials: 2, max_length: {epochs: 2}}
max_restarts: 0
";

#[test]
fn a_script_that_is_not_there() {
    let place = Workplace::with_search(&SEARCH.replace("train.py", "trian.py"));
    let answer = place.ask(&["run", "search.yaml"]).expect(2);
    answer.says(&["`trian.py`, which is not in the model directory", "did you mean `train.py`?"]);
    assert_eq!(place.names(), ["search.yaml", "train.py"]);
}

#[test]
fn a_model_directory_that_is_too_large() {
    let place = Workplace::with_search(SEARCH);
    for (name, megabytes) in [("small.bin", 1), ("large.bin", 90), ("larger.bin", 150)] {
        File::create(place.work().join(name)).unwrap().set_len(megabytes << 20).unwrap();
    }
    let answer = place.ask(&["run", "search.yaml"]).expect(2);
    answer.says(&["241.0 MiB, more than 100.0 MiB", "150.0 MiB  larger.bin", ".toprungignore"]);
    assert!(answer.err.find("larger.bin") < answer.err.find("large.bin"), "{}", answer.err);
    assert!(!place.work().join(".toprung").exists());
    place.write(".toprungignore", "*.bin\n");
    place.ask(&["run", "search.yaml", "--quiet"]).expect(0);
}

#[test]
fn a_script_that_dies_at_once() {
    let place = Workplace::with_search(SEARCH);
    place.write("train.py", "print('reading data')\nimport no_such_module\n");
    let answer = place.ask(&["run", "search.yaml"]).expect(1);
    answer.prints(&[
        "experiment 1 error",
        "exit code 1: ModuleNotFoundError: No module named 'no_such_module'",
        "  | reading data",
        "  | ModuleNotFoundError",
        "toprung logs 1 --trial",
    ]);
    place.wait_for_silence();
}

#[test]
fn requirements_that_cannot_be_installed() {
    let place =
        Workplace::with_search(&format!("{SEARCH}environment: {{requirements: [./no-such-package]}}\n"));
    let answer = place.ask(&["run", "search.yaml"]).expect(1);
    answer.prints(&[
        "no trial can start: installing the requirements failed",
        "ERROR: Invalid requirement: './no-such-package'",
        "File './no-such-package' does not exist",
    ]);
    place.wait_for_silence();
}

#[test]
fn a_metric_that_is_never_reported() {
    let place = Workplace::with_search(&SEARCH.replace("validation_loss", "accuracy"));
    let answer = place.ask(&["run", "search.yaml"]).expect(1);
    answer
        .prints(&["a validation must contain 'accuracy'; reported were: validation_loss, validation_error"]);
}

#[test]
fn a_script_that_reports_nothing() {
    let place = Workplace::with_search(SEARCH);
    place.write("train.py", "print('done')\n");
    let answer = place.ask(&["run", "search.yaml"]).expect(1);
    answer.prints(&["experiment 1 error", "validation_loss"]);
}

#[test]
fn a_port_that_is_taken() {
    let place = Workplace::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let answer = place.ask(&["serve", "--listen", &address]).expect(4);
    answer.says(&[&format!("cannot listen on {address}"), "--listen ADDRESS:PORT"]);
    assert_eq!(place.names(), Vec::<String>::new());
    place.ask(&["serve", "--listen", "0.0.0.0:0"]).expect(2).says(&["--tls-cert", "--plaintext"]);
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn a_data_directory_that_another_process_has() {
    let place = Workplace::new();
    let server = place.start(&["serve", "--listen", "127.0.0.1:0"]);
    let file = place.work().join(".toprung/server.json");
    wait_until("server.json", String::new, || file.exists().then_some(()));
    let answer = place.ask(&["serve", "--listen", "127.0.0.1:0"]).expect(5);
    answer.says(&["in use by another process", &format!("process {}", server.pid()), "--data-dir"]);
    // A command that only asks finds the process that has it.
    assert_eq!(place.json(&["list"])["experiments"], Value::Array(vec![]));
}

#[test]
fn nothing_and_nobody_there() {
    let place = Workplace::with_search(SEARCH);
    place.ask(&["list"]).expect(3).says(&["no experiments here", "toprung run FILE"]);
    place.ask(&["resume", "1"]).expect(3).says(&["no experiments here"]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let answer = place.ask(&["run", "search.yaml", "--server", &url]).expect(4);
    answer.says(&[&format!("cannot reach {url}"), "toprung serve"]);
    assert_eq!(place.names(), ["search.yaml", "train.py"]);
    place.ask(&["run", "search.yaml", "--quiet"]).expect(0);
    place.ask(&["show", "99"]).expect(3).says(&["there is no experiment 99", "toprung list"]);
    place.ask(&["trials", "1", "99"]).expect(3).says(&["99", "toprung trials"]);
    place.ask(&["resume", "1"]).expect(3).says(&["completed"]);
    place.ask(&["show", "one"]).expect(2);
}
