//! Three processes: a server, its agents, and commands that use them.

use crate::document::{Experiment, Trial};
use crate::processes::{Running, wait_until};
use crate::workplace::{Workplace, repository};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A server without an agent.
pub struct Server {
    pub process: Running,
    pub url: String,
}

impl Server {
    pub fn start(place: &Workplace) -> Self {
        let process = place.start(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "server"]);
        let file = place.work().join("server/server.json");
        let read = || serde_json::from_slice::<Value>(&std::fs::read(&file).ok()?).ok();
        let published = wait_until("server.json", String::new, read);
        assert_eq!(published["pid"], process.pid());
        Self { process, url: published["url"].as_str().unwrap().to_owned() }
    }

    /// An agent with one slot; returns when the server knows it.
    pub fn agent(&self, place: &Workplace, name: &str) -> Running {
        self.agent_with(place, name, "1")
    }

    /// The same with so many slots.
    fn agent_with(&self, place: &Workplace, name: &str, slots: &str) -> Running {
        let directory = format!("agent-{name}");
        let options = ["--name", name, "--slots", slots, "--state-dir", &directory, "--server", &self.url];
        let mut all = vec!["agent"];
        all.extend(options);
        let running = place.start(&all);
        place.wait_for(&["agents", "--server", &self.url], |answer| {
            let agents = answer["agents"].as_array()?;
            let found = agents.iter().find(|agent| agent["name"] == name && agent["connected"] == true)?;
            assert_eq!(found["slots"].as_array()?.len().to_string(), slots);
            Some(())
        });
        running
    }
}

fn logreg() -> String {
    repository("tests/fixtures/logreg/search.yaml")
}

#[test]
fn a_search_runs_on_a_server_and_its_agents() {
    let mut place = Workplace::new();
    let server = Server::start(&place);
    let first = server.agent(&place, "first");
    let sleep = ["--set", "data.sleep_ms=40"];
    let mut run = place.start(&[&["run", &logreg(), "--json", "--server", &server.url], &sleep[..]].concat());
    run.wait_for("experiment 1: logreg, on http://127.0.0.1:");
    let second = server.agent(&place, "second");

    // Both are used, and an agent shows what its slot does.
    let at_work = |answer: &Value| {
        let slots: Vec<_> = answer["agents"].as_array()?.iter().map(|agent| &agent["slots"][0]).collect();
        let busy = slots.iter().all(|slot| slot["attempt"]["experiment"] == 1);
        (busy && slots.len() == 2).then(|| slots[0]["slot"]["kind"].clone())
    };
    assert_eq!(place.wait_for(&["agents", "--server", &server.url], at_work), "cpu");

    let ended = Experiment(run.wait().expect(0).json()["experiment"].clone());
    assert_eq!(ended.state(), "completed");
    assert_eq!(ended.trials("total"), 9);

    // The same server by TOPRUNG_SERVER; nothing is kept where the command runs.
    place.set("TOPRUNG_SERVER", &server.url);
    assert_eq!(place.json(&["show", "1"])["experiment"]["best"], ended.0["best"]);
    assert_eq!(place.names(), ["agent-first", "agent-second", "server"]);

    // All end when they are told to, and leave no file that names a server that is gone.
    for mut process in [first, second] {
        process.signal(Signal::SIGTERM);
        process.wait_for("stopping");
        process.wait().expect(0);
    }
    server.process.signal(Signal::SIGTERM);
    server
        .process
        .wait()
        .expect(0)
        .prints(&["toprung serves at http://127.0.0.1:", "toprung agent --server"]);
    assert!(!place.work().join("server/server.json").exists());
    place.ask(&["list"]).expect(4).says(&["cannot reach http://127.0.0.1:", "toprung serve"]);
    place.wait_for_silence();
}

#[test]
fn a_wrong_token_is_refused_with_where_the_right_one_lies() {
    let place = Workplace::new();
    let server = Server::start(&place);
    let token = std::fs::read_to_string(place.work().join("server/token")).unwrap();
    let with = |token: &str| place.ask(&["list", "--server", &server.url, "--token", token]);
    with("wrong").expect(2).says(&["refuses this client", "--token", "the file `token`"]);
    with(token.trim()).expect(0);
    // Found by the address, on the same machine and for the same user only.
    place.ask(&["list", "--server", &server.url]).expect(0);
    let mut other = Workplace::new();
    other.set("TOPRUNG_SERVER", &server.url);
    other.ask(&["list"]).expect(2).says(&["refuses this client"]);
    other.set("TOPRUNG_TOKEN", token.trim());
    other.ask(&["list"]).expect(0);
    // An agent with a wrong token ends at once instead of trying for ever.
    let agent = ["agent", "--slots", "1", "--server", &server.url, "--token", "wrong"];
    place.ask(&agent).expect(4).says(&["token"]);
}

#[test]
fn an_experiment_of_a_server_is_paused_resumed_killed_and_deleted() {
    let mut place = Workplace::new();
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let _agent = server.agent(&place, "one");
    place
        .ask(&["run", &logreg(), "--detach", "--set", "data.sleep_ms=50"])
        .expect(0)
        .prints(&["toprung show 1"]);
    let trained = |shown: &Value| (shown["experiment"]["total_length"].as_u64()? > 0).then_some(());
    place.wait_for(&["show", "1"], trained);

    place.ask(&["pause", "1"]).expect(0).prints(&["toprung resume 1"]);
    place.wait_for_state("1", "paused", &[]);
    let slots = place.json(&["agents"])["agents"][0]["slots"].clone();
    assert_eq!(slots[0]["attempt"], Value::Null, "a paused experiment gives its slots back");
    place.ask(&["delete", "1", "--yes"]).expect(3).says(&["has not ended", "kill it"]);

    place.ask(&["resume", "1", "--detach"]).expect(0).prints(&["experiment 1 is active"]);
    place.wait_for(&["agents"], |found| {
        (found["agents"][0]["slots"][0]["attempt"]["experiment"] == 1).then_some(())
    });
    place.ask(&["kill", "1"]).expect(0).prints(&["toprung trials 1"]);
    place.wait_for_state("1", "killed", &[]);
    let trial = Trial::of(&place, 1);
    assert!(["killed", "stopped", "completed"].contains(&trial.state()), "{:?}", trial.value);
    place.ask(&["resume", "1", "--detach"]).expect(3).says(&["killed"]);

    place.ask(&["delete", "1"]).expect(2).says(&["pass --yes"]);
    place.ask(&["delete", "1", "--yes"]).expect(0);
    assert_eq!(place.json(&["list"])["experiments"].as_array().unwrap().len(), 0);
    place.ask(&["show", "1"]).expect(3).says(&["there is no experiment 1"]);
}

#[test]
fn ctrl_c_leaves_the_search_of_a_server_alone() {
    let mut place = Workplace::new();
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let _agent = server.agent(&place, "one");
    let mut run = place.start(&["run", &logreg(), "--set", "searcher.max_trials=2"]);
    run.wait_for("attempt 1 runs on one");
    run.signal(Signal::SIGINT);
    run.wait().expect(130).says(&["the search goes on", "toprung show 1 --follow"]);
    place.ask(&["show", "1", "--follow"]).expect(0).prints(&["experiment 1 completed"]);
}

#[test]
fn an_agent_that_ends_is_given_nothing_new() {
    let mut place = Workplace::with_search(
        "\
name: two
entrypoint: python3 train.py
hyperparameters:
  learning_rate: 0.5
  sleep_ms: {type: categorical, vals: [20, 700]}
searcher: {name: grid, metric: validation_loss, max_length: {epochs: 50}}
",
    );
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let mut agent = server.agent_with(&place, "one", "2");
    place.ask(&["run", "search.yaml", "--detach"]).expect(0);
    place.wait_for(&["trials", "1"], |found| {
        let trials = found["trials"].as_array()?;
        (trials.len() == 2 && trials.iter().all(|trial| trial["length"].as_u64() > Some(0))).then_some(())
    });
    // The quick trial saves and ends while the agent still waits for the slow one.
    agent.signal(Signal::SIGTERM);
    agent.wait_for("stopping");
    agent.wait().expect(0);
    for id in [1, 2] {
        let trial = Trial::of(&place, id);
        assert_eq!((trial.state(), trial.number("attempt")), ("pending", 1), "{:?}", trial.value);
        assert_eq!(trial.number("restarts"), 0);
    }
    // It goes on with the next agent.
    let _next = server.agent_with(&place, "one", "2");
    place.wait_for(&["trials", "1", "1"], |found| (found["trial"]["attempt"] == 2).then_some(()));
    place.ask(&["kill", "1"]).expect(0);
    place.wait_for_state("1", "killed", &[]);
}

/// One trial of two seconds.
const ONE: &str = "\
name: one
entrypoint: python3 train.py
hyperparameters: {learning_rate: 0.5}
searcher: {name: single, metric: validation_loss, max_length: {epochs: 40}}
data: {sleep_ms: 50}
max_restarts: 0
";

fn wait_for_length(place: &Workplace, least: u64) {
    let long = |found: &Value| (found["trial"]["length"].as_u64()? >= least).then_some(());
    place.wait_for(&["trials", "1", "1"], long);
}

#[test]
fn trials_train_on_while_the_server_is_gone() {
    let mut place = Workplace::with_search(ONE);
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let _agent = server.agent(&place, "one");
    let mut run = place.start(&["run", "search.yaml", "--json"]);
    wait_for_length(&place, 3);
    server.process.signal(Signal::SIGKILL);
    server.process.wait().expect(-1);
    run.wait_for("trying again");
    let address = server.url.strip_prefix("http://").unwrap();
    let _again = place.start(&["serve", "--listen", address, "--data-dir", "server"]);
    // The command that watched goes on watching, and the trial never stopped.
    assert_eq!(run.wait().expect(0).json()["experiment"]["state"], "completed");
    let trial = Trial::of(&place, 1);
    assert_eq!((trial.number("attempt"), trial.number("restarts")), (1, 0));
    assert_eq!(trial.lengths(), (1..=40).collect::<Vec<u64>>(), "each report once");
}

#[test]
fn a_killed_agent_costs_its_trial_no_restart() {
    let mut place = Workplace::with_search(ONE);
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let agent = server.agent(&place, "one");
    place.ask(&["run", "search.yaml", "--detach"]).expect(0);
    wait_for_length(&place, 3);
    agent.signal(Signal::SIGKILL);
    agent.wait().expect(-1);
    let _next = server.agent(&place, "one");
    place.ask(&["show", "1", "--follow"]).expect(0).prints(&["experiment 1 completed"]);
    let trial = Trial::of(&place, 1);
    assert_eq!(trial.number("restarts"), 0, "{:?}", trial.value);
    assert_eq!(trial.number("attempt"), 2);
    assert!(trial.reports.iter().filter(|report| report.attempt == 2).count() < 40, "not from the start");
    let mut lengths = trial.lengths();
    lengths.dedup();
    assert_eq!(lengths, (1..=40).collect::<Vec<u64>>());
}

#[test]
fn a_search_goes_well_although_one_of_its_agents_is_broken() {
    let mut place = Workplace::with_search(
        "\
name: broken_node
entrypoint: python3 train.py
hyperparameters: {learning_rate: {type: double, minval: 0.1, maxval: 0.3}}
searcher: {name: random, metric: validation_loss, max_trials: 12, max_length: {epochs: 3}}
data: {sleep_ms: 100}
",
    );
    let script = "import os, sys\nif os.environ.get('NODE_IS_BROKEN'):\n    sys.exit('there is no GPU')\n";
    place.write("train.py", &format!("{script}{}", crate::workplace::TRAIN));
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let _good = server.agent_with(&place, "good", "2");
    place.set("NODE_IS_BROKEN", "1");
    let _bad = server.agent_with(&place, "bad", "2");
    let run = place.start(&["run", "search.yaml", "--json"]);
    let shown = place.wait_for(&["agents"], |answer| {
        let agents = answer["agents"].as_array()?;
        let bad = agents.iter().find(|agent| agent["name"] == "bad")?;
        bad["excluded_from"].get(0).cloned()
    });
    let reason = "3 different trials failed there in a row; on 1 other agent ";
    assert!(shown["reason"].as_str().unwrap().starts_with(reason), "{shown}");
    let ended = run.wait().expect(0).json()["experiment"].clone();
    assert_eq!(
        (&ended["state"], &ended["trials"]["completed"]),
        (&"completed".into(), &12.into()),
        "{ended}"
    );
    assert_eq!(ended["excluded_agents"][0]["agent"], "bad");
    assert_eq!(ended["ends"]["failed"], ended["ends"]["not_charged"], "all were the node's: {ended}");
    for trial in crate::document::trials(&place) {
        assert_eq!(trial.number("restarts"), 0, "{:?}", trial.value);
    }
    place
        .ask(&["show", "1"])
        .expect(0)
        .prints(&["excluded    bad: 3 different trials failed there in a row"]);
}

#[test]
fn a_search_without_an_agent_says_that_it_waits() {
    let mut place = Workplace::with_search(ONE);
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let mut plain = place.start(&["run", "search.yaml"]);
    plain.wait_for("\nwaiting: no agent is connected\n");
    let mut quiet = place.start(&["run", "search.yaml", "--quiet"]);
    quiet.wait_for("\nwaiting: no agent is connected\n");
    place.ask(&["show", "1"]).expect(0).prints(&["waiting: no agent is connected"]);
    for id in ["1", "2"] {
        place.ask(&["kill", id]).expect(0);
    }
    let (plain, quiet) = (plain.wait().expect(1), quiet.wait().expect(1));
    assert_eq!(plain.out.matches("waiting: ").count(), 1, "{}", plain.out);
    assert_eq!(quiet.err.matches("waiting: ").count(), 1, "{}", quiet.err);
}

#[test]
fn the_agent_of_a_server_with_tls_reaches_it() {
    let place = Workplace::new();
    let (cert, key) = (repository("tests/fixtures/tls/cert.pem"), repository("tests/fixtures/tls/key.pem"));
    let listen = ["serve", "--listen", "0.0.0.0:0", "--agent", "--slots", "2"];
    let tls = ["--tls-cert", cert.as_str(), "--tls-key", key.as_str()];
    let mut server = place.start(&[&listen[..], &tls[..]].concat());
    server.wait_for("toprung serves at https://");
    // Found by the data directory.
    place.wait_for(&["agents", "--tls-ca", &cert], |answer| {
        let agents = answer["agents"].as_array()?;
        agents.iter().any(|agent| agent["connected"] == true).then_some(())
    });
    let text = std::fs::read_to_string(place.work().join(".toprung/server.json")).unwrap();
    let published: Value = serde_json::from_str(&text).unwrap();
    let plain = published["url"].as_str().unwrap().replace("https://", "http://");
    let answer = place.ask(&["list", "--server", &plain, "--token", "any"]).expect(4);
    answer.says(&["if the server uses TLS, write https://localhost:"]);
    server.signal(Signal::SIGTERM);
    let said = server.wait().expect(0).out;
    assert!(!said.contains("0.0.0.0"), "{said}");
}

#[test]
fn a_server_goes_on_without_its_agent() {
    let place = Workplace::new();
    std::fs::create_dir(place.work().join(".toprung")).unwrap();
    place.write(".toprung/agent", "where the agent wants a directory");
    let mut server = place.start(&["serve", "--listen", "127.0.0.1:0", "--agent"]);
    server.wait_for("cannot use the state directory");
    server.wait_for(
        "; the server goes on without it\n  offer slots with: toprung agent --server http://127.0.0.1:",
    );
    assert_eq!(place.json(&["agents"])["agents"], Value::Array(vec![]));
    server.signal(Signal::SIGTERM);
    server.wait().expect(0);
}
