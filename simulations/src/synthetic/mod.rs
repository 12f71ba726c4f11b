//! Tasks made from formulae and seeds: no tables needed, any number of configurations.
//!
//! | file | holds |
//! |---|---|
//! | `power` | power-law curves with crossings, plateaus, divergence and noise |
//! | `hartmann` | Hartmann functions whose fidelity is the length trained |

mod hartmann;
mod power;

use crate::task::{Scale, Task};
pub use hartmann::Hartmann;
pub use power::{PowerLaw, Shape};
use toprung_searchers::TrialId;

/// So many configurations are drawn to find the median of a formula.
const SAMPLE: u32 = 4_096;
/// Their seed, which no comparison uses.
const SAMPLE_SEED: u32 = u32::MAX;

/// The scale of a task by a sample of its configurations. Metrics above `cap` count as `cap`.
fn sampled(task: &impl Task, cap: f64) -> Scale {
    let zero = Scale { cap, best_any: 0.0, best_final: 0.0, median_final: 0.0, mean_full_cost: 0.0 };
    let (mut finals, mut best_any, mut cost) = (Vec::new(), f64::INFINITY, 0.0);
    for trial in 1..=SAMPLE {
        let hparams = task.space().draw(SAMPLE_SEED, TrialId(trial));
        let curve = task.curve(SAMPLE_SEED, trial, &hparams);
        let points = (1..=task.max_length()).map(|length| task.point(&curve, length));
        let mut last = cap;
        for point in points {
            last = zero.capped(point.metric);
            best_any = last.min(best_any);
            cost += point.cost;
        }
        finals.push(last);
    }
    finals.sort_unstable_by(f64::total_cmp);
    let median_final = finals[finals.len() / 2];
    Scale { cap, best_any, best_final: finals[0], median_final, mean_full_cost: cost / f64::from(SAMPLE) }
}
