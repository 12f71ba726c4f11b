//! Mean ranks, medians by task, and paired tests.

use crate::figures::{median, p_value, regret};
use crate::page::Scene;
use std::fmt::Write as _;
use toprung_simulations::judge::holm;
use toprung_simulations::judge::rank::{MeanRank, mean_ranks};
use toprung_simulations::judge::signed_rank::signed_rank;

/// The checkpoints of ranks and tests, by their places among T/8, T/4, T/2 and T, with their names.
pub const JUDGED: [(usize, &str); 3] = [(1, "25 %"), (2, "50 %"), (3, "100 %")];

/// The mean ranks of all searchers on some tasks at a checkpoint.
pub fn ranks(scene: &Scene<'_>, tasks: &[usize], checkpoint: usize) -> Vec<MeanRank> {
    mean_ranks(&scene.played.board(checkpoint, tasks)).0
}

/// The searcher with the best mean rank; the first of equals.
pub fn best(ranks: &[MeanRank]) -> usize {
    (0..ranks.len()).min_by(|&one, &other| ranks[one].mean.total_cmp(&ranks[other].mean)).unwrap_or(0)
}

/// A table of mean ranks, best at the end first.
pub fn rank_table(scene: &Scene<'_>, tasks: &[usize]) -> String {
    let columns = JUDGED.map(|(checkpoint, _)| ranks(scene, tasks, checkpoint));
    let mut order: Vec<usize> = (0..scene.contestants.len()).collect();
    order.sort_by(|&one, &other| columns[2][one].mean.total_cmp(&columns[2][other].mean));
    let bests = columns.each_ref().map(|ranks| best(ranks));
    let mut text = String::from("| searcher | 25 % | 50 % | 100 % |\n|---|---|---|---|\n");
    for searcher in order {
        let _ = write!(text, "| {} |", scene.label(searcher));
        for (ranks, best) in columns.iter().zip(bests) {
            let MeanRank { mean, error } = ranks[searcher];
            let bold = if best == searcher { "**" } else { "" };
            let _ = write!(text, " {bold}{mean:.2}{bold} ± {error:.2} |");
        }
        text.push('\n');
    }
    text
}

/// A table of medians of one task at T/8, T/4, T/2 and T. The least of each column is bold.
pub fn median_table(scene: &Scene<'_>, task: usize) -> String {
    let cell = |searcher: usize, checkpoint: usize| median(scene.played.regrets(checkpoint, task, searcher));
    let searchers = 0..scene.contestants.len();
    let least: Vec<String> = (0..4)
        .map(|checkpoint| {
            let all = searchers.clone().map(|searcher| cell(searcher, checkpoint));
            regret(all.fold(f64::INFINITY, f64::min))
        })
        .collect();
    let mut text = String::from("| searcher | T/8 | T/4 | T/2 | T |\n|---|---|---|---|---|\n");
    for searcher in searchers {
        let _ = write!(text, "| {} |", scene.label(searcher));
        for (checkpoint, least) in least.iter().enumerate() {
            let shown = regret(cell(searcher, checkpoint));
            let bold = if shown == *least { "**" } else { "" };
            let _ = write!(text, " {bold}{shown}{bold} |");
        }
        text.push('\n');
    }
    text
}

/// One searcher against another over pairs of the same task and seed.
pub struct Pairs {
    /// Pairs in which the first is better, equal, worse.
    pub counts: [usize; 3],
    /// The p value of the signed-rank test, not corrected.
    pub p: f64,
}

/// Pairs of two searchers on some tasks at a checkpoint.
pub fn pairs(scene: &Scene<'_>, tasks: &[usize], checkpoint: usize, first: usize, second: usize) -> Pairs {
    let row = |task: usize, searcher: usize| scene.played.regrets(checkpoint, task, searcher);
    let differences: Vec<f64> = tasks
        .iter()
        .flat_map(|&task| {
            row(task, first).iter().zip(row(task, second)).map(|(first, second)| first - second)
        })
        .collect();
    let count = |sign: fn(&f64) -> bool| differences.iter().filter(|difference| sign(difference)).count();
    // Two runs without a report (both infinite) are equal.
    let equal = differences.len() - count(|d| *d < 0.0) - count(|d| *d > 0.0);
    Pairs { counts: [count(|d| *d < 0.0), equal, count(|d| *d > 0.0)], p: signed_rank(&differences).p }
}

/// The best by mean rank against each other, at each checkpoint.
pub fn test_tables(scene: &Scene<'_>, tasks: &[usize]) -> String {
    let columns = JUDGED.map(|(checkpoint, _)| {
        let best = best(&ranks(scene, tasks, checkpoint));
        let others = (0..scene.contestants.len()).filter(|&other| other != best);
        let pairs: Vec<(usize, Pairs)> =
            others.map(|other| (other, pairs(scene, tasks, checkpoint, best, other))).collect();
        let adjusted = holm::adjusted(&pairs.iter().map(|(_, pairs)| pairs.p).collect::<Vec<_>>());
        (best, pairs, adjusted)
    });
    let mut text = String::from("| against |");
    for ((_, name), (best, ..)) in JUDGED.iter().zip(&columns) {
        let _ = write!(text, " {} at {name} |", scene.label(*best));
    }
    text += "\n|---|---|---|---|\n";
    for searcher in 0..scene.contestants.len() {
        let _ = write!(text, "| {} |", scene.label(searcher));
        for (_, pairs, adjusted) in &columns {
            match pairs.iter().zip(adjusted).find(|((other, _), _)| *other == searcher) {
                Some(((_, Pairs { counts: [wins, ties, losses], .. }), p)) => {
                    let _ = write!(text, " {wins} / {ties} / {losses}, p {} |", p_value(*p));
                }
                None => text += " itself |",
            }
        }
        text.push('\n');
    }
    text
}
