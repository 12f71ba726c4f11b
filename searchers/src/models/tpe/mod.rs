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
//! | `kernel` | the density around one coordinate |
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
//! Where a person has said what to expect, that is one more component of l, worth [`BELIEF`] good trials at first, and less
//! as trials report: n of them leave 1 / (1 + n/[`FADES`]) of it, as πBO lets a prior fade (Hvarfner et al., ICLR 2022). A
//! half of the trials of step 1, but for `random_fraction`, are placed so.
//!
//! All random numbers are those of the trial that is placed. Cost: O((good + bad) · candidates · axes), all of them bounded,
//! and O(log n) in the history for each trial that is looked at. Nothing is kept between suggestions but `known`.

mod density;
mod kernel;
mod known;
mod sides;

use super::{View, chance};
use crate::config::check::{fraction, within};
use crate::error::Error;
use crate::space::encoding::Encoding;
use crate::space::{Assignment, Space};
use crate::stream::{Purpose, Stream};
use density::{CAUTIOUS, Density, Drawn};
use kernel::Place;
use known::Known;
use serde::{Deserialize, Serialize};
use sides::Sides;

/// The purpose of the random numbers of a suggestion.
const SUGGESTION: Purpose = Purpose::Decision(0x7470_6500);
/// What a person expects is worth so many good trials before there are any.
const BELIEF: f64 = 4.0;
/// And a half of that after so many.
const FADES: f64 = 10.0;
/// How often a point that was not tried is sought at random.
const TRIES: u32 = 512;

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
        Self { startup_trials: 10, candidates: 32, gamma: 0.15, random_fraction: 0.2 }
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

    /// Notes what was tried until now.
    pub(crate) fn recall(&mut self, view: View<'_>) {
        self.known.note(view.history, view.encoding.axes());
    }

    /// Hyperparameters for a trial; none: as drawn.
    pub(crate) fn suggest(&mut self, view: View<'_>) -> Option<Assignment> {
        let axes = view.encoding.axes();
        if axes.is_empty() {
            return None;
        }
        self.recall(view);
        let mut stream = Stream::new(view.seed, view.trial, SUGGESTION);
        let modelled = stream.unit() >= self.config.random_fraction;
        let sides =
            if modelled { Sides::new(&self.config, view.history, axes.len(), &mut stream) } else { None };
        let best = match sides {
            Some(sides) => self.best_candidate(view, &sides, &mut stream),
            None => {
                let is_free = |point: &[f64]| !self.known.contains(point);
                let early = if modelled { chance::early(view, &mut stream, is_free) } else { None };
                if early.is_none() && self.is_new(view, view.drawn) {
                    return None;
                }
                early
            }
        };
        best.or_else(|| self.untried(view, &mut stream))
    }

    /// The candidate with the greatest ratio of densities; none if all were tried before.
    fn best_candidate(&self, view: View<'_>, sides: &Sides<'_>, stream: &mut Stream) -> Option<Assignment> {
        let axes = view.encoding.axes();
        let least = if sides.at_top { 0.0 } else { CAUTIOUS };
        let (mut good, bad) = (Density::new(axes, &sides.good, least), Density::new(axes, &sides.bad, least));
        if chance::has_priors(axes) {
            let reported = f64::from(view.history.ranking(0).len());
            good = good.with_belief(axes, BELIEF * FADES / (FADES + reported));
        }
        let mut best: Option<(f64, Assignment)> = None;
        for _ in 0..self.config.candidates {
            let (candidate, point) = candidate(view, &good, stream);
            if self.known.contains(&point) || !view.space.allows(&candidate) {
                continue;
            }
            let places: Vec<Option<Place>> =
                axes.iter().zip(&point).map(|(axis, &at)| Place::new(axis, at)).collect();
            let score = good.log_density(&places) - bad.log_density(&places);
            if best.as_ref().is_none_or(|(greatest, _)| score > *greatest) {
                best = Some((score, candidate));
            }
        }
        best.map(|(_, candidate)| candidate)
    }

    /// A random point that was not tried.
    fn untried(&self, view: View<'_>, stream: &mut Stream) -> Option<Assignment> {
        let anywhere = Density::new(view.encoding.axes(), &[], 0.0);
        let mut draw = || view.encoding.decode(view.space, &anywhere.draw(stream).point);
        std::iter::repeat_with(&mut draw).take(TRIES as usize).find(|drawn| self.is_new(view, drawn))
    }

    fn is_new(&self, view: View<'_>, assignment: &Assignment) -> bool {
        !self.known.contains(&view.encoding.encode(assignment)) && view.space.allows(assignment)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::method::{ExitReason, TrialId};
    use crate::space::{Dimension, Domain, Value};

    const CONFIG: TpeConfig =
        TpeConfig { startup_trials: 10, candidates: 32, gamma: 0.15, random_fraction: 0.0 };

    fn double() -> Domain {
        Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None }
    }

    fn text(name: &str) -> Value {
        Value::String(name.to_owned())
    }

    fn report(history: &mut History, point: Vec<f64>, metric: f64) {
        history.begin(point);
        let trial = TrialId(history.len() as u32);
        history.validated(trial, 1, metric);
        history.exited(trial, ExitReason::Stopped);
    }

    fn suggestion(space: &Space, history: &History, seed: u32) -> Vec<f64> {
        let (encoding, trial) = (Encoding::new(space), TrialId(history.len() as u32 + 1));
        let drawn = space.draw(seed, trial);
        let view = View { space, encoding: &encoding, history, seed, trial, drawn: &drawn };
        encoding.encode(&Tpe::new(CONFIG).suggest(view).unwrap())
    }

    /// How far suggestions are on average from where `running` trials run, at the bottom of a bowl.
    fn distance(running: usize) -> f64 {
        let space = Space::new(["a", "b"].map(|name| (name.to_owned(), Dimension::always(double()))).into());
        let mut history = History::new(vec![1]);
        for trial in 0..49 {
            let (a, b) = (f64::from(trial % 7) / 6.0, f64::from(trial / 7) / 6.0);
            report(&mut history, vec![a, b], (a - 0.5).powi(2) + (b - 0.5).powi(2));
        }
        (0..running).for_each(|_| history.begin(vec![0.5, 0.5]));
        let one = |seed| {
            let point = suggestion(&space, &history, seed);
            ((point[0] - 0.5).powi(2) + (point[1] - 0.5).powi(2)).sqrt()
        };
        (0..40).map(one).sum::<f64>() / 40.0
    }

    #[test]
    fn running_trials_keep_others_away() {
        let (alone, crowded) = (distance(0), distance(15));
        assert!(crowded > 1.3 * alone, "{alone} alone, {crowded} with 15 running there");
    }

    /// `kind` is b or c; only c has the group, in which only `on` = y has the rate.
    fn nested() -> Space {
        let given = |name: &str, value, domain| Dimension {
            domain,
            condition: [(name.to_owned(), vec![text(value)])].into(),
            prior: None,
        };
        let choice = |one, other| Dimension::always(Domain::Categorical(vec![text(one), text(other)]));
        let inner = [("on".to_owned(), choice("x", "y")), ("rate".to_owned(), given("on", "y", double()))];
        let group = given("kind", "c", Domain::Group(inner.into()));
        Space::new([("group".to_owned(), group), ("kind".to_owned(), choice("b", "c"))].into())
    }

    #[test]
    fn what_a_condition_makes_active_is_drawn_from_those_that_have_it() {
        let space = nested();
        let encoding = Encoding::new(&space);
        let names: Vec<&str> =
            encoding.axes().iter().map(|axis| axis.path[axis.path.len() - 1].as_str()).collect();
        assert_eq!(names, ["on", "rate", "kind"]);
        // Two good without the group, and two with a rate of 0.9.
        let points: [&[f64]; 4] =
            [&[f64::NAN, f64::NAN, 0.0], &[f64::NAN, f64::NAN, 0.0], &[1.0, 0.9, 1.0], &[1.0, 0.9, 1.0]];
        let density = Density::new(encoding.axes(), &points, 0.0);
        let mut rates = Vec::new();
        for trial in 1..=2000 {
            let mut stream = Stream::new(1, TrialId(trial), SUGGESTION);
            let drawn = space.draw(1, TrialId(trial));
            let history = History::new(vec![1]);
            let view = View {
                space: &space,
                encoding: &encoding,
                history: &history,
                seed: 1,
                trial: TrialId(1),
                drawn: &drawn,
            };
            let (_, point) = candidate(view, &density, &mut stream);
            assert_eq!(point[0].is_nan(), point[2] == 0.0, "{point:?}");
            assert_eq!(point[1].is_nan(), point[0].is_nan() || point[0] == 0.0, "{point:?}");
            rates.extend(Some(point[1]).filter(|rate| !rate.is_nan()));
        }
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        // Of draws for a point that had no rate, a third are of the prior, as many as one of three components.
        assert!(rates.len() > 500 && mean > 0.62, "{mean} of {}", rates.len());
    }

    #[test]
    fn branches_are_compared_by_what_they_share() {
        let space = nested();
        let mut history = History::new(vec![1]);
        for trial in 0..60 {
            let rate = f64::from(trial % 20) / 19.0;
            match trial % 3 {
                0 => report(&mut history, vec![f64::NAN, f64::NAN, 0.0], 1.0),
                1 => report(&mut history, vec![0.0, f64::NAN, 1.0], 1.5),
                _ => report(&mut history, vec![1.0, rate, 1.0], (rate - 0.8).abs()),
            }
        }
        let found: Vec<Vec<f64>> = (0..40).map(|seed| suggestion(&space, &history, seed)).collect();
        let near = found.iter().filter(|point| (point[1] - 0.8).abs() < 0.2).count();
        assert!(near >= 32, "{near} of 40: {found:?}");
    }
}
