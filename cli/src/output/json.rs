//! The JSON that `--json` prints. Stable: fields are only added.
//!
//! Objects have the names of the messages in `search.proto` and `types.proto`. Enums are lower-case words
//! (`"active"`, `"out_of_memory"`). Metrics that JSON cannot hold are `"NaN"`, `"Infinity"`, `"-Infinity"`. A proto
//! field `x_json` is the field `x`, parsed. Absent messages and metrics are `null`.
//!
//! | command | document |
//! |---|---|
//! | `run`, `resume` | `{"experiment", "best_trials": [Trial], "failed_trial": Trial or null}` |
//! | the same when paused or no longer watched | `{"experiment"}` |
//! | `run --detach`, `show`, `pause`, `kill` | `{"experiment"}` |
//! | `list` | `{"experiments": [Experiment], "more"}` |
//! | `trials ID` | `{"trials": [Trial], "more"}` |
//! | `trials ID TRIAL` | `{"trial", "reports": [TrialReport]}` |
//! | `best` | `{"experiment": ID, "best": BestTrial or null}` |
//! | `logs` | one `TrialLogLine` per line |
//! | `plan` | `{"plan": SearchPlan, "warnings", "sample_hparams": [object], "simulated"}` |
//! | `ask` | `{"assignment", "nothing": {"reason"}, "over": {"state", "reason", "best"}}`: one of them is not null |
//! | `tell` | `{"decision": "train", "pause" or "stop", "trial", "length", "reason", "counted", "over", "superseded"}` |
//! | `ask-tell`, `decide` | one document per line, see their help |
//! | `agents` | `{"agents": [Agent]}` |
//! | `delete` | `{"deleted": ID}` |

use super::{deciding, format};
use serde_json::{Value, json};
use toprung_proto::v1;

/// A number that may be NaN or infinite.
pub(crate) fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!(format::metric(value)) }
}

/// JSON that travelled as text; text that is not JSON stays text.
pub(crate) fn parsed(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// `Experiment`
pub(crate) fn experiment(value: &v1::Experiment) -> Value {
    json!({
        "id": value.id,
        "name": value.name,
        "description": value.description,
        "labels": value.labels,
        "state": format::experiment_state(value.state),
        "reason": value.reason,
        "searcher": value.searcher,
        "searcher_notes": value.searcher_notes,
        "metric": value.metric,
        "smaller_is_better": value.smaller_is_better,
        "time_metric": value.time_metric,
        "max_length": value.max_length,
        "created_unix_ms": value.created_unix_ms,
        "ended_unix_ms": value.ended_unix_ms,
        "progress": number(value.progress),
        "trials": value.trials.as_ref().map(counts),
        "total_length": value.total_length,
        "full_length": value.full_length,
        "best": value.best.as_ref().map(best),
        "config": parsed(&value.config_json),
        "slots_in_use": value.slots_in_use,
        "warnings": value.warnings,
        "active_ms": value.active_ms,
        "source_experiment": (value.source_experiment != 0).then_some(value.source_experiment),
        "ends": value.ends.as_ref().map(ends),
        "excluded_agents": value.excluded_agents.iter().map(excluded_agent).collect::<Vec<_>>(),
        "checkpoint_bytes": value.checkpoint_bytes,
        "checkpoint_count": value.checkpoint_count,
        "program": value.program.as_ref().map(deciding::program),
    })
}

/// `AttemptEnds`: only what happened.
fn ends(value: &v1::AttemptEnds) -> Value {
    let counted = format::ends(value).into_iter().filter(|(_, _, count)| *count > 0);
    Value::Object(counted.map(|(name, _, count)| (name.to_owned(), json!(count))).collect())
}

fn excluded_agent(value: &v1::ExcludedAgent) -> Value {
    json!({"agent": value.agent, "reason": value.reason, "time_unix_ms": value.time_unix_ms})
}

fn counts(value: &v1::TrialCounts) -> Value {
    json!({
        "total": value.total,
        "pending": value.pending,
        "starting": value.starting,
        "running": value.running,
        "stopping": value.stopping,
        "paused": value.paused,
        "completed": value.completed,
        "stopped": value.stopped,
        "error": value.error,
        "invalid": value.invalid,
        "killed": value.killed,
    })
}

/// `BestTrial`
pub(crate) fn best(value: &v1::BestTrial) -> Value {
    json!({
        "trial": value.trial,
        "metric": number(value.metric),
        "length": value.length,
        "hparams": parsed(&value.hparams_json),
        "checkpoint": value.checkpoint.as_ref().map(checkpoint),
    })
}

/// `Checkpoint`
pub(crate) fn checkpoint(value: &v1::Checkpoint) -> Value {
    let file =
        |file: &v1::CheckpointFile| json!({"path": file.path, "size": file.size, "sha256": file.sha256});
    json!({
        "uuid": value.uuid,
        "trial": value.trial,
        "attempt": value.attempt,
        "length": value.length,
        "path": value.path,
        "files": value.files.iter().map(file).collect::<Vec<_>>(),
        "total_size": value.total_size,
        "time_unix_ms": value.time_unix_ms,
        "agent": value.agent,
    })
}

/// `Trial`
pub(crate) fn trial(value: &v1::Trial) -> Value {
    json!({
        "id": value.id,
        "state": format::trial_state(value.state),
        "reason": value.reason,
        "hparams": parsed(&value.hparams_json),
        "length": value.length,
        "train_until": value.train_until,
        "best_metric": value.best_metric.map(number),
        "best_length": value.best_length,
        "latest_metric": value.latest_metric.map(number),
        "attempt": value.attempt,
        "restarts": value.restarts,
        "agent": value.agent,
        "slots": value.slots,
        "checkpoint": value.checkpoint.as_ref().map(checkpoint),
        "created_unix_ms": value.created_unix_ms,
        "ended_unix_ms": value.ended_unix_ms,
        "failure": value.failure.as_ref().map(exit),
        "bracket": value.bracket,
        "ends": value.ends.as_ref().map(ends),
        "log_policies": value.log_policies.iter().map(policy).collect::<Vec<_>>(),
        "excluded_agents": value.excluded_agents,
    })
}

/// `PolicyMatched`
fn policy(value: &v1::PolicyMatched) -> Value {
    let action = match value.action() {
        v1::LogPolicyAction::Unspecified => Value::Null,
        v1::LogPolicyAction::CancelRetries => json!("cancel_retries"),
        v1::LogPolicyAction::ExcludeNode => json!("exclude_node"),
    };
    json!({"name": value.name, "pattern": value.pattern, "action": action, "line": value.line})
}

fn exit(value: &v1::Exit) -> Value {
    json!({
        "cause": format::exit_cause(value.cause),
        "exit_code": value.exit_code,
        "signal": value.signal,
        "message": value.message,
        "last_lines": value.last_lines,
    })
}

/// Trials in a list.
pub(crate) fn trials(values: &[v1::Trial]) -> Value {
    Value::Array(values.iter().map(trial).collect())
}

/// `TrialReport`
pub(crate) fn report(value: &v1::TrialReport) -> Value {
    let content = value.report.as_ref().map(|report| {
        let metrics: serde_json::Map<_, _> =
            report.metrics.iter().map(|metric| (metric.name.clone(), number(metric.value))).collect();
        let group = match report.group() {
            v1::MetricGroup::Unspecified => "unspecified",
            v1::MetricGroup::Training => "training",
            v1::MetricGroup::Validation => "validation",
        };
        json!({
            "group": group,
            "length": report.length,
            "metrics": metrics,
            "time_unix_ms": report.time_unix_ms,
        })
    });
    json!({"trial": value.trial, "attempt": value.attempt, "report": content})
}

/// `TrialLogLine`
pub(crate) fn log_line(value: &v1::TrialLogLine) -> Value {
    let line = value.line.as_ref().map(|line| {
        json!({
            "stream": format::log_stream(line.stream),
            "time_unix_ms": line.time_unix_ms,
            "text": line.text,
        })
    });
    json!({"trial": value.trial, "attempt": value.attempt, "line": line})
}

/// `PreviewExperimentResponse`
pub(crate) fn preview(value: &v1::PreviewExperimentResponse) -> Value {
    json!({
        "plan": value.plan.as_ref().map(plan),
        "warnings": value.warnings,
        "sample_hparams": value.sample_hparams_json.iter().map(|text| parsed(text)).collect::<Vec<_>>(),
    })
}

fn plan(value: &v1::SearchPlan) -> Value {
    let bracket = |bracket: &v1::BracketPlan| {
        json!({
            "rung_lengths": bracket.rung_lengths,
            "trials": bracket.trials,
            "ending": ending(&bracket.ending),
        })
    };
    json!({
        "searcher": value.searcher,
        "time_metric": value.time_metric,
        "max_length": value.max_length,
        "trials": value.trials,
        "brackets": value.brackets.iter().map(bracket).collect::<Vec<_>>(),
        "ending": ending(&value.ending),
        "total_length": value.total_length,
        "full_length": value.full_length,
    })
}

fn ending(counts: &[v1::LengthCount]) -> Value {
    let one = |count: &v1::LengthCount| json!({"length": count.length, "trials": count.trials});
    Value::Array(counts.iter().map(one).collect())
}

/// `Agent`
pub(crate) fn agent(value: &v1::Agent) -> Value {
    json!({
        "name": value.name,
        "host": value.host,
        "version": value.version,
        "slots": value.slots.iter().map(agent_slot).collect::<Vec<_>>(),
        "connected_unix_ms": value.connected_unix_ms,
        "connected": value.connected,
        "draining": value.draining,
        "drain_reason": value.drain_reason,
        "attempts": value.attempts,
        "excluded_from": value.excluded_from.iter().map(excluded_from).collect::<Vec<_>>(),
    })
}

fn excluded_from(value: &v1::ExcludedFrom) -> Value {
    json!({"experiment": value.experiment, "reason": value.reason})
}

fn agent_slot(value: &v1::AgentSlot) -> Value {
    let slot = value.slot.as_ref().map(|slot| {
        json!({
            "index": slot.index,
            "kind": format::slot_kind(slot.kind),
            "name": slot.name,
            "uuid": slot.uuid,
            "memory_bytes": slot.memory_bytes,
        })
    });
    let attempt = value.attempt.as_ref().map(|attempt| {
        json!({
            "experiment": attempt.experiment,
            "trial": attempt.trial,
            "attempt": attempt.attempt,
        })
    });
    json!({"slot": slot, "attempt": attempt})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_json_cannot_hold_are_words() {
        assert_eq!(number(f64::NAN), json!("NaN"));
        assert_eq!(number(f64::INFINITY), json!("Infinity"));
        assert_eq!(number(0.25), json!(0.25));
    }

    #[test]
    fn an_experiment_keeps_its_names() {
        let best = v1::BestTrial { trial: 7, hparams_json: r#"{"lr": 0.1}"#.into(), ..Default::default() };
        let mut given = v1::Experiment { id: 3, best: Some(best), ..Default::default() };
        given.set_state(v1::ExperimentState::Active);
        let shown = experiment(&given);
        assert_eq!(shown["id"], 3);
        assert_eq!(shown["state"], "active");
        assert_eq!(shown["best"]["hparams"]["lr"], 0.1);
        assert_eq!(shown["config"], Value::Null);
        assert_eq!(shown["trials"], Value::Null);
    }

    #[test]
    fn metrics_of_a_report_are_an_object() {
        let metric = v1::Metric { name: "loss".into(), value: f64::NAN };
        let mut inner = v1::Report { length: 3, metrics: vec![metric], ..Default::default() };
        inner.set_group(v1::MetricGroup::Validation);
        let shown = report(&v1::TrialReport { trial: 1, attempt: 2, report: Some(inner) });
        assert_eq!(shown["report"]["metrics"]["loss"], "NaN");
        assert_eq!(shown["report"]["group"], "validation");
    }

    #[test]
    fn a_trial_without_validation_has_null() {
        let shown = trial(&v1::Trial { id: 1, ..Default::default() });
        assert_eq!(shown["best_metric"], Value::Null);
        assert_eq!(shown["failure"], Value::Null);
    }
}
