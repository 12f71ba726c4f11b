//! Values as a person reads them: numbers, times, sizes, states, hyperparameters. Pure.

use serde_json::Value;
use toprung_proto::v1::{self, ExitCause, ExperimentState, LogStream, SlotKind, TrialState};

/// A metric with the digits that matter: five or six, without trailing zeros.
pub(crate) fn metric(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if value != 0.0 && !(1e-4..1e9).contains(&size) {
        return trim_exponent(&format!("{value:.4e}"));
    }
    let magnitude = if value == 0.0 { 0 } else { size.log10().floor() as i32 };
    let decimals = usize::try_from(5 - magnitude - i32::from(magnitude < 0)).unwrap_or(0);
    trim_zeros(&format!("{value:.decimals$}"))
}

/// "1.2300e-5" → "1.23e-5"
fn trim_exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, exponent)) => format!("{}e{exponent}", trim_zeros(digits)),
        None => text.to_owned(),
    }
}

fn trim_zeros(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

/// A metric that may not be there yet.
pub(crate) fn optional_metric(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), metric)
}

/// "42 s", "2 min 10 s", "3 h 5 min", "2 d 4 h"
pub(crate) fn duration_ms(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", seconds % 60),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// The same with one unit: "2 min".
pub(crate) fn coarse_ms(milliseconds: u64) -> String {
    let text = duration_ms(milliseconds);
    let parts: Vec<&str> = text.split(' ').take(2).collect();
    parts.join(" ")
}

/// "512 B", "1.5 MiB"
pub(crate) fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// "1 trial", "2 trials"
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The share of `part` in `whole` in per cent; nothing of nothing is 0.
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    if whole == 0 { 0 } else { (part as f64 / whole as f64 * 100.0).round() as u64 }
}

/// "412 of 864 epochs (48 %)"
pub(crate) fn spent(total: u64, full: u64, time_metric: &str) -> String {
    format!("{total} of {full} {time_metric} ({} %)", percent(total, full))
}

/// The time between two moments (Unix, ms), or until `now` while the second is 0.
pub(crate) fn between(start: i64, end: i64, now: i64) -> u64 {
    let end = if end == 0 { now } else { end };
    u64::try_from(end.saturating_sub(start)).unwrap_or(0)
}

/// "3 min ago"
pub(crate) fn ago(then: i64, now: i64) -> String {
    let passed = between(then, 0, now);
    if passed < 1_000 {
        return "just now".to_owned();
    }
    format!("{} ago", coarse_ms(passed))
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |passed| i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
}

/// "learning_rate=0.0031 group.hidden=64": nested groups with dots, numbers shortened.
pub(crate) fn hyperparameters(json: &str) -> String {
    hyperparameter_lines(json).join(" ")
}

/// The same, one by one.
pub(crate) fn hyperparameter_lines(json: &str) -> Vec<String> {
    match serde_json::from_str::<Value>(json) {
        Ok(Value::Object(map)) => {
            let mut parts = Vec::new();
            for (name, value) in &map {
                flatten(name, value, &mut parts);
            }
            parts
        }
        _ if json.is_empty() => Vec::new(),
        _ => vec![json.to_owned()],
    }
}

/// Names with dots and values, one per hyperparameter.
fn flatten(name: &str, value: &Value, parts: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (inner, value) in map {
                flatten(&format!("{name}.{inner}"), value, parts);
            }
        }
        Value::Number(number) if number.is_f64() => {
            parts.push(format!("{name}={}", metric(number.as_f64().unwrap_or(f64::NAN))));
        }
        Value::String(text) => parts.push(format!("{name}={text}")),
        other => parts.push(format!("{name}={other}")),
    }
}

/// At most `width` characters; what is cut is marked.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 { String::new() } else { format!("{kept}…") }
}

/// Text that came from a trial or a server, without what would move the cursor or change colours.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control() || *character == '\t').collect()
}

/// Brackets are lettered for people: a number would read as a length.
pub(crate) fn bracket(index: u32) -> String {
    let letter = char::from(b'A' + (index % 26) as u8);
    if index < 26 { letter.to_string() } else { format!("{letter}{}", index / 26) }
}

/// "active", …
pub(crate) fn experiment_state(state: i32) -> &'static str {
    match ExperimentState::try_from(state).unwrap_or_default() {
        ExperimentState::Unspecified => "unspecified",
        ExperimentState::Active => "active",
        ExperimentState::Pausing => "pausing",
        ExperimentState::Paused => "paused",
        ExperimentState::Killing => "killing",
        ExperimentState::Completed => "completed",
        ExperimentState::Killed => "killed",
        ExperimentState::Error => "error",
    }
}

/// "pending", …
pub(crate) fn trial_state(state: i32) -> &'static str {
    match TrialState::try_from(state).unwrap_or_default() {
        TrialState::Unspecified => "unspecified",
        TrialState::Pending => "pending",
        TrialState::Starting => "starting",
        TrialState::Running => "running",
        TrialState::Stopping => "stopping",
        TrialState::Paused => "paused",
        TrialState::Completed => "completed",
        TrialState::Stopped => "stopped",
        TrialState::Error => "error",
        TrialState::InvalidHyperparameters => "invalid_hyperparameters",
        TrialState::Killed => "killed",
    }
}

/// "failed", …
pub(crate) fn exit_cause(cause: i32) -> &'static str {
    match ExitCause::try_from(cause).unwrap_or_default() {
        ExitCause::Unspecified => "unspecified",
        ExitCause::Success => "success",
        ExitCause::Failed => "failed",
        ExitCause::Signal => "signal",
        ExitCause::OutOfMemory => "out_of_memory",
        ExitCause::DeviceOutOfMemory => "device_out_of_memory",
        ExitCause::InvalidHyperparameters => "invalid_hyperparameters",
        ExitCause::Environment => "environment",
        ExitCause::Entrypoint => "entrypoint",
        ExitCause::Requested => "requested",
        ExitCause::AgentLost => "agent_lost",
        ExitCause::Contract => "contract",
    }
}

/// How attempts ended: the name in JSON, the words for people, the count.
pub(crate) fn ends(ends: &v1::AttemptEnds) -> [(&'static str, &'static str, u32); 11] {
    [
        ("failed", "failed", ends.failed),
        ("signal", "ended by a signal", ends.signal),
        ("out_of_memory", "out of memory", ends.out_of_memory),
        ("device_out_of_memory", "out of GPU memory", ends.device_out_of_memory),
        ("environment", "without an environment", ends.environment),
        ("entrypoint", "without an entrypoint", ends.entrypoint),
        ("contract", "broke the contract", ends.contract),
        ("invalid_hyperparameters", "with invalid hyperparameters", ends.invalid_hyperparameters),
        ("agent_lost", "lost with their agent", ends.agent_lost),
        ("preempted", "gave their slots back", ends.preempted),
        ("not_charged", "of the failures not charged", ends.not_charged),
    ]
}

/// "3 failed, 1 lost with its agent"; empty: nothing happened.
pub(crate) fn ends_line(counted: Option<&v1::AttemptEnds>) -> String {
    let all = counted.map(ends).into_iter().flatten().filter(|(_, _, count)| *count > 0);
    let part = |(_, words, count): (&str, &str, u32)| {
        let words = if count == 1 { one(words) } else { words };
        format!("{count} {words}")
    };
    all.map(part).collect::<Vec<_>>().join(", ")
}

/// Of one attempt.
fn one(words: &str) -> &str {
    match words {
        "lost with their agent" => "lost with its agent",
        "gave their slots back" => "gave its slots back",
        other => other,
    }
}

/// "stdout", "stderr", "toprung"
pub(crate) fn log_stream(stream: i32) -> &'static str {
    match LogStream::try_from(stream).unwrap_or_default() {
        LogStream::Unspecified => "unspecified",
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
        LogStream::Toprung => "toprung",
    }
}

/// "cpu", "gpu"
pub(crate) fn slot_kind(kind: i32) -> &'static str {
    match SlotKind::try_from(kind).unwrap_or_default() {
        SlotKind::Unspecified => "unspecified",
        SlotKind::Cpu => "cpu",
        SlotKind::Gpu => "gpu",
    }
}

/// "3 attempts"
pub(crate) fn attempts(count: u32) -> String {
    if count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
}

/// Whether an agent may be given work, for people.
pub(crate) fn agent_state(agent: &v1::Agent) -> String {
    let reason = if agent.drain_reason.is_empty() {
        String::new()
    } else {
        format!(": {}", printable(&agent.drain_reason))
    };
    match agent.attempts {
        0 if agent.draining => format!("drained{reason}"),
        left if agent.draining => format!("draining ({} left){reason}", attempts(left)),
        _ if agent.connected => "ready".to_owned(),
        _ => "not connected".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_keep_the_digits_that_matter() {
        let cases = [
            (0.0, "0"),
            (0.5, "0.5"),
            (0.031_25, "0.03125"),
            (0.123_456_789, "0.12346"),
            (0.001_234_567, "0.0012346"),
            (12.345_678, "12.3457"),
            (123_456.78, "123457"),
            (27.0, "27"),
            (100.0, "100"),
            (3.2e-7, "3.2e-7"),
            (-1.5, "-1.5"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expected) in cases {
            assert_eq!(metric(value), expected, "{value}");
        }
    }

    #[test]
    fn durations_show_two_units() {
        assert_eq!(duration_ms(999), "0 s");
        assert_eq!(duration_ms(130_000), "2 min 10 s");
        assert_eq!(duration_ms(11_100_000), "3 h 5 min");
        assert_eq!(duration_ms(187_200_000), "2 d 4 h");
        assert_eq!(ago(0, 130_000), "2 min ago");
        assert_eq!((ago(0, 7_000).as_str(), ago(0, 999).as_str()), ("7 s ago", "just now"));
    }

    #[test]
    fn training_spent_is_compared_with_all_of_it() {
        assert_eq!(spent(412, 864, "epochs"), "412 of 864 epochs (48 %)");
        assert_eq!(spent(0, 0, "epochs"), "0 of 0 epochs (0 %)");
    }

    #[test]
    fn hyperparameters_are_flat_and_short() {
        let json = r#"{"lr": 0.00123456789, "net": {"hidden": 64, "act": "relu"}, "tags": [1, 2]}"#;
        assert_eq!(hyperparameters(json), "lr=0.0012346 net.hidden=64 net.act=relu tags=[1,2]");
        assert_eq!(hyperparameters("{}"), "");
    }

    #[test]
    fn long_text_is_cut_and_control_characters_go() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abc", 4), "abc");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(printable("a\u{1b}[2Jb\r"), "a[2Jb");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1_572_864), "1.5 MiB");
    }
}
