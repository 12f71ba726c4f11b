//! What is said about simulated searches beside the report. Pure.

use super::format;
use crate::simulation::arena::Arena;

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
