//! What a search would do, as text. Pure.

use super::{format, table};
use std::fmt::Write as _;
use toprung_proto::v1;

/// `toprung plan`. `placement`: how a model places trials, if one does; then the samples are only where it begins.
pub(crate) fn plan(
    preview: &v1::PreviewExperimentResponse,
    placement: Option<&str>,
    width: table::Width,
) -> String {
    let mut text = String::new();
    if let Some(plan) = &preview.plan {
        text.push_str(&search(plan, width));
    }
    if let Some(placement) = placement {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "model     {placement}");
    }
    if !preview.sample_hparams_json.is_empty() {
        text.push_str(match placement {
            Some(_) => "\nrandom draws, with which the model begins\n",
            None => "\nthe first trials\n",
        });
    }
    for (index, sample) in preview.sample_hparams_json.iter().enumerate() {
        let shown = format::printable(&format::hyperparameters(sample));
        let shown = if shown.is_empty() { "(no hyperparameters)".to_owned() } else { shown };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  {}  {shown}", index + 1);
    }
    text
}

fn search(plan: &v1::SearchPlan, width: table::Width) -> String {
    let trials = format::counted(plan.trials, "trial", "trials");
    let mut text =
        format!("{}: {trials}, at most {} {} each\n\n", plan.searcher, plan.max_length, plan.time_metric);
    if plan.brackets.len() > 1 || plan.brackets.iter().any(|bracket| bracket.rung_lengths.len() > 1) {
        text.push_str(&brackets(plan, width));
        text.push('\n');
    }
    let mut table = table::plain(&["ending at", "trials", ""], width);
    let most = plan.ending.iter().map(|count| count.trials).max().unwrap_or(0);
    for count in &plan.ending {
        let length = (count.trials * 30).div_ceil(most.max(1));
        table.add_row(vec![
            table::right(count.length),
            table::right(count.trials),
            comfy_table::Cell::new("█".repeat(length as usize)),
        ]);
    }
    text.push_str(&table::text(&table));
    let spent = format::spent(plan.total_length, plan.full_length, &plan.time_metric);
    let _ = writeln!(text, "\ntraining  about {spent} of training all trials in full");
    text
}

fn brackets(plan: &v1::SearchPlan, width: table::Width) -> String {
    let mut table = table::plain(&["bracket", "trials", "rungs", "trials ending at each length"], width);
    for (index, bracket) in plan.brackets.iter().enumerate() {
        let rungs: Vec<_> = bracket.rung_lengths.iter().map(u64::to_string).collect();
        let ending: Vec<_> =
            bracket.ending.iter().map(|count| format!("{}@{}", count.trials, count.length)).collect();
        table.add_row(vec![
            comfy_table::Cell::new(format::bracket(index as u32)),
            table::right(bracket.trials),
            comfy_table::Cell::new(rungs.join(" ")),
            comfy_table::Cell::new(ending.join(" ")),
        ]);
    }
    table::text(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_endings_and_cost_are_shown() {
        let counts = |pairs: &[(u64, u64)]| -> Vec<v1::LengthCount> {
            pairs.iter().map(|&(trials, length)| v1::LengthCount { length, trials }).collect()
        };
        let bracket = v1::BracketPlan {
            rung_lengths: vec![15, 62, 250, 1000],
            trials: 64,
            ending: counts(&[(48, 15), (12, 62), (3, 250), (1, 1000)]),
        };
        let plan = v1::SearchPlan {
            searcher: "async_halving".into(),
            time_metric: "batches".into(),
            max_length: 1000,
            trials: 64,
            ending: bracket.ending.clone(),
            brackets: vec![bracket],
            total_length: 3214,
            full_length: 64_000,
        };
        let preview = v1::PreviewExperimentResponse {
            plan: Some(plan),
            sample_hparams_json: vec![r#"{"lr": 0.5}"#.into()],
            warnings: vec![],
        };
        let shown = super::plan(&preview, None, Some(80));
        assert!(shown.contains("async_halving: 64 trials, at most 1000 batches each"), "{shown}");
        assert!(shown.contains("15 62 250 1000"), "{shown}");
        assert!(shown.contains("48@15 12@62 3@250 1@1000"), "{shown}");
        assert!(shown.contains("3214 of 64000 batches (5 %)"), "{shown}");
        assert!(shown.contains("1  lr=0.5"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(shown.contains("the first trials"), "{shown}");
        let shown = super::plan(&preview, Some("tpe places them"), Some(80));
        assert!(shown.contains("model     tpe places them"), "{shown}");
        assert!(shown.contains("random draws, with which the model begins"), "{shown}");
    }
}
