//! Losses in plain words: where the searcher that we would take is behind, and who is behind the simplest ones.

use crate::figures::{APART, list, median, regret};
use crate::page::Scene;
use crate::standings::{JUDGED, best, ranks};
use std::fmt::Write as _;

/// The searcher that a person would be told to take: `auto`, else the best mean rank over all tasks at T.
pub fn taken(scene: &Scene<'_>) -> usize {
    let all: Vec<usize> = (0..scene.grounds.len()).collect();
    scene.searcher("auto").unwrap_or_else(|| best(&ranks(scene, &all, 3)))
}

/// Whether the one that is taken has the best mean rank, for each group of tasks and checkpoint.
pub fn goal(scene: &Scene<'_>) -> String {
    let (taken, mut text) = (taken(scene), String::new());
    for (words, tasks) in [("recorded", scene.recorded(true)), ("made", scene.recorded(false))] {
        for (checkpoint, name) in JUDGED {
            let ranks = ranks(scene, &tasks, checkpoint);
            let (own, first) = (ranks[taken], best(&ranks));
            let ahead = ranks.iter().filter(|other| other.mean < own.mean).count();
            let _ = write!(
                text,
                "* {words} tasks, {name} of the budget: mean rank {:.2} ± {:.2}",
                own.mean, own.error
            );
            let _ = if ahead == 0 {
                writeln!(text, ", the best.")
            } else {
                let (label, mean, error) = (scene.label(first), ranks[first].mean, ranks[first].error);
                writeln!(text, ", place {} behind {label} with {mean:.2} ± {error:.2}.", ahead + 1)
            };
        }
    }
    text
}

/// On which task, and when, others have a lower median than the one that is taken.
pub fn of_the_taken(scene: &Scene<'_>) -> String {
    let (taken, mut text) = (taken(scene), String::new());
    for (task, ground) in scene.grounds.iter().enumerate() {
        for (checkpoint, name) in JUDGED {
            let at = |searcher| median(scene.played.regrets(checkpoint, task, searcher));
            let mut better: Vec<usize> =
                (0..scene.contestants.len()).filter(|&other| at(other) < at(taken) - APART).collect();
            better.sort_by(|&one, &other| at(one).total_cmp(&at(other)));
            let Some(&least) = better.first() else { continue };
            let others =
                if better.len() > 1 { format!(", and {} more", better.len() - 1) } else { String::new() };
            let _ = writeln!(
                text,
                "* {} at {name}: {} against {} of {}{others}.",
                ground.task.name(),
                regret(at(taken)),
                regret(at(least)),
                scene.label(least)
            );
        }
    }
    if text.is_empty() { "Nowhere.\n".to_owned() } else { text }
}

/// Which searchers a baseline beats in the median at T, and on which tasks.
pub fn to_baseline(scene: &Scene<'_>, baseline: &str) -> String {
    let Some(base) = scene.searcher(baseline) else { return String::new() };
    let mut text = String::new();
    for searcher in (0..scene.contestants.len()).filter(|&searcher| searcher != base) {
        let at = |task, searcher| median(scene.played.regrets(3, task, searcher));
        let lost = (0..scene.grounds.len()).filter(|&task| at(task, searcher) > at(task, base) + APART);
        let names: Vec<String> = lost.map(|task| scene.grounds[task].task.name().to_owned()).collect();
        if !names.is_empty() {
            let _ = writeln!(text, "* {}: {}", scene.label(searcher), list(&names));
        }
    }
    if text.is_empty() { "None.\n".to_owned() } else { text }
}
