//! What a search is configured with, and what is allowed.
//!
//! Lengths are in the searcher's time metric. `max_concurrent_trials: 0` means no limit.

use crate::brackets;
use crate::divisor::Divisor;
use crate::error::Error;
use crate::method::TrialId;
use crate::models::ModelConfig;
use crate::space::{Assignment, Space};
use serde::{Deserialize, Serialize};

/// The most trials a search may be asked for. Leaves room in a trial's id for those that refuse their hyperparameters.
pub const MAX_TRIALS: u64 = 100_000_000;
/// The most rungs: with divisor 2 more lengths than a `u64` has.
pub const MAX_RUNGS: u32 = 64;
/// The largest population.
pub const MAX_POPULATION: u32 = 10_000;
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
    /// Synchronous successive halving: one bracket, each rung of which is decided when all have arrived.
    SyncHalving {
        /// How many trials.
        max_trials: u64,
        /// One in so many goes on; greater than 1.
        divisor: f64,
        /// The length of the top rung, at least 1.
        max_length: u64,
        /// At most so many at once; 0: no limit.
        max_concurrent_trials: u32,
    },
    /// Hyperband: the brackets of the paper, each synchronous.
    Hyperband {
        /// How many trials in all brackets together; [`hyperband_round`] is what the paper has.
        max_trials: u64,
        /// One in so many goes on; greater than 1.
        divisor: f64,
        /// The length of the top rung, at least 1.
        max_length: u64,
        /// At most so many at once; 0: no limit.
        max_concurrent_trials: u32,
    },
    /// Promotion ASHA whose highest rung is raised only while rankings disagree.
    Pasha {
        /// How many trials.
        max_trials: u64,
        /// One in so many goes on; greater than 1.
        divisor: f64,
        /// There are no more rungs than this, 1 to 64.
        max_rungs: u32,
        /// The length of the top rung, at least 1.
        max_length: u64,
        /// At most so many at once; 0: no limit.
        max_concurrent_trials: u32,
    },
    /// Population based training.
    Pbt(Population),
    /// Another method, whose trials are stopped when they are worse than the median of the others.
    MedianStopping {
        /// The method. Not itself of this variant.
        inner: Box<SearcherConfig>,
        /// Nothing is stopped before this length.
        min_length: u64,
        /// Nothing is stopped at a length before so many other trials have validated there; at least 1.
        min_trials: u64,
    },
    /// Another method, whose trials are placed by a model instead of at random.
    ModelBased {
        /// The method. One that draws its trials at random, and not itself of this variant.
        inner: Box<SearcherConfig>,
        /// The model.
        model: ModelConfig,
    },
}

/// The settings of population based training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Population {
    /// How many trials there are in a round, 1 to [`MAX_POPULATION`].
    pub population_size: u32,
    /// How many rounds, at least 1.
    pub num_rounds: u32,
    /// How long a trial trains in a round, at least 1.
    pub length_per_round: u64,
    /// The fraction of the population that is replaced after a round, `0.0 ..= 0.5`.
    pub truncate_fraction: f64,
    /// The probability with which a child's hyperparameter is drawn anew, `0.0 ..= 1.0`.
    pub resample_probability: f64,
    /// How far it moves else, relative to its value, `0.0 ..= 1.0`.
    pub perturb_factor: f64,
}

impl Population {
    /// The length at the end of the last round.
    pub fn max_length(&self) -> u64 {
        self.length_per_round.saturating_mul(u64::from(self.num_rounds))
    }

    /// How many are replaced after a round: the fraction of the population, floored.
    pub fn replaced(&self) -> u32 {
        // A fraction such as 0.29 of 100 must not lose one by rounding.
        let exact = self.truncate_fraction * f64::from(self.population_size) * (1.0 + 1e-12);
        (exact.floor() as u32).min(self.population_size / 2)
    }

    /// How many trials there are if none is lost.
    pub fn trials(&self) -> u64 {
        u64::from(self.population_size)
            + u64::from(self.replaced()) * u64::from(self.num_rounds).saturating_sub(1)
    }

    fn check(&self) -> Result<(), Error> {
        let most = u64::from(MAX_POPULATION);
        within("population_size", u64::from(self.population_size), 1, most, "1 to 10000")?;
        within("num_rounds", u64::from(self.num_rounds), 1, u64::from(u32::MAX), "at least 1")?;
        within("length_per_round", self.length_per_round, 1, u64::MAX, "at least 1")?;
        // A trial may refuse its hyperparameters in place of each that is trained.
        check_trials(self.trials())?;
        fraction("replace_function.truncate_fraction", self.truncate_fraction, 0.5, "0 to 0.5")?;
        fraction("explore_function.resample_probability", self.resample_probability, 1.0, "0 to 1")?;
        fraction("explore_function.perturb_factor", self.perturb_factor, 1.0, "0 to 1")
    }
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
            Self::SyncHalving { .. } => "sync_halving",
            Self::Hyperband { .. } => "hyperband",
            Self::Pasha { .. } => "pasha",
            Self::Pbt(_) => "pbt",
            Self::MedianStopping { inner, .. } => inner.name(),
            Self::ModelBased { inner, model } => match **inner {
                Self::Random { .. } => model.name(),
                Self::Hyperband { .. } if matches!(model, ModelConfig::Tpe(_)) => "bohb",
                _ => inner.name(),
            },
        }
    }

    /// The method without what is around it.
    pub fn base(&self) -> &Self {
        match self {
            Self::MedianStopping { inner, .. } | Self::ModelBased { inner, .. } => inner.base(),
            _ => self,
        }
    }

    /// At most so many trials run at once; 0: it has no limit of its own.
    pub fn max_concurrent_trials(&self) -> u32 {
        match *self.base() {
            Self::Single { .. } => 1,
            Self::Random { max_concurrent_trials, .. }
            | Self::Grid { max_concurrent_trials, .. }
            | Self::AsyncHalving { max_concurrent_trials, .. }
            | Self::AdaptiveAsha { max_concurrent_trials, .. }
            | Self::SyncHalving { max_concurrent_trials, .. }
            | Self::Hyperband { max_concurrent_trials, .. }
            | Self::Pasha { max_concurrent_trials, .. } => max_concurrent_trials,
            Self::Pbt(Population { population_size, .. }) => population_size,
            Self::MedianStopping { .. } | Self::ModelBased { .. } => 0,
        }
    }

    /// The hyperparameters that this search will give to a trial, unless it begins from another (population based
    /// training after the first round) or a model places it; `None`: a grid has no such point.
    pub fn sample(&self, space: &Space, seed: u32, trial: TrialId) -> Option<Assignment> {
        match self.base() {
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
            | Self::AdaptiveAsha { max_length, .. }
            | Self::SyncHalving { max_length, .. }
            | Self::Hyperband { max_length, .. }
            | Self::Pasha { max_length, .. } => max_length,
            Self::Pbt(population) => population.max_length(),
            Self::MedianStopping { ref inner, .. } | Self::ModelBased { ref inner, .. } => inner.max_length(),
        }
    }

    /// Checks every setting; the first one out of range is the error.
    pub fn check(&self) -> Result<(), Error> {
        if !matches!(self.base(), Self::Pbt(_)) {
            within("max_length", self.max_length(), 1, u64::MAX, "at least 1")?;
        }
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
            Self::SyncHalving { max_trials, divisor, .. } | Self::Hyperband { max_trials, divisor, .. } => {
                check_trials(*max_trials)?;
                Divisor::new(*divisor).map(drop)
            }
            Self::Pasha { max_trials, divisor, max_rungs, .. } => {
                check_trials(*max_trials)?;
                Divisor::new(*divisor)?;
                check_rungs("max_rungs", *max_rungs)
            }
            Self::Pbt(population) => population.check(),
            Self::MedianStopping { inner, min_trials, .. } => {
                within("median_stopping.min_trials", *min_trials, 1, MAX_TRIALS, "1 to 100000000")?;
                if matches!(**inner, Self::MedianStopping { .. }) {
                    let found = "within another".to_owned();
                    return Err(Error::Setting { setting: "median_stopping", found, allowed: "only once" });
                }
                inner.check()
            }
            Self::ModelBased { inner, model } => {
                let draws = !matches!(
                    **inner,
                    Self::Single { .. }
                        | Self::Grid { .. }
                        | Self::Pbt(_)
                        | Self::MedianStopping { .. }
                        | Self::ModelBased { .. }
                );
                if !draws {
                    let found = format!("around {}", inner.name());
                    let allowed =
                        "around a searcher that draws its trials at random, such as random, asha, hyperband";
                    return Err(Error::Setting { setting: "model", found, allowed });
                }
                model.check()?;
                inner.check()
            }
        }
    }
}

/// How many trials Hyperband has by the paper's numbers; `None`: more than a search may have, or the divisor is none.
pub fn hyperband_round(divisor: f64, max_length: u64) -> Option<u64> {
    let round = brackets::round(Divisor::new(divisor).ok()?, max_length.max(1))?;
    round
        .into_iter()
        .map(|(_, trials)| trials)
        .try_fold(0_u64, u64::checked_add)
        .filter(|sum| *sum <= MAX_TRIALS)
}

fn check_trials(trials: u64) -> Result<(), Error> {
    within("max_trials", trials, 1, MAX_TRIALS, "1 to 100000000")
}

fn check_rungs(setting: &'static str, rungs: u32) -> Result<(), Error> {
    within(setting, u64::from(rungs), 1, u64::from(MAX_RUNGS), "1 to 64")
}

fn fraction(setting: &'static str, found: f64, most: f64, allowed: &'static str) -> Result<(), Error> {
    if (0.0..=most).contains(&found) {
        Ok(())
    } else {
        Err(Error::Setting { setting, found: found.to_string(), allowed })
    }
}

pub(crate) fn within(
    setting: &'static str,
    found: u64,
    min: u64,
    max: u64,
    allowed: &'static str,
) -> Result<(), Error> {
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
