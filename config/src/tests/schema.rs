//! The schema agrees with the parser.

use super::{SMALLEST, with};
use crate::context::Context;
use crate::{node, parse, schema, value};
use jsonschema::Validator;
use serde_json::Value as Json;
use std::sync::LazyLock;

pub(super) fn validator() -> &'static Validator {
    static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::validator_for(&schema()).unwrap());
    &VALIDATOR
}

fn json(yaml: &str) -> Json {
    value::json(&mut Context::default(), &node::read(yaml).unwrap(), "")
}

#[test]
fn the_schema_is_a_schema() {
    jsonschema::draft202012::meta::validate(&schema()).map_err(|error| error.to_string()).unwrap();
}

#[test]
fn what_the_parser_accepts_the_schema_accepts() {
    let validator = validator();
    for lines in [
        "",
        "name: 2024\nlabels: {a: true, b: }\nresources: null\n",
        "hyperparameters: {a: 1, b: [1, {x: 2}], c: {d: {type: int, minval: 1, maxval: 2, log: true, count: null}}}\n",
        "hyperparameters: {type: {type: const, val: null}, l: {type: log, minval: -4, maxval: -1.5}}\n",
        "hyperparameters: {o: {type: ordinal, vals: [1, a, null]}, q: {type: double, minval: 0, maxval: 1, quantize: 0.1, condition: {o: a}}}\n",
        "hyperparameters: {a: 1, b: {type: int, minval: 1, maxval: 2, prior: {center: 1, confidence: low}}}\nconstraints: [a <= b]\n",
        "hyperparameters: {b: {type: log, minval: -2, maxval: 2, prior: {center: 1, confidence: 0.1}}}\nconstraints: null\n",
        "resources: {slots_per_trial: 0, priority: 99, weight: 0.5, shm_size: 4g, memory: 1000, cpus: 2}\n",
        "environment: {environment_variables: {cpu: [A=1]}, image: {cuda: x}, requirements: [numpy], pod_spec: {a: 1}}\n",
        "checkpoint_storage: {type: shared_fs, host_path: /a, storage_path: b, save_trial_best: 2}\n",
        "log_policies: [{name: CUDA OOM}, {pattern: x, action: {type: cancel_retries}}, {pattern: y, action: exclude_node}]\n",
        "min_validation_period: {epochs: 1}\nmin_checkpoint_period: 3\ndata_layer: 3\nmetrics: {stdout: false, file: x}\n",
        "data: {secrets: {a: b}}\nprofiling: {enabled: true, end_after_batch: null}\nretention_policy: {log_retention_days: -1}\n",
        "bind_mounts: [{host_path: /a, container_path: b, propagation: shared}]\nproject: a\nworkspace: b\n",
    ] {
        let yaml = with(lines);
        let accepted = parse(&yaml);
        assert!(accepted.is_ok(), "{yaml}{}", accepted.unwrap_err());
        let errors: Vec<_> = validator.iter_errors(&json(&yaml)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{yaml}\n{errors:?}");
    }
    for searcher in [
        "{name: random, metric: a, max_length: 3, max_trials: 2}",
        "{name: grid, metric: a, max_length: {steps: 3}, time_metric: steps}",
        "{name: asha, metric: a, time_metric: epochs, max_time: 9, max_trials: 2, num_rungs: 2, stop_once: true}",
        "{name: adaptive_asha, metric: a, max_length: 9, max_trials: 9, mode: aggressive, bracket_rungs: [1], divisor: 3}",
        "{name: asha, metric: a, max_length: 9, max_trials: 2, min_length: {batches: 1}, model: tpe}",
        "{name: pasha, metric: a, max_length: 9, max_trials: 2, model: {name: gp}}",
        "{name: tpe, metric: a, max_length: 9, max_trials: 2, model: {}}",
        "{name: bohb, metric: a, max_length: 9, model: {name: tpe}}",
        "{name: adaptive_simple, metric: a, max_length: {records: 9}, max_trials: 9, train_stragglers: true}",
    ] {
        let yaml = format!("entrypoint: [python, 3]\nsearcher: {searcher}\n");
        assert!(parse(&yaml).is_ok(), "{yaml}");
        assert!(validator.is_valid(&json(&yaml)), "{yaml}");
    }
}

#[test]
fn what_is_wrong_by_itself_both_refuse() {
    let validator = validator();
    assert!(validator.is_valid(&json(SMALLEST)));
    let added = [
        "foo: 1\n",
        "max_restarts: -1\n",
        "max_restarts: a\n",
        "labels: 3\n",
        "constraints: a\n",
        "constraints: [{a: 1}]\n",
        "checkpoint_policy: bets\n",
        "resources: {slots: 1}\n",
        "resources: {priority: 0}\n",
        "resources: {weight: 0}\n",
        "hyperparameters: {x: {type: integer}}\n",
        "hyperparameters: {x: {type: int, minval: 1}}\n",
        "hyperparameters: {x: {type: const}}\n",
        "hyperparameters: {x: {y: {type: double, minval: 1, maxval: 2, foo: 3}}}\n",
        "hyperparameters: {x: {type: int, minval: 1, maxval: 2, prior: {}}}\n",
        "hyperparameters: {x: {type: int, minval: 1, maxval: 2, prior: {center: 1, confidence: 2}}}\n",
        "hyperparameters: {x: {type: const, val: 1, prior: {center: 1}}}\n",
        "log_policies: [{pattern: a, action: b}]\n",
        "min_validation_period: {epochs: 1, batches: 1}\n",
        "environment: {environment_variables: 3}\n",
        "metrics: {tensorboard: x}\n",
    ];
    let whole = [
        "searcher: {name: single, metric: a, max_length: 1}\n",
        "entrypoint: a b\n",
        "entrypoint: a b\nsearcher: {name: cma_es, metric: a, max_length: 1}\n",
        "entrypoint: a b\nsearcher: {name: tpe, metric: a, max_length: 1}\n",
        "entrypoint: a b\nsearcher: {name: asha, metric: a, max_length: 1, max_trials: 3}\n",
        "entrypoint: a b\nsearcher: {name: tpe, metric: a, max_length: 1, max_trials: 3, model: {name: gp}}\n",
        "entrypoint: a b\nsearcher: {name: random, metric: a, max_length: 1, max_trials: 3, model: {}}\n",
        "entrypoint: a b\nsearcher: {name: random, metric: a, max_length: 1, max_trials: 3, model: tep}\n",
        "entrypoint: a b\nsearcher: {name: single, max_length: 1}\n",
        "entrypoint: a b\nsearcher: {name: single, metric: a}\n",
        "entrypoint: a b\nsearcher: {name: single, metric: a, max_length: 1, max_trials: 3}\n",
        "entrypoint: a b\nsearcher: {name: random, metric: a, max_length: 0, max_trials: 3}\n",
        "entrypoint: []\nsearcher: {name: single, metric: a, max_length: 1}\n",
    ];
    for yaml in added.iter().map(|lines| with(lines)).chain(whole.iter().map(|yaml| (*yaml).to_owned())) {
        assert!(parse(&yaml).is_err(), "{yaml}");
        assert!(!validator.is_valid(&json(&yaml)), "{yaml}");
    }
}

/// Every experiment file below `examples`, whoever wrote it.
#[test]
fn the_examples_are_accepted() {
    let mut open = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples"))];
    let validator = validator();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if !is_yaml {
            continue;
        }
        let yaml = std::fs::read_to_string(&path).unwrap();
        if yaml.lines().any(|line| line.starts_with("searcher:")) {
            let file = path.display();
            assert!(parse(&yaml).is_ok(), "{file}\n{}", parse(&yaml).unwrap_err());
            assert!(validator.is_valid(&json(&yaml)), "{file}");
        }
    }
}
