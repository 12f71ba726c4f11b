//! What holds for every file.

use super::schema::validator;
use crate::{ExperimentConfig, Problems, parse, to_yaml};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        "[a-z0-9.:~#'{}\\-]{0,6}".prop_map(Json::from),
    ]
}

fn tree() -> impl Strategy<Value = Json> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::btree_map("[a-z<]{1,4}", inner, 0..3)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn leaf() -> impl Strategy<Value = Json> {
    prop_oneof![
        tree().prop_map(|value| json!({"type": "const", "val": value})),
        (any::<i32>(), 1..1000_i64, prop::option::of(1..9_u32))
            .prop_map(|(min, width, count)| json!({"type": "int", "minval": min, "maxval": i64::from(min) + width, "count": count})),
        (any::<i32>(), 1..1000_i64, prop::sample::select(vec![json!("low"), json!(0.3), Json::Null])).prop_map(
            |(min, width, confidence)| json!({
                "type": "int", "minval": min, "maxval": i64::from(min) + width, "prior": {"center": min, "confidence": confidence},
            })
        ),
        (1e-9..1e9_f64, 0.1..1e3_f64, any::<bool>())
            .prop_map(|(min, width, log)| json!({"type": "double", "minval": min, "maxval": min + width, "log": log, "count": 3})),
        (-9.0..0.0_f64, 0.5..9.0_f64).prop_map(|(min, max)| json!({"type": "log", "minval": min, "maxval": max, "count": 2})),
        prop::collection::vec(scalar(), 1..3).prop_map(|vals| json!({"type": "categorical", "vals": vals})),
        prop::collection::vec(scalar(), 1..3).prop_map(|vals| json!({"type": "ordinal", "vals": vals, "condition": {}})),
        prop::collection::btree_map("[a-f]{1,2}", scalar(), 0..3).prop_map(|map| json!(map)),
    ]
}

fn searcher() -> impl Strategy<Value = Json> {
    let lengths = prop_oneof![
        (1..10_000_u64).prop_map(|n| json!({"max_length": {"epochs": n}})),
        (1..10_000_u64).prop_map(|n| json!({"max_time": n, "time_metric": "frames"})),
        (1..10_000_u64).prop_map(|n| json!({"max_length": n})),
    ];
    let methods = prop_oneof![
        Just(json!({"name": "single"})),
        (1..99_u32, 0..9_u32)
            .prop_map(|(n, c)| json!({"name": "random", "max_trials": n, "max_concurrent_trials": c})),
        Just(json!({"name": "grid"})),
        (1..5_u32, 1..99_u32, 1.5..9.0_f64, any::<bool>()).prop_map(|(r, n, d, once)| json!({
            "name": "asha", "num_rungs": r, "max_trials": n, "divisor": d, "stop_once": once
        })),
        (1..99_u32, prop::sample::select(vec!["standard", "aggressive", "conservative"])).prop_map(
            |(n, mode)| json!({"name": "adaptive_asha", "max_trials": n, "mode": mode, "bracket_rungs": [1]})
        ),
        (1..99_u32, prop::sample::select(vec!["sync_halving", "pasha", "hyperband"]))
            .prop_map(|(n, name)| json!({"name": name, "max_trials": n})),
        (2.0..5.0_f64).prop_map(|divisor| json!({"name": "hyperband", "divisor": divisor})),
        (1..99_u32, prop::sample::select(vec!["tpe", "gp", "bohb"]))
            .prop_map(|(n, name)| json!({"name": name, "max_trials": n})),
        (1..99_u32, 1..99_u32, 1..99_u32, 0.0..=0.5_f64, 0.0..=1.0_f64).prop_map(|(n, rounds, length, cut, p)| json!({
            "name": "pbt", "population_size": n, "num_rounds": rounds, "length_per_round": {"epochs": length},
            "replace_function": {"truncate_fraction": cut}, "explore_function": {"resample_probability": p},
        })),
    ];
    let place = prop_oneof![
        Just(json!({})),
        prop::sample::select(vec!["tpe", "gp", "none"]).prop_map(|name| json!({"model": name})),
        Just(json!({"model": {"name": "tpe"}, "min_length": 1})),
        (1..99_u32, 1..99_u32, 0.01..=0.5_f64, 0.0..=1.0_f64).prop_map(|(startup, candidates, gamma, random)| json!({
            "model": {"name": "tpe", "startup_trials": startup, "candidates": candidates, "gamma": gamma, "random_fraction": random},
        })),
        (0..99_u32, 16..99_u32, 0.0..=1.0_f64).prop_map(|(startup, points, random)| json!({
            "model": {"name": "gp", "startup_trials": startup, "max_points": points, "random_fraction": random},
        })),
    ];
    let methods = (methods, place).prop_map(|(mut method, place)| {
        let name = method["name"].as_str().unwrap_or_default().to_owned();
        for (key, value) in place.as_object().into_iter().flatten() {
            let rungs =
                ["asha", "adaptive_asha", "sync_halving", "pasha", "hyperband"].contains(&name.as_str());
            if rungs || (name == "random" && key == "model") {
                method[key] = value.clone();
            }
        }
        method
    });
    let median = prop_oneof![
        Just(json!({})),
        Just(json!({"median_stopping": {}})),
        (0..9_u32, 1..9_u32)
            .prop_map(|(l, n)| json!({"median_stopping": {"min_length": l, "min_trials": n}})),
    ];
    let rest = ("[a-z ]{1,8}", any::<bool>());
    (lengths, methods, median, rest).prop_map(|(lengths, method, median, (metric, smaller))| {
        let mut searcher = json!({"metric": metric, "smaller_is_better": smaller});
        let lengths = if method["name"] == "pbt" { json!({}) } else { lengths };
        for part in [lengths, method, median] {
            for (key, value) in part.as_object().into_iter().flatten() {
                searcher[key] = value.clone();
            }
        }
        searcher
    })
}

fn surroundings() -> impl Strategy<Value = Json> {
    (
        prop::option::of(any::<String>()),
        prop::collection::vec("[a-z]{1,3}", 0..3),
        (0..9_u32, 1..100_u8, 0.1..9.0_f64),
        prop::collection::vec("[A-S][A-Z]{0,3}=[ -~]{0,6}", 0..3),
        prop::collection::btree_map("[a-z]{1,3}", tree(), 0..3),
        prop::option::of(0..2_147_483_648_u32),
        prop_oneof![
            Just(json!({"save_trial_best": 3})),
            Just(json!({"type": "directory", "container_path": "/a b"})),
            Just(json!({"type": "shared_fs", "host_path": "/a", "storage_path": "/a/b"})),
        ],
        prop_oneof![Just(json!(true)), Just(json!(false)), Just(json!("(?<name>a)(?<value>b)"))],
    )
        .prop_map(|(name, labels, (slots, priority, weight), variables, data, seed, storage, stdout)| {
            json!({
                "name": name,
                "labels": labels,
                "entrypoint": ["python", "t.py", "{trial_id}"],
                "resources": {"slots_per_trial": slots, "priority": priority, "weight": weight, "shm_size": "1.5g"},
                "environment": {"environment_variables": variables, "python": "3.10", "image": {"cpu": "x"}},
                "data": data,
                "reproducibility": {"experiment_seed": seed},
                "checkpoint_storage": storage,
                "metrics": {"stdout": stdout},
                "log_policies": [{"name": "ECC Error"}, {"pattern": "a", "action": "exclude_node"}],
                "min_validation_period": {"records": 3},
            })
        })
}

fn experiment() -> impl Strategy<Value = Json> {
    let space = prop::collection::btree_map("[a-z]{1,6}", leaf(), 0..4);
    let constraints =
        prop::sample::select(vec![Json::Null, json!([]), json!(["1 < 2", "'a' == \"a\" or not true"])]);
    (surroundings(), searcher(), space, constraints).prop_map(
        |(mut experiment, searcher, space, constraints)| {
            experiment["constraints"] = constraints;
            experiment["searcher"] = searcher;
            experiment["hyperparameters"] = json!(space);
            experiment
        },
    )
}

fn parsed(yaml: &str) -> Result<ExperimentConfig, Problems> {
    parse(yaml).map(|parsed| parsed.config)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn the_complete_config_says_the_same(experiment in experiment()) {
        let yaml = to_yaml(&experiment);
        let Ok(config) = parsed(&yaml) else {
            // A grid of the drawn axes may be too large; nothing else may be wrong.
            prop_assert!(experiment["searcher"]["name"] == "grid", "{}\n{}", yaml, parsed(&yaml).unwrap_err());
            return Ok(());
        };
        let complete = config.complete();
        for text in [to_yaml(&complete), complete.to_string()] {
            let again = parsed(&text).map_err(|problems| TestCaseError::fail(format!("{text}\n{problems}")))?;
            prop_assert_eq!(&again, &config);
        }
        prop_assert!(validator().is_valid(&complete), "{}", complete);
        prop_assert!(config.searcher.method.check().is_ok() && config.space.check().is_ok());
    }

    #[test]
    fn no_text_is_too_strange(text in any::<String>()) {
        drop(parse(&text));
    }

    #[test]
    fn no_tree_is_too_strange(tree in tree(), key in prop::sample::select(vec![
        "name", "labels", "entrypoint", "hyperparameters", "searcher", "constraints", "resources", "environment", "checkpoint_storage",
        "min_validation_period", "bind_mounts", "log_policies", "metrics", "data", "profiling", "retention_policy",
    ])) {
        let yaml = to_yaml(&json!({key: tree}));
        let problems = parse(&yaml).unwrap_err();
        prop_assert!(problems.has_errors());
        let drawn = format!("{:?}", miette::Report::new(problems.report("f", &yaml)));
        prop_assert!(!drawn.is_empty());
    }

    #[test]
    fn yaml_like_text_never_panics(lines in prop::collection::vec("[ ]{0,4}[-a-z]{0,3}[:&*{}\\[\\]|>#!%?,'\"]{0,3} [a-z0-9.]{0,3}", 0..8)) {
        let yaml = lines.join("\n");
        if let Err(problems) = parse(&yaml) {
            prop_assert!(!problems.0.is_empty());
            drop(format!("{:?}", miette::Report::new(problems.report("f", &yaml))));
        }
    }
}
