//! Bayesian optimisation with a Gaussian process over hyperparameters and lengths.
//!
//! Snoek, Larochelle and Adams, "Practical Bayesian Optimization of Machine Learning Algorithms" (NeurIPS 2012): Matérn-5/2
//! with a length scale for each axis; warped inputs after Snoek et al. (ICML 2014); the logarithm of the expected improvement
//! after Ament et al. (NeurIPS 2023). Reports of all levels count, after Swersky, Snoek and Adams (NeurIPS 2013) and Klein et
//! al. (2020): the model learns how much a level tells about the next, which may be nothing, or the contrary. Improvement is
//! looked for at the highest level that has reports enough.
//!
//! | file | holds |
//! |---|---|
//! | `rows`, `sizes` | which reports count, and their scores |
//! | `kernel`, `params` | the kernel, its parameters and what is believed of them |
//! | `fit`, `descent` | their most probable values |
//! | `posterior`, `cholesky` | means and variances |
//! | `search`, `normal` | where the expected improvement is greatest |
//! | `belief` | what a person expects |
//!
//! The parameters are fitted again when there are a quarter more reports than at the last fit, from there on. Between, rows
//! are appended to the factor. Parameters and the choice of rows are stored with a search; the factor is made again, and is
//! the same bit for bit. Cost for n rows, at most 1.25 `max_points`: O(n²) a suggestion, O(n³) a fit, which takes at most
//! [`FIT_POINTS`] rows; 2 000 rows are the limit.

mod belief;
mod cholesky;
mod descent;
mod fit;
mod kernel;
mod normal;
mod params;
mod posterior;
mod rows;
mod search;
mod sizes;
#[cfg(test)]
mod tests;

use super::{View, chance};
use crate::config::check::within;
use crate::error::Error;
use crate::history::History;
use crate::space::Assignment;
use crate::space::encoding::{AxisKind, Encoding};
use crate::stream::{Purpose, Stream};
use belief::Belief;
use kernel::Kernel;
use params::{Layout, Params};
use posterior::Posterior;
use rows::Rows;
use search::Search;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Over more hyperparameters than this it tells little: those who choose a model leave it out.
pub(crate) const FEW_AXES: usize = 16;
/// The most rows of the model.
const MOST_POINTS: u32 = 2000;
/// The most rows that parameters are fitted to.
const FIT_POINTS: usize = 160;
/// Running trials that the model knows of, the newest.
const MAX_RUNNING: usize = 64;
/// The room of all running trials on an axis, shared out among at least so many.
const ROOM: f64 = 0.25;
const MIN_SHARES: usize = 6;
/// Known points that the best is looked for among.
const MAX_KNOWN: usize = 64;
/// A space with fewer points than this never gets one twice, while there are others.
const COUNTABLE: f64 = 1e7;
/// Trials before the first suggestion, if the settings leave it open.
const LEAST_STARTUP: u64 = 8;
/// The decision for which random numbers are drawn.
const DECISION: u64 = 0x6770;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpConfig {
    /// So many trials with a report before the first suggestion, 0 to 1000; 0: two for each axis, at least 8.
    pub startup_trials: u32,
    /// How many reports the model holds, 16 to 2000. Suggestions cost its square.
    pub max_points: u32,
    /// The part of the trials that stay as drawn at random, `0.0 ..= 1.0`.
    pub random_fraction: f64,
}

impl Default for GpConfig {
    fn default() -> Self {
        Self { startup_trials: 0, max_points: 256, random_fraction: 0.2 }
    }
}

impl GpConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (least, most) = (16, u64::from(MOST_POINTS));
        within("gp.startup_trials", u64::from(self.startup_trials), 0, 1000, "0 to 1000")?;
        within("gp.max_points", u64::from(self.max_points), least, most, "16 to 2000")?;
        if (0.0..=1.0).contains(&self.random_fraction) {
            return Ok(());
        }
        let found = self.random_fraction.to_string();
        Err(Error::Setting { setting: "gp.random_fraction", found, allowed: "0 to 1" })
    }
}

/// The model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gp {
    config: GpConfig,
    rows: Rows,
    /// Empty before the first fit.
    params: Params,
    /// How many reports there were at the last fit.
    fitted: u64,
    #[serde(skip)]
    derived: Derived,
}

/// What follows from rows, parameters and history, so that it is neither stored nor compared.
#[derive(Clone, Debug, Default)]
struct Derived {
    posterior: Option<Posterior>,
    taken: BTreeSet<u64>,
    /// Trials whose points are in `taken`.
    noted: u32,
}

impl PartialEq for Derived {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// How a trial comes to its place.
enum Way {
    Drawn,
    /// Before there is enough to fit.
    Early(Stream),
    Modelled(Stream),
}

impl Gp {
    pub(crate) fn new(config: GpConfig) -> Self {
        Self {
            config,
            rows: Rows::default(),
            params: Params::default(),
            fitted: 0,
            derived: Derived::default(),
        }
    }

    /// Hyperparameters for a trial; none: as drawn.
    pub(crate) fn suggest(&mut self, view: View<'_>) -> Option<Assignment> {
        match self.advance(view) {
            Way::Drawn => None,
            Way::Early(mut stream) => {
                let countable = self.derived.note(view);
                chance::early(view, &mut stream, |point| {
                    !(countable && self.derived.taken.contains(&hash(point)))
                })
            }
            Way::Modelled(stream) => self.most_improving(view, stream),
        }
    }

    /// Takes in what was reported until now, as a suggestion does.
    pub(crate) fn recall(&mut self, view: View<'_>) {
        self.advance(view);
    }

    /// What a suggestion changes, whatever place it comes to, and how it comes to one.
    fn advance(&mut self, view: View<'_>) -> Way {
        if self.rows.follow(view.history, self.config.max_points as usize) {
            self.derived.posterior = None;
        }
        let mut stream = Stream::new(view.seed, view.trial, Purpose::Decision(DECISION));
        if stream.unit() < self.config.random_fraction || view.encoding.axes().is_empty() {
            return Way::Drawn;
        }
        if self.is_early(view) {
            return Way::Early(stream);
        }
        if self.params.0.is_empty() || 4 * self.rows.reports() >= 5 * self.fitted {
            self.refit(view);
        }
        Way::Modelled(stream)
    }

    /// The point whose improvement is expected to be greatest.
    fn most_improving(&mut self, view: View<'_>, mut stream: Stream) -> Option<Assignment> {
        let countable = self.derived.note(view);
        let mut posterior = self.posterior(view);
        let observed = posterior.len();
        let level = target(view);
        let mut known = self.known(view);
        let held = known.len();
        for trial in running(view.history).into_iter().filter_map(|trial| view.history.trial(trial)) {
            posterior.push(&trial.point, level);
            known.push(trial.point.clone());
        }
        let (running, taken) = (&known[held..], &self.derived.taken);
        let search = Search {
            space: view.space,
            encoding: view.encoding,
            posterior: &posterior,
            belief: Belief::new(view.encoding.axes(), self.rows.trials()),
            level,
            taken: &|point| {
                is_crowded(view.encoding, point, running) || countable && taken.contains(&hash(point))
            },
        };
        let found = search.run(&known, view.drawn, &mut stream);
        posterior.truncate(observed);
        self.derived.posterior = Some(posterior);
        found.map(|point| view.encoding.decode(view.space, &point))
    }

    fn refit(&mut self, view: View<'_>) {
        let layout = layout(view);
        if self.params.0.len() != layout.len() {
            self.params = layout.start();
        }
        let held = self.rows.fitted(view.history, FIT_POINTS);
        let points = held.iter().filter_map(|row| {
            Some((view.history.trial(row.trial)?.point.as_slice(), usize::from(row.level)))
        });
        let data = fit::Data {
            layout,
            axes: view.encoding.axes(),
            points: points.collect(),
            scores: rows::scores(view.history, &held),
        };
        self.params = fit::fit(&data, &self.params);
        self.fitted = self.rows.reports();
        self.derived.posterior = None;
    }

    /// The posterior with all rows and their scores as of now.
    fn posterior(&mut self, view: View<'_>) -> Posterior {
        let mut posterior =
            self.derived.posterior.take().unwrap_or_else(|| {
                Posterior::new(view.encoding.axes(), Kernel::new(layout(view), &self.params))
            });
        for row in &self.rows.as_slice()[posterior.len()..] {
            // Rows are of trials that exist.
            if let Some(trial) = view.history.trial(row.trial) {
                posterior.push(&trial.point, usize::from(row.level));
            }
        }
        posterior.set_scores(self.rows.scores(view.history));
        posterior
    }

    /// Whether there is too little to tell anything from.
    fn is_early(&self, view: View<'_>) -> bool {
        let twice = 2 * view.encoding.axes().len() as u64;
        let startup = match self.config.startup_trials {
            0 => twice.max(LEAST_STARTUP),
            startup => u64::from(startup),
        };
        self.rows.trials() < startup
    }

    /// The points of the best rows.
    fn known(&self, view: View<'_>) -> Vec<Vec<f64>> {
        let scores = self.rows.scores(view.history);
        let rows = self.rows.as_slice();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|&left, &right| scores[left].total_cmp(&scores[right]));
        let mut trials = BTreeSet::new();
        for at in order {
            trials.insert(rows[at].trial);
            if trials.len() >= MAX_KNOWN {
                break;
            }
        }
        trials.iter().filter_map(|&trial| Some(view.history.trial(trial)?.point.clone())).collect()
    }
}

/// The level at which improvement counts: the highest with more reports than there are axes (Falkner et al., ICML 2018).
fn target(view: View<'_>) -> usize {
    let enough = view.encoding.axes().len() as u32 + 1;
    let levels = 0..view.history.lengths().len();
    levels.rev().find(|&level| view.history.ranking(level).len() >= enough).unwrap_or(0)
}

impl Derived {
    /// Notes the points of new trials, if the space has few enough to give one twice. Whether it has.
    fn note(&mut self, view: View<'_>) -> bool {
        if points(view.encoding) > COUNTABLE {
            return false;
        }
        let newest = view.history.len() as u32;
        for trial in (self.noted + 1..=newest).filter_map(|trial| view.history.trial(trial)) {
            self.taken.insert(hash(&trial.point));
        }
        self.noted = newest;
        true
    }
}

/// How many points there are at most.
fn points(encoding: &Encoding) -> f64 {
    encoding.axes().iter().map(|axis| axis.len().map_or(f64::INFINITY, |count| count as f64)).product()
}

/// A point as a number (FNV-1a over its coordinates).
fn hash(point: &[f64]) -> u64 {
    point
        .iter()
        .flat_map(|coordinate| coordinate.to_bits().to_le_bytes())
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

fn layout(view: View<'_>) -> Layout {
    Layout { axes: view.encoding.axes().len(), levels: view.history.lengths().len() }
}

/// Whether a trial that runs is so near, on every axis, that the two would tell the same. Where a model is sure of itself, no
/// variance keeps a batch apart. The room of each running trial is less the more there are.
fn is_crowded(encoding: &Encoding, point: &[f64], running: &[Vec<f64>]) -> bool {
    let room = ROOM / running.len().max(MIN_SHARES) as f64;
    running.iter().any(|other| {
        encoding.axes().iter().zip(point.iter().zip(other)).all(|(axis, (here, there))| match axis.kind {
            _ if here.is_nan() || there.is_nan() => here.is_nan() && there.is_nan(),
            AxisKind::Choice(_) => here == there,
            _ => (here - there).abs() < room,
        })
    })
}

/// The newest trials that run.
fn running(history: &History) -> Vec<u32> {
    let mut running: Vec<u32> = history.running().collect();
    let excess = running.len().saturating_sub(MAX_RUNNING);
    running.drain(..excess);
    running
}
