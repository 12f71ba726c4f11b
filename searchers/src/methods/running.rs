//! The closed set of methods, made from their configuration.

use super::halving::Settings;
use super::{
    Adaptive, AsyncHalving, Auto, AutoSettings, Custom, Fixed, MedianStopping, ModelBased, Pasha, Pbt,
    Source, Synchronous,
};
use crate::config::SearcherConfig;
use crate::divisor::Divisor;
use crate::error::Error;
use crate::method::Method;
use crate::plan::{full_training, grid_trials, plan};
use crate::space::Space;
use serde::{Deserialize, Serialize};

/// A method under way. Serialised by position: append variants, never reorder them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Running {
    Fixed(Fixed),
    AsyncHalving(AsyncHalving),
    Adaptive(Adaptive),
    Synchronous(Synchronous),
    Pasha(Pasha),
    Pbt(Pbt),
    MedianStopping(MedianStopping),
    ModelBased(ModelBased),
    Auto(Auto),
    Custom(Custom),
}

impl Running {
    /// A method before its first event. `config` has been checked.
    pub(crate) fn new(config: &SearcherConfig, space: &Space) -> Result<Self, Error> {
        let places = config.max_concurrent_trials();
        Ok(match *config {
            SearcherConfig::Single { max_length } => {
                Self::Fixed(Fixed::new(Source::Single, 1, max_length, places))
            }
            SearcherConfig::Random { max_trials, max_length, .. } => {
                Self::Fixed(Fixed::new(Source::Random, max_trials, max_length, places))
            }
            SearcherConfig::Grid { max_length, .. } => {
                Self::Fixed(Fixed::new(Source::Grid, grid_trials(space)?, max_length, places))
            }
            SearcherConfig::AsyncHalving { divisor, stop_once, .. } => {
                let settings = one_bracket(config, space, divisor, stop_once)?;
                Self::AsyncHalving(AsyncHalving::new(&settings, places))
            }
            SearcherConfig::Pasha { divisor, .. } => {
                Self::Pasha(Pasha::new(&one_bracket(config, space, divisor, false)?, places))
            }
            SearcherConfig::AdaptiveAsha { stop_once, .. } => {
                Self::Adaptive(Adaptive::new(&config.brackets()?, places, stop_once))
            }
            SearcherConfig::SyncHalving { .. } | SearcherConfig::Hyperband { .. } => {
                let plan = plan(config, space)?;
                Self::Synchronous(Synchronous::new(&plan.brackets, plan.max_length, places))
            }
            SearcherConfig::Pbt(settings) => Self::Pbt(Pbt::new(settings)),
            SearcherConfig::MedianStopping { ref inner, min_length, min_trials } => {
                let inner = Self::new(inner, space)?;
                Self::MedianStopping(MedianStopping::new(inner, min_length, min_trials))
            }
            SearcherConfig::ModelBased { ref inner, ref model } => {
                Self::ModelBased(ModelBased::new(Self::new(inner, space)?, model))
            }
            SearcherConfig::Auto { max_trials, max_length, max_concurrent_trials } => {
                Self::Auto(Auto::new(AutoSettings {
                    trials: max_trials,
                    length: max_length,
                    at_once: max_concurrent_trials,
                }))
            }
            SearcherConfig::Custom { max_length, .. } => Self::Custom(Custom::new(max_length, places)),
        })
    }

    pub(crate) fn method(&self) -> &dyn Method {
        match self {
            Self::Fixed(method) => method,
            Self::AsyncHalving(method) => method,
            Self::Adaptive(method) => method,
            Self::Synchronous(method) => method,
            Self::Pasha(method) => method,
            Self::Pbt(method) => method,
            Self::MedianStopping(method) => method,
            Self::ModelBased(method) => method,
            Self::Auto(method) => method,
            Self::Custom(method) => method,
        }
    }

    pub(crate) fn method_mut(&mut self) -> &mut dyn Method {
        match self {
            Self::Fixed(method) => method,
            Self::AsyncHalving(method) => method,
            Self::Adaptive(method) => method,
            Self::Synchronous(method) => method,
            Self::Pasha(method) => method,
            Self::Pbt(method) => method,
            Self::MedianStopping(method) => method,
            Self::ModelBased(method) => method,
            Self::Auto(method) => method,
            Self::Custom(method) => method,
        }
    }
}

/// The settings of a method that is one asynchronous bracket.
fn one_bracket(
    config: &SearcherConfig,
    space: &Space,
    divisor: f64,
    stop_once: bool,
) -> Result<Settings, Error> {
    let brackets = plan(config, space)?.brackets;
    // Such a method has exactly one.
    let plan = brackets.into_iter().next().unwrap_or_else(|| full_training(1, config.max_length()));
    Ok(Settings { plan, divisor: Divisor::new(divisor)?, stop_once })
}
