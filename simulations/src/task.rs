//! What a search is played on: the [`Task`], where a trial's hyperparameters become a learning curve.

use toprung_searchers::{Assignment, Space};

/// What a trial reports at a length, and what the way there took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The metric, normalised: smaller is better; NaN when the training diverged. Raw: no cap applied.
    pub metric: f64,
    /// What this one unit of length cost, in the task's unit (seconds where times were recorded). Finite, at least 0.
    pub cost: f64,
}

/// Which curve a trial follows. Small, because a simulated search keeps one for each of its trials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curve {
    /// A row of a table.
    Row(u32),
    /// The numbers of a formula, and a key for its noise.
    Law {
        /// What they mean is the formula's business.
        numbers: [f64; 4],
        /// The noise of the curve is drawn by this.
        noise: u32,
    },
}

/// By which numbers a search on this task is scored. All normalised: smaller is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// A missing metric, or a greater one, counts as this.
    pub cap: f64,
    /// The lowest capped metric at any length of any configuration: regret is measured from it.
    pub best_any: f64,
    /// The lowest at the greatest length.
    pub best_final: f64,
    /// The median at the greatest length: a normalised regret of 1.
    pub median_final: f64,
    /// The mean cost of a curve of the greatest length.
    pub mean_full_cost: f64,
}

impl Scale {
    /// A metric as it counts: the cap in place of a missing or greater one.
    pub fn capped(&self, metric: f64) -> f64 {
        // NaN compares false.
        if metric <= self.cap { metric } else { self.cap }
    }

    /// How far from the best, in units of a median configuration trained in full: 0 is the best, 1 the median.
    pub fn norm_regret(&self, metric: f64) -> f64 {
        (self.capped(metric) - self.best_any) / (self.median_final - self.best_any)
    }
}

/// Something that searchers search: a space, and what training in it would give.
///
/// Everything here is a function of its arguments, so that searchers compared on a task meet the same curves.
pub trait Task: Sync {
    /// Its name, unique in a comparison.
    fn name(&self) -> &str;

    /// The hyperparameters to draw from.
    fn space(&self) -> &Space;

    /// The length of a trial trained in full.
    fn max_length(&self) -> u64;

    /// How searches on it are scored.
    fn scale(&self) -> Scale;

    /// The curve of a trial. Only a noisy task looks at seed and trial.
    fn curve(&self, seed: u32, trial: u32, hparams: &Assignment) -> Curve;

    /// What is reported at `length`, in `1 ..= max_length`, of a curve of this task.
    fn point(&self, curve: &Curve, length: u64) -> Point;

    /// What training from `length − 1` to `length` costs: [`Point::cost`], for tasks that know it for less than a point.
    fn cost(&self, curve: &Curve, length: u64) -> f64 {
        self.point(curve, length).cost
    }

    /// Whether that point was never measured but predicted, because the recorded curve ends before.
    fn is_predicted(&self, _curve: &Curve, _length: u64) -> bool {
        false
    }
}
