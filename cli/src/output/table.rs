//! Tables of experiments, trials and agents. Pure: rows in, text out.

use super::format;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use toprung_proto::v1;

/// How wide the text may be; none: as wide as it needs (not a terminal).
pub(crate) type Width = Option<u16>;

/// The width of the terminal of standard output.
pub(crate) fn terminal_width() -> Width {
    use std::io::IsTerminal as _;
    if !std::io::stdout().is_terminal() {
        return None;
    }
    ratatui::crossterm::terminal::size().ok().map(|(width, _)| width.max(40))
}

/// An empty table with these headings.
pub(crate) fn plain(headings: &[&str], width: Width) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings.iter().map(Cell::new));
    table.set_content_arrangement(ContentArrangement::Dynamic);
    match width {
        Some(width) => table.set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}

/// A number in a column of numbers.
pub(crate) fn right(text: impl ToString) -> Cell {
    Cell::new(text.to_string()).set_alignment(CellAlignment::Right)
}

/// The text with a line end, without blanks at line ends.
pub(crate) fn text(table: &Table) -> String {
    let mut lines = String::new();
    for line in table.lines() {
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

/// `toprung list`
pub(crate) fn experiments(experiments: &[v1::Experiment], now_ms: i64, width: Width) -> String {
    let headings = ["id", "name", "state", "searcher", "trials", "progress", "best", "started", "active"];
    let mut table = plain(&headings, width);
    for experiment in experiments {
        let best = experiment.best.as_ref().map_or_else(
            || "-".to_owned(),
            |best| format!("{} {}", experiment.metric, format::metric(best.metric)),
        );
        table.add_row(vec![
            right(experiment.id),
            Cell::new(format::printable(&experiment.name)),
            Cell::new(format::experiment_state(experiment.state)),
            Cell::new(&experiment.searcher),
            right(experiment.trials.as_ref().map_or(0, |trials| trials.total)),
            right(format!("{:.0} %", experiment.progress * 100.0)),
            Cell::new(best),
            Cell::new(format::ago(experiment.created_unix_ms, now_ms)),
            Cell::new(format::duration_ms(experiment.active_ms)),
        ]);
    }
    text(&table)
}

/// `toprung trials ID`
pub(crate) fn trials(trials: &[v1::Trial], metric: &str, width: Width) -> String {
    let headings = ["trial", "state", "length", metric, "at", "restarts", "hyperparameters", "reason"];
    let mut table = plain(&headings, width);
    for trial in trials {
        table.add_row(vec![
            right(trial.id),
            Cell::new(format::trial_state(trial.state)),
            right(trial.length),
            right(format::optional_metric(trial.best_metric)),
            right(at(trial)),
            right(trial.restarts),
            Cell::new(format::printable(&format::hyperparameters(&trial.hparams_json))),
            Cell::new(format::printable(&trial.reason)),
        ]);
    }
    text(&table)
}

fn at(trial: &v1::Trial) -> String {
    trial.best_metric.map_or_else(|| "-".to_owned(), |_| trial.best_length.to_string())
}

/// The best trials at the end of a search, with their rank.
pub(crate) fn ranked(trials: &[v1::Trial], metric: &str, width: Width) -> String {
    let headings = ["rank", "trial", metric, "length", "state", "hyperparameters"];
    let mut table = plain(&headings, width);
    for (index, trial) in trials.iter().enumerate() {
        table.add_row(vec![
            right(index + 1),
            right(trial.id),
            right(format::optional_metric(trial.best_metric)),
            right(at(trial)),
            Cell::new(format::trial_state(trial.state)),
            Cell::new(format::printable(&format::hyperparameters(&trial.hparams_json))),
        ]);
    }
    text(&table)
}

/// `toprung agents`
pub(crate) fn agents(agents: &[v1::Agent], now_ms: i64, width: Width) -> String {
    let mut table =
        plain(&["agent", "host", "version", "connected", "state", "slot", "device", "runs"], width);
    for agent in agents {
        let connected =
            if agent.connected { format::ago(agent.connected_unix_ms, now_ms) } else { "lost".to_owned() };
        let first = [
            format::printable(&agent.name),
            or_dash(format::printable(&agent.host)),
            or_dash(agent.version.clone()),
            connected,
            format::agent_state(agent),
        ];
        if agent.slots.is_empty() {
            table.add_row(first.iter().map(String::as_str).chain(["-", "-", "-"]));
        }
        for (index, slot) in agent.slots.iter().enumerate() {
            let shown = if index == 0 { first.clone() } else { Default::default() };
            table.add_row(shown.into_iter().chain(slot_cells(slot)));
        }
    }
    let excluded = agents.iter().flat_map(|agent| agent.excluded_from.iter().map(move |from| (agent, from)));
    let line = |(agent, from): (&v1::Agent, &v1::ExcludedFrom)| {
        let (name, reason) = (format::printable(&agent.name), format::printable(&from.reason));
        format!("{name} is excluded from experiment {}: {reason}\n", from.experiment)
    };
    let excluded: Vec<String> = excluded.map(line).collect();
    let gap = if excluded.is_empty() { "" } else { "\n" };
    format!("{}{gap}{}", text(&table), excluded.concat())
}

/// An agent that has not come since the engine started has said nothing of itself.
fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// `toprung checkpoints list`
pub(crate) fn checkpoints(checkpoints: &[v1::Checkpoint], width: Width) -> String {
    let mut table = plain(&["checkpoint", "trial", "length", "size", "agent"], width);
    for checkpoint in checkpoints {
        table.add_row(vec![
            Cell::new(&checkpoint.uuid),
            right(checkpoint.trial),
            right(checkpoint.length),
            right(format::bytes(checkpoint.total_size)),
            Cell::new(format::printable(&checkpoint.agent)),
        ]);
    }
    text(&table)
}

fn slot_cells(slot: &v1::AgentSlot) -> [String; 3] {
    let runs = slot.attempt.as_ref().map_or_else(
        || "free".to_owned(),
        |attempt| format!("experiment {} trial {}", attempt.experiment, attempt.trial),
    );
    match &slot.slot {
        Some(device) if device.memory_bytes > 0 => [
            device.index.to_string(),
            format!("{} ({})", device.name, format::bytes(device.memory_bytes)),
            runs,
        ],
        Some(device) => [device.index.to_string(), device.name.clone(), runs],
        None => ["-".to_owned(), "-".to_owned(), runs],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(id: u32, metric: Option<f64>) -> v1::Trial {
        let mut trial = v1::Trial {
            id,
            best_metric: metric,
            best_length: 9,
            length: 9,
            hparams_json: r#"{"lr": 0.1}"#.into(),
            ..Default::default()
        };
        trial.set_state(v1::TrialState::Completed);
        trial
    }

    #[test]
    fn ranks_count_from_one_and_a_missing_metric_is_a_dash() {
        let shown = ranked(&[trial(7, Some(0.25)), trial(3, None)], "error", None);
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["rank", "trial", "error", "length", "state", "hyperparameters"]);
        assert_eq!(lines[1], ["1", "7", "0.25", "9", "completed", "lr=0.1"]);
        assert_eq!(lines[2], ["2", "3", "-", "-", "completed", "lr=0.1"]);
    }

    #[test]
    fn a_narrow_terminal_is_respected() {
        let mut long = trial(1, Some(1.0));
        long.hparams_json = format!(r#"{{"name": "{}"}}"#, "word ".repeat(40));
        let shown = trials(&[long], "error", Some(80));
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    }

    #[test]
    fn free_and_used_slots_of_an_agent() {
        let slot = |index, attempt| v1::AgentSlot {
            slot: Some(v1::Slot { index, name: "cpu".into(), ..Default::default() }),
            attempt,
        };
        let used = v1::AttemptId { experiment: 1, trial: 4, attempt: 2 };
        let agent = v1::Agent {
            name: "box".into(),
            connected: true,
            slots: vec![slot(0, Some(used)), slot(1, None)],
            ..Default::default()
        };
        let shown = agents(&[agent], 1_000, None);
        assert!(shown.contains("experiment 1 trial 4"), "{shown}");
        assert!(shown.contains("free") && shown.contains("ready"), "{shown}");
    }
}
