//! `auto`: the method is chosen by the space, the budget and the slots, when the slots are known.
//!
//! | what is there | what is taken |
//! |---|---|
//! | fewer than [`LENGTHS`] lengths: no time to stop a trial in | every trial trains in full |
//! | else | promotion ASHA, divisor [`DIVISOR`], rungs from 1 / [`SPAN`] of the greatest length up; rungs that tell nothing are skipped ([`super::halving`]) |
//! | nothing to choose, or all trials start at once | hyperparameters at random: nothing could be learned in time |
//! | priors | placed by them |
//! | trials in full: few, and nothing but numbers | placed by a Gaussian process |
//! | trials in full otherwise | placed by TPE |
//! | trials in rungs | three in ten at random, the others by TPE, evolution and a Gaussian process by lot ([`crate::models`]) |
//!
//! `docs/searcher-quality.md` has what this is chosen by, and the command that shows it again.

use super::{AsyncHalving, Fixed, ModelBased, Running, Source};
use crate::divisor::Divisor;
use crate::error::Error;
use crate::ladder::Ladder;
use crate::method::{Action, Context, Event, Method, RungView};
use crate::methods::halving::Settings;
use crate::models::{FEW_AXES, GpConfig, ModelConfig, PortfolioConfig, TpeConfig};
use crate::plan::BracketPlan;
use crate::space::Space;
use crate::space::encoding::{AxisKind, Encoding};
use serde::{Deserialize, Serialize};

/// With fewer lengths than this there is no room for rungs.
pub(crate) const LENGTHS: u64 = 4;
/// One in so many goes on.
pub(crate) const DIVISOR: f64 = 4.0;
/// The lowest rung is at this part of the greatest length, or at 1.
pub(crate) const SPAN: u64 = 256;
/// Up to so many trials a Gaussian process places them.
const FEW_TRIALS: u64 = 200;

/// The method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Auto {
    settings: AutoSettings,
    chosen: Option<Box<Running>>,
    why: String,
}

/// What is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AutoSettings {
    pub(crate) trials: u64,
    /// Of a trial trained in full.
    pub(crate) length: u64,
    /// At most so many trials at once; 0: no limit.
    pub(crate) at_once: u32,
}

/// A choice, and why.
pub(crate) struct Choice {
    rungs: bool,
    pub(crate) model: Option<ModelConfig>,
    pub(crate) why: String,
}

impl AutoSettings {
    /// The choice for so many trials at once.
    pub(crate) fn choose(&self, space: &Space, slots: u32) -> Choice {
        let rungs = self.length >= LENGTHS;
        let (model, placed) = self.model(space, slots, rungs);
        let trained = if rungs {
            let plan = self.plan().map(|plan| plan.lengths());
            let lengths =
                plan.map(|lengths| lengths.iter().map(u64::to_string).collect::<Vec<_>>().join(", "));
            format!("promotion ASHA with rungs at {}", lengths.unwrap_or_default())
        } else {
            format!("every trial in full: {} is too short for rungs", self.length)
        };
        Choice { rungs, model, why: format!("{trained}; {placed}") }
    }

    fn model(&self, space: &Space, slots: u32, rungs: bool) -> (Option<ModelConfig>, String) {
        let encoding = Encoding::new(space);
        let axes = encoding.axes().len();
        let numbers =
            encoding.axes().iter().all(|axis| !matches!(axis.kind, AxisKind::Choice(_)) && !axis.conditional);
        if axes == 0 {
            return (None, "there is no hyperparameter to choose".to_owned());
        }
        if self.trials <= u64::from(slots) {
            let why = format!("at random: all {} trials start at once on {slots} slots", self.trials);
            return (None, why);
        }
        if space.has_priors() {
            let why = "placed by the priors of the hyperparameters".to_owned();
            return (Some(ModelConfig::Prior(crate::models::PriorConfig::default())), why);
        }
        if rungs {
            let why =
                "three in ten trials at random, the others placed by TPE, evolution and a Gaussian process"
                    .to_owned();
            return (Some(ModelConfig::Portfolio(PortfolioConfig::default())), why);
        }
        if numbers && axes <= FEW_AXES && self.trials <= FEW_TRIALS {
            let why = format!("placed by a Gaussian process: {} trials over {axes} numbers", self.trials);
            return (Some(ModelConfig::Gp(GpConfig::default())), why);
        }
        let why = format!("placed by TPE: {} trials over {axes} hyperparameters", self.trials);
        (Some(ModelConfig::Tpe(TpeConfig::default())), why)
    }

    /// The one bracket of a search with rungs.
    pub(crate) fn plan(&self) -> Result<BracketPlan, Error> {
        let min_length = Some(self.length.div_ceil(SPAN));
        let ladder = Ladder { divisor: Divisor::new(DIVISOR)?, min_length, max_length: self.length };
        Ok(BracketPlan::halving(&ladder, ladder.most(), self.trials))
    }

    /// The method of a choice.
    fn running(&self, choice: &Choice) -> Result<Running, Error> {
        let Self { trials, length, at_once } = *self;
        let method = if choice.rungs {
            let settings = Settings { plan: self.plan()?, divisor: Divisor::new(DIVISOR)?, stop_once: false };
            Running::AsyncHalving(AsyncHalving::with_learned_start(&settings, at_once))
        } else {
            Running::Fixed(Fixed::new(Source::Random, trials, length, at_once))
        };
        Ok(match &choice.model {
            Some(model) => Running::ModelBased(ModelBased::new(method, model)),
            None => method,
        })
    }
}

impl Auto {
    pub(crate) fn new(settings: AutoSettings) -> Self {
        Self { settings, chosen: None, why: String::new() }
    }

    fn method(&self) -> Option<&dyn Method> {
        self.chosen.as_ref().map(|chosen| chosen.method())
    }
}

impl Method for Auto {
    fn handle(&mut self, event: &Event, context: Context<'_>, actions: &mut Vec<Action>) {
        if let (None, Event::Capacity(capacity @ 1..)) = (&self.chosen, event) {
            let limit = super::limit(self.settings.at_once);
            let choice = self.settings.choose(context.space, (*capacity).min(limit));
            // The settings were checked, and no other can fail.
            if let Ok(chosen) = self.settings.running(&choice) {
                (self.chosen, self.why) = (Some(Box::new(chosen)), choice.why);
            }
        }
        if let Some(chosen) = &mut self.chosen {
            chosen.method_mut().handle(event, context, actions);
        }
    }

    fn progress(&self) -> f64 {
        self.method().map_or(0.0, Method::progress)
    }

    fn rungs(&self) -> Vec<RungView> {
        self.method().map_or_else(Vec::new, Method::rungs)
    }

    fn max_length(&self) -> u64 {
        self.settings.length
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(method) = self.method() {
            notes.push(format!("auto: {}", self.why));
            notes.extend(method.notes());
        }
        notes
    }
}
