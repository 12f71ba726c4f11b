//! Programs that decide a search: by the Python class and by lines, killed and started again, and what people see of them.

use crate::document::Experiment;
use crate::outside::killed_and_started;
use crate::processes::{Answer, Running};
use crate::server::Server;
use crate::workplace::{Workplace, python, repository};
use nix::sys::signal::Signal;
use serde_json::Value;

const SEARCH: &str = "\
name: decided
entrypoint: python3 train.py
hyperparameters:
  learning_rate: {type: log, base: 10, minval: -3, maxval: 0}
  l2: 0.001
searcher: {name: custom, metric: validation_loss, max_length: {epochs: 4}, max_concurrent_trials: 1}
data: {sleep_ms: 20}
reproducibility: {experiment_seed: 3}
";

/// One trial after the other; whoever is the best so far after two epochs trains in full.
const PROGRAM: &str = "\
import toprung
with toprung.CustomSearch('search.yaml', client='lab', resume='number') as search:
    for event in search:
        if event.kind == 'begun':
            search.create(length=2)
        elif event.kind == 'paused':
            seen = search.memory.setdefault('seen', [])
            seen.append(event.metric)
            if event.metric == min(seen):
                search.train_to(event.trial, 4, 'the best so far')
            else:
                search.stop(event.trial, 'not the best')
        elif event.kind == 'ended':
            if event.trial < 6:
                search.create({'learning_rate': 10 ** search.random.uniform(-3, 0)}, 2)
            else:
                search.finish('six were enough')
        print('handled', event.kind, event.trial, flush=True)
print('over', search.state, search.best.trial, len(search.memory['seen']))
";

fn program(place: &Workplace, text: &str) -> Running {
    place.write("program.py", text);
    let mut command = place.command(python(), &["program.py"]);
    command.env("PYTHONPATH", repository("python")).env("TOPRUNG_BINARY", env!("CARGO_BIN_EXE_toprung"));
    Running::start(&mut command)
}

/// What became of each trial, without what depends on when things happened.
fn trials(place: &Workplace) -> Vec<Value> {
    let found = place.json(&["trials", "1"]);
    let fields = ["id", "state", "reason", "hparams", "length", "train_until", "best_metric"];
    let of = |trial: &Value| fields.iter().map(|field| trial[field].clone()).collect::<Value>();
    found["trials"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_search_whose_program_and_server_are_killed_is_the_same() {
    let quiet = Workplace::with_search(SEARCH);
    let said = program(&quiet, PROGRAM).wait().expect(0);
    said.prints(&["handled begun 0", "over completed", " 6\n"]);
    let expected = trials(&quiet);
    assert_eq!(expected.len(), 6, "{expected:?}");
    assert!(expected.iter().any(|trial| trial[1] == "completed"), "{expected:?}");
    assert!(expected.iter().any(|trial| trial[2] == "not the best"), "{expected:?}");
    quiet.wait_for_silence();

    let mut place = Workplace::with_search(SEARCH);
    let mut server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let _agent = server.agent(&place, "one");
    for (words, server_too) in [
        ("handled begun", false),
        ("handled created 2", true),
        ("handled paused 3", false),
        ("handled created 5", true),
    ] {
        let mut running = program(&place, PROGRAM);
        running.wait_for(words);
        running.signal(Signal::SIGKILL);
        running.wait();
        if server_too {
            server = killed_and_started(&place, server);
        }
    }
    let mut last = program(&place, PROGRAM);
    last.wait_for("handled");
    server = killed_and_started(&place, server);
    last.wait().expect(0).prints(&["over completed", " 6\n"]);
    assert_eq!(trials(&place), expected);
    let shown = Experiment(place.json(&["show", "1"])["experiment"].clone());
    assert_eq!((shown.state(), shown.0["reason"].as_str()), ("completed", Some("six were enough")));
    // Started once more it says again how it ended.
    program(&place, PROGRAM).wait().expect(0).prints(&["over completed"]);
    drop(server);
}

#[test]
fn a_search_whose_program_is_away_says_so() {
    let mut place = Workplace::with_search(SEARCH);
    let server = Server::start(&place);
    place.set("TOPRUNG_SERVER", &server.url);
    let _agent = server.agent(&place, "one");
    place.ask(&["run", "search.yaml", "--detach"]).expect(0).says(&["a program decides"]);
    let shown = place.ask(&["show", "1"]).expect(0);
    shown.prints(&[
        "waiting: its program has not seen 1 event",
        "not heard since the engine started; no decision yet",
    ]);
    // It creates one trial and is never heard again.
    let once = "import os, toprung\n\
                with toprung.CustomSearch(1, client='lab') as search:\n    \
                    search.create(length=1)\n    search.decide()\n    os._exit(0)\n";
    program(&place, once).wait().expect(0);
    place.wait_for(&["show", "1"], |shown| {
        let program = &shown["experiment"]["program"];
        // It has seen nothing: that the search began, a trial, its validation and its pause.
        (program["unseen"] == 4 && program["listening"] == false).then_some(())
    });
    let shown = place.ask(&["show", "1"]).expect(0);
    shown.prints(&[
        "waiting: its program (lab) has not seen 4 events",
        "lab, away, last heard",
        "1 decision, the last",
    ]);
    place.ask(&["kill", "1"]).expect(0);
    let ended = "import toprung\nwith toprung.CustomSearch(1) as search:\n    print(list(search), search.state, search.reason)\n";
    program(&place, ended).wait().expect(0).prints(&["[] killed killed"]);
    drop(server);
}

#[test]
fn mistakes_of_a_program_are_told_where_it_made_them() {
    let place = Workplace::with_search(SEARCH);
    let wrong = "\
import toprung
def said(call):
    try:
        call()
        search.decide()
    except (toprung.SearchError, TypeError) as error:
        print(error)
    search._wishes, search._finishing, search.memory, search._next = [], False, {}, 1
with toprung.CustomSearch('search.yaml') as search:
    said(lambda: search.create({'learning_rate': 7}))
    said(lambda: search.create({'learning_rate': 0.1, 'dropout': 0.1}, length=9))
    said(lambda: search.train_to(3, 4))
    said(lambda: search.pause('x'))
    said(lambda: search.memory.update({1: 2}))
    said(lambda: search.memory.update({'all': 'x' * 300_000}))
    said(lambda: (search.finish(), search.create()))
    print(search.hyperparameters['learning_rate']['maxval'], search.max_length, search.metric)
    search.create()
    search.finish('done')
print(search.state, search.reason)
";
    program(&place, wrong).wait().expect(0).prints(&[
        "hyperparameter learning_rate: found 7, allowed is a number from 0.001 to 1.0",
        "its length is 9, allowed is 1 to 4 epochs",
        "there is no trial 3: 0 were wanted so far",
        "trial must be a whole number, not 'x' (str)",
        "the keys of memory must be text, not 1",
        "bytes, at most 262144 are kept",
        "nothing can be wanted after finish()",
        "0 4 validation_loss",
        // No trial ever trained.
        "error done, and no trial ever reported a validation",
    ]);
    assert_eq!(Experiment(place.json(&["show", "1"])["experiment"].clone()).trials("total"), 0);
}

#[test]
fn a_program_in_any_language_decides_by_lines() {
    let place = Workplace::with_search(SEARCH);
    // A shell knows when to say what by what it reads.
    let script = r#"
coproc DECIDE { "$TOPRUNG" decide search.yaml --client shell --slots 1; }
while read -r line <&"${DECIDE[0]}"; do
  echo "$line"
  case $line in
    *'"kind":"begun"'*) echo '{"id": "a", "seen": 1, "state": "s1", "wishes": [{"create": {"hparams": {"learning_rate": 0.5}, "length": 1}, "reason": "a try"}]}' >&"${DECIDE[1]}"
                        echo '{"id": "b", "wishes": [{"stop": 1, "pause": 1}]}' >&"${DECIDE[1]}"
                        echo 'no JSON' >&"${DECIDE[1]}" ;;
    *'"kind":"paused"'*) echo '{"id": "c", "seen": 2, "progress": 0.5, "wishes": [{"train": 1, "length": 4}]}' >&"${DECIDE[1]}" ;;
    *'"kind":"ended"'*) echo '{"id": "d", "wishes": [{"finish": true, "reason": "one was enough"}]}' >&"${DECIDE[1]}" ;;
  esac
done
"#;
    let mut command = place.command(std::path::Path::new("/bin/bash"), &["-c", script]);
    command.env("TOPRUNG", env!("CARGO_BIN_EXE_toprung"));
    let said = Running::start(&mut command).wait().expect(0);
    let lines: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["experiment"], &lines[0]["state"], &lines[0]["next_trial"]),
        (&1.into(), &Value::Null, &1.into())
    );
    assert_eq!(lines[0]["hyperparameters"]["l2"]["val"], 0.001);
    let answer = |id: &str| lines.iter().find(|line| line["id"] == id).unwrap();
    assert_eq!((&answer("a")["decided"], &answer("a")["trials"]), (&1.into(), &serde_json::json!([1])));
    assert!(answer("b")["error"].as_str().unwrap().contains("several things at once"), "{:?}", answer("b"));
    assert!(said.out.contains("not a decision"), "{}", said.out);
    assert_eq!(answer("c")["decided"], 2);
    let over = &lines.last().unwrap()["over"];
    assert_eq!(
        (&over["state"], &over["reason"], &over["best"]["trial"]),
        (&"completed".into(), &"one was enough".into(), &1.into())
    );
    let events: Vec<&Value> = lines.iter().filter_map(|line| line["events"].as_array()).flatten().collect();
    let numbers: Vec<u64> = events.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event["trial"].is_null() || event["hparams"]["learning_rate"] == 0.5));
    place.wait_for_silence();
}

#[test]
fn a_searcher_that_decides_by_itself_takes_no_decisions() {
    let place = Workplace::with_search(&SEARCH.replace("name: custom", "name: random, max_trials: 1"));
    let asked: Answer = place.ask(&["decide", "search.yaml"]);
    asked.expect(2).says(&["the searcher of search.yaml is `random`", "`searcher: {name: custom, …}`"]);
    place.run("search.yaml", &[]);
    place.ask(&["decide", "1"]).expect(3).says(&["the searcher of experiment 1 is `random`"]);
}

#[test]
fn what_a_program_decides_is_neither_planned_nor_simulated() {
    let place = Workplace::with_search(SEARCH);
    let shown = place.ask(&["plan", "search.yaml"]).expect(0);
    shown.prints(&[
        "custom: a program decides, so nothing can be foretold",
        "at most 1 trial at once, each at most 4 epochs",
    ]);
    assert_eq!(place.json(&["plan", "search.yaml"])["plan"]["trials"], 0);
    for command in ["simulate", "tune-searcher"] {
        let refused = place.ask(&[command, "search.yaml", "--synthetic", "power", "--quiet", "--seeds", "1"]);
        refused.expect(2).says(&["the searcher `custom` is decided by a program", "--searcher"]);
    }
    let others = [
        "simulate",
        "search.yaml",
        "--synthetic",
        "power",
        "--searcher",
        "asha",
        "--seeds",
        "2",
        "--quiet",
        "--json",
    ];
    place.ask(&others).expect(0).says(&["custom (as in the file) is left out"]);
}

#[test]
fn the_example_breeds_its_trials() {
    let place = Workplace::new();
    for name in ["search.yaml", "train.py", "evolution.py"] {
        let text = std::fs::read_to_string(repository(&format!("examples/custom_searcher/{name}"))).unwrap();
        place.write(name, &text);
    }
    let mut command = place.command(python(), &["evolution.py"]);
    command.env("PYTHONPATH", repository("python")).env("TOPRUNG_BINARY", env!("CARGO_BIN_EXE_toprung"));
    let said = Running::start(&mut command).wait().expect(0);
    said.prints(&["completed: 24 trials were enough", "best: trial ", "trial 24 "]);
    let found = place.json(&["trials", "1"]);
    let all = found["trials"].as_array().unwrap();
    let count = |state: &str| all.iter().filter(|trial| trial["state"] == state).count();
    assert_eq!((all.len(), count("completed") + count("stopped")), (24, 24), "{found}");
    assert!(count("completed") >= 4 && count("stopped") >= 4, "{found}");
    place.wait_for_silence();
}
