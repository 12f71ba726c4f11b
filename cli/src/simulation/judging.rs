//! Runs, compared by the judge of the simulations.

use super::arena::{Arena, Field};
use super::playing::Played;
use crate::errors::Error;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use toprung_simulations::Run;
use toprung_simulations::judge::{Comparison, Contestant, Setup, Task};

/// Compares the runs of the contestants at the places `who`. `resamples`: of the bootstrap.
pub(crate) fn comparison(
    arena: &Arena,
    who: &[usize],
    played: &[Played],
    resamples: u32,
) -> Result<Comparison, Error> {
    let contestant = |&place: &usize| {
        let found = &arena.contestants[place];
        let (label, settings, baseline) = (found.label.clone(), found.settings.clone(), found.baseline);
        Contestant { label, settings, baseline }
    };
    let task = |(place, field)| task(field, usual_end(played, place));
    let tasks = arena.fields.iter().enumerate().map(task).collect();
    let mut setup = Setup::new(tasks, who.iter().map(contestant).collect());
    setup.resamples = resamples;
    setup.command = command();
    setup.settings.clone_from(&arena.shared);
    let runs: Vec<Run> = played
        .iter()
        .filter(|played| who.contains(&played.contestant))
        .map(|played| played.run.clone())
        .collect();
    Comparison::new(setup, &runs)
        .map_err(|error| Error::Engine(format!("the runs cannot be compared: {error}")))
}

/// When half of the runs of the slowest contestant have ended: one slow run does not stretch the time in which all are judged.
fn usual_end(played: &[Played], field: usize) -> Option<f64> {
    let mut ends: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for found in played.iter().filter(|found| found.field == field) {
        ends.entry(found.contestant).or_default().push(found.run.end_time);
    }
    let median = |mut ends: Vec<f64>| {
        ends.sort_by(f64::total_cmp);
        ends.get(ends.len() / 2).copied()
    };
    ends.into_values().filter_map(median).max_by(f64::total_cmp).filter(|end| *end > 0.0)
}

/// `end`: where a search ends by itself or by its length.
fn task(field: &Field, end: Option<f64>) -> Task {
    let (found, scale) = (&field.task, field.task.task.scale());
    Task {
        name: found.task.name().to_owned(),
        metric: found.metric.clone(),
        smaller_is_better: found.smaller_is_better,
        best: scale.best_any,
        median: scale.median_final,
        worst: Some(scale.cap).filter(|cap| cap.is_finite()),
        budget: field.allowance.time.or(end),
        time_unit: found.time_unit.clone(),
        length_unit: found.length_unit.clone(),
        cost_unit: found.time_unit.clone(),
    }
}

/// The command line, so that it can be repeated.
fn command() -> String {
    let plain = |word: &String| {
        !word.is_empty()
            && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./:=,+%@".contains(letter))
    };
    let quoted =
        |word: String| if plain(&word) { word } else { format!("'{}'", word.replace('\'', r"'\''")) };
    let words: Vec<String> = std::env::args().skip(1).map(quoted).collect();
    format!("toprung {}", words.join(" "))
}

/// How many reports lie beyond what was recorded: tasks with their shares.
pub(crate) fn beyond(arena: &Arena, played: &[Played]) -> Vec<(String, u64, u64)> {
    let of_field = |place: usize| {
        let runs = || played.iter().filter(move |played| played.field == place);
        let predicted: u64 = runs().filter_map(|played| played.predicted).sum();
        let reports: u64 =
            runs().filter(|played| played.predicted.is_some()).map(|played| played.run.reports).sum();
        (arena.fields[place].task.task.name().to_owned(), predicted, reports)
    };
    (0..arena.fields.len()).map(of_field).filter(|(_, predicted, _)| *predicted > 0).collect()
}

/// The lines of warning about predicted reports.
pub(crate) fn beyond_lines(arena: &Arena, played: &[Played]) -> Vec<String> {
    let line = |(task, predicted, reports): (String, u64, u64)| {
        let percent = 100.0 * predicted as f64 / reports.max(1) as f64;
        format!(
            "{task}: {predicted} of {reports} reports ({percent:.0} %) lie beyond what was recorded and are predicted from \
             curves that went on; a search never finds anything better than what was recorded"
        )
    };
    beyond(arena, played).into_iter().map(line).collect()
}

/// What was simulated, beside the comparison itself.
pub(crate) fn document(arena: &Arena, played: &[Played], interrupted: bool) -> Json {
    let beyond = beyond(arena, played);
    let task = |field: &Field| {
        let name = field.task.task.name();
        let predicted =
            beyond.iter().find(|(task, _, _)| task == name).map_or(0, |(_, predicted, _)| *predicted);
        json!({
            "name": name,
            "described": field.task.described,
            "metric": field.task.metric,
            "smaller_is_better": field.task.smaller_is_better,
            "max_length": field.task.full_length(),
            "length_unit": field.task.length_unit,
            "trainings": field.allowance.trainings,
            "predicted_reports": predicted,
        })
    };
    let shared: serde_json::Map<String, Json> =
        arena.shared.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "tasks": arena.fields.iter().map(task).collect::<Vec<_>>(),
        "settings": shared,
        "interrupted": interrupted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::arena::tests::arena;

    #[test]
    fn words_that_a_shell_would_change_are_quoted() {
        // The test's own command line: nothing of it is known but that it is one line.
        assert!(command().starts_with("toprung"));
        let arena = arena(&["asha"], &[]).unwrap();
        let found = document(&arena, &[], false);
        assert_eq!(found["tasks"][0]["name"], "power");
        assert_eq!(found["settings"]["slots"], "8");
    }
}
