//! What a search is configured with, and what is allowed.
//!
//! Lengths are in the searcher's time metric. `max_concurrent_trials: 0` means no limit.

use crate::divisor::Divisor;
use crate::error::Error;
use crate::method::TrialId;
use crate::space::{Assignment, Space};
use serde::{Deserialize, Serialize};

/// The most trials a search may be asked for. Leaves room in a trial's id for those that refuse their hyperparameters.
pub const MAX_TRIALS: u64 = 100_000_000;
/// The most rungs: with divisor 2 more lengths than a `u64` has.
pub const MAX_RUNGS: u32 = 64;
/// The most brackets that `bracket_rungs` may name.
pub const MAX_BRACKETS: usize = 64;

/// Which brackets adaptive ASHA runs, of rungs 1 … R.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// 1 … R rungs.
    Conservative,
    /// floor((R − 1) / 2) + 1 … R rungs.
    #[default]
    Standard,
    /// R rungs alone.
    Aggressive,
}

/// A method and its settings. Serialised by position: append variants, never reorder them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SearcherConfig {
    /// One trial, trained in full.
    Single {
        /// Its length, at least 1.
        max_length: u64,
    },
    /// Random trials, each trained in full.
    Random {
        /// How many.
        max_trials: u64,
        /// How long each trains, at least 1.
        max_length: u64,
        /// At most so many at once; 0: no limit.
        max_concurrent_trials: u32,
    },
    /// Every point of a grid, each trained in full.
    Grid {
        /// How long each trains, at least 1.
        max_length: u64,
        /// At most so many at once; 0: no limit.
        max_concurrent_trials: u32,
    },
    /// ASHA with one bracket.
    AsyncHalving {
        /// How many rungs, 1 to 64.
        num_rungs: u32,
        /// How many trials.
        max_trials: u64,
        /// One in so many goes on; greater than 1.
        divisor: f64,
        /// The length of the top rung, at least 1.
        max_length: u64,
        /// At most so many at once; 0: no limit.
        max_concurrent_trials: u32,
        /// The stopping rule instead of promotion.
        stop_once: bool,
    },
    /// ASHA with several brackets at once.
    AdaptiveAsha {
        /// How many trials in all brackets together.
        max_trials: u64,
        /// Which brackets.
        mode: Mode,
        /// One in so many goes on; greater than 1.
        divisor: f64,
        /// No bracket has more rungs than this, 1 to 64.
        max_rungs: u32,
        /// The brackets by their numbers of rungs; empty: `mode` says.
        bracket_rungs: Vec<u32>,
        /// The length of the top rung, at least 1.
        max_length: u64,
        /// At most so many at once; 0: as many as the brackets can use.
        max_concurrent_trials: u32,
        /// The stopping rule instead of promotion.
        stop_once: bool,
    },
}

impl SearcherConfig {
    /// Its name in an experiment file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Single { .. } => "single",
            Self::Random { .. } => "random",
            Self::Grid { .. } => "grid",
            Self::AsyncHalving { .. } => "async_halving",
            Self::AdaptiveAsha { .. } => "adaptive_asha",
        }
    }

    /// The hyperparameters that this search will give to a trial; `None`: a grid has no such point.
    pub fn sample(&self, space: &Space, seed: u32, trial: TrialId) -> Option<Assignment> {
        match self {
            Self::Grid { .. } => space.grid_point(u64::from(trial.0).checked_sub(1)?),
            _ => Some(space.draw(seed, trial)),
        }
    }

    /// The length at which a trial has trained in full.
    pub fn max_length(&self) -> u64 {
        match *self {
            Self::Single { max_length }
            | Self::Random { max_length, .. }
            | Self::Grid { max_length, .. }
            | Self::AsyncHalving { max_length, .. }
            | Self::AdaptiveAsha { max_length, .. } => max_length,
        }
    }

    /// Checks every setting; the first one out of range is the error.
    pub fn check(&self) -> Result<(), Error> {
        within("max_length", self.max_length(), 1, u64::MAX, "at least 1")?;
        match self {
            Self::Single { .. } | Self::Grid { .. } => Ok(()),
            Self::Random { max_trials, .. } => check_trials(*max_trials),
            Self::AsyncHalving { num_rungs, max_trials, divisor, .. } => {
                check_trials(*max_trials)?;
                Divisor::new(*divisor)?;
                check_rungs("num_rungs", *num_rungs)
            }
            Self::AdaptiveAsha { max_trials, divisor, max_rungs, bracket_rungs, .. } => {
                check_trials(*max_trials)?;
                Divisor::new(*divisor)?;
                check_rungs("max_rungs", *max_rungs)?;
                bracket_rungs.iter().try_for_each(|&rungs| check_rungs("bracket_rungs", rungs))?;
                let most = (*max_trials).min(MAX_BRACKETS as u64);
                let allowed = "at most 64 brackets, and no more than max_trials";
                within("bracket_rungs", bracket_rungs.len() as u64, 0, most, allowed)
            }
        }
    }
}

fn check_trials(trials: u64) -> Result<(), Error> {
    within("max_trials", trials, 1, MAX_TRIALS, "1 to 100000000")
}

fn check_rungs(setting: &'static str, rungs: u32) -> Result<(), Error> {
    within(setting, u64::from(rungs), 1, u64::from(MAX_RUNGS), "1 to 64")
}

fn within(setting: &'static str, found: u64, min: u64, max: u64, allowed: &'static str) -> Result<(), Error> {
    if (min..=max).contains(&found) {
        Ok(())
    } else {
        Err(Error::Setting { setting, found: found.to_string(), allowed })
    }
}

/// So many trials may refuse their hyperparameters before a search of `trials` gives up creating new ones.
pub(crate) fn invalid_allowed(trials: u64) -> u64 {
    trials.saturating_mul(10).max(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let halving = |num_rungs, max_trials, divisor, max_length| SearcherConfig::AsyncHalving {
            num_rungs,
            max_trials,
            divisor,
            max_length,
            max_concurrent_trials: 0,
            stop_once: false,
        };
        assert_eq!(halving(3, 9, 3.0, 9).check(), Ok(()));
        for (config, name) in [
            (halving(0, 9, 3.0, 9), "num_rungs"),
            (halving(65, 9, 3.0, 9), "num_rungs"),
            (halving(3, 0, 3.0, 9), "max_trials"),
            (halving(3, MAX_TRIALS + 1, 3.0, 9), "max_trials"),
            (halving(3, 9, 1.0, 9), "divisor"),
            (halving(3, 9, 3.0, 0), "max_length"),
        ] {
            let error = config.check().unwrap_err();
            assert!(matches!(error, Error::Setting { setting, .. } if setting == name), "{error}");
        }
    }
}
