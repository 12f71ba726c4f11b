//! What the model believes: mean and variance at any point, given the rows.
//!
//! Rasmussen and Williams 2006, equations 2.25 and 2.26. Trials that run are rows as well, whose score is believed to be the
//! mean ("kriging believer", Ginsbourger et al. 2010): they change no mean, only variances, so a batch spreads.

use super::cholesky::{Cholesky, LANES, dot};
use super::kernel::{Kernel, Points};
use crate::space::encoding::Axis;

/// The rows, factorised.
#[derive(Clone, Debug)]
pub(super) struct Posterior {
    pub(super) kernel: Kernel,
    points: Points,
    factor: Cholesky,
    /// K⁻¹ scores.
    solved: Vec<f64>,
}

impl Posterior {
    pub(super) fn new(axes: &[Axis], kernel: Kernel) -> Self {
        Self { kernel, points: Points::new(axes, false), factor: Cholesky::default(), solved: Vec::new() }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.factor.len()
    }

    /// Adds a row.
    pub(super) fn push(&mut self, point: &[f64], level: usize) {
        self.points.push(&self.kernel, point, level);
        let own = self.points.len() - 1;
        let mut row = vec![0.0; own + 1];
        self.kernel.row((&self.points, own), level, &self.points, &mut row);
        row[own] = self.kernel.variance(level) + self.kernel.noise(level);
        self.factor.push(&row);
    }

    /// Forgets the rows from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.points.truncate(len);
        self.factor.truncate(len);
    }

    /// The scores of the rows; rows that are added later have none.
    pub(super) fn set_scores(&mut self, mut scores: Vec<f64>) {
        self.factor.forward(&mut scores);
        self.factor.backward(&mut scores);
        self.solved = scores;
    }

    /// Points where something is asked.
    pub(super) fn ask(&self, axes: &[Axis], points: &[Vec<f64>], level: usize) -> Points {
        let mut asked = Points::new(axes, false);
        points.iter().for_each(|point| asked.push(&self.kernel, point, level));
        asked
    }

    /// At each point: the mean, and a bound on the variance, which is that given the best of all rows alone.
    pub(super) fn means(&self, asked: &Points, level: usize) -> Vec<(f64, f64)> {
        let mut row = vec![0.0; self.points.len()];
        let variance = self.kernel.variance(level);
        let noisy: Vec<f64> = self
            .points
            .levels
            .iter()
            .map(|&level| 1.0 / (self.kernel.variance(level) + self.kernel.noise(level)))
            .collect();
        let mean = |at: usize| {
            self.kernel.row((asked, at), level, &self.points, &mut row);
            let known = row.iter().zip(&noisy).map(|(value, part)| value * value * part);
            let known = known.fold(0.0, |most, known| if known > most { known } else { most });
            (dot(&row[..self.solved.len()], &self.solved), (variance - known).max(LEAST_VARIANCE))
        };
        (0..asked.len()).map(mean).collect()
    }

    /// Mean and variance of [`LANES`] points from `first` on; what is beyond the last repeats it.
    pub(super) fn beliefs(&self, asked: &Points, first: usize, level: usize) -> [(f64, f64); LANES] {
        let (mut row, mut lanes) = (Vec::new(), Vec::new());
        self.kernel.rows((asked, first), level, &self.points, &mut row, &mut lanes);
        let mut means = [0.0; LANES];
        for (values, solved) in lanes.iter().zip(&self.solved) {
            for lane in 0..LANES {
                means[lane] += values[lane] * solved;
            }
        }
        let variance = self.kernel.variance(level);
        let known = self.factor.squared_lengths(&mut lanes);
        std::array::from_fn(|lane| (means[lane], (variance - known[lane]).max(LEAST_VARIANCE)))
    }
}

/// Variances are not less than this, which is what rounding may leave.
const LEAST_VARIANCE: f64 = 1e-10;
