//! What is searched: a search for each method.

/// A search over recorded curves.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    pub name: &'static str,
    /// The searcher without its metric.
    pub searcher: &'static str,
    /// Whether trials may be stopped before they wait for a decision.
    pub is_stopped_between_rungs: bool,
    pub seed: u32,
    /// Over a benchmark table instead of made-up curves.
    pub is_on_real_table: bool,
}

const fn search(name: &'static str, searcher: &'static str) -> Search {
    Search { name, searcher, is_stopped_between_rungs: false, seed: 3, is_on_real_table: false }
}

pub const SEARCHES: [Search; 14] = [
    search("random", "name: random, max_trials: 8, max_length: {epochs: 6}"),
    search(
        "promotion",
        "name: async_halving, num_rungs: 4, divisor: 3, max_trials: 30, max_length: {epochs: 27}",
    ),
    search(
        "stopping",
        "name: async_halving, num_rungs: 4, divisor: 3, max_trials: 24, max_length: {epochs: 27}, stop_once: true",
    ),
    search(
        "adaptive",
        "name: adaptive_asha, mode: conservative, divisor: 3, max_trials: 24, max_length: {epochs: 27}",
    ),
    search("synchronous", "name: sync_halving, divisor: 3, max_trials: 20, max_length: {epochs: 18}"),
    search("hyperband", "name: hyperband, divisor: 3, max_length: {epochs: 9}"),
    search(
        "pasha",
        "name: pasha, divisor: 2, min_length: {epochs: 1}, max_trials: 24, max_length: {epochs: 27}",
    ),
    search(
        "population",
        "name: pbt, population_size: 5, num_rounds: 4, length_per_round: {epochs: 3}, \
         replace_function: {truncate_fraction: 0.4}",
    ),
    Search {
        is_stopped_between_rungs: true,
        ..search(
            "median",
            "name: random, max_trials: 12, max_length: {epochs: 12}, median_stopping: {min_trials: 2}",
        )
    },
    search(
        "tpe",
        "name: async_halving, num_rungs: 3, divisor: 3, max_trials: 30, max_length: {epochs: 9}, model: tpe",
    ),
    search("bohb", "name: bohb, divisor: 3, max_length: {epochs: 9}"),
    search("auto", "name: auto, max_trials: 30, max_length: {epochs: 27}"),
    search("gp", "name: gp, max_trials: 14, max_length: {epochs: 2}"),
    search(
        "greater",
        "name: adaptive_asha, divisor: 3, max_trials: 16, max_length: {epochs: 27}, smaller_is_better: false",
    ),
];

pub fn named(name: &str) -> Search {
    SEARCHES.into_iter().find(|search| search.name == name).unwrap()
}
