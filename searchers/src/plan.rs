//! What a search will do and cost, known before it starts.
//!
//! In a rung of n trials `max(floor(n/d), 1)` go on. A real search differs: promotion decides on what it has seen so far
//! and lets somewhat more trials go on.

use crate::config::{MAX_TRIALS, Mode, SearcherConfig};
use crate::divisor::Divisor;
use crate::error::Error;
use crate::space::Space;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A search in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How many trials there will be.
    pub trials: u64,
    /// The length of a trial trained in full.
    pub max_length: u64,
    /// The brackets, most rungs first. Methods without rungs have one bracket of one rung.
    pub brackets: Vec<BracketPlan>,
    /// How many trials end at each length, shortest first.
    pub ending: Vec<Ending>,
    /// All lengths added up (no more than `u64::MAX`).
    pub total_length: u64,
    /// The same if every trial were trained in full.
    pub full_length: u64,
}

/// One bracket of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BracketPlan {
    /// How many trials begin in it.
    pub trials: u64,
    /// Its rungs, shortest first.
    pub rungs: Vec<RungPlan>,
}

/// One rung of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungPlan {
    /// Trials train to this length for it.
    pub length: u64,
    /// How many trials reach it.
    pub trials: u64,
    /// How many of them end there.
    pub ending: u64,
}

/// How many trials end at a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The length.
    pub length: u64,
    /// How many.
    pub trials: u64,
}

impl BracketPlan {
    /// The plan of one bracket of successive halving.
    pub(crate) fn halving(divisor: Divisor, rungs: u32, max_length: u64, trials: u64) -> Self {
        let lengths = divisor.rung_lengths(rungs, max_length);
        let top = lengths.len() - 1;
        let mut here = trials;
        let rungs = lengths.into_iter().enumerate().map(|(index, length)| {
            let go_on = if index == top {
                0
            } else {
                divisor.share(here).max(1)
            };
            let rung = RungPlan {
                length,
                trials: here,
                ending: here - go_on,
            };
            here = go_on;
            rung
        });
        Self {
            trials,
            rungs: rungs.collect(),
        }
    }

    /// All lengths of the bracket added up.
    pub fn total_length(&self) -> u64 {
        self.rungs.iter().fold(0, |sum, rung| {
            sum.saturating_add(rung.ending.saturating_mul(rung.length))
        })
    }

    /// How many trials end at each length, shortest first.
    pub fn ending(&self) -> Vec<Ending> {
        endings(std::slice::from_ref(self))
    }
}

/// The brackets of adaptive ASHA, and its limit of trials at once.
pub(crate) struct AdaptivePlan {
    pub(crate) divisor: Divisor,
    pub(crate) brackets: Vec<BracketPlan>,
    pub(crate) max_concurrent_trials: u32,
}

/// What a search of this configuration will do. Checks configuration and space.
pub fn plan(config: &SearcherConfig, space: &Space) -> Result<Plan, Error> {
    config.check()?;
    space.check()?;
    let full = |trials| Ok(vec![full_training(trials, config.max_length())]);
    let brackets: Result<Vec<BracketPlan>, Error> = match *config {
        SearcherConfig::Single { .. } => full(1),
        SearcherConfig::Random { max_trials, .. } => full(max_trials),
        SearcherConfig::Grid { .. } => full(grid_trials(space)?),
        SearcherConfig::AsyncHalving {
            num_rungs,
            max_trials,
            divisor,
            max_length,
            ..
        } => Ok(vec![BracketPlan::halving(
            Divisor::new(divisor)?,
            num_rungs,
            max_length,
            max_trials,
        )]),
        SearcherConfig::AdaptiveAsha { .. } => Ok(adaptive(config)?.brackets),
    };
    let brackets = brackets?;
    let trials = brackets.iter().map(|bracket| bracket.trials).sum::<u64>();
    Ok(Plan {
        trials,
        max_length: config.max_length(),
        ending: endings(&brackets),
        total_length: brackets
            .iter()
            .fold(0, |sum, bracket| sum.saturating_add(bracket.total_length())),
        full_length: trials.saturating_mul(config.max_length()),
        brackets,
    })
}

/// How many trials a grid of this space has: one a point.
pub(crate) fn grid_trials(space: &Space) -> Result<u64, Error> {
    let points = space.grid_len()?;
    if points > MAX_TRIALS {
        Err(Error::GridTooLarge {
            allowed: MAX_TRIALS,
        })
    } else {
        Ok(points)
    }
}

fn full_training(trials: u64, length: u64) -> BracketPlan {
    BracketPlan {
        trials,
        rungs: vec![RungPlan {
            length,
            trials,
            ending: trials,
        }],
    }
}

fn endings(brackets: &[BracketPlan]) -> Vec<Ending> {
    let mut ending: BTreeMap<u64, u64> = BTreeMap::new();
    for rung in brackets.iter().flat_map(|bracket| &bracket.rungs) {
        *ending.entry(rung.length).or_default() += rung.ending;
    }
    let reached = ending.into_iter().filter(|&(_, trials)| trials > 0);
    reached
        .map(|(length, trials)| Ending { length, trials })
        .collect()
}

/// The brackets of a configuration of adaptive ASHA that was checked.
pub(crate) fn adaptive(config: &SearcherConfig) -> Result<AdaptivePlan, Error> {
    let SearcherConfig::AdaptiveAsha {
        max_trials,
        mode,
        divisor,
        max_rungs,
        bracket_rungs,
        max_length,
        max_concurrent_trials,
        ..
    } = config
    else {
        return Ok(AdaptivePlan {
            divisor: Divisor::new(2.0)?,
            brackets: Vec::new(),
            max_concurrent_trials: 0,
        });
    };
    let divisor = Divisor::new(*divisor)?;
    let rungs = bracket_sizes(
        divisor,
        *max_trials,
        *mode,
        *max_rungs,
        bracket_rungs,
        *max_length,
    );
    let trials = trials_per_bracket(*max_trials, divisor, &rungs);
    let brackets: Vec<BracketPlan> = rungs
        .iter()
        .zip(trials)
        .map(|(&rungs, trials)| BracketPlan::halving(divisor, rungs, *max_length, trials))
        .collect();
    let max_concurrent_trials = match *max_concurrent_trials {
        0 => places_unlimited(divisor, &brackets),
        given => given,
    };
    Ok(AdaptivePlan {
        divisor,
        brackets,
        max_concurrent_trials,
    })
}

/// Places when no limit is given: each bracket gets `max(trials of the last bracket, floor(divisor))`.
fn places_unlimited(divisor: Divisor, brackets: &[BracketPlan]) -> u32 {
    let each = brackets
        .last()
        .map_or(0, |bracket| bracket.trials)
        .max(divisor.floored());
    u32::try_from(each.saturating_mul(brackets.len() as u64)).unwrap_or(u32::MAX)
}

/// The rungs of each bracket, most first.
fn bracket_sizes(
    divisor: Divisor,
    max_trials: u64,
    mode: Mode,
    max_rungs: u32,
    bracket_rungs: &[u32],
    max_length: u64,
) -> Vec<u32> {
    let mut sizes = bracket_rungs.to_vec();
    if sizes.is_empty() {
        let most = max_rungs
            .min(divisor.rungs_within(max_length))
            .min(divisor.rungs_within(max_trials));
        let least = match mode {
            Mode::Conservative => 1,
            Mode::Standard => (most - 1) / 2 + 1,
            Mode::Aggressive => most,
        };
        sizes = (least..=most).collect();
    }
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

/// Trials of each bracket, in proportion to d^(r−1)/r for r rungs, floored, at least 1, the remainder to the first. If the
/// ones that were raised to 1 make it too many, the largest give back. `max_trials` is at least the number of brackets.
fn trials_per_bracket(max_trials: u64, divisor: Divisor, rungs: &[u32]) -> Vec<u64> {
    let mut trials = exact_shares(max_trials, divisor, rungs)
        .unwrap_or_else(|| rounded_shares(max_trials, divisor, rungs));
    for share in &mut trials {
        *share = (*share).max(1);
    }
    let mut sum = trials.iter().sum::<u64>();
    while sum > max_trials {
        let Some(largest) = trials.iter_mut().max().filter(|share| **share > 1) else {
            break;
        };
        let back = (sum - max_trials).min(*largest - 1).min(1);
        *largest -= back;
        sum -= back;
    }
    if let Some(first) = trials.first_mut() {
        *first += max_trials.saturating_sub(sum);
    }
    trials
}

/// With integers, if they are small enough: the weights are multiplied by the product of all numbers of rungs.
fn exact_shares(max_trials: u64, divisor: Divisor, rungs: &[u32]) -> Option<Vec<u64>> {
    let product = rungs.iter().try_fold(1_u128, |product, &rungs| {
        product.checked_mul(u128::from(rungs))
    })?;
    let weight = |&rungs: &u32| {
        divisor
            .power(rungs - 1)?
            .checked_mul(product / u128::from(rungs))
    };
    let weights: Vec<u128> = rungs.iter().map(weight).collect::<Option<_>>()?;
    let sum = weights
        .iter()
        .try_fold(0_u128, |sum, &weight| sum.checked_add(weight))?;
    let share =
        |weight: &u128| u64::try_from(weight.checked_mul(u128::from(max_trials))? / sum).ok();
    weights.iter().map(share).collect()
}

fn rounded_shares(max_trials: u64, divisor: Divisor, rungs: &[u32]) -> Vec<u64> {
    let most = rungs.iter().copied().max().unwrap_or(1);
    let weight = |rungs: u32| divisor.value().powi(rungs as i32 - most as i32) / f64::from(rungs);
    let sum: f64 = rungs.iter().map(|&rungs| weight(rungs)).sum();
    rungs
        .iter()
        .map(|&rungs| (max_trials as f64 * weight(rungs) / sum) as u64)
        .collect()
}
