//! Multivariate tree-structured Parzen estimator.
//!
//! Two densities over the space are estimated: l of the good trials and g of the others. Candidates are drawn from l, and the
//! one with the greatest l / g is suggested, which maximises the expected improvement (Bergstra et al., *Algorithms for
//! Hyper-Parameter Optimization*, NIPS 2011). Densities are joint over all hyperparameters, and levels of training
//! length are chosen as in BOHB (Falkner, Klein and Hutter, *BOHB*, ICML 2018). With Hyperband around it this is BOHB;
//! with ASHA, its asynchronous form.
//!
//! | file | holds |
//! |---|---|
//! | `sides` | which trials are good and bad; censored ones; why the cost is flat |
//! | `density` | a density over points, conditions included; widths |
//! | `kernel` | the density around one coordinate; where the prior of an axis comes from |
//! | `known` | which points were tried |
//!
//! A suggestion:
//!
//! 1. At random, as drawn, if fewer than enough trials have reported, and else with probability `random_fraction`: a model that is
//!    wrong must not decide alone.
//! 2. Draw `candidates` points from l. If the drawn conditions make hyperparameters active that the observation behind the
//!    draw did not have, those come from observations that have them.
//! 3. Settle each (cells, conditions), leave out what was tried before or is not admissible, and take the greatest
//!    l / g; the first among equals.
//! 4. If none is left, a point that was not tried is sought at random, [`TRIES`] times. A space in which everything
//!    was tried gives random draws.
//!
//! All random numbers are those of the trial that is placed. Cost: O((good + bad) · candidates · axes), all of them bounded,
//! and O(log n) in the history for each trial that is looked at. Nothing is kept between suggestions but `known`.

mod density;
mod kernel;
mod known;
mod sides;

use super::View;
use crate::config::{fraction, within};
use crate::error::Error;
use crate::space::encoding::Encoding;
use crate::space::{Assignment, Space};
use crate::stream::{Purpose, Stream};
use density::{Density, Drawn};
use kernel::Place;
use known::Known;
use serde::{Deserialize, Serialize};
use sides::Sides;

/// The purpose of the random numbers of a suggestion.
const SUGGESTION: Purpose = Purpose::Decision(0x7470_6500);
/// How often a point that was not tried is sought at random.
const TRIES: u32 = 64;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TpeConfig {
    /// So many trials must have reported at a level before the model learns from it, at least 1. Until then trials are
    /// random.
    pub startup_trials: u32,
    /// How many points are drawn and compared for a suggestion, 1 to 1000. More of them trust the model more.
    pub candidates: u32,
    /// Which fraction of the trials is good, more than 0.0, up to 0.5.
    pub gamma: f64,
    /// Which fraction of trials stays random, `0.0 ..= 1.0`, so that the search cannot be caught where the model errs.
    pub random_fraction: f64,
}

impl Default for TpeConfig {
    fn default() -> Self {
        Self { startup_trials: 10, candidates: 64, gamma: 0.15, random_fraction: 0.1 }
    }
}

impl TpeConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("tpe.startup_trials", u64::from(self.startup_trials), 1, 1_000_000, "1 to 1000000")?;
        within("tpe.candidates", u64::from(self.candidates), 1, 1000, "1 to 1000")?;
        fraction("tpe.gamma", self.gamma, 0.5, "more than 0, up to 0.5")?;
        if self.gamma == 0.0 {
            let (found, allowed) = (self.gamma.to_string(), "more than 0, up to 0.5");
            return Err(Error::Setting { setting: "tpe.gamma", found, allowed });
        }
        fraction("tpe.random_fraction", self.random_fraction, 1.0, "0 to 1")
    }
}

/// The model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tpe {
    config: TpeConfig,
    known: Known,
}

impl Tpe {
    pub(crate) fn new(config: TpeConfig) -> Self {
        Self { config, known: Known::default() }
    }

    /// Hyperparameters for a trial; none: as drawn.
    pub(crate) fn suggest(&mut self, view: View<'_>) -> Option<Assignment> {
        let axes = view.encoding.axes();
        if axes.is_empty() {
            return None;
        }
        self.known.note(view.history, axes);
        let mut stream = Stream::new(view.seed, view.trial, SUGGESTION);
        let modelled = stream.unit() >= self.config.random_fraction;
        let sides =
            if modelled { Sides::new(&self.config, view.history, axes.len(), &mut stream) } else { None };
        let best = match sides {
            Some(sides) => self.best_candidate(view, &sides, &mut stream),
            None if self.is_new(view, view.drawn) => return None,
            None => None,
        };
        best.or_else(|| self.untried(view, &mut stream))
    }

    /// The candidate with the greatest ratio of densities; none if all were tried before.
    fn best_candidate(&self, view: View<'_>, sides: &Sides<'_>, stream: &mut Stream) -> Option<Assignment> {
        let axes = view.encoding.axes();
        let (good, bad) = (Density::new(axes, &sides.good), Density::new(axes, &sides.bad));
        let (mut best, mut room): (Option<(f64, Assignment)>, _) = (None, Vec::new());
        for _ in 0..self.config.candidates {
            let (candidate, point) = candidate(view, &good, stream);
            if self.known.contains(&point) || !admissible(view.space, &candidate) {
                continue;
            }
            let places: Vec<Option<Place>> =
                axes.iter().zip(&point).map(|(axis, &at)| Place::new(axis, at)).collect();
            let score = good.log_density(&places, &mut room) - bad.log_density(&places, &mut room);
            if best.as_ref().is_none_or(|(greatest, _)| score > *greatest) {
                best = Some((score, candidate));
            }
        }
        best.map(|(_, candidate)| candidate)
    }

    /// A random point that was not tried.
    fn untried(&self, view: View<'_>, stream: &mut Stream) -> Option<Assignment> {
        let prior = Density::new(view.encoding.axes(), &[]);
        let mut draw = || view.encoding.decode(view.space, &prior.draw(stream).point);
        std::iter::repeat_with(&mut draw).take(TRIES as usize).find(|drawn| self.is_new(view, drawn))
    }

    fn is_new(&self, view: View<'_>, assignment: &Assignment) -> bool {
        !self.known.contains(&view.encoding.encode(assignment)) && admissible(view.space, assignment)
    }
}

/// Whether a trial may have these hyperparameters.
fn admissible(_space: &Space, _assignment: &Assignment) -> bool {
    true
}

/// A draw from a density, with what conditions make active drawn from observations that have it.
fn candidate(view: View<'_>, density: &Density, stream: &mut Stream) -> (Assignment, Vec<f64>) {
    let mut drawn = density.draw(stream);
    loop {
        let (assignment, point) = settled(view.encoding, view.space, &drawn);
        let missing = |axis: &usize| !drawn.informed[*axis] && !point[*axis].is_nan();
        let missing: Vec<usize> = (0..point.len()).filter(missing).collect();
        if missing.is_empty() {
            return (assignment, point);
        }
        // Ends: each round informs at least one axis more.
        density.redraw(&mut drawn, &missing, stream);
    }
}

fn settled(encoding: &Encoding, space: &Space, drawn: &Drawn) -> (Assignment, Vec<f64>) {
    let assignment = encoding.decode(space, &drawn.point);
    let point = encoding.encode(&assignment);
    (assignment, point)
}
