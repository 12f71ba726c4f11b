//! Children of good trials: each crosses one of the best trials with a random draw.
//!
//! **Rule.** A share `random_fraction` of all trials stays as drawn at random. Each other takes one of the best trials, and every
//! hyperparameter with probability [`REDRAWN`] from the random draw instead, at least one. The best are looked for from the
//! highest level down, the better quarter of each level that [`ENOUGH`] have reached, until there are [`PARENTS`]; the
//! better of them are taken more often.
//!
//! This is mutation without crossover as in evolutionary search, with steps as wide as the space (compare DEHB, N. Awad,
//! N. Mallik, F. Hutter, IJCAI 2021, and the incumbent's perturbation in PriorBand, N. Mallik et al., NeurIPS 2023). Wide
//! steps keep proposals apart in the hyperparameters that do not matter. That counts within successive halving: near
//! copies of one good trial would take each other's places in the next rung, and teach nothing.
//!
//! It answers from the history alone and keeps nothing. Cost: O(axes) a suggestion, however long the history is.

use super::View;
use crate::config::check::fraction;
use crate::error::Error;
use crate::space::Assignment;
use crate::stream::{Purpose, Stream};
use serde::{Deserialize, Serialize};

/// The probability with which a hyperparameter is drawn anew.
const REDRAWN: f64 = 0.5;
/// So many trials must have reported before any is called good.
const STARTUP: usize = 12;
/// So many trials at a level say which of them are good.
const ENOUGH: u32 = 4;
/// One in so many of a level is good.
const GOOD: usize = 4;
/// At most so many trials have children at a time.
const PARENTS: usize = 6;
/// So often another child is tried if one does not satisfy the constraints, or is its parent again.
const ATTEMPTS: u32 = 100;
/// Which decision this is, among those of a search: the letters of "evol".
const DECISION: u64 = 0x6576_6F6C;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvolutionConfig {
    /// The part of the trials that stay as drawn at random, `0.0 ..= 1.0`.
    pub random_fraction: f64,
}

impl Default for EvolutionConfig {
    fn default() -> Self {
        Self { random_fraction: 0.5 }
    }
}

impl EvolutionConfig {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as other models have it")]
    pub(crate) fn check(&self) -> Result<(), Error> {
        fraction("evolution.random_fraction", self.random_fraction, 1.0, "0 to 1")
    }
}

/// The model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evolution {
    config: EvolutionConfig,
}

impl Evolution {
    pub(crate) fn new(config: EvolutionConfig) -> Self {
        Self { config }
    }

    pub(crate) fn suggest(&self, view: View<'_>) -> Option<Assignment> {
        let mut stream = Stream::new(view.seed, view.trial, Purpose::Decision(DECISION));
        if stream.unit() < self.config.random_fraction {
            return None;
        }
        let parents = parents(view);
        let pick = stream.unit();
        // Squared, so that the better are taken more often.
        let parent = *parents.get((pick * pick * parents.len() as f64) as usize)?;
        let parent = view.history.trial(parent)?.point.as_slice();
        let drawn = view.encoding.encode(view.drawn);
        let mut children = (0..ATTEMPTS).map(|_| {
            let point = child(view, parent, &drawn, &mut stream);
            view.encoding.decode(view.space, &point)
        });
        children.find(|child| view.space.allows(child) && !is_at(view, child, parent))
    }
}

/// The trials that have children now, best first.
fn parents(view: View<'_>) -> Vec<u32> {
    let history = view.history;
    let mut found: Vec<u32> = Vec::new();
    if (history.ranking(0).len() as usize) < STARTUP {
        return found;
    }
    for level in (0..history.lengths().len()).rev() {
        let ranking = history.ranking(level);
        if ranking.len() < ENOUGH {
            continue;
        }
        let good = (ranking.len() as usize).div_ceil(GOOD).min(PARENTS * 2);
        for entry in ranking.first(good) {
            let trial = ranking.trial(entry);
            let sound = ranking.key(entry).metric().is_some_and(f64::is_finite);
            if sound && found.len() < PARENTS && !found.contains(&trial) {
                found.push(trial);
            }
        }
        if found.len() == PARENTS {
            break;
        }
    }
    found
}

/// A parent's point with some of its coordinates from a random draw.
fn child(view: View<'_>, parent: &[f64], drawn: &[f64], stream: &mut Stream) -> Vec<f64> {
    let axes = view.encoding.axes();
    let forced = stream.index((axes.len() as u64).saturating_sub(1)) as usize;
    let mut point = Vec::with_capacity(axes.len());
    for (place, axis) in axes.iter().enumerate() {
        let (redrawn, anywhere) = (stream.unit() < REDRAWN, axis.at(stream.unit()));
        let taken = if redrawn || place == forced { drawn[place] } else { parent[place] };
        // What is inactive there may be active here.
        point.push(if taken.is_nan() { anywhere } else { taken });
    }
    point
}

fn is_at(view: View<'_>, child: &Assignment, parent: &[f64]) -> bool {
    let point = view.encoding.encode(child);
    point.iter().zip(parent).all(|(one, other)| one == other || (one.is_nan() && other.is_nan()))
}
