//! Pictures of the groups of searchers: mean rank as the budget grows, drawn by the report of the library.

use crate::contestants::Group;
use crate::page::Scene;
use toprung_simulations::Run;
use toprung_simulations::judge::{Comparison, Contestant, Error, Setup, Task};
use toprung_simulations::report::Report;

/// The pictures: name, and the groups that are in it beside the baselines.
const PICTURES: [(&str, &[Group]); 4] = [
    ("halving", &[Group::Halving]),
    ("adaptive", &[Group::Adaptive]),
    ("model-based", &[Group::Model]),
    ("auto", &[Group::Auto]),
];
/// What the picture of `auto` shows beside it.
const BESIDE_AUTO: [&str; 4] = ["asha-promotion", "asha-stopping", "hyperband", "tpe"];

/// Each picture's name and its SVG; those of groups without a searcher are left out.
pub fn all(scene: &Scene<'_>) -> Result<Vec<(&'static str, String)>, Error> {
    let mut found = Vec::new();
    for (name, groups) in PICTURES {
        let shown = |searcher: &usize| {
            let contestant = &scene.contestants[*searcher];
            let beside = name == "auto" && BESIDE_AUTO.contains(&contestant.label);
            contestant.group == Group::Baseline || groups.contains(&contestant.group) || beside
        };
        if !scene.contestants.iter().any(|contestant| groups.contains(&contestant.group)) {
            continue;
        }
        let searchers: Vec<usize> = (0..scene.contestants.len()).filter(shown).collect();
        let report = Comparison::new(setup(scene, &searchers), &runs(scene, &searchers))?;
        let pictures = Report::new(&report).pictures();
        found.extend(pictures.iter().find(|picture| picture.name == "mean-rank").map(|p| (name, p.svg())));
    }
    Ok(found)
}

fn setup(scene: &Scene<'_>, searchers: &[usize]) -> Setup {
    let task = |(place, ground): (usize, &crate::tasks::Ground)| {
        let scale = ground.task.scale();
        Task {
            name: ground.task.name().to_owned(),
            metric: "metric".to_owned(),
            smaller_is_better: true,
            best: scale.best_any,
            median: scale.median_final,
            worst: scale.cap.is_finite().then_some(scale.cap),
            budget: Some(scene.budget(place)),
            time_unit: String::new(),
            length_unit: String::new(),
            cost_unit: String::new(),
        }
    };
    let contestant = |&searcher: &usize| Contestant {
        label: scene.label(searcher).to_owned(),
        baseline: scene.contestants[searcher].group == Group::Baseline,
        settings: String::new(),
    };
    let tasks = scene.grounds.iter().enumerate().map(task).collect();
    // Only ranks are drawn, which need no resamples: as few as there may be.
    Setup { resamples: 100, ..Setup::new(tasks, searchers.iter().map(contestant).collect()) }
}

fn runs(scene: &Scene<'_>, searchers: &[usize]) -> Vec<Run> {
    let mut runs = Vec::new();
    for task in 0..scene.grounds.len() {
        for &searcher in searchers {
            runs.extend((0..scene.played.seeds).map(|seed| scene.played.run(task, searcher, seed).clone()));
        }
    }
    runs
}
