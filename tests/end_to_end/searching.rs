//! Searchers whose work is also the engine's and the agent's: clones, pauses that all wait for, stops between rungs.

use crate::workplace::Workplace;
use serde_json::Value;

fn search(hyperparameters: &str, searcher: &str) -> String {
    format!(
        "name: searched\nentrypoint: python3 train.py\nhyperparameters: {{{hyperparameters}}}\n\
         searcher: {{metric: validation_loss, {searcher}}}\nreproducibility: {{experiment_seed: 3}}\n"
    )
}

/// (trial, its lengths, its losses), in the order of trials.
fn courses(place: &Workplace) -> Vec<(u64, Vec<u64>, Vec<f64>)> {
    let trials = place.json(&["trials", "1"]);
    let mut ids: Vec<u64> =
        trials["trials"].as_array().unwrap().iter().map(|trial| trial["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    let course = |id: u64| {
        let found = place.json(&["trials", "1", &id.to_string()]);
        let reports = found["reports"].as_array().unwrap();
        let of = |report: &Value, name: &str| report["report"]["metrics"][name].as_f64();
        let validated = reports.iter().filter(|report| of(report, "validation_loss").is_some());
        let pairs = validated.map(|report| {
            (report["report"]["length"].as_u64().unwrap(), of(report, "validation_loss").unwrap())
        });
        let (lengths, losses) = pairs.unzip();
        (id, lengths, losses)
    };
    ids.into_iter().map(course).collect()
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
