//! Two experiments that want the same slots, and agents that are drained.

use crate::document::{self, Trial};
use crate::processes::wait_until;
use crate::server::Server;
use crate::workplace::Workplace;
use nix::sys::signal::Signal;
use serde_json::Value;

/// A long trial that nobody waits for.
const BULK: &str = "\
name: bulk
entrypoint: python3 train.py
hyperparameters: {learning_rate: 0.5}
searcher: {name: single, metric: validation_loss, max_length: {epochs: 60}}
data: {sleep_ms: 40}
max_restarts: 0
";

/// A short one that is urgent.
const URGENT: [&str; 4] = ["--set", "resources.priority=10", "--set", "searcher.max_length.epochs=5"];

fn wait_for_length(place: &Workplace, least: u64) {
    let long = |found: &Value| (found["trial"]["checkpoint"]["length"].as_u64()? >= least).then_some(());
    place.wait_for(&["trials", "1", "1"], long);
}

#[test]
fn an_urgent_search_takes_the_slot_and_the_other_goes_on_from_its_checkpoint() {
    let mut place = Workplace::with_search(BULK);
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let _agent = server.agent(&place, "one");
    place.ask(&["run", "search.yaml", "--detach"]).expect(0);
    wait_for_length(&place, 3);
    let urgent = place.ask(&[&["run", "search.yaml", "--name", "urgent", "--json"], &URGENT[..]].concat());
    assert_eq!(urgent.expect(0).json()["experiment"]["state"], "completed");
    let bulk = place.json(&["show", "1"])["experiment"].take();
    assert_eq!(bulk["state"], "active", "the urgent one was first: {bulk}");

    place.ask(&["show", "1", "--follow"]).expect(0).prints(&["experiment 1 completed"]);
    let trial = Trial::of(&place, 1);
    assert_eq!((trial.number("attempt"), trial.number("restarts")), (2, 0), "{:?}", trial.value);
    assert_eq!(trial.lengths(), (1..=60).collect::<Vec<u64>>(), "no length is trained twice");
    let log = document::log(&place, 1).join("\n");
    assert!(log.contains("preempted by experiment 2 (priority 10; this one has 42)"), "{log}");
    assert!(log.contains("resumed at "), "{log}");
}

#[test]
fn a_drained_agent_is_left_and_comes_back() {
    let mut place = Workplace::with_search(&format!(
        "{BULK}checkpoint_storage: {{type: shared_fs, host_path: {}}}\n",
        std::env::temp_dir().display()
    ));
    // Inside the workplace, which is gone with the test.
    let shared = place.work().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let storage = format!("checkpoint_storage.host_path={}", shared.display());
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let _first = server.agent(&place, "first");
    place.ask(&["run", "search.yaml", "--detach", "--set", &storage]).expect(0);
    wait_for_length(&place, 2);
    place.ask(&["agents", "drain", "frist"]).expect(3).says(&["did you mean `first`?"]);
    let _second = server.agent(&place, "second");

    let drain = ["agents", "drain", "first", "--reason", "new disks", "--wait", "--timeout", "50"];
    place.ask(&drain).expect(0).prints(&[
        "agent first is drained: new disks",
        "give it work again with: toprung agents undrain first",
    ]);
    let agents = place.json(&["agents"])["agents"].take();
    assert_eq!((&agents[0]["draining"], &agents[0]["attempts"]), (&Value::Bool(true), &Value::from(0)));
    place.ask(&["agents"]).expect(0).prints(&["drained: new disks", "ready"]);
    let moved = |found: &Value| {
        let trial = &found["trial"];
        (trial["agent"] == "second" && trial["state"] == "running").then(|| trial["restarts"].clone())
    };
    assert_eq!(place.wait_for(&["trials", "1", "1"], moved), 0);

    // It holds over a restart of the server.
    server.process.signal(Signal::SIGKILL);
    server.process.wait().expect(-1);
    let address = server.url.strip_prefix("http://").unwrap();
    let _again = place.start(&["serve", "--listen", address, "--data-dir", "server"]);
    let known = |found: &Value| {
        let agents = found["agents"].as_array()?;
        let first = agents.iter().find(|agent| agent["name"] == "first" && agent["connected"] == true)?;
        first["drain_reason"].as_str().map(str::to_owned)
    };
    assert_eq!(place.wait_for(&["agents"], known), "new disks");
    place
        .ask(&["agents", "undrain", "first"])
        .expect(0)
        .prints(&["agent first is ready; it gets work again"]);
    place.ask(&["kill", "1"]).expect(0);
    place.wait_for_state("1", "killed", &[]);
}

#[test]
fn a_killed_experiment_leaves_no_process() {
    let mut place = Workplace::with_search(&BULK.replace("python3 train.py", "python3 stubborn.py"));
    place.write(
        "stubborn.py",
        "\
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print('epoch=1 validation_loss=0.5', flush=True)
time.sleep(600)
",
    );
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let _agent = server.agent(&place, "one");
    let before = place.processes().len();
    place.ask(&["run", "search.yaml", "--detach"]).expect(0);
    place.wait_for(&["trials", "1", "1"], |found| (found["trial"]["length"] == 1).then_some(()));
    assert!(place.processes().len() >= before + 2, "the script and its child");
    place.ask(&["kill", "1"]).expect(0);
    place.wait_for_state("1", "killed", &[]);
    let left = || format!("{:?}", place.processes());
    wait_until("the end of the trial's group", left, || (place.processes().len() == before).then_some(()));
}
