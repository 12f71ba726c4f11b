//! The kernel's most probable parameters, given scores.
//!
//! Minimises the negative logarithm of likelihood times prior (Rasmussen and Williams 2006, equations 5.8 and 5.9) by its
//! gradient, from where the last fit ended. The number of evaluations is bounded.

use super::cholesky::Cholesky;
use super::descent;
use super::kernel::{Kernel, Points, matern, shared};
use super::params::{Layout, Params};
use crate::space::encoding::Axis;

/// Evaluations of the likelihood in a fit, at most.
const MAX_EVALUATIONS: u32 = 40;

/// What is fitted to.
pub(super) struct Data<'a> {
    pub(super) layout: Layout,
    pub(super) axes: &'a [Axis],
    /// Coordinates and levels.
    pub(super) points: Vec<(&'a [f64], usize)>,
    pub(super) scores: Vec<f64>,
}

/// The best parameters found from `start` on.
pub(super) fn fit(data: &Data<'_>, start: &Params) -> Params {
    let layout = data.layout;
    let clamp = |at: usize, value: f64| layout.clamp(at, value);
    Params(descent::minimise(
        |point| data.objective(&Params(point.to_vec())),
        clamp,
        &start.0,
        MAX_EVALUATIONS,
    ))
}

impl Data<'_> {
    /// The negative logarithm of what is to be made as probable as possible, and its gradient.
    pub(super) fn objective(&self, params: &Params) -> (f64, Vec<f64>) {
        let kernel = Kernel::new(self.layout, params);
        let mut points = Points::new(self.axes, true);
        let (mut factor, mut row) = (Cholesky::default(), Vec::new());
        let mut squared = Vec::new();
        for &(point, level) in &self.points {
            points.push(&kernel, point, level);
            let own = points.len() - 1;
            row.resize(own + 1, 0.0);
            kernel.row((&points, own), level, &points, &mut row);
            row[own] = kernel.variance(level) + kernel.noise(level);
            factor.push(&row);
            let from = squared.len();
            squared.resize(from + own, 0.0);
            kernel.distances((&points, own), &points, &mut squared[from..]);
        }
        let mut solved = self.scores.clone();
        factor.forward(&mut solved);
        let fitted: f64 = solved.iter().map(|value| 0.5 * value * value).sum();
        factor.backward(&mut solved);
        let mut gradient = vec![0.0; self.layout.len()];
        let prior = self.layout.add_prior(params, &mut gradient);
        self.add_gradient(&kernel, &points, (&factor.inverse(), &solved, &squared), &mut gradient);
        (fitted + factor.half_log_determinant() + prior, gradient)
    }

    /// ½ tr((K⁻¹ − ααᵀ) ∂K), row by row of the lower triangle.
    fn add_gradient(
        &self,
        kernel: &Kernel,
        points: &Points,
        (inverse, solved, squared): (&[f64], &[f64], &[f64]),
        gradient: &mut [f64],
    ) {
        let levels = self.layout.levels;
        let mut by_level = vec![0.0; levels * levels];
        let mut slopes = vec![0.0; points.len()];
        for row in 0..points.len() {
            let level = points.levels[row];
            let inverse = &inverse[row * (row + 1) / 2..][..=row];
            let squared = &squared[row * row.saturating_sub(1) / 2..][..row];
            let with = kernel.levels.with(level);
            for column in 0..row {
                let slope = inverse[column] - solved[row] * solved[column];
                let (value, by_squared) = matern(squared[column]);
                let other = points.levels[column];
                by_level[level * levels + other] += slope * shared(value);
                slopes[column] = slope * with[other] * by_squared;
            }
            let own = 0.5 * (inverse[row] - solved[row] * solved[row]);
            by_level[level * levels + level] += own * shared(1.0);
            gradient[self.layout.noise(level)] += own * kernel.noise(level);
            self.add_axes(kernel, points, row, &slopes[..row], gradient);
        }
        kernel.levels.add_gradient(self.layout, &by_level, gradient);
    }

    /// One row's part in the gradient by the parameters of the axes, when `slopes` is that by r².
    fn add_axes(&self, kernel: &Kernel, points: &Points, row: usize, slopes: &[f64], gradient: &mut [f64]) {
        for column in &points.columns {
            let (axis, own) = (column.axis, column.values[row]);
            let weight = 2.0 * kernel.weights[axis];
            let pairs = slopes.iter().zip(&column.values);
            let Some([by_a, by_b]) = &column.slopes else {
                let sum: f64 = pairs.map(|(slope, &there)| if there == own { 0.0 } else { *slope }).sum();
                gradient[self.layout.scale(axis)] -= weight * sum;
                continue;
            };
            let (own_a, own_b) = (by_a[row], by_b[row]);
            let mut sums = [0.0; 3];
            for ((slope, &there), (a, b)) in pairs.zip(by_a.iter().zip(by_b)) {
                let off = slope * (own - there);
                sums[0] += off * (own - there);
                sums[1] += off * (own_a - a);
                sums[2] += off * (own_b - b);
            }
            gradient[self.layout.scale(axis)] -= weight * sums[0];
            gradient[self.layout.warp_a(axis)] += weight * sums[1];
            gradient[self.layout.warp_b(axis)] += weight * sums[2];
        }
    }
}
