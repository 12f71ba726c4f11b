//! What programs are told that run trials themselves, as words and as JSON.

use super::{format, json};
use serde_json::{Value, json};
use toprung_proto::v1::{self, DecisionKind, ask_response::Outcome};

/// `AskResponse`: one of its three fields is not null.
pub(crate) fn asked(value: &Outcome) -> Value {
    match value {
        Outcome::Assignment(given) => json!({"assignment": assignment(given), "nothing": null, "over": null}),
        Outcome::Nothing(nothing) => {
            json!({"assignment": null, "nothing": {"reason": nothing.reason}, "over": null})
        }
        Outcome::Over(over) => json!({"assignment": null, "nothing": null, "over": self::over(over)}),
    }
}

/// `SearchOver`
pub(crate) fn over(value: &v1::SearchOver) -> Value {
    json!({
        "state": format::experiment_state(value.state),
        "reason": value.reason,
        "best": value.best.as_ref().map(json::best),
    })
}

/// `Assignment`
fn assignment(value: &v1::Assignment) -> Value {
    json!({
        "trial": value.trial,
        "attempt": value.attempt,
        "hparams": json::parsed(&value.hparams_json),
        "train_until": value.train_until,
        "max_length": value.max_length,
        "time_metric": value.time_metric,
        "metric": value.metric,
        "smaller_is_better": value.smaller_is_better,
        "checkpoint": Some(&value.checkpoint).filter(|label| !label.is_empty()),
        "from_length": value.from_length,
        "checkpoint_client": value.checkpoint_client,
        "trial_seed": value.trial_seed,
        "lease_ms": value.lease_ms,
        "again": value.again,
    })
}

/// The same for people.
pub(crate) fn asked_text(value: &Outcome) -> String {
    let mut out = match value {
        Outcome::Assignment(given) => {
            let from = match given.from_length {
                0 if given.checkpoint.is_empty() => String::new(),
                length => format!(" from {} (length {length})", given.checkpoint),
            };
            let (trial, attempt, metric) = (given.trial, given.attempt, &given.time_metric);
            let until = given.train_until;
            let mut lines =
                vec![format!("trial {trial}, attempt {attempt}: train{from} until {until} {metric}")];
            lines.extend(
                format::hyperparameter_lines(&given.hparams_json).iter().map(|line| format!("  {line}")),
            );
            lines.join("\n")
        }
        Outcome::Nothing(nothing) => format!("no trial now: {}", nothing.reason),
        Outcome::Over(over) => format!("the search is over: {}", over.reason),
    };
    out.push('\n');
    out
}

/// `TellResponse`
pub(crate) fn told(value: &v1::TellResponse) -> Value {
    let decision = value.decision.clone().unwrap_or_default();
    json!({
        "decision": word(decision.kind()),
        "trial": decision.trial,
        "length": decision.length,
        "reason": decision.reason,
        "counted": value.counted,
        "over": value.over,
        "superseded": value.superseded,
    })
}

/// The same for people.
pub(crate) fn told_text(value: &v1::TellResponse) -> String {
    let decision = value.decision.clone().unwrap_or_default();
    let length = match decision.kind() {
        DecisionKind::Train => format!(" {}", decision.length),
        _ => String::new(),
    };
    let over = if value.over { " (over)" } else { "" };
    format!("{}{length}{over}: {}\n", word(decision.kind()), decision.reason)
}

fn word(kind: DecisionKind) -> &'static str {
    match kind {
        DecisionKind::Train => "train",
        DecisionKind::Pause => "pause",
        DecisionKind::Stop | DecisionKind::Unspecified => "stop",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_and_an_answer_read_as_sentences() {
        let given = v1::Assignment {
            trial: 3,
            attempt: 2,
            train_until: 9,
            time_metric: "epochs".into(),
            checkpoint: "m3".into(),
            from_length: 3,
            hparams_json: r#"{"rate": 0.1}"#.into(),
            ..Default::default()
        };
        let given = Outcome::Assignment(given);
        let text = asked_text(&given);
        assert!(text.starts_with("trial 3, attempt 2: train from m3 (length 3) until 9 epochs\n"), "{text}");
        assert!(text.contains("rate"), "{text}");
        assert_eq!(asked(&given)["assignment"]["hparams"]["rate"], 0.1);
        let decision = v1::Decision { kind: 1, trial: 3, length: 9, reason: "rung 1".into() };
        let answer = v1::TellResponse { decision: Some(decision), ..Default::default() };
        assert_eq!(told_text(&answer), "train 9: rung 1\n");
        assert_eq!(told(&answer)["decision"], "train");
    }
}
