//! Our searchers beside the published figures of their namesakes on the same tables.

use crate::figures::{APART, median, quantile, regret};
use crate::page::Scene;
use std::fmt::Write as _;

/// The tasks of the figures, in their order.
const TASKS: [&str; 4] = ["digits_mlp_sgd", "lcbench_189906", "taskset_gru64avg_p32", "taskset_lstm128_p128"];

/// What others ship, as the README of the tables has it: medians of the normalised regret at T, each the least and the most
/// that is given there. Ours: those with the same settings first, then others of that name.
struct Namesake {
    label: &'static str,
    medians: [(f64, f64); 4],
    ours: &'static [&'static str],
}

const fn exactly(medians: [f64; 4]) -> [(f64, f64); 4] {
    let [a, b, c, d] = medians;
    [(a, a), (b, b), (c, c), (d, d)]
}

const NAMESAKES: [Namesake; 5] = [
    Namesake {
        label: "random search, full training",
        medians: [(0.03, 0.04), (0.10, 0.13), (0.37, 0.40), (0.25, 0.28)],
        ours: &["random"],
    },
    Namesake {
        label: "Optuna 5 TPE, full training",
        medians: exactly([0.020, 0.068, 0.296, 0.262]),
        ours: &["tpe"],
    },
    Namesake {
        label: "Syne Tune 0.13 Hyperband (promotion)",
        medians: exactly([0.000, 0.073, 0.195, 0.001]),
        ours: &["adaptive-conservative-1", "adaptive-conservative", "hyperband"],
    },
    Namesake {
        label: "Syne Tune 0.13 ASHA (promotion)",
        medians: exactly([0.000, 0.076, 0.014, 0.000]),
        ours: &["asha-promotion-1", "asha-promotion"],
    },
    Namesake {
        label: "Syne Tune 0.13 ASHA (stopping)",
        medians: exactly([0.000, 0.076, 0.000, 0.000]),
        ours: &["asha-stopping-1", "asha-stopping"],
    },
];

/// The table, and below it in words who is behind.
pub fn table(scene: &Scene<'_>) -> String {
    let mut text = format!("| | {} |\n|---|---|---|---|---|\n", TASKS.join(" | "));
    let mut behind = String::new();
    for namesake in &NAMESAKES {
        let shown = namesake
            .medians
            .map(|(least, most)| if least == most { regret(least) } else { format!("{least:.2}–{most:.2}") });
        let _ = writeln!(text, "| {} | {} |", namesake.label, shown.join(" | "));
        for ours in namesake.ours {
            let Some(searcher) = scene.searcher(ours) else { continue };
            let _ = write!(text, "| — ours: {ours} |");
            for (task, (_, theirs)) in TASKS.iter().zip(namesake.medians) {
                let Some(place) = scene.task(task) else { continue };
                let regrets = scene.played.regrets(3, place, searcher);
                let (own, low, high) = (median(regrets), quantile(regrets, 0.25), quantile(regrets, 0.75));
                let _ = write!(text, " {} ({}–{}) |", regret(own), regret(low), regret(high));
                // Theirs are given to three decimals.
                if own > theirs + APART {
                    let (own, theirs) = (regret(own), regret(theirs));
                    let _ = writeln!(
                        behind,
                        "* {ours} is behind {} on {task}: {own} against {theirs}.",
                        namesake.label
                    );
                }
            }
            text.push('\n');
        }
    }
    if behind.is_empty() {
        text += "\nNone of ours is behind its namesake.\n";
    } else {
        let _ = write!(text, "\nBehind, in the median:\n\n{behind}");
    }
    text
}
