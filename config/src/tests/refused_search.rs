//! Mistakes in hyperparameters, searchers and entrypoints, and what is said about them.

use super::refused::{check, check_whole};

#[test]
fn hyperparameters() {
    for (leaf, path, message) in [
        ("{type: int, minval: 3, maxval: 3}", ".maxval", "`minval` 3 is not below `maxval` 3"),
        ("{type: int, minval: 3}", ".maxval", "`maxval` is missing in an `int` hyperparameter"),
        ("{type: int, minval: 0.5, maxval: 3}", ".minval", "expected an integer"),
        ("{type: int, minval: 0, maxval: 3, log: true}", ".minval", "must be at least 1"),
        ("{type: int, minval: 0, maxval: 3, quantize: 2}", ".quantize", "unknown key"),
        ("{type: double, minval: 0, maxval: 1, log: true}", ".minval", "must be a number above 0"),
        ("{type: double, minval: 2, maxval: 1}", ".maxval", "is not below"),
        ("{type: double, minval: 0, maxval: .inf}", ".maxval", "expected a finite number"),
        ("{type: double, minval: 0, maxval: 1, quantize: 0}", ".quantize", "above 0"),
        ("{type: double, minval: 0, maxval: 1, quantize: 2}", ".quantize", "is wider than the range"),
        ("{type: double, minval: 0, maxval: 1, count: 0}", ".count", "out of range"),
        ("{type: log, minval: -4, maxval: -1, base: 1}", ".base", "every power of which is 1"),
        ("{type: log, minval: -4, maxval: -1, base: -2}", ".base", "above 0"),
        ("{type: log, minval: 0, maxval: 1000}", ".maxval", "is no number that can be used"),
        ("{type: categorical, vals: []}", ".vals", "at least one value"),
        ("{type: categorical}", ".vals", "is missing"),
        ("{type: categorical, vals: 3}", ".vals", "expected a list"),
        ("{type: ordinal, vals: [1], prior: {center: 2}}", ".prior.center", "2 is no value"),
        ("{type: const}", "", "`val` is missing"),
        ("{type: integer, minval: 1, maxval: 2}", ".type", "expected one of `const`"),
    ] {
        check(&format!("hyperparameters: {{x: {leaf}}}\n"), &format!("hyperparameters.x{path}"), message, "");
    }
    check("hyperparameters: {x: 9223372036854775808}\n", "hyperparameters.x", "does not fit in 64 bits", "");
    check("hyperparameters: [1]\n", "hyperparameters", "expected a map of hyperparameters", "");
}

#[test]
fn conditions() {
    for (x, y, path, message) in [
        ("1", "{z: 1}", "y.condition.z", "there is no hyperparameter `z` beside `y`"),
        ("{type: categorical, vals: [a, b]}", "{x: c}", "y.condition.x", "`x` is never \"c\""),
        ("{type: int, minval: 1, maxval: 3}", "{x: [1, 4]}", "y.condition.x", "`x` is never 4"),
        ("{inner: 1}", "{x: 1}", "y.condition.x", "is a group"),
        ("1", "{x: []}", "y.condition.x", "is empty"),
        ("1", "{y: 1}", "y.condition", "depends on itself"),
        ("1", "3", "y.condition", "expected a map such as"),
    ] {
        let lines =
            format!("hyperparameters: {{x: {x}, y: {{type: categorical, vals: [1], condition: {y}}}}}\n");
        check(&lines, &format!("hyperparameters.{path}"), message, "");
    }
}

#[test]
fn entrypoints() {
    for (entrypoint, message, help) in [
        ("model:Trial", "not supported yet", "python train.py"),
        ("''", "is empty", ""),
        ("[]", "names no program", ""),
        ("3", "found 3, expected a command", ""),
        (
            "'train.py {learing_rate}'",
            "`{learing_rate}` stands for nothing",
            "did you mean `{learning_rate}`?",
        ),
        ("[train.py, '{model}']", "`{model}` stands for nothing", "known are"),
    ] {
        let path = if entrypoint.contains("model}") { "entrypoint[1]" } else { "entrypoint" };
        let searcher =
            "searcher: {name: single, metric: loss, max_length: 3}\nhyperparameters: {learning_rate: 1}\n";
        check_whole(&format!("entrypoint: {entrypoint}\n{searcher}"), path, message, help);
    }
    check_whole("searcher: {name: single, metric: a, max_length: 1}", "entrypoint", "is missing", "command");
}

#[test]
fn searchers() {
    for (searcher, path, message, help) in [
        ("name: single, max_length: 1", ".metric", "`metric` is missing", ""),
        ("metric: a, max_length: 1", ".name", "`name` is missing", "one of single"),
        ("name: adaptive_ahsa, metric: a", ".name", "found the text \"adaptive_ahsa\"", "`adaptive_asha`"),
        (
            "name: cma_es, metric: a",
            ".name",
            "`cma_es` is not available in this version",
            "available are single",
        ),
        ("name: adaptive, metric: a", ".name", "no longer part", "use `adaptive_asha`"),
        ("name: single, metric: a", "", "one of `max_length`, `max_time` is missing", "{epochs: 32}"),
        (
            "name: single, metric: a, max_steps: 3, max_time: 1, max_trials: 2",
            ".max_trials",
            "unknown key",
            "`random`",
        ),
        (
            "name: single, metric: a, max_steps: 3",
            ".max_steps",
            "steps are no longer part",
            "a step had 100 batches",
        ),
        ("name: single, metric: a, max_length: {epochs: 0}", ".max_length.epochs", "0 is out of range", ""),
        ("name: single, metric: a, max_length: {epoch: 1}", ".max_length.epoch", "unknown unit", "`epochs`"),
        (
            "name: single, metric: a, max_length: {frames: 1}",
            ".max_length.frames",
            "unknown unit",
            "time_metric: frames",
        ),
        ("name: single, metric: a, max_length: {}", ".max_length", "found none", ""),
        ("name: single, metric: a, max_length: x", ".max_length", "expected a length", ""),
        (
            "name: single, metric: a, max_length: {epochs: 3}, time_metric: batches",
            ".max_length",
            "counts epochs",
            "agree",
        ),
        (
            "name: single, metric: a, max_length: 3, max_time: 4",
            ".max_length",
            "is 3, but `max_time` is 4",
            "agree",
        ),
        ("name: random, metric: a, max_length: 1", ".max_trials", "is missing", ""),
        ("name: random, metric: a, max_length: 1, max_trials: 0", ".max_trials", "out of range", ""),
        (
            "name: random, metric: a, max_length: 1, max_trials: 1, max_concurrent_trials: -1",
            ".max_concurrent_trials",
            "",
            "",
        ),
        (
            "name: asha, metric: a, max_length: 9, max_trials: 1",
            "",
            "one of `num_rungs`, `min_length` is missing",
            "how many rungs",
        ),
        (
            "name: asha, metric: a, max_length: 9, max_trials: 1, num_rungs: 1, divisor: 1",
            ".divisor",
            "above 1",
            "",
        ),
        (
            "name: adaptive_asha, metric: a, max_length: 9, max_trials: 9, mode: agressive",
            ".mode",
            "",
            "`aggressive`",
        ),
        (
            "name: adaptive_asha, metric: a, max_length: 9, max_trials: 9, divisor: 3, bracket_rungs: [3, 4]",
            ".bracket_rungs[1]",
            "not possible",
            "at most 3",
        ),
        (
            "name: adaptive_asha, metric: a, max_length: 9, max_trials: 9, bracket_rungs: [0]",
            ".bracket_rungs[0]",
            "",
            "",
        ),
        ("name: hyperband, metric: a, max_length: 9, divisor: 1", ".divisor", "above 1", ""),
        (
            "name: hyperband, metric: a, max_length: 1000000000, divisor: 2",
            ".max_trials",
            "`max_trials` is missing",
            "too large",
        ),
        ("name: pasha, metric: a, max_length: 9, max_trials: 9, mode: standard", ".mode", "unknown key", ""),
        (
            "name: pbt, metric: a, num_rounds: 2, length_per_round: 1",
            ".population_size",
            "`population_size` is missing",
            "",
        ),
        (
            "name: pbt, metric: a, population_size: 9, num_rounds: 2, length_per_round: {epochs: 3}, max_length: {epochs: 5}",
            ".max_length",
            "is 5 epochs, but all rounds together are 6 epochs",
            "leave it out",
        ),
        (
            "name: pbt, metric: a, population_size: 9, num_rounds: 2, length_per_round: 1, replace_function: {truncate_fraction: 0.6}",
            ".replace_function.truncate_fraction",
            "0.6 is out of range, expected a number from 0 to 0.5",
            "",
        ),
        (
            "name: pbt, metric: a, population_size: 9, num_rounds: 2, length_per_round: 1, explore_function: {perturb: 1}",
            ".explore_function.perturb",
            "unknown key `perturb` in `explore_function`",
            "",
        ),
        ("name: single, metric: a, max_length: 1, num_rounds: 1", ".num_rounds", "unknown key", "`pbt`"),
        (
            "name: single, metric: a, max_length: {epochs: 9}, median_stopping: {min_length: {batches: 5}}",
            ".median_stopping.min_length",
            "counts batches, but the searcher counts epochs",
            "bare number",
        ),
        (
            "name: single, metric: a, max_length: 9, median_stopping: {min_trials: 0}",
            ".median_stopping.min_trials",
            "out of range",
            "",
        ),
        (
            "name: single, metric: a, max_length: 9, source_trial_id: 3",
            ".source_trial_id",
            "found 3, expected `experiment/trial`",
            "`3/7` is trial 7 of experiment 3",
        ),
        (
            "name: single, metric: a, max_length: 9, source_trial_id: 0/1",
            ".source_trial_id",
            "expected `experiment/trial`",
            "",
        ),
        (
            "name: single, metric: a, max_length: 9, source_trial_id: 3/1, source_checkpoint_uuid: ab",
            ".source_trial_id",
            "does not go with `source_checkpoint_uuid`",
            "leave one of them out",
        ),
    ] {
        let yaml = format!("entrypoint: ./run\nsearcher: {{{searcher}}}\n");
        check_whole(&yaml, &format!("searcher{path}"), message, help);
    }
    check_whole("entrypoint: ./run\nsearcher: adaptive_asha\n", "searcher", "expected a map", "");
    check_whole("entrypoint: ./run\n", "searcher", "is missing", "");
}

#[test]
fn grids() {
    for (axis, message) in [
        ("{type: double, minval: 0, maxval: 1}", "needs a `count`"),
        ("{type: log, minval: 0, maxval: 1}", "needs a `count`"),
        ("{type: int, minval: 1, maxval: 1000001}", "1000001 trials"),
        ("{inner: {type: double, minval: 0, maxval: 1}}", "needs a `count`"),
        (
            "{type: double, minval: 0, maxval: 1, count: 1000}, y: {type: int, minval: 1, maxval: 9999, count: 2000}",
            "2000000 trials",
        ),
    ] {
        let yaml = format!(
            "entrypoint: ./run\nsearcher: {{name: grid, metric: a, max_length: 1}}\nhyperparameters: {{x: {axis}}}\n"
        );
        let problems = super::refused(&yaml).0;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains(message), "{problems:?}");
    }
}

#[test]
fn a_grid_points_at_the_hyperparameter_without_a_count() {
    let yaml = "entrypoint: ./run\nsearcher: {name: grid, metric: a, max_length: 1}\nhyperparameters:\n  net:\n    \
                width: {type: int, minval: 1, maxval: 2}\n    rate: {type: log, minval: -3, maxval: -1}\n";
    let problems = super::refused(yaml).0;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!((problems[0].path.as_str(), problems[0].line), ("hyperparameters.net.rate", 6));
}

#[test]
fn keys_beside_an_unknown_searcher_are_checked_too() {
    let said = |searcher: &str| {
        let problems = super::refused(&format!("entrypoint: ./run\nsearcher: {{{searcher}}}\n")).0;
        let line = |problem: &crate::Problem| {
            format!("{}: {}", problem.path, problem.help.as_deref().unwrap_or_default())
        };
        problems.iter().map(line).collect::<Vec<_>>()
    };
    let unknown = "searcher.max_trails: did you mean `max_trials`?";
    assert_eq!(
        said("name: adaptive_ashaa, metric: a, max_trails: 4, num_rungs: 2, mode: standard, max_length: 3"),
        ["searcher.name: did you mean `adaptive_asha`?", unknown]
    );
    assert_eq!(said("metric: a, max_trails: 4")[1], unknown);
    // What another searcher's keys are is not known.
    assert_eq!(said("name: cma_es, metric: a, num_candidates: 3").len(), 1);
}
