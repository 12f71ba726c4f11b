//! What is searched: the recorded tables, and families made from formulae that no searcher was tuned on.

use std::path::Path;
use toprung_simulations::synthetic::{Hartmann, PowerLaw, Shape};
use toprung_simulations::{Error, Table, Task};

/// The recorded tables with curves, by their folders.
const RECORDED: [&str; 4] =
    ["digits_mlp_sgd", "lcbench_189906", "taskset_gru64avg_p32", "taskset_lstm128_p128"];

/// A task and what a reader should know about it.
pub struct Ground {
    /// The task.
    pub task: Box<dyn Task>,
    /// What it is, in words.
    pub words: String,
    /// Whether it was recorded, not made.
    pub recorded: bool,
}

/// The recorded tables in a folder.
pub fn recorded(folder: &Path) -> Result<Vec<Ground>, Error> {
    let read = |name: &&str| {
        let table = Table::read_folder(&folder.join(name))?;
        let words = format!(
            "{} recorded curves of {} lengths, {} hyperparameters",
            table.rows(),
            table.max_length(),
            table.space().dimensions.len()
        );
        Ok(Ground { task: Box::new(table), words, recorded: true })
    };
    RECORDED.iter().map(read).collect()
}

/// The families made from formulae. Their seeds stand here and in the page.
pub fn made() -> Result<Vec<Ground>, Error> {
    let calm = Shape::default();
    let power = [
        ("power-plain", 1_001, 4, 27, Shape { noise: 0.005, ..calm }),
        ("power-crossing", 1_002, 6, 81, Shape { crossings: 0.8, noise: 0.005, ..calm }),
        ("power-plateaus", 1_003, 5, 50, Shape { plateaus: 0.4, divergence: 0.15, noise: 0.005, ..calm }),
        ("power-noisy", 1_004, 8, 100, Shape { crossings: 0.3, noise: 0.03, ..calm }),
        ("power-late", 1_006, 4, 64, Shape { crossings: 1.0, plateaus: 0.7, noise: 0.005, ..calm }),
        ("power-uneven", 1_005, 3, 30, Shape { crossings: 0.5, uneven: 1.0, noise: 0.005, ..calm }),
    ];
    let hartmann = [(3, 27, 0.1, 0.0), (4, 81, 0.5, 0.01), (6, 50, 0.3, 0.05)];
    let mut grounds = Vec::new();
    for (name, seed, dimensions, max_length, shape) in power {
        let words = format!(
            "power laws of {max_length} lengths in {dimensions} dimensions, seed {seed}: crossings {}, plateaus {}, \
             divergence {}, noise {}, uneven costs {}",
            shape.crossings, shape.plateaus, shape.divergence, shape.noise, shape.uneven
        );
        let task = Box::new(PowerLaw::new(name, seed, dimensions, max_length, shape)?);
        grounds.push(Ground { task, words, recorded: false });
    }
    for (dimensions, max_length, bias, noise) in hartmann {
        let words = format!(
            "Hartmann function of {dimensions} dimensions, {max_length} lengths, bias {bias}, noise {noise} (nothing drawn but \
             the noise, by the seed of the run)"
        );
        let task = Box::new(Hartmann::new(dimensions, max_length, bias, noise)?);
        grounds.push(Ground { task, words, recorded: false });
    }
    Ok(grounds)
}
