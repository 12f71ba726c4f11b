//! Files that must be refused, and what is said about them.

use super::{SMALLEST, refused, with};
use crate::Severity;

/// Lines after the smallest file, and the path, a part of the message, and a part of the help of the only error.
pub(super) fn check(lines: &str, path: &str, message: &str, help: &str) {
    check_whole(&with(lines), path, message, help);
}

pub(super) fn check_whole(yaml: &str, path: &str, message: &str, help: &str) {
    let problems = refused(yaml).0;
    let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    assert_eq!(errors.len(), 1, "{yaml}\n{problems:#?}");
    let error = errors[0];
    assert_eq!(error.path, path, "{yaml}\n{error:?}");
    assert!(error.message.contains(message), "{yaml}\n{error:?}");
    assert!(error.help.as_deref().unwrap_or_default().contains(help), "{yaml}\n{error:?}");
    assert!(error.line > 0 && error.column > 0, "{yaml}\n{error:?}");
}

#[test]
fn keys() {
    check("hyperparametrs: {}\n", "hyperparametrs", "unknown key", "did you mean `hyperparameters`?");
    check("max_trials: 3\n", "max_trials", "unknown key", "it belongs under `searcher`");
    check(
        "resources: {slots: 3}\n",
        "resources.slots",
        "unknown key `slots` in `resources`",
        "`slots_per_trial`",
    );
    check("zzz: 1\n", "zzz", "unknown key", "known are `name`");
    check("constraints: a > b\n", "constraints", "expected a list of relations", "");
}

#[test]
fn types_and_ranges() {
    for (lines, path, message) in [
        ("max_restarts: -1\n", "max_restarts", "-1 is out of range, expected an integer of at least 0"),
        ("max_restarts: many\n", "max_restarts", "found the text \"many\", expected an integer"),
        ("max_restarts: 1.5\n", "max_restarts", "found 1.5, expected an integer"),
        ("scheduling_unit: 0\n", "scheduling_unit", "0 is out of range, expected an integer of at least 1"),
        ("resources: 3\n", "resources", "found a number, expected a map"),
        ("max_restarts: 1e11\n", "max_restarts", "expected an integer of at most 4294967295"),
        ("resources: {priority: 100}\n", "resources.priority", "expected an integer of at most 99"),
        ("resources: {weight: 0}\n", "resources.weight", "expected a number above 0"),
        (
            "resources: {slots_per_trial: 0.5}\n",
            "resources.slots_per_trial",
            "fractions of slots are not supported yet",
        ),
        ("resources: {slots_per_trial: 4, max_slots: 2}\n", "resources.max_slots", "none could ever start"),
        ("resources: {memory: lots}\n", "resources.memory", "expected a number of bytes"),
        ("debug: maybe\n", "debug", "expected `true` or `false`"),
        ("name: [a]\n", "name", "found a list, expected a text"),
        ("labels: 3\n", "labels", "expected a list of labels"),
        ("project: p\n", "project", "is given without `workspace`"),
        ("checkpoint_policy: bets\n", "checkpoint_policy", "expected one of best, all, none"),
        (
            "reproducibility: {experiment_seed: 2147483648}\n",
            "reproducibility.experiment_seed",
            "out of range",
        ),
        (
            "retention_policy: {log_retention_days: -2}\n",
            "retention_policy.log_retention_days",
            "out of range",
        ),
        ("preemption_timeout: 0\n", "preemption_timeout", "out of range"),
        ("data: {x: .nan}\n", "data.x", "is not a finite number"),
        ("data: 3\n", "data", "found a number, expected a map"),
        (
            "min_validation_period: {epochs: 1, batches: 2}\n",
            "min_validation_period",
            "expected exactly one of",
        ),
        ("min_validation_period: {epoch: 1}\n", "min_validation_period.epoch", "unknown unit `epoch`"),
        ("log_policies: [{pattern: '('}]\n", "log_policies[0].pattern", "is not a regular expression"),
        ("log_policies: [{pattern: a, action: exclude}]\n", "log_policies[0].action", "expected one of"),
        ("log_policies: [{}]\n", "log_policies[0]", "has neither"),
        (
            "bind_mounts: [{host_path: a, container_path: b}]\n",
            "bind_mounts[0].host_path",
            "expected an absolute path",
        ),
        ("bind_mounts: [{host_path: /a}]\n", "bind_mounts[0].container_path", "is missing"),
        ("metrics: {tensorboard: logs}\n", "metrics.tensorboard", "is not supported yet"),
        ("metrics: {stdout: '(?P<name>a)'}\n", "metrics.stdout", "no group value"),
        ("profiling: {begin_on_batch: 5, end_after_batch: 4}\n", "profiling.end_after_batch", "4 is before"),
        (
            "environment: {environment_variables: [A]}\n",
            "environment.environment_variables[0]",
            "not of the form",
        ),
        (
            "environment: {environment_variables: [TOPRUNG_X=1]}\n",
            "environment.environment_variables[0]",
            "is kept for",
        ),
        (
            "environment: {environment_variables: {gpus: []}}\n",
            "environment.environment_variables.gpus",
            "unknown key",
        ),
        ("environment: {image: {gpu: a, cuda: b}}\n", "environment.image.gpu", "is another name of `cuda`"),
        ("environment: {requirements: ['']}\n", "environment.requirements[0]", "is not one line"),
        ("environment: {pod_spec: 3}\n", "environment.pod_spec", "expected a map"),
    ] {
        check(lines, path, message, "");
    }
}

#[test]
fn storage() {
    for (lines, path, message) in [
        ("type: s3", "checkpoint_storage.bucket", "`bucket` is missing"),
        ("type: s3, bucket: b, access_key: a", "checkpoint_storage.access_key", "needs `secret_key`"),
        ("type: s3, bucket: b, endpoint_url: minio", "checkpoint_storage.endpoint_url", "expected a URL"),
        ("type: s3, bucket: b, host_path: /a", "checkpoint_storage.host_path", "does not belong"),
        ("type: gcs, bucket: b, secret_key: a", "checkpoint_storage.secret_key", "does not belong"),
        ("type: azure", "checkpoint_storage.container", "`container` is missing"),
        ("max_size: lots", "checkpoint_storage.max_size", "expected a number of bytes"),
        ("type: shared_fs", "checkpoint_storage.host_path", "`host_path` is missing"),
        ("type: shared_fs, host_path: a", "checkpoint_storage.host_path", "expected an absolute path"),
        (
            "type: shared_fs, host_path: /a, storage_path: ../b",
            "checkpoint_storage.storage_path",
            "is not below",
        ),
        (
            "type: shared_fs, host_path: /a, storage_path: /b",
            "checkpoint_storage.storage_path",
            "is not below",
        ),
        ("type: shared_fs, host_path: /a, bucket: b", "checkpoint_storage.bucket", "does not belong"),
        ("type: directory", "checkpoint_storage.container_path", "is missing"),
        ("host_path: /a", "checkpoint_storage.host_path", "`type` is missing"),
        ("type: share_fs, host_path: /a", "checkpoint_storage.type", "expected one of"),
        ("save_trial_best: -1", "checkpoint_storage.save_trial_best", "out of range"),
    ] {
        check(&format!("checkpoint_storage: {{{lines}}}\n"), path, message, "");
    }
}

#[test]
fn what_is_not_yaml() {
    for (yaml, line, message) in [
        ("name: a\nname: b\n", 2, "the key `name` is given twice"),
        ("name: [a\n", 1, "unclosed bracket"),
        ("a: *b\n", 1, "unknown anchor"),
        ("a: 1\n---\nb: 2\n", 3, "second YAML document"),
        ("a: &a [*a]\n", 1, "inside its own anchor"),
    ] {
        let problems = refused(yaml).0;
        assert_eq!(problems.len(), 1, "{yaml}: {problems:?}");
        assert!(problems[0].message.contains(message), "{yaml}: {problems:?}");
        assert!(line == 0 || problems[0].line == line, "{yaml}: {problems:?}");
    }
    for yaml in ["", "null", "# nothing\n"] {
        let paths: Vec<_> = refused(yaml).0.into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["entrypoint", "searcher"], "{yaml}");
    }
    for yaml in ["[]", "3", "text"] {
        assert!(refused(yaml).0[0].message.contains("expected a map"), "{yaml}");
    }
}

#[test]
fn a_document_cannot_grow_by_aliases() {
    let mut yaml = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (previous, next) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let aliases = vec![format!("*{previous}"); 10].join(", ");
        yaml.extend(format!("{next}: &{next} [{aliases}]\n").chars());
    }
    assert_eq!(refused(&yaml).0.len(), 1);
    let deep = format!("{SMALLEST}data: {{x: {}{}}}\n", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(refused(&deep).0.len(), 1);
}

#[test]
fn nesting_needs_no_stack_of_the_caller() {
    // A thread of a server has 2 MiB; a file as deep as allowed used more than that and ended the process.
    for (levels, accepted) in [(60, true), (70, false), (400, false)] {
        let deep =
            format!("{SMALLEST}data: {{x: {}{}}}\n", "[1, a: ".repeat(levels / 2), "]".repeat(levels / 2));
        let thread =
            std::thread::Builder::new().stack_size(1 << 20).spawn(move || crate::parse(&deep).is_ok());
        assert_eq!(thread.unwrap().join().unwrap(), accepted, "{levels} levels");
    }
}

#[test]
fn a_key_must_be_short_enough_to_be_read_again() {
    let data = |count: usize| format!("{SMALLEST}data: {{\"{}\": 1}}\n", "\\u0001".repeat(count));
    let refused = refused(&data(161)).0;
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].message.contains("a key has 161 characters; at most 160 are read"), "{refused:?}");
    let parsed = crate::parse(&data(160)).unwrap().config;
    assert_eq!(crate::parse(&parsed.complete().to_string()).unwrap().config, parsed);
}

#[test]
fn all_mistakes_at_once_in_order() {
    let yaml = "entrypoint: a:B\nsearcher: {name: random, metric: x}\nresources: {priority: 0}\nfoo: 1\n";
    let lines: Vec<_> = refused(yaml).0.iter().map(|problem| (problem.line, problem.path.clone())).collect();
    let expected = [
        (1, "entrypoint"),
        (2, "searcher"),
        (2, "searcher.max_trials"),
        (3, "resources.priority"),
        (4, "foo"),
    ];
    let mut lines: Vec<_> = lines.iter().map(|(line, path)| (*line, path.as_str())).collect();
    lines.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn programs_outside() {
    let check = |entrypoint: &str, path: &str, message: &str, help: &str| {
        let file =
            format!("entrypoint: {entrypoint}\nsearcher: {{name: single, metric: loss, max_length: 3}}\n");
        check_whole(&file, path, message, help);
    };
    check(
        "{external: {leese: 5}}",
        "entrypoint.external.leese",
        "unknown key `leese`",
        "did you mean `lease`?",
    );
    check("{external: {lease: 0}}", "entrypoint.external.lease", "0 is out of range", "");
    check("{external: 5}", "entrypoint.external", "found a number, expected a map", "");
    check(
        "{}",
        "entrypoint.external",
        "`external` is missing in `entrypoint`",
        "programs outside ask for trials",
    );
}
