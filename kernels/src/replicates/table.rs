//! A search made ready: what every replicate looks up.

use super::Search;
use crate::error::Error;
use crate::order::{Best, order_key};
use rayon::prelude::*;

/// What all replicates share, as both implementations read it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Prepared {
    /// The metric of each configuration at each rung's length, rung by rung.
    pub metrics: Vec<f64>,
    /// Its rank among the different metrics at that length; NaN is last.
    pub keys: Vec<u32>,
    /// The rungs' lengths.
    pub lengths: Vec<u32>,
    /// How many of a rung of so many go on.
    pub shares: Vec<u32>,
    /// Ascending.
    pub budgets: Vec<u64>,
    pub configurations: usize,
    pub trials: usize,
    pub slots: u32,
    pub seed: u64,
    /// The table's best number.
    pub reference: f64,
}

const MOST_CONFIGURATIONS: usize = (1 << 24) - 1;
const MOST_TRIALS: usize = (1 << 20) - 1;
const MOST_SLOTS: u32 = 1 << 20;
const MOST_RUNGS: usize = 32;

impl Prepared {
    /// Places of the hash table of displaced configurations: a power of two, at most half full.
    pub(crate) fn places(&self) -> usize {
        (2 * self.trials).next_power_of_two()
    }

    /// Checks a search and looks up what it needs.
    pub(crate) fn new(search: &Search<'_>) -> Result<Self, Error> {
        let configurations = check_table(search)?;
        check_rule(search)?;
        check_size(search, configurations)?;
        let at = |rung: usize, configuration: usize| {
            search.curves[configuration * search.length + search.rungs[rung] as usize - 1] + 0.0
        };
        let metrics: Vec<f64> = (0..search.rungs.len())
            .flat_map(|rung| (0..configurations).map(move |configuration| (rung, configuration)))
            .map(|(rung, configuration)| at(rung, configuration))
            .collect();
        let keys = metrics.par_chunks(configurations).flat_map_iter(dense_ranks).collect();
        let numbers = search.curves.par_iter().copied().filter(|metric| !metric.is_nan());
        Ok(Self {
            keys,
            lengths: search.rungs.to_vec(),
            shares: (0..=search.trials).map(|count| share(count, search.divisor)).collect(),
            budgets: search.budgets.to_vec(),
            configurations,
            trials: search.trials,
            slots: search.slots.min(search.trials as u32),
            seed: search.seed,
            reference: numbers.reduce(|| f64::INFINITY, f64::min) + 0.0,
            metrics,
        })
    }
}

/// The rank of each metric among the different ones.
fn dense_ranks(metrics: &[f64]) -> Vec<u32> {
    let keys = || metrics.iter().map(|&metric| order_key(metric, Best::Smallest));
    let mut different: Vec<u64> = keys().collect();
    different.sort_unstable();
    different.dedup();
    keys().map(|key| different.partition_point(|&other| other < key) as u32).collect()
}

/// `floor(count / divisor)`: with integers if the divisor is one, else with a relative tolerance of 1e-12 in favour of the next
/// integer, as the searchers do.
fn share(count: usize, divisor: f64) -> u32 {
    if divisor.fract() == 0.0 && divisor <= f64::from(u32::MAX) {
        count as u32 / divisor as u32
    } else {
        (count as f64 / divisor * (1.0 + 1e-12)).floor() as u32
    }
}

fn check_table(search: &Search<'_>) -> Result<usize, Error> {
    let cells = search.curves.len();
    if search.length == 0 || cells == 0 || !cells.is_multiple_of(search.length) {
        let found = format!("{cells} metrics in curves of length {}", search.length);
        return Err(Error::input(
            "the table",
            found,
            "at least one curve, each of the same length of at least 1",
        ));
    }
    let configurations = cells / search.length;
    if configurations > MOST_CONFIGURATIONS {
        return Err(Error::input("the number of configurations", configurations, "at most 16 777 215"));
    }
    if search.curves.par_iter().any(|&metric| metric == f64::NEG_INFINITY) {
        return Err(Error::input("a metric of the table", "-inf", "a number, infinity, or NaN for diverged"));
    }
    if !search.curves.par_iter().any(|metric| metric.is_finite()) {
        return Err(Error::input("the table", "without any finite metric", "at least one finite metric"));
    }
    Ok(configurations)
}

fn check_rule(search: &Search<'_>) -> Result<(), Error> {
    let ascending = search.rungs.windows(2).all(|pair| pair[0] < pair[1]);
    let fits = search.rungs.iter().all(|&length| (1..=search.length as u64).contains(&u64::from(length)));
    if !(1..=MOST_RUNGS).contains(&search.rungs.len()) || !ascending || !fits {
        let found = format!("{:?} for curves of length {}", search.rungs, search.length);
        return Err(Error::input(
            "the rungs",
            found,
            "1 to 32 ascending lengths from 1 to the length of the curves",
        ));
    }
    if !(search.divisor.is_finite() && search.divisor > 1.0) {
        return Err(Error::input("the divisor", search.divisor, "a finite number greater than 1"));
    }
    let ascending = search.budgets.windows(2).all(|pair| pair[0] < pair[1]);
    let fits = search.budgets.iter().all(|&budget| u32::try_from(budget).is_ok());
    if search.budgets.is_empty() || search.budgets.len() > 65_536 || !ascending || !fits {
        return Err(Error::input(
            "the budgets",
            format!("{:?}", search.budgets),
            "1 to 65 536 ascending times below 2^32",
        ));
    }
    Ok(())
}

fn check_size(search: &Search<'_>, configurations: usize) -> Result<(), Error> {
    if search.trials == 0 || search.trials > configurations.min(MOST_TRIALS) {
        let found = format!("{} of {configurations} configurations", search.trials);
        return Err(Error::input(
            "the number of trials",
            found,
            "1 to the table's configurations, below 2^20",
        ));
    }
    if !(1..=MOST_SLOTS).contains(&search.slots) {
        return Err(Error::input("the number of slots", search.slots, "1 to 1 048 576"));
    }
    let cells = search.replicates.saturating_mul(search.budgets.len());
    if search.replicates == 0 || cells > u32::MAX as usize {
        let found = format!("{} at {} budgets", search.replicates, search.budgets.len());
        return Err(Error::input(
            "the number of replicates",
            found,
            "at least 1, and below 2^32 at all budgets together",
        ));
    }
    Ok(())
}
