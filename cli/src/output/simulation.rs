//! What is said about simulated searches beside the report. Pure.

use super::{format, table};
use crate::simulation::arena::Arena;
use crate::simulation::replicates::Replicated;
use comfy_table::Cell;

/// How wide text is where there is no terminal.
pub(crate) const WIDTH: u16 = 100;

/// How much is simulated, in a line.
pub(crate) fn runs(arena: &Arena) -> String {
    let (tasks, contestants, seeds) = (arena.fields.len(), arena.contestants.len(), arena.seeds.len());
    let shared: Vec<String> = arena.shared.iter().map(|(name, value)| format!("{name} {value}")).collect();
    format!(
        "{} of {contestants} searchers on {} with {}: {}",
        format::counted((tasks * contestants * seeds) as u64, "run", "runs"),
        format::counted(tasks as u64, "task", "tasks"),
        format::counted(seeds as u64, "seed", "seeds"),
        shared.join(", ")
    )
}

/// What the replicates reached, a table each.
pub(crate) fn replicates(all: &[Replicated], width: table::Width) -> String {
    all.iter().map(|replicated| one(replicated, width)).collect()
}

fn one(replicated: &Replicated, width: table::Width) -> String {
    let Replicated { searcher, task, outcome, device, seconds, .. } = replicated;
    let number = outcome.replicates;
    let mut text = format!(
        "\n{number} replicates of {searcher} on {task} by {device} in {seconds:.2} s, normalised regret\n"
    );
    let mut table = table::plain(&["budget", "mean", "95 % interval", "5 %", "median", "95 %"], width);
    for at in &outcome.at {
        let of = |regret: f64| table::right(format::metric(replicated.rounded(regret)));
        let (low, high) = at.mean_interval;
        let quantile = |place: usize| of(at.quantiles.get(place).copied().unwrap_or(f64::NAN));
        table.add_row(vec![
            Cell::new(format!("{:.0} % ({})", 100.0 * replicated.part(at.budget), at.budget)),
            of(at.mean),
            Cell::new(format!(
                "{} to {}",
                format::metric(replicated.rounded(low)),
                format::metric(replicated.rounded(high))
            )),
            quantile(0),
            of(at.median),
            quantile(1),
        ]);
    }
    text.push_str(&table::text(&table));
    text
}
