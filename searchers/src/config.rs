//! What a search is configured with, and what is allowed.
//!
//! Beside this file, `check` says which settings are out of range, and `population` holds those of population based training.
//! Lengths are in the searcher's time metric. `max_concurrent_trials: 0` means no limit.

pub(crate) mod check;
mod population;

use crate::brackets::{self, Brackets};
use crate::divisor::Divisor;
use crate::error::Error;
use crate::ladder::Ladder;
use crate::method::TrialId;
use crate::methods::AutoSettings;
use crate::models::ModelConfig;
use crate::space::{Assignment, Space};
use serde::{Deserialize, Serialize};

pub use population::Population;

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
        /// How many rungs, 1 to 64; with `min_length` the most, of which the highest are kept.
        num_rungs: u32,
        /// How many trials.
        max_trials: u64,
        /// One in so many goes on; greater than 1.
        divisor: f64,
        /// The length of the lowest rung, 1 to `max_length`; none: rungs are divided down from `max_length`.
        min_length: Option<u64>,
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
        /// The length of the lowest rung, 1 to `max_length`; none: rungs are divided down from `max_length`.
        min_length: Option<u64>,
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
        /// The length of the lowest rung, 1 to `max_length`; none: rungs are divided down from `max_length`.
        min_length: Option<u64>,
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
        /// The length of the lowest rung, 1 to `max_length`; none: rungs are divided down from `max_length`.
        min_length: Option<u64>,
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
        /// The length of the lowest rung, 1 to `max_length`; none: rungs are divided down from `max_length`.
        min_length: Option<u64>,
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
    /// The method is chosen by the space, the budget and the slots.
    Auto {
        /// How many trials.
        max_trials: u64,
        /// How long a trial trains at most, at least 1.
        max_length: u64,
        /// At most so many at once; 0: no limit.
        max_concurrent_trials: u32,
    },
    /// A program outside decides.
    Custom {
        /// How long a trial trains at most, at least 1.
        max_length: u64,
        /// At most so many at once; 0: no limit.
        max_concurrent_trials: u32,
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
            Self::SyncHalving { .. } => "sync_halving",
            Self::Hyperband { .. } => "hyperband",
            Self::Pasha { .. } => "pasha",
            Self::Pbt(_) => "pbt",
            Self::Auto { .. } => "auto",
            Self::Custom { .. } => "custom",
            Self::MedianStopping { inner, .. } => inner.name(),
            Self::ModelBased { inner, model } => match **inner {
                Self::Random { .. } if !matches!(model, ModelConfig::Prior(_)) => model.name(),
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

    /// The model that places its trials, if there is one.
    pub fn model(&self) -> Option<&ModelConfig> {
        match self {
            Self::MedianStopping { inner, .. } => inner.model(),
            Self::ModelBased { model, .. } => Some(model),
            _ => None,
        }
    }

    /// Whether a program outside decides.
    pub fn is_custom(&self) -> bool {
        matches!(self.base(), Self::Custom { .. })
    }

    /// Whether a model may place its trials.
    pub fn places(&self) -> bool {
        self.model().is_some() || matches!(self.base(), Self::Auto { .. })
    }

    /// What `auto` chooses for so many slots, and why; `None` of every other searcher.
    pub fn choice(&self, space: &Space, slots: u32) -> Option<String> {
        let Self::Auto { max_trials, max_length, max_concurrent_trials } = *self.base() else { return None };
        let settings =
            AutoSettings { trials: max_trials, length: max_length, at_once: max_concurrent_trials };
        Some(settings.choose(space, slots).why)
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
            | Self::Pasha { max_concurrent_trials, .. }
            | Self::Auto { max_concurrent_trials, .. }
            | Self::Custom { max_concurrent_trials, .. } => max_concurrent_trials,
            Self::Pbt(Population { population_size, .. }) => population_size,
            Self::MedianStopping { .. } | Self::ModelBased { .. } => 0,
        }
    }

    /// The hyperparameters that this search will give to a trial, unless it begins from another (population based
    /// training after the first round) or a model places it; `None`: a grid has no such point.
    pub fn sample(&self, space: &Space, seed: u32, trial: TrialId) -> Option<Assignment> {
        match self.base() {
            Self::Grid { .. } => {
                let mut found = space.grid_next(0)?;
                for _ in 1..trial.0 {
                    found = space.grid_next(found.0 + 1)?;
                }
                (trial.0 > 0).then_some(found.1)
            }
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
            | Self::Pasha { max_length, .. }
            | Self::Auto { max_length, .. }
            | Self::Custom { max_length, .. } => max_length,
            Self::Pbt(population) => population.max_length(),
            Self::MedianStopping { ref inner, .. } | Self::ModelBased { ref inner, .. } => inner.max_length(),
        }
    }

    /// The length of the lowest rung, where one is given.
    pub fn min_length(&self) -> Option<u64> {
        match *self.base() {
            Self::AsyncHalving { min_length, .. }
            | Self::AdaptiveAsha { min_length, .. }
            | Self::SyncHalving { min_length, .. }
            | Self::Hyperband { min_length, .. }
            | Self::Pasha { min_length, .. } => min_length,
            _ => None,
        }
    }

    /// The divisor, where there is one.
    pub fn divisor(&self) -> Option<f64> {
        match *self.base() {
            Self::AsyncHalving { divisor, .. }
            | Self::AdaptiveAsha { divisor, .. }
            | Self::SyncHalving { divisor, .. }
            | Self::Hyperband { divisor, .. }
            | Self::Pasha { divisor, .. } => Some(divisor),
            _ => None,
        }
    }

    /// Whether its trials are drawn from the space at random, so that a model may place them instead.
    pub fn draws_at_random(&self) -> bool {
        matches!(
            self,
            Self::Random { .. }
                | Self::AsyncHalving { .. }
                | Self::AdaptiveAsha { .. }
                | Self::SyncHalving { .. }
                | Self::Hyperband { .. }
                | Self::Pasha { .. }
        )
    }

    /// Where its rungs stand. A method without a divisor has one rung.
    pub(crate) fn ladder(&self) -> Result<Ladder, Error> {
        let max_length = self.max_length();
        let Some(divisor) = self.divisor() else {
            return Ok(Ladder { divisor: Divisor::new(2.0)?, min_length: Some(max_length), max_length });
        };
        Ok(Ladder { divisor: Divisor::new(divisor)?, min_length: self.min_length(), max_length })
    }

    /// What decides about the brackets of adaptive ASHA; of any other method, those that would have its rungs.
    pub(crate) fn brackets(&self) -> Result<Brackets<'_>, Error> {
        let ladder = self.ladder()?;
        Ok(match self.base() {
            Self::AdaptiveAsha { max_trials, mode, max_rungs, bracket_rungs, .. } => Brackets {
                max_trials: *max_trials,
                mode: *mode,
                ladder,
                max_rungs: *max_rungs,
                bracket_rungs,
            },
            _ => Brackets {
                max_trials: 1,
                mode: Mode::Aggressive,
                ladder,
                max_rungs: MAX_RUNGS,
                bracket_rungs: &[],
            },
        })
    }
}

/// How many trials Hyperband has by the paper's numbers; `None`: more than a search may have, or the divisor is none.
pub fn hyperband_round(divisor: f64, min_length: Option<u64>, max_length: u64) -> Option<u64> {
    let ladder = ladder(divisor, min_length, max_length)?;
    let round = brackets::round(&ladder)?;
    round
        .into_iter()
        .map(|(_, trials)| trials)
        .try_fold(0_u64, u64::checked_add)
        .filter(|sum| *sum <= MAX_TRIALS)
}

/// How many rungs there is room for up to a length, and in a search of `max_trials` if they count: they do not where the
/// lowest rung is given. `None`: the divisor is none, or the lengths are out of order.
pub fn rungs_possible(
    divisor: f64,
    min_length: Option<u64>,
    max_length: u64,
    max_trials: Option<u64>,
) -> Option<u32> {
    let ladder = ladder(divisor, min_length, max_length)?;
    Some(max_trials.map_or_else(|| ladder.most(), |trials| ladder.fed_by(trials.max(1))))
}

fn ladder(divisor: f64, min_length: Option<u64>, max_length: u64) -> Option<Ladder> {
    let max_length = max_length.max(1);
    let ordered = min_length.is_none_or(|least| (1..=max_length).contains(&least));
    let divisor = Divisor::new(divisor).ok().filter(|_| ordered)?;
    Some(Ladder { divisor, min_length, max_length })
}

/// So many trials may refuse their hyperparameters before a search of `trials` gives up creating new ones.
pub(crate) fn invalid_allowed(trials: u64) -> u64 {
    trials.saturating_mul(10).max(100)
}
