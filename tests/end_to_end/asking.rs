//! Commands that only say something: logs, plan, schema, completions.

use crate::workplace::{Workplace, repository};
use serde_json::Value;

#[test]
fn logs_follow_a_search_to_its_end() {
    let place = Workplace::new();
    let file = repository("tests/fixtures/logreg/search.yaml");
    let few = ["--set", "searcher.max_trials=4", "--set", "data.sleep_ms=30"];
    let mut run = place.start_run(&file, &few);
    run.wait_for("trial 1: attempt 1 runs");
    // From another process, while the engine is in the first one.
    let follow = place.start(&["logs", "1", "--follow", "--json"]);
    let followed = follow.wait().expect(0).out;
    run.wait().expect(0);
    let all = place.ask(&["logs", "1", "--json"]).expect(0).out;
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&followed), sorted(&all), "nothing is missing and nothing comes twice");
    assert!(all.contains("\"resumed at 1\""), "{all}");
    let of_one = place.ask(&["logs", "1", "--trial", "1", "--tail", "1", "--json"]).expect(0).out;
    assert_eq!(of_one.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&of_one).unwrap()["trial"], 1);
}

#[test]
fn a_plan_shows_the_brackets() {
    let search = "\
name: plan
entrypoint: python3 train.py
hyperparameters: {learning_rate: {type: log, base: 10, minval: -4, maxval: 0}}
searcher: {name: adaptive_asha, metric: validation_loss, max_trials: 64, max_length: {batches: 1000}}
";
    let place = Workplace::with_search(search);
    let answer = place.ask(&["plan", "search.yaml"]).expect(0);
    answer.prints(&["adaptive_asha: 64 trials, at most 1000 batches each"]);
    // Promotion decides on what it has seen so far: the plan is where that begins.
    answer.prints(&["simulated ", " batches in 18 of 20 searches on made-up curves", "at once (plan: "]);
    assert_eq!(
        place.ask(&["plan", "search.yaml"]).expect(0).out,
        answer.out,
        "the same file, the same numbers"
    );
    let mut shown = place.json(&["plan", "search.yaml"]);
    let planned = shown["plan"]["total_length"].as_u64().unwrap();
    assert!(shown["simulated"]["total_length"]["low"].as_u64().unwrap() >= planned, "{shown}");
    let plan = shown["plan"].take();
    let brackets: Vec<_> =
        plan["brackets"].as_array().unwrap().iter().map(|bracket| &bracket["trials"]).collect();
    assert_eq!(brackets, [45, 14, 5]);
    let row = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<_> = answer.out.lines().map(row).filter(|row| row.len() > 1).collect();
    for (length, trials) in [("15", "34"), ("62", "20"), ("250", "7"), ("1000", "3")] {
        assert!(rows.iter().any(|row| row[0] == length && row[1] == trials), "{length}\n{}", answer.out);
    }
    assert_eq!(place.names(), ["search.yaml", "train.py"], "a plan leaves nothing behind");
}

#[test]
fn schema_and_completions_are_printed() {
    let place = Workplace::new();
    let schema: Value = serde_json::from_str(&place.ask(&["schema"]).expect(0).out).unwrap();
    assert!(schema["properties"]["searcher"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        place.ask(&["completions", shell]).expect(0).prints(&["toprung", "resume"]);
    }
    assert_eq!(place.names(), Vec::<String>::new());
}
