//! Very many replicates of a search by successive halving over a table of curves, reduced to regret.
//!
//! What would this searcher have reached by this time, had it been run a hundred thousand times? Each replicate draws its own order of
//! configurations from the table (without replacement, by Philox with the key `seed` and the replicate's number) and plays asynchronous
//! successive halving by promotion (ASHA; Li et al., MLSys 2020, Algorithm 2) in virtual time:
//!
//! * W slots; an epoch takes one unit of time; a promoted trial trains on from its rung's length.
//! * When a trial reaches its rung, its metric there is entered, and idle slots are given work, the lowest number first: from the
//!   top rung down to the best trial that waits in a rung if it is among the best floor(n/d) of the n there; else to the next
//!   configuration. Equal metrics rank by arrival. NaN is last.
//! * Once nothing can come to a rung any more, at least one of it goes on, as in the engine.
//! * Arrivals at the same time are taken in the order of their slots.
//! * The regret at a budget is the best metric that was entered at that time or earlier, at any rung, less the best number of the table.
//!   It is infinite before the first number.
//!
//! Everything that decides is an integer or a comparison; so the CPU and a GPU give the same regrets, bit for bit.
//!
//! | file | holds |
//! |---|---|
//! | `table` | a search checked and made ready |
//! | `play` | one replicate, step by step |
//! | `judge` | regrets reduced to means, quantiles and intervals |
//! | `bootstrap` | resamples of replicates |

mod bootstrap;
mod judge;
mod play;
mod table;

pub use judge::{AtBudget, Judge, Outcome, run};
pub(crate) use table::Prepared;

use crate::array::{DeviceArray, Store};
use crate::device::Device;
use crate::error::Error;
use crate::gpu;
use rayon::prelude::*;

/// A search, and how often it is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search<'a> {
    /// The table: the metric of configuration c after length l (from 1) is `curves[c * length + l - 1]`. Smaller is better; NaN
    /// and infinity are diverged.
    pub curves: &'a [f64],
    /// The length of every curve.
    pub length: usize,
    /// The lengths at which trials are judged: ascending, the last is the most a trial trains.
    pub rungs: &'a [u32],
    /// One in so many goes on; greater than 1.
    pub divisor: f64,
    /// How many configurations a replicate may try, at most those of the table.
    pub trials: usize,
    /// How many trials train at once.
    pub slots: u32,
    /// The times at which the regret is taken, ascending. A replicate ends at the last.
    pub budgets: &'a [u64],
    /// How many replicates.
    pub replicates: usize,
    /// Replicates of the same seed and number draw the same order.
    pub seed: u64,
}

/// The regret of each replicate at each budget; those of budget b are `b * replicates..(b + 1) * replicates`.
///
/// Takes `O(trials · rungs)` memory a replicate while it is played; a GPU plays as many at once as its memory holds.
pub fn regrets(device: &Device, search: &Search<'_>) -> Result<DeviceArray<f64>, Error> {
    let prepared = Prepared::new(search)?;
    device.whole(|device| match device.gpu() {
        Some(gpu) => gpu::replicates::regrets(gpu, &prepared, search.replicates),
        None => Ok(on_cpu(&prepared, search.replicates)),
    })
}

/// Replicates that one task plays.
const TASK: usize = 64;

fn on_cpu(prepared: &Prepared, replicates: usize) -> DeviceArray<f64> {
    let budgets = prepared.budgets.len();
    let mut by_replicate = vec![0.0; replicates * budgets];
    let tasks = by_replicate.par_chunks_mut(TASK * budgets).enumerate();
    tasks.for_each_init(play::Play::default, |play, (task, regrets)| {
        for (number, regrets) in regrets.chunks_mut(budgets).enumerate() {
            play.run(prepared, (task * TASK + number) as u64, |budget, regret| regrets[budget] = regret);
        }
    });
    let mut by_budget = vec![0.0; replicates * budgets];
    by_budget.par_chunks_mut(replicates).enumerate().for_each(|(budget, row)| {
        for (replicate, regret) in row.iter_mut().enumerate() {
            *regret = by_replicate[replicate * budgets + budget];
        }
    });
    DeviceArray { length: by_budget.len(), store: Store::Host(by_budget) }
}
