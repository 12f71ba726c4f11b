//! One trial as text, and its log lines. Pure.

use super::{experiment, format};
use crate::live::curve;
use std::fmt::Write as _;
use toprung_proto::v1;

/// `toprung trials ID TRIAL`: the trial and the learning curve of `metric`.
pub(crate) fn show(trial: &v1::Trial, reports: &[v1::TrialReport], metric: &str, now_ms: i64) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{name:<17}{}", format::printable(value));
        }
    };
    row("trial", &format!("{} (bracket {})", trial.id, format::bracket(trial.bracket)));
    row("state", format::trial_state(trial.state));
    row("reason", &trial.reason);
    row("length", &length(trial));
    if let Some(best) = trial.best_metric {
        row("best", &format!("{metric} {} at length {}", format::metric(best), trial.best_length));
    }
    if let Some(latest) = trial.latest_metric {
        row("latest", &format!("{metric} {}", format::metric(latest)));
    }
    row(
        "attempt",
        &format!(
            "{} ({} charged)",
            trial.attempt,
            format::counted(u64::from(trial.restarts), "restart", "restarts")
        ),
    );
    row("attempts", &format::ends_line(trial.ends.as_ref()));
    for policy in &trial.log_policies {
        let name = if policy.name.is_empty() { &policy.pattern } else { &policy.name };
        row("log policy", &format!("{name}: {}", policy.line));
    }
    row("not on", &trial.excluded_agents.join(", "));
    row("agent", &place(trial));
    let took = format::between(trial.created_unix_ms, trial.ended_unix_ms, now_ms);
    row(if trial.ended_unix_ms == 0 { "so far" } else { "took" }, &format::duration_ms(took));
    if let Some(checkpoint) = &trial.checkpoint {
        let size = format::bytes(checkpoint.total_size);
        row("checkpoint", &format!("{} (length {}, {size})", checkpoint.path, checkpoint.length));
    }
    for (index, part) in format::hyperparameter_lines(&trial.hparams_json).iter().enumerate() {
        row(if index == 0 { "hyperparameters" } else { "" }, part);
    }
    if trial.failure.is_some() {
        text.push('\n');
        text.push_str(&experiment::failure(trial));
    }
    text.push_str(&learning_curve(reports, metric));
    text
}

fn length(trial: &v1::Trial) -> String {
    if trial.train_until > trial.length {
        format!("{} (training until {})", trial.length, trial.train_until)
    } else {
        trial.length.to_string()
    }
}

fn place(trial: &v1::Trial) -> String {
    if trial.agent.is_empty() {
        return String::new();
    }
    let slots: Vec<_> = trial.slots.iter().map(u32::to_string).collect();
    format!("{} (slots {})", trial.agent, slots.join(", "))
}

/// The validations of a metric, in the order of length.
pub(crate) fn validations(reports: &[v1::TrialReport], metric: &str) -> Vec<v1::CurvePoint> {
    let mut points: Vec<v1::CurvePoint> = reports
        .iter()
        .filter_map(|report| report.report.as_ref())
        .filter(|report| report.group() == v1::MetricGroup::Validation)
        .filter_map(|report| {
            let found = report.metrics.iter().find(|found| found.name == metric)?;
            Some(v1::CurvePoint { length: report.length, metric: found.value })
        })
        .collect();
    points.sort_by_key(|point| point.length);
    points
}

fn learning_curve(reports: &[v1::TrialReport], metric: &str) -> String {
    let points = validations(reports, metric);
    if points.is_empty() {
        return "\nno validation reported yet\n".to_owned();
    }
    // Two points make no curve.
    if points.len() < 3 {
        let line = |point: &v1::CurvePoint| {
            format!("length {}: {metric} {}\n", point.length, format::metric(point.metric))
        };
        return std::iter::once("\n".to_owned()).chain(points.iter().map(line)).collect();
    }
    let mut text = format!("\n{metric}\n");
    for line in curve::text(&points, 72, 14) {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A line of a log: "trial 7 | text", coloured by stream when asked for.
pub(crate) fn log_line(line: &v1::TrialLogLine, colour: bool) -> String {
    let (stream, content) = line
        .line
        .as_ref()
        .map_or((v1::LogStream::Unspecified, ""), |inner| (inner.stream(), inner.text.as_str()));
    let prefix = format!("trial {:<3} | ", line.trial);
    if !colour {
        return format!("{prefix}{content}\n");
    }
    let paint = match stream {
        v1::LogStream::Stderr => "\u{1b}[33m",
        v1::LogStream::Toprung => "\u{1b}[36m",
        _ => "",
    };
    // What a trial prints may colour itself, but must not leak into the next line.
    format!("\u{1b}[2m{prefix}\u{1b}[0m{paint}{content}\u{1b}[0m\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(group: v1::MetricGroup, length: u64, value: f64) -> v1::TrialReport {
        let metric = v1::Metric { name: "error".into(), value };
        let mut report = v1::Report { length, metrics: vec![metric], ..Default::default() };
        report.set_group(group);
        v1::TrialReport { trial: 1, attempt: 1, report: Some(report) }
    }

    #[test]
    fn only_validations_of_the_metric_make_the_curve() {
        use v1::MetricGroup::{Training, Validation};
        let reports = [report(Validation, 3, 0.5), report(Training, 2, 9.0), report(Validation, 1, 0.9)];
        let lengths: Vec<_> =
            validations(&reports, "error").iter().map(|point| (point.length, point.metric)).collect();
        assert_eq!(lengths, [(1, 0.9), (3, 0.5)]);
        assert!(validations(&reports, "loss").is_empty());
    }

    #[test]
    fn a_trial_is_shown_with_its_curve() {
        let validation = |length, value| report(v1::MetricGroup::Validation, length, value);
        let reports = [validation(1, 0.9), validation(3, 0.7), validation(9, 0.5)];
        let trial = v1::Trial {
            id: 4,
            length: 9,
            train_until: 27,
            best_metric: Some(0.5),
            hparams_json: r#"{"lr": 0.1}"#.into(),
            ..Default::default()
        };
        let shown = show(&trial, &reports, "error", 0);
        assert!(shown.contains("9 (training until 27)"), "{shown}");
        assert!(shown.contains("lr=0.1"), "{shown}");
        assert!(shown.contains("0.9│") && shown.contains("0.5│"), "{shown}");
        let short = show(&trial, &reports[..1], "error", 0);
        assert!(short.contains("length 1: error 0.9\n") && !short.contains('│'), "{short}");
    }

    #[test]
    fn log_lines_name_their_trial() {
        let inner = v1::LogLine { text: "epoch 1".into(), ..Default::default() };
        let line = v1::TrialLogLine { trial: 7, attempt: 1, line: Some(inner) };
        assert_eq!(log_line(&line, false), "trial 7   | epoch 1\n");
        assert!(log_line(&line, true).ends_with("epoch 1\u{1b}[0m\n"));
    }
}
