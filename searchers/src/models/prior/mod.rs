//! Trials where a person expects good ones, where the best one is, and everywhere: a mixture that is safe when the person is
//! wrong (N. Mallik et al., *PriorBand: Practical Hyperparameter Optimization in the Age of Deep Learning*, NeurIPS 2023).
//!
//! **Rule.** A half of all trials are random draws, whatever else is known: the paper's share in the lowest rung, where all
//! trials begin here. The other half come from the prior until [`ENOUGH`] trials have reported at one level. From then on they
//! are shared between the prior and the surroundings of the best trial of the highest such level in proportion to how likely
//! either makes the best third of that level, each trial weighted by its rank. So a prior in whose midst no good trials lie
//! loses its share. Two things are not the paper's: likelihoods are means over the axes, so that many
//! hyperparameters do not decide at the first difference, and the prior's counts n trials as 1 / (1 + n/[`FADES`]): what was
//! seen weighs more than what was expected, as in πBO (C. Hvarfner et al., ICLR 2022).
//!
//! A trial near the best one has each of its hyperparameters moved with probability 1/2, at least one.
//!
//! Cost: O(axes · [`COMPARED`]) a suggestion, however long the history is.

use super::View;
use super::chance::expected;
use crate::error::Error;
use crate::space::Assignment;
use crate::space::encoding::Axis;
use crate::space::prior::AxisPrior;
use crate::stream::{Purpose, Stream};
use serde::{Deserialize, Serialize};

/// The part of trials that is drawn at random.
const RANDOM: f64 = 0.5;
/// So many trials at a level say something about the prior.
const ENOUGH: u64 = 8;
/// After so many trials a prior counts half.
const FADES: f64 = 25.0;
/// At most so many of the best are looked at.
const COMPARED: u64 = 64;
/// One in so many of a level is among its best.
const BEST: u64 = 3;
/// The standard deviation around the best trial, as a part of an axis.
const NEAR: f64 = 0.2;
/// The probability with which a choice that is moved stays, beside its share.
const STAYS: f64 = 0.5;
/// So often another place is tried if one does not satisfy the constraints.
const ATTEMPTS: u32 = 100;
/// Which decision this is, among those of a search: the letters of "prior".
const DECISION: u64 = 0x70_7269_6F72;

/// Settings; there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PriorConfig {}

/// The model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Guided {
    config: PriorConfig,
}

impl PriorConfig {
    #[expect(
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
        reason = "as other models have it"
    )]
    pub(crate) fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// What the trials so far say.
struct Standing {
    /// The coordinates of the best.
    best: Vec<f64>,
    /// The share of the prior in what is not random.
    prior: f64,
}

impl Guided {
    pub(crate) fn new(config: PriorConfig) -> Self {
        Self { config }
    }

    #[expect(clippy::unused_self, reason = "it answers from the history alone")]
    pub(crate) fn suggest(&mut self, view: View<'_>) -> Option<Assignment> {
        let mut stream = Stream::new(view.seed, view.trial, Purpose::Decision(DECISION));
        let pick = stream.unit();
        if pick < RANDOM {
            return None;
        }
        let near = standing(view)
            .filter(|standing| pick >= RANDOM + (1.0 - RANDOM) * standing.prior)
            .map(|standing| standing.best);
        let mut places = (0..ATTEMPTS).map(|_| {
            let point = match &near {
                Some(best) => moved(view.encoding.axes(), best, &mut stream),
                None => expected(view.encoding.axes(), &mut stream),
            };
            view.encoding.decode(view.space, &point)
        });
        places.find(|place| view.space.allows(place))
    }
}

/// The best trial and the prior's share, if enough have reported.
fn standing(view: View<'_>) -> Option<Standing> {
    let history = view.history;
    let level = (0..history.lengths().len()).rev().find(|level| count(view, *level) >= ENOUGH)?;
    let (ranking, reported) = (history.ranking(level), count(view, level));
    let best = reported.div_ceil(BEST).min(COMPARED);
    let points: Vec<&[f64]> = ranking
        .first(best as usize)
        .into_iter()
        .filter(|entry| ranking.key(*entry).ranked().is_some())
        .filter_map(|entry| Some(history.trial(ranking.trial(entry))?.point.as_slice()))
        .collect();
    let incumbent: &[f64] = points.first()?;
    let (mut prior, mut near) = (0.0, 0.0);
    for (rank, point) in points.iter().enumerate() {
        let weight = (points.len() - rank) as f64;
        prior += weight * likelihood(view.encoding.axes(), point, |axis, _| axis.prior());
        near += weight
            * likelihood(view.encoding.axes(), point, |axis, place| {
                let at = incumbent.get(place).copied().filter(|at| !at.is_nan())?;
                Some(AxisPrior::around(axis, at, NEAR, STAYS))
            });
    }
    prior *= FADES / (FADES + reported as f64);
    Some(Standing { best: incumbent.to_vec(), prior: prior / (prior + near) })
}

fn count(view: View<'_>, level: usize) -> u64 {
    u64::from(view.history.ranking(level).len())
}

/// How likely a distribution makes a point, relative to a random draw: the geometric mean over its axes.
fn likelihood(axes: &[Axis], point: &[f64], of: impl Fn(&Axis, usize) -> Option<AxisPrior>) -> f64 {
    let (mut sum, mut active) = (0.0, 0_u32);
    for (place, (axis, at)) in axes.iter().zip(point).enumerate() {
        if !at.is_nan() {
            active += 1;
            sum += of(axis, place).map_or(0.0, |prior| prior.density(axis, *at).max(1e-300).ln());
        }
    }
    (sum / f64::from(active.max(1))).exp()
}

/// A point near the best.
fn moved(axes: &[Axis], best: &[f64], stream: &mut Stream) -> Vec<f64> {
    let always = if axes.is_empty() { 0 } else { stream.index(axes.len() as u64 - 1) as usize };
    let point = axes.iter().zip(best).enumerate().map(|(place, (axis, at))| {
        if at.is_nan() {
            return axis.at(stream.unit());
        }
        let moves = stream.unit() < 0.5 || place == always;
        if moves { AxisPrior::around(axis, *at, NEAR, STAYS).draw(stream.unit()) } else { *at }
    });
    point.collect()
}
