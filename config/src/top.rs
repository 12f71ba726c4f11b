//! The top level of the file, and its small sections.

use crate::config::{
    BindMount, CheckpointPolicy, Entrypoint, ExperimentConfig, LogAction, LogPolicy, Metrics, Profiling,
    SearcherSettings,
};
use crate::context::{Context, Place, Table};
use crate::language::top::{
    BIND_MOUNT, EXPERIMENT, LOG_ACTION, LOG_POLICY, METRICS, PROFILING, REPRODUCIBILITY, RETENTION,
};
use crate::node::{Kind, Node};
use crate::{
    checkpoints, constraints, entrypoint, environment, hyperparameters, length, resources, searcher, value,
};
use regex::Regex;
use serde_json::Value as Json;
use toprung_searchers::{Domain, SearcherConfig, Space, Value};

/// Reads a document. `None` only after a mistake.
pub(crate) fn read(cx: &mut Context, root: &Node) -> Option<ExperimentConfig> {
    let table = Table::open(cx, Some(&Place::root(root)), &EXPERIMENT, "");
    let hyperparameters = table.get("hyperparameters");
    let dimensions = hyperparameters::read(cx, hyperparameters.as_ref());
    let constraints = constraints::read(cx, table.get("constraints").as_ref(), &dimensions);
    let space = Space { dimensions, constraints };
    let searcher = searcher::read(cx, table.get("searcher").as_ref(), &space, hyperparameters.as_ref());
    let entrypoint = entrypoint::read(cx, table.get("entrypoint").as_ref(), &space);
    if matches!(entrypoint, Entrypoint::External { .. }) {
        entrypoint::warn_of_idle(cx, &table);
    }
    let time_metric = searcher.as_ref().map_or("batches", |searcher| searcher.time_metric.as_str());
    let [min_validation_period, min_checkpoint_period] = ["min_validation_period", "min_checkpoint_period"]
        .map(|name| length::period(cx, &table, name, time_metric));
    let (project, workspace) = project(cx, &table);
    let mut config = ExperimentConfig {
        name: table.text(cx, "name"),
        description: table.text(cx, "description").unwrap_or_default(),
        labels: labels(cx, &table),
        project,
        workspace,
        entrypoint,
        global_batch_size: global_batch_size(&space),
        space,
        searcher: EMPTY_SEARCHER,
        resources: resources::read(cx, table.get("resources").as_ref()),
        environment: environment::read(cx, table.get("environment").as_ref()),
        checkpoint_storage: checkpoints::read(cx, table.get("checkpoint_storage").as_ref()),
        checkpoint_policy: checkpoint_policy(cx, &table),
        min_validation_period,
        min_checkpoint_period,
        scheduling_unit: table.large(cx, "scheduling_unit"),
        records_per_epoch: table.large(cx, "records_per_epoch"),
        perform_initial_validation: table.flag(cx, "perform_initial_validation"),
        max_restarts: table.small(cx, "max_restarts"),
        experiment_seed: experiment_seed(cx, &table),
        data: data(cx, &table),
        preemption_timeout_seconds: table.small(cx, "preemption_timeout"),
        log_policies: log_policies(cx, &table),
        log_retention_days: log_retention_days(cx, &table),
        profiling: profiling(cx, &table),
        bind_mounts: bind_mounts(cx, &table),
        debug: table.flag(cx, "debug"),
        metrics: metrics(cx, &table),
    };
    config.searcher = searcher?;
    // The points of a grid were looked at, one by one.
    let drawn = !matches!(config.searcher.method.base(), SearcherConfig::Grid { .. });
    if let Some(place) = table.get("constraints").filter(|_| drawn && !cx.has_errors()) {
        constraints::check_draws(cx, &place, &config.space);
    }
    Some(config)
}

/// Stands in until all other sections have been checked too.
const EMPTY_SEARCHER: SearcherSettings = SearcherSettings {
    method: SearcherConfig::Single { max_length: 1 },
    metric: String::new(),
    smaller_is_better: true,
    time_metric: String::new(),
    max_length: 1,
    source: None,
};

fn labels(cx: &mut Context, table: &Table<'_>) -> Vec<String> {
    let Some(place) = table.get("labels") else {
        return Vec::new();
    };
    let found: Vec<String> = match &place.node.kind {
        Kind::Map(_) => place.map(cx, "").into_iter().map(|(key, _)| key.to_owned()).collect(),
        _ => place.list(cx, "a list of labels").iter().filter_map(|label| label.text(cx)).collect(),
    };
    let mut labels: Vec<String> = Vec::new();
    for label in found {
        if !label.is_empty() && !labels.contains(&label) {
            labels.push(label);
        }
    }
    labels
}

fn project(cx: &mut Context, table: &Table<'_>) -> (Option<String>, Option<String>) {
    let (project, workspace) = (table.text(cx, "project"), table.text(cx, "workspace"));
    for (given, other, missing) in [(&project, &workspace, "workspace"), (&workspace, &project, "project")] {
        let name = if missing == "workspace" { "project" } else { "workspace" };
        if let (Some(_), None, Some(place)) = (given, other, table.get(name)) {
            let message = format!("is given without `{missing}`");
            cx.error(place.key, &place.path, message, "give both or neither");
        }
    }
    (project, workspace)
}

fn global_batch_size(space: &Space) -> Option<u64> {
    match space.dimensions.get("global_batch_size")?.domain {
        Domain::Const(Value::Int(size)) => u64::try_from(size).ok().filter(|size| *size > 0),
        _ => None,
    }
}

fn checkpoint_policy(cx: &mut Context, table: &Table<'_>) -> CheckpointPolicy {
    match table.choice(cx, "checkpoint_policy") {
        Some("all") => CheckpointPolicy::All,
        Some("none") => CheckpointPolicy::None,
        _ => CheckpointPolicy::Best,
    }
}

fn experiment_seed(cx: &mut Context, table: &Table<'_>) -> Option<u32> {
    let section = table.get("reproducibility")?;
    let inner = Table::open(cx, Some(&section), &REPRODUCIBILITY, &section.path);
    inner.optional_int(cx, "experiment_seed").and_then(|seed| u32::try_from(seed).ok())
}

fn data(cx: &mut Context, table: &Table<'_>) -> Json {
    let Some(place) = table.get("data") else {
        return Json::Object(serde_json::Map::new());
    };
    place.map(cx, "a map");
    value::json(cx, place.node, &place.path)
}

fn log_retention_days(cx: &mut Context, table: &Table<'_>) -> i16 {
    let section = table.get("retention_policy");
    let inner = Table::open(cx, section.as_ref(), &RETENTION, "retention_policy");
    i16::try_from(inner.int(cx, "log_retention_days")).unwrap_or(-1)
}

fn profiling(cx: &mut Context, table: &Table<'_>) -> Profiling {
    let section = table.get("profiling");
    let inner = Table::open(cx, section.as_ref(), &PROFILING, "profiling");
    let begin_on_batch = inner.large(cx, "begin_on_batch");
    let end_after_batch =
        inner.optional_int(cx, "end_after_batch").and_then(|batch| u64::try_from(batch).ok());
    if let (Some(end), Some(place)) = (end_after_batch, inner.get("end_after_batch"))
        && end < begin_on_batch
    {
        let message = format!("{end} is before `begin_on_batch` {begin_on_batch}");
        cx.error(place.node.span, &place.path, message, "");
    }
    let enabled = inner.flag(cx, "enabled");
    if let Some(place) = inner.get("enabled").filter(|_| enabled) {
        cx.warning(place.key, &place.path, "has no effect in this version", "nothing is profiled yet");
    }
    Profiling { enabled, begin_on_batch, end_after_batch, sync_timings: inner.flag(cx, "sync_timings") }
}

fn bind_mounts(cx: &mut Context, table: &Table<'_>) -> Vec<BindMount> {
    let Some(place) = table.get("bind_mounts") else {
        return Vec::new();
    };
    let mut mounts = Vec::new();
    for element in place.list(cx, "a list of maps") {
        let mount = Table::open(cx, Some(&element), &BIND_MOUNT, &element.path);
        let host_path = mount.text(cx, "host_path").unwrap_or_default();
        if let Some(place) = mount.get("host_path").filter(|_| !host_path.starts_with('/')) {
            let message = format!("found {}, expected an absolute path", place.node.described());
            cx.error(place.node.span, &place.path, message, "begin it with `/`");
        }
        mounts.push(BindMount {
            host_path,
            container_path: mount.text(cx, "container_path").unwrap_or_default(),
            read_only: mount.flag(cx, "read_only"),
            propagation: mount.choice(cx, "propagation").unwrap_or_default().to_owned(),
        });
    }
    mounts
}

fn log_policies(cx: &mut Context, table: &Table<'_>) -> Vec<LogPolicy> {
    let mut policies: Vec<LogPolicy> = Vec::new();
    if let Some(place) = table.get("log_policies") {
        for element in place.list(cx, "a list of maps") {
            let policy = log_policy(cx, &element);
            if policy.name.is_some() && policies.iter().any(|other| other.name == policy.name) {
                let message = "has the name of an earlier policy";
                cx.error(element.node.span, &element.path, message, "give each policy its own name");
            }
            policies.push(policy);
        }
    }
    for default in default_policies() {
        if policies.iter().all(|policy| policy.name != default.name) {
            policies.push(default);
        }
    }
    policies
}

fn default_policies() -> Vec<LogPolicy> {
    let described =
        EXPERIMENT.field("log_policies").map(crate::language::Field::default_value).unwrap_or_default();
    let text = |policy: &Json, key: &str| policy.get(key).and_then(Json::as_str).map(str::to_owned);
    let policies = described.as_array().map(Vec::as_slice).unwrap_or_default().iter();
    policies
        .map(|policy| LogPolicy {
            name: text(policy, "name"),
            pattern: text(policy, "pattern"),
            action: text(policy, "action").map(|word| action(&word)),
        })
        .collect()
}

fn log_policy(cx: &mut Context, place: &Place<'_>) -> LogPolicy {
    let table = Table::open(cx, Some(place), &LOG_POLICY, &place.path);
    let name = table.text(cx, "name");
    let pattern = table.text(cx, "pattern");
    if let (Some(pattern), Some(place)) = (&pattern, table.get("pattern")) {
        regular_expression(cx, &place, pattern);
    }
    if pattern.is_none() && name.is_none() {
        cx.error(
            place.key,
            &place.path,
            "has neither `name` nor `pattern`",
            "give a `pattern` that lines must match",
        );
    }
    LogPolicy { name, pattern, action: table.get("action").and_then(|place| log_action(cx, &place)) }
}

fn log_action(cx: &mut Context, place: &Place<'_>) -> Option<LogAction> {
    let word = match place.node.kind {
        Kind::Map(_) => Table::open(cx, Some(place), &LOG_ACTION, &place.path).choice(cx, "type"),
        _ => place.choice(cx, &["cancel_retries", "exclude_node"]),
    };
    word.map(action)
}

/// The action of a word that was checked.
fn action(word: &str) -> LogAction {
    if word == "cancel_retries" { LogAction::CancelRetries } else { LogAction::ExcludeNode }
}

fn regular_expression(cx: &mut Context, place: &Place<'_>, pattern: &str) -> Option<Regex> {
    match Regex::new(pattern) {
        Ok(regex) => Some(regex),
        Err(error) => {
            // The first lines of the library's message draw the pattern; the last says what is wrong.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            cx.error(place.node.span, &place.path, format!("is not a regular expression: {reason}"), "");
            None
        }
    }
}

fn metrics(cx: &mut Context, table: &Table<'_>) -> Metrics {
    let section = table.get("metrics");
    let inner = Table::open(cx, section.as_ref(), &METRICS, "metrics");
    let file = inner.text(cx, "file");
    let Some(place) = inner.get("stdout") else {
        return Metrics { file, ..Metrics::default() };
    };
    if let Kind::Bool(stdout_enabled) = place.node.kind {
        return Metrics { stdout_enabled, stdout: None, file };
    }
    let stdout = place.text(cx).filter(|pattern| !pattern.is_empty());
    if let Some(regex) = stdout.as_ref().and_then(|pattern| regular_expression(cx, &place, pattern)) {
        let missing: Vec<_> = ["name", "value"]
            .into_iter()
            .filter(|group| !regex.capture_names().flatten().any(|name| name == *group))
            .collect();
        if !missing.is_empty() {
            let message = format!("the pattern has no group {}", missing.join(" and no group "));
            let help = r"such as `(?P<name>\w+): (?P<value>[-+.\deE]+)`";
            cx.error(place.node.span, &place.path, message, help);
        }
    }
    Metrics { stdout_enabled: true, stdout, file }
}
