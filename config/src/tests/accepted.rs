//! Files that must be accepted, and what they mean.

use super::{SMALLEST, accepted, refused, warnings, with};
use crate::{Entrypoint, Length, StoragePlace, parse};
use std::collections::BTreeMap;
use toprung_searchers::{Dimension, Domain, Mode, SearcherConfig, Value};

const USEFUL: &str = "\
name: digits
entrypoint: python train.py
hyperparameters:
  learning_rate: {type: log, base: 10, minval: -4, maxval: -1}
  hidden: {type: int, minval: 16, maxval: 256}
searcher: {name: adaptive_asha, metric: validation_error, max_trials: 64, max_length: {epochs: 27}}
";

const OLDER: &str = "\
description: text_classifier
hyperparameters:
  learning_rate: 3e-4
  dropout: 0.2
  global_batch_size: 64
records_per_epoch: 25000
searcher: {name: single, metric: validation_loss, max_length: {epochs: 12}}
entrypoint: model_def:TextTrial
";

fn plain(domain: Domain) -> Dimension {
    Dimension::always(domain)
}

#[test]
fn the_smallest_useful_file() {
    let config = accepted(USEFUL);
    assert_eq!(config.name.as_deref(), Some("digits"));
    assert_eq!(config.entrypoint, Entrypoint::Shell("python train.py".to_owned()));
    let log = Domain::Log { base: 10.0, minval: -4.0, maxval: -1.0, count: None };
    let int = Domain::Int { min: 16, max: 256, log: false, count: None };
    assert_eq!(config.space.dimensions["learning_rate"], plain(log));
    assert_eq!(config.space.dimensions["hidden"], plain(int));
    let method = SearcherConfig::AdaptiveAsha {
        max_trials: 64,
        mode: Mode::Standard,
        divisor: 4.0,
        max_rungs: 5,
        bracket_rungs: vec![],
        min_length: None,
        max_length: 27,
        max_concurrent_trials: 16,
        stop_once: false,
    };
    assert_eq!(config.searcher.method, method);
    assert_eq!((config.searcher.time_metric.as_str(), config.searcher.max_length), ("epochs", 27));
    assert!(config.searcher.smaller_is_better);
    assert!(warnings(USEFUL).is_empty());
}

#[test]
fn the_older_style_is_refused_only_for_its_trial_class() {
    let problems = refused(OLDER).0;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!((problems[0].line, problems[0].path.as_str()), (8, "entrypoint"));
    assert!(problems[0].message.contains("needs the `determined` package, which is not supported yet"));

    let config = accepted(&OLDER.replace("model_def:TextTrial", "python train.py"));
    assert_eq!(config.description, "text_classifier");
    assert_eq!(config.records_per_epoch, 25_000);
    assert_eq!(config.global_batch_size, Some(64));
    assert_eq!(config.space.dimensions["learning_rate"], plain(Domain::Const(Value::Double(3e-4))));
    assert_eq!(config.space.dimensions["global_batch_size"], plain(Domain::Const(Value::Int(64))));
}

#[test]
fn defaults_are_filled_in() {
    let config = accepted(SMALLEST);
    assert_eq!(
        (config.max_restarts, config.scheduling_unit, config.preemption_timeout_seconds),
        (5, 100, 3600)
    );
    assert_eq!(
        (config.resources.slots_per_trial, config.resources.priority, config.resources.weight),
        (1, 42, 1.0)
    );
    assert_eq!(config.checkpoint_storage.place, StoragePlace::BesideStore);
    let storage = &config.checkpoint_storage;
    assert_eq!((storage.save_experiment_best, storage.save_trial_best, storage.save_trial_latest), (0, 1, 1));
    assert_eq!(config.min_validation_period, Length { unit: "batches".to_owned(), count: 0 });
    assert_eq!(config.log_retention_days, -1);
    assert_eq!(config.experiment_seed, None);
    assert!(config.profiling.sync_timings && config.metrics.stdout_enabled);
    let policies: Vec<_> = config.log_policies.iter().filter_map(|policy| policy.name.as_deref()).collect();
    assert_eq!(policies, ["CUDA OOM", "ECC Error"]);
    let actions: Vec<_> = config.log_policies.iter().map(|policy| policy.action).collect();
    assert_eq!(actions, [None, Some(crate::LogAction::ExcludeNode)]);
}

#[test]
fn numbers_as_yaml_1_1_and_1_2_write_them() {
    for (text, expected) in [
        ("1e-4", Value::Double(1e-4)),
        ("1E3", Value::Double(1e3)),
        (".5", Value::Double(0.5)),
        ("5.", Value::Double(5.0)),
        ("+3", Value::Int(3)),
        ("-3", Value::Int(-3)),
        ("1_000", Value::Int(1000)),
        ("0x10", Value::Int(16)),
        ("0o17", Value::Int(15)),
        ("true", Value::Bool(true)),
        ("on", Value::String("on".to_owned())),
        ("n", Value::String("n".to_owned())),
        ("'3'", Value::String("3".to_owned())),
        ("~", Value::Null),
        ("9223372036854775807", Value::Int(i64::MAX)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("2024-01-01", Value::String("2024-01-01".to_owned())),
    ] {
        let config = accepted(&with(&format!("hyperparameters: {{x: {text}}}\n")));
        assert_eq!(config.space.dimensions["x"], plain(Domain::Const(expected)), "{text}");
    }
}

#[test]
fn lengths_in_both_styles() {
    for (length, unit, count) in [
        ("max_length: {epochs: 32}", "epochs", 32),
        ("max_length: {batches: 1e3}", "batches", 1000),
        ("max_length: 64", "batches", 64),
        ("time_metric: steps, max_length: 64", "steps", 64),
        ("time_metric: epochs, max_time: 32", "epochs", 32),
        ("time_metric: frames, max_time: 32", "frames", 32),
        ("max_length: {epochs: 32}, time_metric: epochs, max_time: 32", "epochs", 32),
        ("max_length: {epochs: 32}, time_metric: epochs", "epochs", 32),
        ("max_length: {steps: 32}, time_metric: steps", "steps", 32),
        ("max_time: 7", "batches", 7),
    ] {
        let yaml = format!("entrypoint: ./run\nsearcher: {{name: single, metric: loss, {length}}}\n");
        let searcher = accepted(&yaml).searcher;
        assert_eq!((searcher.time_metric.as_str(), searcher.max_length), (unit, count), "{length}");
    }
}

#[test]
fn old_fields_are_accepted_with_a_warning_each() {
    for field in [
        "data_layer: {type: shared_fs}",
        "internal: {native: x}",
        "security: {}",
        "tensorboard_storage: {type: s3}",
        "optimizations: {aggregation_frequency: 2}",
        "source: a",
        "batches_per_step: 100",
        "resources: {agent_label: x}",
        "environment: {image: x}",
        "environment: {pod_spec: {spec: {}}}",
        "bind_mounts: [{host_path: /a, container_path: b}]",
        "min_validation_period: {batches: 100}",
        "scheduling_unit: 10",
        "profiling: {enabled: true}",
    ] {
        let warnings = warnings(&with(&format!("{field}\n")));
        assert_eq!(warnings.len(), 1, "{field}: {warnings:?}");
        assert_eq!(warnings[0].line, 3, "{field}");
    }
}

#[test]
fn null_means_absent() {
    let nulls = "name: null\nresources: null\nlabels: ~\nmax_restarts:\nenvironment: {python: null}\ndata_layer: null\n";
    let parsed = parse(&with(nulls)).unwrap();
    assert_eq!(parsed.config, accepted(SMALLEST));
    assert!(parsed.warnings.is_empty());
}

#[test]
fn spelling_is_kept_where_text_is_wanted() {
    let config =
        accepted(&with("name: 2024\nenvironment: {python: 3.10, requirements: r.txt}\nlabels: [1, on, 1]\n"));
    assert_eq!(config.name.as_deref(), Some("2024"));
    assert_eq!(config.environment.python.as_deref(), Some("3.10"));
    assert_eq!(config.environment.requirements, ["-r r.txt"]);
    assert_eq!(config.labels, ["1", "on"]);
}

#[test]
fn variables_by_kind_of_slot() {
    let config = accepted(&with("environment: {environment_variables: {cpu: [A=1], gpu: ['B=x=y']}}\n"));
    assert_eq!(config.environment.variables, BTreeMap::from([("A".to_owned(), "1".to_owned())]));
    assert_eq!(config.environment.gpu_variables, BTreeMap::from([("B".to_owned(), "x=y".to_owned())]));
    let config = accepted(&with("environment: {environment_variables: [A=]}\n"));
    assert_eq!(config.environment.rocm_variables, BTreeMap::from([("A".to_owned(), String::new())]));
}

#[test]
fn groups_conditions_and_anchors() {
    let yaml = with(
        "\
hyperparameters:
  optimizer: {type: categorical, vals: [sgd, adam]}
  sgd: &base
    momentum: {type: double, minval: 0, maxval: 1}
  adam:
    <<: *base
    beta: 0.9
  nesterov: {type: categorical, vals: [true, false], condition: {optimizer: sgd}}
  type: {type: const, val: null}
",
    );
    let space = accepted(&yaml).space.dimensions;
    let Domain::Group(adam) = &space["adam"].domain else { panic!("{space:?}") };
    assert_eq!(adam.keys().collect::<Vec<_>>(), ["beta", "momentum"]);
    let condition = BTreeMap::from([("optimizer".to_owned(), vec![Value::String("sgd".to_owned())])]);
    assert_eq!(space["nesterov"].condition, condition);
    assert_eq!(space["type"].domain, Domain::Const(Value::Null));
}

#[test]
fn a_default_log_policy_is_switched_off_by_its_name() {
    let config =
        accepted(&with("log_policies: [{name: ECC Error}, {pattern: x, action: {type: exclude_node}}]\n"));
    assert_eq!(config.log_policies.len(), 3);
    assert_eq!(config.log_policies[0].pattern, None);
}

#[test]
fn secrets_are_masked() {
    let yaml = with(
        "data: {secrets: {key: [hunter2]}, open: 1}\nenvironment: {registry_auth: {password: hunter2}}\n",
    );
    let config = accepted(&yaml);
    assert!(config.complete().to_string().contains("hunter2"));
    let masked = config.masked();
    assert!(!masked.to_string().contains("hunter2"), "{masked}");
    assert_eq!(masked["data"]["open"], 1);
}

#[test]
fn checkpoints_may_lie_in_object_stores() {
    let of = |lines: &str| {
        let parsed = crate::parse(&with(&format!("checkpoint_storage: {{{lines}}}\n"))).unwrap();
        let storage = parsed.config.checkpoint_storage.clone();
        // What is kept with the experiment says the same.
        let again = accepted(&parsed.config.complete().to_string());
        assert_eq!(again.checkpoint_storage, storage, "{lines}");
        let masked = parsed.config.masked().to_string();
        assert!(!masked.contains("hunter2"), "{masked}");
        (storage, parsed.warnings.iter().map(|warning| warning.path.clone()).collect::<Vec<_>>())
    };
    let (storage, warnings) = of("type: s3, bucket: b, prefix: a/b, max_size: 20 GiB");
    assert!(matches!(&storage.place, StoragePlace::S3 { prefix, .. } if prefix == "a/b"));
    assert_eq!((storage.max_size, warnings), (Some(20 << 30), Vec::<String>::new()));
    assert!(storage.place.is_object_store() && storage.place.directory().is_none());
    let (_, warnings) =
        of("type: s3, bucket: b, endpoint_url: 'http://a:1', access_key: hunter2a, secret_key: hunter2b");
    assert_eq!(warnings, ["checkpoint_storage.access_key", "checkpoint_storage.secret_key"]);
    let (storage, _) = of("type: gcs, bucket: b, max_size: 7");
    assert_eq!(storage.place, StoragePlace::Gcs { bucket: "b".into(), prefix: String::new() });
    assert_eq!(storage.max_size, Some(7));
    let (_, warnings) = of("type: azure, container: c, connection_string: hunter2");
    assert_eq!(warnings, ["checkpoint_storage.connection_string"]);
    of("type: azure, container: c, account_url: 'https://a.blob.core.windows.net', credential: hunter2");
}

#[test]
fn trials_may_start_from_a_checkpoint() {
    for (field, expected) in [
        ("source_trial_id: 3/7", crate::WarmStart::Trial { experiment: 3, trial: 7 }),
        ("source_checkpoint_uuid: ab-12", crate::WarmStart::Checkpoint("ab-12".into())),
    ] {
        let yaml =
            format!("entrypoint: ./run\nsearcher: {{name: single, metric: a, max_length: 9, {field}}}\n");
        let config = crate::parse(&yaml).unwrap().config;
        assert_eq!(config.searcher.source, Some(expected));
        let again = crate::parse(&config.complete().to_string()).unwrap().config;
        assert_eq!(again.searcher.source, config.searcher.source, "the complete form says the same");
    }
}

#[test]
fn the_searchers_with_brackets_and_rounds() {
    let method = |searcher: &str| {
        let yaml = format!("entrypoint: ./run\nsearcher: {{metric: a, {searcher}}}\n");
        let settings = parse(&yaml).unwrap().config.searcher;
        (settings.method, settings.time_metric, settings.max_length)
    };
    let (hyperband, ..) = method("name: hyperband, divisor: 3, max_length: {epochs: 81}");
    let expected = SearcherConfig::Hyperband {
        max_trials: 143,
        divisor: 3.0,
        min_length: None,
        max_length: 81,
        max_concurrent_trials: 16,
    };
    assert_eq!(hyperband, expected, "the numbers of the paper");
    let (pasha, ..) = method("name: pasha, max_trials: 9, max_length: 81, max_concurrent_trials: 0");
    let expected = SearcherConfig::Pasha {
        max_trials: 9,
        divisor: 4.0,
        max_rungs: 5,
        min_length: None,
        max_length: 81,
        max_concurrent_trials: 0,
    };
    assert_eq!(pasha, expected);
    let rounds = "name: pbt, population_size: 20, num_rounds: 5";
    let population = toprung_searchers::Population {
        population_size: 20,
        num_rounds: 5,
        length_per_round: 2,
        truncate_fraction: 0.2,
        resample_probability: 0.25,
        perturb_factor: 0.2,
    };
    for lengths in [
        "length_per_round: {epochs: 2}",
        "length_per_round: 2, time_metric: epochs",
        "length_per_round: {epochs: 2}, max_length: {epochs: 10}",
        "length_per_round: 2, time_metric: epochs, max_time: 10",
    ] {
        let found = method(&format!("{rounds}, {lengths}"));
        assert_eq!(found, (SearcherConfig::Pbt(population), "epochs".to_owned(), 10), "{lengths}");
    }
}

#[test]
fn median_stopping_goes_around_any_searcher() {
    let around = |median: &str| {
        let searcher = "name: single, metric: a, max_length: {epochs: 9}";
        let yaml = format!("entrypoint: ./run\nsearcher: {{{searcher}, median_stopping: {median}}}\n");
        parse(&yaml).unwrap().config.searcher.method
    };
    let single = SearcherConfig::Single { max_length: 9 };
    let median = |min_length, min_trials| SearcherConfig::MedianStopping {
        inner: Box::new(single.clone()),
        min_length,
        min_trials,
    };
    assert_eq!(around("{}"), median(0, 5));
    assert_eq!(around("{min_length: {epochs: 3}, min_trials: 2}"), median(3, 2));
    assert_eq!(around("{min_length: 3}"), median(3, 5));
    assert_eq!(around("null"), single);
}

#[test]
fn programs_outside_may_run_the_trials() {
    let file = |entrypoint: &str, more: &str| {
        format!("entrypoint: {entrypoint}\nsearcher: {{name: single, metric: loss, max_length: 3}}\n{more}")
    };
    for (entrypoint, lease_seconds) in
        [("external", 600), ("{external: {}}", 600), ("{external: {lease: 5}}", 5)]
    {
        let config = accepted(&file(entrypoint, ""));
        assert_eq!(config.entrypoint, crate::Entrypoint::External { lease_seconds }, "{entrypoint}");
        assert_eq!(accepted(&config.complete().to_string()), config);
        let json = crate::value::json(
            &mut crate::context::Context::default(),
            &crate::node::read(&file(entrypoint, "")).unwrap(),
            "",
        );
        assert!(super::schema::validator().is_valid(&json), "{entrypoint}");
    }
    assert_eq!(accepted(&file("./external", "")).entrypoint, crate::Entrypoint::Shell("./external".into()));
    let said = super::warnings(&file("external", "resources: {slots_per_trial: 2}\n"));
    assert_eq!((said.len(), said[0].path.as_str()), (1, "resources"));
    assert!(said[0].message.contains("no effect with `entrypoint: external`"), "{said:?}");
}

#[test]
fn a_program_may_decide() {
    let with = |more: &str| {
        format!("entrypoint: ./run\nsearcher: {{name: custom, metric: e, max_length: {{epochs: 9}}{more}}}\n")
    };
    let method = |more: &str| accepted(&with(more)).searcher.method;
    assert_eq!(method(""), SearcherConfig::Custom { max_length: 9, max_concurrent_trials: 16 });
    assert_eq!(
        method(", max_concurrent_trials: 3"),
        SearcherConfig::Custom { max_length: 9, max_concurrent_trials: 3 }
    );
    let again = accepted(&accepted(&with("")).complete().to_string());
    assert_eq!(again.searcher.method, method(""));
    let said = |more: &str| {
        let problem = refused(&with(more)).0.remove(0);
        (problem.path, problem.help.unwrap_or_default())
    };
    let (path, help) = said(", max_trials: 9");
    assert_eq!(path, "searcher.max_trials");
    assert!(help.contains("trials of their own number"), "{help}");
    let (path, help) = said(", median_stopping: {}");
    assert_eq!(path, "searcher.median_stopping");
    assert!(help.contains("the program itself stops trials"), "{help}");
}
