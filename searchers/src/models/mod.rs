//! Models: what hyperparameters the next trial should have, given what the others have reported.
//!
//! A model is asked once for each new trial, by [`crate::methods`]' `ModelBased`, which stands around any method that draws
//! its trials at random: the method decides how long trials train, the model where they are. A model answers from the
//! [`History`] alone, so that the same history gives the same answer, also after it was stored and restored; what it keeps
//! beside is derived from it.
//!
//! | folder | model |
//! |---|---|
//! | `tpe` | densities of the good and of the others |
//! | `gp` | a Gaussian process |
//! | `evolution` | children of good trials |
//! | `portfolio` | `evolution`, `tpe` and `gp` by lot |
//! | `prior` | what a person expects |
//!
//! Models share `chance`: points anywhere, and where a person expects good ones.

mod chance;
mod evolution;
mod gp;
mod portfolio;
mod prior;
mod tpe;

use crate::error::Error;
use crate::history::History;
use crate::method::TrialId;
use crate::space::encoding::Encoding;
use crate::space::{Assignment, Space};
use serde::{Deserialize, Serialize};

pub use evolution::EvolutionConfig;
pub(crate) use gp::FEW_AXES;
pub use gp::GpConfig;
pub use portfolio::PortfolioConfig;
pub use prior::PriorConfig;
pub use tpe::TpeConfig;

/// A model and its settings. Serialised by position: append variants, never reorder them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ModelConfig {
    /// Tree-structured Parzen estimator.
    Tpe(TpeConfig),
    /// Gaussian process.
    Gp(GpConfig),
    /// The priors of the space, beside random draws.
    Prior(PriorConfig),
    /// Children of good trials.
    Evolution(EvolutionConfig),
    /// Several models by lot.
    Portfolio(PortfolioConfig),
}

impl ModelConfig {
    /// Its name in an experiment file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tpe(_) => "tpe",
            Self::Gp(_) => "gp",
            Self::Prior(_) => "prior",
            Self::Evolution(_) => "evolution",
            Self::Portfolio(_) => "portfolio",
        }
    }

    /// Checks every setting; the first one out of range is the error.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Tpe(config) => config.check(),
            Self::Gp(config) => config.check(),
            Self::Prior(config) => config.check(),
            Self::Evolution(config) => config.check(),
            Self::Portfolio(config) => config.check(),
        }
    }
}

/// What a model may look at.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) space: &'a Space,
    pub(crate) encoding: &'a Encoding,
    pub(crate) history: &'a History,
    /// The seed of the search.
    pub(crate) seed: u32,
    /// The trial that hyperparameters are wanted for.
    pub(crate) trial: TrialId,
    /// What it has if the model has nothing better: a random draw.
    pub(crate) drawn: &'a Assignment,
}

/// A model under way. Serialised by position: append variants, never reorder them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Model {
    Tpe(tpe::Tpe),
    Gp(gp::Gp),
    Prior(prior::Guided),
    Evolution(evolution::Evolution),
    Portfolio(portfolio::Portfolio),
}

impl Model {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        match config {
            ModelConfig::Tpe(config) => Self::Tpe(tpe::Tpe::new(*config)),
            ModelConfig::Gp(config) => Self::Gp(gp::Gp::new(*config)),
            ModelConfig::Prior(config) => Self::Prior(prior::Guided::new(*config)),
            ModelConfig::Evolution(config) => Self::Evolution(evolution::Evolution::new(*config)),
            ModelConfig::Portfolio(config) => Self::Portfolio(portfolio::Portfolio::new(*config)),
        }
    }

    /// Hyperparameters for a new trial; none: as drawn at random.
    pub(crate) fn suggest(&mut self, view: View<'_>) -> Option<Assignment> {
        match self {
            Self::Tpe(model) => model.suggest(view),
            Self::Gp(model) => model.suggest(view),
            Self::Prior(model) => model.suggest(view),
            Self::Evolution(model) => model.suggest(view),
            Self::Portfolio(model) => model.suggest(view),
        }
    }

    /// Takes note of a new trial whose hyperparameters are known already, in a replay: what the model keeps is
    /// afterwards what it would be had it suggested them, so that later suggestions are those of a search that was never
    /// interrupted. Random numbers are those of the trial and need no note.
    pub(crate) fn recall(&mut self, view: View<'_>) {
        match self {
            Self::Tpe(model) => model.recall(view),
            Self::Gp(model) => model.recall(view),
            Self::Portfolio(model) => model.recall(view),
            // They keep nothing.
            Self::Prior(_) | Self::Evolution(_) => {}
        }
    }
}
