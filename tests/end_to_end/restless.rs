//! Scripts that never save, in searches by promotion: the stopping rule judges their trials from the first on.

use crate::document::{self, Trial};
use crate::workplace::{TRAIN, Workplace};

const SEARCH: &str = "\
name: forgetful
entrypoint: python3 train.py
hyperparameters:
  learning_rate: {type: log, base: 10, minval: -4, maxval: 1}
searcher: {name: async_halving, metric: validation_loss, max_trials: 12, num_rungs: 3, divisor: 3, max_length: {epochs: 9}}
reproducibility: {experiment_seed: 1}
";

/// One at a time: the order of arrival is then a matter of the seed alone.
const ONE: [&str; 2] = ["--set", "searcher.max_concurrent_trials=1"];

/// The fixture without its checkpoints.
fn forgetful() -> String {
    let (before, after) = TRAIN.split_once("            with trial.save()").unwrap();
    let after = after.split_once("        if trial.stop_reason").unwrap().1;
    format!("{before}        if trial.stop_reason{after}")
}

/// Runs the search; what it said, and its trials.
fn run(script: &str, search: &str, options: &[&str]) -> (String, Vec<Trial>) {
    let place = Workplace::with_search(search);
    place.write("train.py", script);
    let answer = place.start_run("search.yaml", options).wait().expect(0);
    assert_eq!(answer.json()["experiment"]["state"], "completed");
    let trials = document::trials(&place);
    place.wait_for_silence();
    (answer.err, trials)
}

fn warnings(said: &str) -> usize {
    said.matches("has saved no checkpoint, so it cannot wait").count()
}

/// Nobody was lost or trained twice, and the warning came once.
#[track_caller]
fn check(said: &str, trials: &[Trial]) {
    assert_eq!(warnings(said), 1, "{said}");
    assert!(!said.contains("it ends here"), "{said}");
    for trial in trials {
        assert!(["completed", "stopped"].contains(&trial.state()), "{:?}", trial.value);
        assert_eq!(trial.number("attempt"), 1, "{:?}", trial.value);
        assert_eq!(trial.lengths(), (1..=trial.number("length")).collect::<Vec<_>>());
    }
}

#[test]
fn by_promotion_a_script_that_never_saves_is_judged_as_with_stop_once() {
    let (said, trials) = run(&forgetful(), SEARCH, &ONE);
    check(&said, &trials);
    let (told, stopped) =
        run(&forgetful(), SEARCH, &[&ONE[..], &["--set", "searcher.stop_once=true"]].concat());
    assert_eq!(warnings(&told), 0);
    let ends = |trials: &[Trial]| {
        let end = |trial: &Trial| (trial.state().to_owned(), trial.value["reason"].clone(), trial.curve());
        trials.iter().map(end).collect::<Vec<_>>()
    };
    assert_eq!(ends(&trials), ends(&stopped));
    let lengths: Vec<u64> = trials.iter().map(|trial| trial.number("length")).collect();
    assert_eq!(lengths[0], 9, "nobody was before the first");
    assert!(lengths.contains(&1) && lengths.iter().filter(|length| **length == 9).count() > 1, "{lengths:?}");
}

#[test]
fn several_at_once_in_several_brackets_are_judged_too() {
    let adaptive = "searcher.name=adaptive_asha";
    let search = SEARCH.replace("num_rungs: 3, ", "");
    let (said, trials) = run(&forgetful(), &search, &["--set", adaptive]);
    check(&said, &trials);
}

#[test]
fn a_script_that_saves_is_promoted_from_its_pauses_as_ever() {
    let (said, trials) = run(TRAIN, SEARCH, &ONE);
    assert!(!said.contains("warning"), "{said}");
    assert!(trials.iter().any(|trial| trial.number("attempt") > 1), "somebody was promoted from a pause");
    for trial in &trials {
        assert_eq!(trial.lengths(), (1..=trial.number("length")).collect::<Vec<_>>(), "{:?}", trial.value);
    }
}
