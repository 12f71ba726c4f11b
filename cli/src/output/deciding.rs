//! What a program is told that decides a search, as JSON, and what people see of it.

use super::{asking, format, json};
use serde_json::{Map, Value, json};
use toprung_proto::v1::{self, SearchEventKind as Kind};

/// The first line: what the program has to know before it decides.
pub(crate) fn ready(experiment: &v1::Experiment, heard: &v1::ListenResponse) -> Value {
    let config: Value = serde_json::from_str(&experiment.config_json).unwrap_or_default();
    let at = |pointer: &str| config.pointer(pointer).cloned().unwrap_or_default();
    json!({
        "experiment": experiment.id,
        "name": experiment.name,
        "metric": experiment.metric,
        "smaller_is_better": experiment.smaller_is_better,
        "time_metric": experiment.time_metric,
        "max_length": experiment.max_length,
        "max_concurrent_trials": at("/searcher/max_concurrent_trials"),
        "hyperparameters": at("/hyperparameters"),
        "constraints": at("/constraints"),
        "seed": at("/reproducibility/experiment_seed"),
        "decided": heard.decided,
        "seen": heard.seen,
        "next_trial": heard.next_trial,
        "state": heard.state,
    })
}

/// `SearchEvent`: what its kind has.
pub(crate) fn event(value: &v1::SearchEvent) -> Value {
    let mut shown = Map::new();
    let mut set = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    set("number", json!(value.number));
    set("time_unix_ms", json!(value.time_unix_ms));
    set("kind", json!(kind(value.kind())));
    if value.trial != 0 {
        set("trial", json!(value.trial));
        set("hparams", json::parsed(&value.hparams_json));
        set("length", json!(value.length));
        set("train_until", json!(value.train_until));
        set("metric", value.metric.map_or(Value::Null, json::number));
    }
    if value.kind() == Kind::Validated {
        let metrics = value.metrics.iter().map(|metric| (metric.name.clone(), json::number(metric.value)));
        set("metrics", Value::Object(metrics.collect()));
        set("metrics_left_out", json!(value.metrics_left_out));
    }
    if value.kind() == Kind::Ended {
        set("state", json!(format::trial_state(value.state)));
    }
    set("reason", json!(value.reason));
    Value::Object(shown)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Unspecified => "unspecified",
        Kind::Begun => "begun",
        Kind::Created => "created",
        Kind::Validated => "validated",
        Kind::Paused => "paused",
        Kind::Ended => "ended",
        Kind::Experiment => "experiment",
    }
}

/// `DecideResponse`
pub(crate) fn decided(value: &v1::DecideResponse) -> Value {
    let ignored = value.ignored.iter().map(|one| json!({"index": one.index, "reason": one.reason}));
    json!({
        "decided": value.decided,
        "trials": value.trials,
        "ignored": ignored.collect::<Vec<_>>(),
        "again": value.again,
    })
}

/// `SearchOver`
pub(crate) fn over(value: &v1::SearchOver) -> Value {
    asking::over(value)
}

/// `SearchProgram`
pub(crate) fn program(value: &v1::SearchProgram) -> Value {
    json!({
        "client": value.client,
        "decided": value.decided,
        "decided_unix_ms": value.decided_unix_ms,
        "unseen": value.unseen,
        "unseen_since_unix_ms": value.unseen_since_unix_ms,
        "waiting": value.waiting,
        "listening": value.listening,
        "heard_unix_ms": value.heard_unix_ms,
        "left_out": value.left_out,
    })
}

/// Where a search stands with its program, in a line: who it is, whether it is there, and what waits for it.
pub(crate) fn program_line(value: &v1::SearchProgram, now_ms: i64) -> String {
    let mut parts = Vec::new();
    let name = if value.client.is_empty() { String::new() } else { format!("{}, ", value.client) };
    parts.push(match (value.listening, value.heard_unix_ms) {
        (true, _) => format!("{name}listening"),
        (false, 0) => format!("{name}not heard since the engine started"),
        (false, heard) => format!("{name}away, last heard {}", format::ago(heard, now_ms)),
    });
    parts.push(match value.decided {
        0 => "no decision yet".to_owned(),
        decided => format!(
            "{}, the last {}",
            format::counted(decided, "decision", "decisions"),
            format::ago(value.decided_unix_ms, now_ms)
        ),
    });
    if value.unseen > 0 {
        parts.push(format!(
            "has not seen {}, the first from {}",
            format::counted(value.unseen, "event", "events"),
            format::ago(value.unseen_since_unix_ms, now_ms)
        ));
    }
    if value.waiting > 0 {
        let waiting = format::counted(value.waiting.into(), "trial waits", "trials wait");
        parts.push(format!("{waiting} for room"));
    }
    if value.left_out > 0 {
        parts.push(format!("{} left out", format::counted(value.left_out, "validation", "validations")));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_what_its_kind_has() {
        let mut validated = v1::SearchEvent {
            number: 7,
            trial: 2,
            hparams_json: "{\"rate\": 0.1}".into(),
            length: 3,
            train_until: 9,
            metric: Some(f64::NAN),
            metrics: vec![v1::Metric { name: "loss".into(), value: 0.5 }],
            ..Default::default()
        };
        validated.set_kind(Kind::Validated);
        let shown = event(&validated);
        assert_eq!((&shown["kind"], &shown["metric"]), (&json!("validated"), &json!("NaN")));
        assert_eq!((&shown["hparams"]["rate"], &shown["metrics"]["loss"]), (&json!(0.1), &json!(0.5)));
        assert_eq!(shown.get("state"), None);
        let mut begun = v1::SearchEvent::default();
        begun.set_kind(Kind::Begun);
        assert_eq!(event(&begun), json!({"number": 0, "time_unix_ms": 0, "kind": "begun", "reason": ""}));
    }

    #[test]
    fn a_search_whose_program_is_away_says_so() {
        let there = v1::SearchProgram { listening: true, ..Default::default() };
        assert_eq!(program_line(&there, 0), "listening; no decision yet");
        let away = v1::SearchProgram {
            client: "evolution".into(),
            decided: 3,
            decided_unix_ms: 60_000,
            unseen: 2,
            unseen_since_unix_ms: 61_000,
            waiting: 4,
            heard_unix_ms: 62_000,
            ..Default::default()
        };
        assert_eq!(
            program_line(&away, 120_000),
            "evolution, away, last heard 58 s ago; 3 decisions, the last 1 min ago; has not seen 2 events, the first from \
             59 s ago; 4 trials wait for room"
        );
    }
}
