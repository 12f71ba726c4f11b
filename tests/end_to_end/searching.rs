//! Searchers whose work is also the engine's and the agent's: clones, pauses that all wait for, stops between rungs.

use crate::document::{self, Trial};
use crate::workplace::Workplace;

fn search(hyperparameters: &str, searcher: &str) -> String {
    format!(
        "name: searched\nentrypoint: python3 train.py\nhyperparameters: {{{hyperparameters}}}\n\
         searcher: {{metric: validation_loss, {searcher}}}\nreproducibility: {{experiment_seed: 3}}\n"
    )
}

/// (trial, its lengths, its losses), in the order of trials.
fn courses(place: &Workplace) -> Vec<(u64, Vec<u64>, Vec<f64>)> {
    let course = |id: u64| {
        let validated = Trial::of(place, id)
            .reports
            .into_iter()
            .filter_map(|report| Some((report.length, report.metrics["validation_loss"].as_f64()?)));
        let (lengths, losses) = validated.unzip();
        (id, lengths, losses)
    };
    (1..=document::trials(place).len() as u64).map(course).collect()
}

#[test]
fn the_children_of_a_population_go_on_where_their_parents_were() {
    // Children that do not explore go on exactly as their parents do.
    let place = Workplace::with_search(&search(
        "learning_rate: {type: double, minval: 0.01, maxval: 0.5}",
        "name: pbt, population_size: 4, num_rounds: 3, length_per_round: {epochs: 2}, \
         replace_function: {truncate_fraction: 0.25}, explore_function: {resample_probability: 0, perturb_factor: 0}",
    ));
    let ended = place.run("search.yaml", &[]);
    assert_eq!(ended.state(), "completed");
    let courses = courses(&place);
    assert_eq!(courses.len(), 4 + 2, "one child after each round but the last: {courses:?}");
    let (children, first): (Vec<_>, Vec<_>) = courses.iter().partition(|(id, ..)| *id > 4);
    for (id, lengths, losses) in &children {
        let from = 2 * (id - 4);
        assert_eq!(lengths[..2], [from + 1, from + 2], "trial {id} begins at its parent's length");
        let twin = first.iter().any(|(_, others, parent)| {
            let at = others.iter().position(|length| *length == from + 1);
            at.is_some_and(|at| parent.len() > at + 1 && parent[at..at + 2] == losses[..2])
        });
        assert!(twin, "trial {id} trains as its parent does, to the last bit: {courses:?}");
    }
    let ends: Vec<u64> = courses.iter().map(|(_, lengths, _)| *lengths.last().unwrap()).collect();
    assert_eq!(ends.iter().filter(|length| **length == 6).count(), 4, "{ends:?}");
    let trained: usize = courses.iter().map(|(_, lengths, _)| lengths.len()).sum();
    assert_eq!(trained, 4 * 6, "no epoch is trained twice");
    place.wait_for_silence();
}

#[test]
fn hyperband_trains_what_its_plan_says() {
    let place = Workplace::with_search(&search(
        "learning_rate: {type: double, minval: 0.01, maxval: 0.5}",
        "name: hyperband, divisor: 3, max_length: {epochs: 9}",
    ));
    assert_eq!(place.run("search.yaml", &[]).state(), "completed");
    let mut ends: Vec<u64> = courses(&place).iter().map(|(_, lengths, _)| *lengths.last().unwrap()).collect();
    ends.sort_unstable();
    assert_eq!(ends, [vec![1; 6], vec![3; 6], vec![9; 5]].concat());
    let plan = place.json(&["plan", "search.yaml"]);
    assert_eq!(plan["plan"]["trials"], 17, "{plan}");
}

#[test]
fn median_stopping_ends_bad_trials_between_rungs() {
    let place = Workplace::with_search(&search(
        "learning_rate: {type: log, base: 10, minval: -4, maxval: 0}, sleep_ms: 20",
        "name: random, max_trials: 8, max_length: {epochs: 40}, median_stopping: {min_trials: 2}",
    ));
    let ended = place.run("search.yaml", &[]);
    assert_eq!(ended.state(), "completed");
    let stopped = document::trials(&place).into_iter().filter(|trial| trial.state() == "stopped");
    let stopped: Vec<_> = stopped
        .map(|trial| (trial.value["reason"].as_str().unwrap().to_owned(), trial.lengths().last().copied()))
        .collect();
    assert!(!stopped.is_empty(), "of eight, some are worse than most");
    for (reason, length) in stopped {
        assert!(reason.contains("others are better on average than it is at its best"), "{reason}");
        assert!(length < Some(40), "{reason}");
    }
}
