//! One experiment as text: `show`, `best`, and the result at the end of a search. Pure.

use super::{deciding, format, table};
use std::fmt::Write as _;
use toprung_proto::v1;
use v1::ExperimentState as State;

/// How many trials the result lists.
pub(crate) const RANKED: u32 = 10;

/// What the end of a search shows.
pub(crate) struct Ending<'a> {
    /// The experiment as it ended.
    pub experiment: &'a v1::Experiment,
    /// Its best trials, best first.
    pub best: &'a [v1::Trial],
    /// The trial whose failure ended it, if one did.
    pub failed: Option<&'a v1::Trial>,
    /// What the commands for more need to reach the same engine.
    pub hint: &'a str,
}

/// The end of a search: the best trials, where the checkpoint lies, what it cost, and how to see more.
pub(crate) fn ending(ending: &Ending<'_>, now_ms: i64, width: table::Width) -> String {
    let experiment = ending.experiment;
    let mut text = String::new();
    line(&mut text, &headline(experiment));
    if !ending.best.is_empty() {
        text.push('\n');
        text.push_str(&table::ranked(ending.best, &experiment.metric, width));
    }
    if let Some(trial) = ending.failed {
        text.push('\n');
        text.push_str(&failure(trial));
    }
    text.push('\n');
    if let Some(best) = &experiment.best {
        line(&mut text, &format!("checkpoint  {}", checkpoint_line(best)));
    }
    line(&mut text, &format!("training    {}", spent(experiment)));
    let trials = experiment.trials.unwrap_or_default();
    if trials.error > 0 && ending.failed.is_none() {
        let failed = format!(
            "{} of {} trials: toprung trials {}{}",
            trials.error, trials.total, experiment.id, ending.hint
        );
        line(&mut text, &format!("failed      {failed}"));
    }
    let took = format::between(experiment.created_unix_ms, experiment.ended_unix_ms, now_ms);
    let active = match took.saturating_sub(experiment.active_ms) {
        0..10_000 => String::new(),
        _ => format!(" (active {})", format::duration_ms(experiment.active_ms)),
    };
    line(&mut text, &format!("time        {}{active}", format::duration_ms(took)));
    line(&mut text, &format!("more        {}", more(ending)));
    text
}

/// "digits: experiment 1 completed", with the reason where it did not go well.
fn headline(experiment: &v1::Experiment) -> String {
    let state = format::experiment_state(experiment.state);
    let name = format::printable(&experiment.name);
    let head = format!("{name}: experiment {} {state}", experiment.id);
    let reason = format::printable(&experiment.reason);
    if experiment.state() == State::Error && !reason.is_empty() {
        return format!("{head}: {reason}");
    }
    head
}

/// The last lines of a trial that failed.
pub(crate) fn failure(trial: &v1::Trial) -> String {
    let Some(exit) = &trial.failure else {
        return format!("trial {} failed: {}\n", trial.id, format::printable(&trial.reason));
    };
    let cause = match exit.cause() {
        v1::ExitCause::Unspecified
        | v1::ExitCause::Failed
        // Their message says it.
        | v1::ExitCause::Signal
        | v1::ExitCause::OutOfMemory
        | v1::ExitCause::DeviceOutOfMemory => String::new(),
        _ => format!(" ({})", format::exit_cause(exit.cause).replace('_', " ")),
    };
    let mut text = format!("trial {} failed{cause}: {}\n", trial.id, format::printable(&exit.message));
    for last in &exit.last_lines {
        line(&mut text, &format!("  | {}", format::printable(last)));
    }
    text
}

fn more(ending: &Ending<'_>) -> String {
    let id = ending.experiment.id;
    let trial = ending
        .failed
        .map(|trial| trial.id)
        .or_else(|| ending.experiment.best.as_ref().map(|best| best.trial))
        .unwrap_or(1);
    let hint = ending.hint;
    format!(
        "toprung trials {id}{hint} · toprung logs {id} --trial {trial}{hint} · toprung best {id} --json{hint}"
    )
}

fn checkpoint_line(best: &v1::BestTrial) -> String {
    match &best.checkpoint {
        Some(checkpoint) => format!(
            "{} (trial {}, length {}, {})",
            format::printable(&checkpoint.path),
            best.trial,
            checkpoint.length,
            format::bytes(checkpoint.total_size)
        ),
        None => format!("none: trial {} saved none", best.trial),
    }
}

fn spent(experiment: &v1::Experiment) -> String {
    let spent = format::spent(experiment.total_length, experiment.full_length, &experiment.time_metric);
    format!("{spent} of training all trials in full")
}

/// "3 pending, 1 running, 20 stopped": only what there is.
pub(crate) fn counts(trials: &v1::TrialCounts) -> String {
    let all = [
        (trials.pending, "pending"),
        (trials.starting, "starting"),
        (trials.running, "running"),
        (trials.stopping, "stopping"),
        (trials.paused, "paused"),
        (trials.completed, "completed"),
        (trials.stopped, "stopped"),
        (trials.error, "failed"),
        (trials.invalid, "invalid"),
        (trials.killed, "killed"),
    ];
    let parts: Vec<_> =
        all.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if parts.is_empty() { "none yet".to_owned() } else { parts.join(", ") }
}

/// `toprung show ID`
pub(crate) fn show(experiment: &v1::Experiment, now_ms: i64) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            line(&mut text, &format!("{name:<12}{}", format::printable(value)));
        }
    };
    row("experiment", &format!("{} {}", experiment.id, experiment.name));
    row("state", format::experiment_state(experiment.state));
    row("reason", &experiment.reason);
    row("description", &experiment.description);
    row("labels", &experiment.labels.join(", "));
    let aim = if experiment.smaller_is_better { "smaller is better" } else { "larger is better" };
    row("searcher", &format!("{}, {} ({aim})", experiment.searcher, experiment.metric));
    for note in &experiment.searcher_notes {
        row("", note);
    }
    if let Some(program) = &experiment.program
        && experiment.ended_unix_ms == 0
    {
        row("program", &deciding::program_line(program, now_ms));
    }
    row("trials", &trials_line(experiment));
    row("attempts", &format::ends_line(experiment.ends.as_ref()));
    for excluded in &experiment.excluded_agents {
        row("excluded", &format!("{}: {}", excluded.agent, excluded.reason));
    }
    row("training", &spent(experiment));
    let progress = format!("{:.0} %", experiment.progress * 100.0);
    row("progress", &progress);
    row("started", &format::ago(experiment.created_unix_ms, now_ms));
    let took = format::between(experiment.created_unix_ms, experiment.ended_unix_ms, now_ms);
    let (took, active) = (format::duration_ms(took), format::duration_ms(experiment.active_ms));
    match experiment.state() {
        State::Completed | State::Killed | State::Error => row("took", &format!("{took} (active {active})")),
        State::Pausing | State::Paused => row("active", &active),
        _ => row("running for", &format!("{took} (active {active})")),
    }
    match &experiment.best {
        Some(best) => {
            let value = format::metric(best.metric);
            let at = format!("{} {}", best.length, experiment.time_metric);
            row("best", &format!("trial {}: {} {value} at {at}", best.trial, experiment.metric));
            row("", &format::hyperparameters(&best.hparams_json));
            row("checkpoint", &checkpoint_line(best));
        }
        None => row("best", "none yet: no trial has reported a validation"),
    }
    if experiment.checkpoint_count > 0 {
        let count = format::counted(experiment.checkpoint_count, "checkpoint", "checkpoints");
        row("kept", &format!("{count}, {}", format::bytes(experiment.checkpoint_bytes)));
    }
    for warning in &experiment.warnings {
        row("warning", warning);
    }
    text
}

fn trials_line(experiment: &v1::Experiment) -> String {
    experiment
        .trials
        .as_ref()
        .map_or_else(|| "none yet".to_owned(), |trials| format!("{}: {}", trials.total, counts(trials)))
}

/// `toprung best ID`
pub(crate) fn best(experiment: &v1::Experiment) -> String {
    let Some(best) = &experiment.best else {
        return format!("experiment {}: no trial has reported a validation yet\n", experiment.id);
    };
    let mut text = String::new();
    line(&mut text, &format!("trial       {}", best.trial));
    line(&mut text, &format!("{:<11} {}", experiment.metric, format::metric(best.metric)));
    line(&mut text, &format!("length      {} {}", best.length, experiment.time_metric));
    line(&mut text, &format!("checkpoint  {}", checkpoint_line(best)));
    line(&mut text, "hyperparameters");
    for part in format::hyperparameter_lines(&best.hparams_json) {
        line(&mut text, &format!("  {}", format::printable(&part)));
    }
    text
}

fn line(text: &mut String, content: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{content}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(state: State) -> v1::Experiment {
        let checkpoint =
            v1::Checkpoint { path: "/data/c1".into(), length: 27, total_size: 2048, ..Default::default() };
        let mut experiment = v1::Experiment {
            id: 1,
            name: "digits".into(),
            metric: "error".into(),
            time_metric: "epochs".into(),
            total_length: 412,
            full_length: 864,
            created_unix_ms: 1_000,
            ended_unix_ms: 131_000,
            active_ms: 100_000,
            reason: "trial 3 failed 6 times".into(),
            best: Some(v1::BestTrial {
                trial: 7,
                metric: 0.03,
                length: 27,
                hparams_json: r#"{"lr": 0.1}"#.into(),
                checkpoint: Some(checkpoint),
            }),
            ..Default::default()
        };
        experiment.set_state(state);
        experiment
    }

    #[test]
    fn the_end_says_what_it_cost_and_what_to_do_next() {
        let experiment = experiment(State::Completed);
        let best = [v1::Trial { id: 7, best_metric: Some(0.03), ..Default::default() }];
        let shown = ending(&Ending { experiment: &experiment, best: &best, failed: None, hint: "" }, 0, None);
        assert!(shown.starts_with("digits: experiment 1 completed\n"), "{shown}");
        assert!(shown.contains("412 of 864 epochs (48 %)"), "{shown}");
        assert!(shown.contains("/data/c1 (trial 7, length 27, 2.0 KiB)"), "{shown}");
        assert!(shown.contains("time        2 min 10 s (active 1 min 40 s)"), "{shown}");
        assert!(shown.contains("toprung logs 1 --trial 7"), "{shown}");
    }

    #[test]
    fn failed_trials_of_a_good_search_are_mentioned() {
        let mut experiment = experiment(State::Completed);
        experiment.trials = Some(v1::TrialCounts { total: 5, error: 2, ..Default::default() });
        let shown = ending(&Ending { experiment: &experiment, best: &[], failed: None, hint: "" }, 0, None);
        assert!(shown.contains("failed      2 of 5 trials: toprung trials 1\n"), "{shown}");
    }

    #[test]
    fn a_failed_search_shows_why_and_the_last_lines() {
        let experiment = experiment(State::Error);
        let mut exit = v1::Exit {
            message: "exit code 1".into(),
            last_lines: vec!["ValueError: \u{1b}[31mno".into()],
            ..Default::default()
        };
        exit.set_cause(v1::ExitCause::Failed);
        let trial = v1::Trial { id: 3, failure: Some(exit), ..Default::default() };
        let given = Ending { experiment: &experiment, best: &[], failed: Some(&trial), hint: " --server h" };
        let shown = ending(&given, 0, None);
        assert!(shown.starts_with("digits: experiment 1 error: trial 3 failed 6 times\n"), "{shown}");
        assert!(shown.contains("trial 3 failed: exit code 1\n  | ValueError: [31mno"), "{shown}");
        assert!(shown.contains("--trial 3 --server h ·"), "{shown}");
    }

    #[test]
    fn show_without_a_best_says_so() {
        let mut experiment = experiment(State::Active);
        experiment.best = None;
        assert!(show(&experiment, 5_000).contains("no trial has reported a validation"));
    }

    #[test]
    fn only_what_has_ended_took_its_time() {
        let times = |state, ended_unix_ms| {
            let shown = show(&v1::Experiment { ended_unix_ms, ..experiment(state) }, 8_000);
            let lines = shown.lines().filter(|line| {
                ["started", "running", "took", "active"].iter().any(|word| line.starts_with(word))
            });
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let started = "started     7 s ago";
        assert_eq!(times(State::Completed, 131_000), [started, "took        2 min 10 s (active 1 min 40 s)"]);
        assert_eq!(times(State::Active, 0), [started, "running for 7 s (active 1 min 40 s)"]);
        assert_eq!(times(State::Paused, 0), [started, "active      1 min 40 s"]);
    }

    #[test]
    fn only_states_that_occur_are_counted() {
        let trials = v1::TrialCounts { total: 5, running: 2, stopped: 3, ..Default::default() };
        assert_eq!(counts(&trials), "2 running, 3 stopped");
    }
}
