//! Programs outside that run trials themselves: by commands, by the Python class, and while the server is killed.

use crate::document::{Experiment, Trial};
use crate::processes::{Answer, Running, wait_until};
use crate::server::Server;
use crate::workplace::{Workplace, python, repository};
use nix::sys::signal::Signal;
use serde_json::Value;

const SEARCH: &str = "\
name: outside
entrypoint: external
hyperparameters: {x: {type: double, minval: -1, maxval: 1}}
searcher: {name: random, metric: loss, max_trials: 3, time_metric: steps, max_time: 2}
";

/// Lowers (x - 0.25)^2 by promotion, so that trials pause and go on from what was saved.
const PROGRAM: &str = "\
import json, sys, toprung
what = sys.argv[1]
with toprung.Search(int(what) if what.isdigit() else what, client=sys.argv[2]) as search:
    for trial in search:
        with trial:
            state = json.loads(trial.checkpoint) if trial.checkpoint else []
            assert len(state) == trial.from_length, (state, trial.from_length)
            for length in trial.lengths():
                state.append(length)
                loss = (trial.hparams.x - 0.25) ** 2 + 1 / length
                trial.report(loss=loss, checkpoint=json.dumps(state))
            assert state == list(range(1, len(state) + 1)), state
            if trial.id == 2 and trial.attempt == 1:
                print('reported', trial.decision.kind, flush=True)
    best = search.best
    print(json.dumps([search.state, best.trial, best.metric, best.checkpoint]))
";

/// Kills the server, starts it again at the same address, and returns when it serves.
pub fn killed_and_started(place: &Workplace, server: Server) -> Server {
    let address = server.url.trim_start_matches("http://").to_owned();
    server.process.signal(Signal::SIGKILL);
    server.process.wait();
    let process = place.start(&["serve", "--listen", &address, "--data-dir", "server"]);
    let file = place.work().join("server/server.json");
    let read = || serde_json::from_slice::<Value>(&std::fs::read(&file).ok()?).ok();
    let is_new = || read().filter(|published| published["pid"] == process.pid());
    wait_until("the new server", String::new, is_new);
    Server { process, url: server.url }
}

fn ask(place: &Workplace) -> Value {
    place.json(&["ask", "1", "--client", "lab"])["assignment"].clone()
}

fn tell(place: &Workplace, given: &Value, more: &[&str]) -> Answer {
    let (trial, attempt) = (given["trial"].to_string(), given["attempt"].to_string());
    let mut all = vec!["tell", "1", &trial, "--attempt", &attempt, "--client", "lab", "--json"];
    all.extend(more);
    place.ask(&all)
}

#[test]
fn commands_run_a_search_whose_server_is_killed_between_ask_and_tell() {
    let mut place = Workplace::with_search(SEARCH);
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    place.ask(&["run", "search.yaml", "--detach"]).expect(0).says(&["programs run its trials", "ask-tell"]);
    let shown = place.json(&["show", "1"]);
    assert_eq!(shown["experiment"]["reason"], "waiting: no program asks for its trials");

    let first = ask(&place);
    assert_eq!(
        (&first["trial"], &first["train_until"], &first["again"]),
        (&1.into(), &2.into(), &false.into())
    );
    let server = killed_and_started(&place, server);
    let again = ask(&place);
    assert_eq!(again["again"], true);
    assert_eq!((&again["trial"], &again["hparams"]), (&first["trial"], &first["hparams"]));
    let goes_on = tell(&place, &first, &["--length", "1", "--metric", "loss=0.5"]).expect(0).json();
    assert_eq!(
        (&goes_on["decision"], &goes_on["length"], &goes_on["counted"]),
        (&"train".into(), &2.into(), &1.into())
    );
    let server = killed_and_started(&place, server);
    let repeated = tell(&place, &first, &["--length", "1", "--metric", "loss=0.1"]).expect(0).json();
    assert_eq!((&repeated["decision"], &repeated["counted"]), (&"train".into(), &0.into()));
    tell(&place, &first, &["--length", "2", "--metric", "acc=0.1"])
        .expect(2)
        .says(&["metric `loss`", "it has acc"]);
    let stop = tell(&place, &first, &["--length", "2", "--metric", "loss=0.4", "--checkpoint", "m2"])
        .expect(0)
        .json();
    assert_eq!((&stop["decision"], &stop["over"]), (&"stop".into(), &true.into()));
    for trial in 2..=3 {
        let given = ask(&place);
        assert_eq!(given["trial"], trial);
        tell(&place, &given, &["--length", "2", "--metric", "loss=0.9"]).expect(0);
    }
    let over = place.ask(&["ask", "1", "--client", "lab", "--json"]).expect(3).json();
    assert_eq!(over["over"]["state"], "completed");
    assert_eq!(over["over"]["best"]["checkpoint"]["path"], "m2");
    let shown = Experiment(place.json(&["show", "1"])["experiment"].clone());
    assert_eq!(
        (shown.state(), shown.trials("completed"), shown.0["total_length"].as_u64()),
        ("completed", 3, Some(6))
    );
    assert_eq!(Trial::of(&place, 1).value["agent"], "");
    place.ask(&["ask", "1", "--client", "lab"]).expect(3).prints(&["the search is over"]);
    drop(server);
}

fn program(place: &Workplace, arguments: &[&str]) -> Running {
    place.write("program.py", PROGRAM);
    let mut all = vec!["program.py"];
    all.extend(arguments);
    let mut command = place.command(python(), &all);
    command.env("PYTHONPATH", repository("python")).env("TOPRUNG_BINARY", env!("CARGO_BIN_EXE_toprung"));
    Running::start(&mut command)
}

fn halving() -> String {
    let halving = "{name: async_halving, metric: loss, max_trials: 6, num_rungs: 2, divisor: 2, time_metric: steps, max_time: 4}";
    SEARCH.replace("{name: random, metric: loss, max_trials: 3, time_metric: steps, max_time: 2}", halving)
}

#[test]
fn a_python_program_runs_a_search_with_nothing_else() {
    let place = Workplace::with_search(&halving());
    let said = program(&place, &["search.yaml", "notebook"]).wait().expect(0);
    let result: Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
    assert_eq!(result[0], "completed");
    let shown = Experiment(place.json(&["show", "1"])["experiment"].clone());
    assert_eq!((shown.state(), &shown.0["best"]["trial"]), ("completed", &result[1]));
    assert_eq!(result[3], shown.0["best"]["checkpoint"]["path"]);
    assert_eq!(result[3], "[1, 2, 3, 4]", "it went on from what it had saved");
    assert!(shown.trials("completed") >= 3 && shown.trials("total") == 6, "{:?}", shown.0["trials"]);
    place.wait_for_silence();
}

#[test]
fn a_python_program_outlives_the_server_and_goes_on() {
    let mut place = Workplace::with_search(&halving());
    let mut server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    place.ask(&["run", "search.yaml", "--detach"]).expect(0);
    let mut running = program(&place, &["1", "notebook"]);
    running.wait_for("reported");
    for _ in 0..2 {
        server = killed_and_started(&place, server);
    }
    let said = running.wait().expect(0);
    let result: Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
    assert_eq!(result[0], "completed");
    let shown = Experiment(place.json(&["show", "1"])["experiment"].clone());
    assert_eq!((shown.state(), shown.trials("total")), ("completed", 6));
    drop(server);
}

#[test]
fn what_agents_run_is_not_for_programs() {
    let place = Workplace::with_search(&SEARCH.replace("external", "python3 train.py"));
    let asked = place.ask(&["ask-tell", "search.yaml", "--client", "a"]);
    asked.expect(2).says(&["agents would run the trials", "`entrypoint: external`"]);
    place.ask(&["ask", "1", "--client", "a"]).expect(3);
}
