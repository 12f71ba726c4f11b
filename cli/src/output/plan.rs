//! What a search would do, as text. Pure.

use super::{format, table};
use crate::simulation::planned::{Interval, Played, Simulated};
use serde_json::{Value, json};
use std::fmt::Write as _;
use toprung_proto::v1;

/// Of more lengths than this only the greatest is told.
const LENGTHS_TOLD: usize = 7;

/// `toprung plan`. `placement`: how a model places trials, if one does; then the samples are only where it begins.
pub(crate) fn plan(
    preview: &v1::PreviewExperimentResponse,
    simulated: &Simulated,
    placement: Option<&str>,
    width: table::Width,
) -> String {
    let mut text = String::new();
    if let Some(plan) = &preview.plan {
        text.push_str(&search(plan, width));
        text.push_str(&cost(simulated, plan));
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

/// `toprung plan` of a search that a program decides: only its bounds are known.
pub(crate) fn decided_by_a_program(
    preview: &v1::PreviewExperimentResponse,
    max_concurrent_trials: u32,
) -> String {
    let Some(plan) = &preview.plan else { return String::new() };
    let (length, unit) = (plan.max_length, &plan.time_metric);
    let mut text = format!("{}: a program decides, so nothing can be foretold\n\n", plan.searcher);
    text.push_str(&match u64::from(max_concurrent_trials) {
        0 => format!("bounds    as many trials at once as there are slots, each at most {length} {unit}\n"),
        most => format!(
            "bounds    at most {} at once, each at most {length} {unit}: {} {unit} under way at most\n",
            format::counted(most, "trial", "trials"),
            most.saturating_mul(length)
        ),
    });
    text.push_str("decide    toprung decide FILE, or toprung.CustomSearch(FILE) in Python\n");
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

/// What the search cost on made-up curves.
fn cost(simulated: &Simulated, plan: &v1::SearchPlan) -> String {
    match simulated {
        Simulated::Exact => String::new(),
        Simulated::TooLarge { work, most } => format!(
            "simulated no: it would be the work of {work} validations a search, and the most is {most}\n"
        ),
        Simulated::Played(played) => {
            let among = if played.within == played.searches {
                format!("all {}", played.searches)
            } else {
                format!("{} of {}", played.within, played.searches)
            };
            format!(
                "simulated {} {} in {among} searches on made-up curves,\n          with {} at once (plan: {})\n{}",
                range(played.total_length),
                plan.time_metric,
                format::counted(u64::from(played.at_once), "trial", "trials"),
                plan.total_length,
                ending(played, plan.max_length),
            )
        }
    }
}

/// How many trials end where, four lengths a line.
fn ending(played: &Played, max_length: u64) -> String {
    let parts: Vec<String> = if played.ending.len() > LENGTHS_TOLD {
        vec![format!("{} before {max_length}", range(played.ended_early))]
    } else {
        played.ending.iter().map(|(length, count)| format!("{} at {length}", range(*count))).collect()
    };
    let lines: Vec<String> = parts.chunks(4).map(|line| line.join(", ")).collect();
    format!("          trials ending: {}\n", lines.join(",\n                         "))
}

fn range(interval: Interval) -> String {
    if interval.low == interval.high {
        interval.low.to_string()
    } else {
        format!("{} to {}", interval.low, interval.high)
    }
}

/// The same as JSON; null where the plan is exact.
pub(crate) fn simulated_json(simulated: &Simulated) -> Value {
    let numbers = |found: Interval| json!({"low": found.low, "median": found.median, "high": found.high});
    match simulated {
        Simulated::Exact => Value::Null,
        Simulated::TooLarge { work, most } => json!({"searches": 0, "work": work, "most_work": most}),
        Simulated::Played(played) => {
            let ending = played.ending.iter().map(|(length, count)| {
                let mut shown = numbers(*count);
                shown["length"] = (*length).into();
                shown
            });
            json!({
                "searches": played.searches,
                "within": played.within,
                "at_once": played.at_once,
                "total_length": numbers(played.total_length),
                "ending": ending.collect::<Vec<_>>(),
                "ended_early": numbers(played.ended_early),
            })
        }
    }
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

    fn played() -> Simulated {
        let interval = |low, high| Interval { low, median: low, high };
        Simulated::Played(Played {
            searches: 20,
            within: 18,
            at_once: 16,
            total_length: interval(3_300, 4_000),
            ending: vec![(15, interval(40, 48)), (1000, interval(2, 2))],
            ended_early: interval(40, 48),
        })
    }

    #[test]
    fn a_simulation_is_told_as_text_and_as_json() {
        assert_eq!(simulated_json(&Simulated::Exact), Value::Null);
        let shown = simulated_json(&played());
        assert_eq!(shown["total_length"], json!({"low": 3_300, "median": 3_300, "high": 4_000}));
        assert_eq!(shown["ending"][0], json!({"length": 15, "low": 40, "median": 40, "high": 48}));
        let plan = v1::SearchPlan::default();
        let large = cost(&Simulated::TooLarge { work: 90_000, most: 60_000 }, &plan);
        assert!(large.contains("90000 validations a search, and the most is 60000"), "{large}");
        let Simulated::Played(mut many) = played() else { unreachable!() };
        many.ending = (1..9).map(|length| (length, many.ended_early)).collect();
        assert!(ending(&many, 9).contains("trials ending: 40 to 48 before 9"));
    }

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
        let shown = super::plan(&preview, &Simulated::Exact, None, Some(80));
        assert!(shown.contains("async_halving: 64 trials, at most 1000 batches each"), "{shown}");
        assert!(shown.contains("15 62 250 1000"), "{shown}");
        assert!(shown.contains("48@15 12@62 3@250 1@1000"), "{shown}");
        assert!(shown.contains("3214 of 64000 batches (5 %)"), "{shown}");
        assert!(shown.contains("1  lr=0.5"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(shown.contains("the first trials"), "{shown}");
        let shown = super::plan(&preview, &played(), Some("tpe places them"), Some(80));
        assert!(shown.contains("model     tpe places them"), "{shown}");
        assert!(shown.contains("simulated 3300 to 4000 batches in 18 of 20 searches"), "{shown}");
        assert!(shown.contains("(plan: 3214)"), "{shown}");
        assert!(shown.contains("with 16 trials at once"), "{shown}");
        assert!(shown.contains("trials ending: 40 to 48 at 15, 2 at 1000"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(shown.contains("random draws, with which the model begins"), "{shown}");
    }
}
