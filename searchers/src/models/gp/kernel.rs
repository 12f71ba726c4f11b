//! The kernel: how alike two trials are, at two levels.
//!
//! k = levels(l, l') · (Matérn-5/2(r) + [`SHARED`]) + [`OFFSET`] if l = l', where r² sums over axes their squared distance
//! over their squared length scale (automatic relevance determination). On top comes noise for each level.
//!
//! | axis | squared distance |
//! |---|---|
//! | numbers | (w(x) − w(x'))², coordinates warped by w(x) = 1 − (1 − xᵃ)ᵇ (Snoek et al., ICML 2014) |
//! | choices | 1 if they differ |
//! | a choice that is inactive in one of the two | 1; in both: 0 |
//! | numbers that can be inactive | on an arc of radius 1, an inactive one in its centre (Swersky et al., 2014): 1 away from all that are active |
//!
//! Every row is a distance between vectors, so r is one and the kernel is positive semi-definite; the levels are a
//! covariance, and so is their product by Schur.

use super::cholesky::LANES;
use super::params::{Layout, Levels, Params};
use crate::space::encoding::{Axis, AxisKind};

/// The variance of what is the same everywhere: the unknown mean, as far as levels share it.
const SHARED: f64 = 0.5;
/// The variance of what is the same everywhere in one level alone.
const OFFSET: f64 = 0.1;
/// Coordinates keep this distance from the bounds, where warping has no derivative.
const EDGE: f64 = 1e-6;

/// One column of numbers over all points.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) axis: usize,
    /// Whether only equality counts.
    pub(super) choice: bool,
    pub(super) values: Vec<f64>,
    /// Derivatives by ln a and ln b, where wanted.
    pub(super) slopes: Option<[Vec<f64>; 2]>,
}

/// Points as the kernel sees them. The same columns in the same order for all points of a space.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Points {
    pub(super) columns: Vec<Column>,
    pub(super) levels: Vec<usize>,
}

impl Points {
    pub(super) fn new(axes: &[Axis], slopes: bool) -> Self {
        let column = |axis: usize, choice: bool| Column {
            axis,
            choice,
            values: Vec::new(),
            slopes: (slopes && !choice).then(|| [Vec::new(), Vec::new()]),
        };
        let mut columns = Vec::new();
        for (at, axis) in axes.iter().enumerate() {
            let choice = matches!(axis.kind, AxisKind::Choice(_));
            columns.push(column(at, choice));
            if axis.conditional && !choice {
                columns.push(column(at, false));
            }
        }
        Self { columns, levels: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.levels.truncate(len);
        for column in &mut self.columns {
            column.values.truncate(len);
            column.slopes.iter_mut().flatten().for_each(|slopes| slopes.truncate(len));
        }
    }

    /// Adds a point of coordinates at a level.
    pub(super) fn push(&mut self, kernel: &Kernel, point: &[f64], level: usize) {
        self.levels.push(level);
        let mut second = false;
        for at in 0..self.columns.len() {
            let paired = self.columns.get(at + 1).is_some_and(|next| next.axis == self.columns[at].axis);
            let column = &mut self.columns[at];
            let coordinate = point.get(column.axis).copied().unwrap_or(f64::NAN);
            let warped = kernel.warps[column.axis].apply(coordinate);
            let (value, turn) = match (column.choice, paired || second, coordinate.is_nan()) {
                (true, _, inactive) => (if inactive { -1.0 } else { coordinate }, 0.0),
                (false, false, inactive) => (if inactive { 0.5 } else { warped.value }, 1.0),
                (false, true, true) => (0.0, 0.0),
                (false, true, false) if second => (warped.value.sin(), warped.value.cos()),
                (false, true, false) => (warped.value.cos(), -warped.value.sin()),
            };
            column.values.push(value);
            if let Some([by_a, by_b]) = &mut column.slopes {
                by_a.push(turn * warped.by_a);
                by_b.push(turn * warped.by_b);
            }
            second = paired;
        }
    }
}

/// A warped coordinate, and its derivatives by ln a and ln b.
struct Warped {
    value: f64,
    by_a: f64,
    by_b: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Warp {
    a: f64,
    b: f64,
}

impl Warp {
    fn apply(self, coordinate: f64) -> Warped {
        if coordinate.is_nan() {
            return Warped { value: 0.5, by_a: 0.0, by_b: 0.0 };
        }
        let x = coordinate.clamp(EDGE, 1.0 - EDGE);
        let power = x.powf(self.a);
        let rest = 1.0 - power;
        let tail = rest.powf(self.b);
        Warped {
            value: 1.0 - tail,
            by_a: self.a * self.b * tail / rest * power * x.ln(),
            by_b: -self.b * tail * rest.ln(),
        }
    }
}

/// The kernel with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kernel {
    warps: Vec<Warp>,
    /// One over the squared length scale of each axis.
    pub(super) weights: Vec<f64>,
    pub(super) levels: Levels,
    noises: Vec<f64>,
}

impl Kernel {
    pub(super) fn new(layout: Layout, params: &Params) -> Self {
        let of = |at: usize| params.0[at];
        Self {
            warps: (0..layout.axes)
                .map(|axis| Warp { a: of(layout.warp_a(axis)).exp(), b: of(layout.warp_b(axis)).exp() })
                .collect(),
            weights: (0..layout.axes).map(|axis| (-2.0 * of(layout.scale(axis))).exp()).collect(),
            levels: Levels::new(layout, params),
            noises: (0..layout.levels).map(|level| of(layout.noise(level)).exp()).collect(),
        }
    }

    /// The variance at a level, without noise.
    pub(super) fn variance(&self, level: usize) -> f64 {
        self.levels.with(level)[level] * (1.0 + SHARED) + OFFSET
    }

    /// The variance of the noise of a level.
    pub(super) fn noise(&self, level: usize) -> f64 {
        self.noises[level]
    }

    /// r² of one point to the first of others, as many as `into` has room for.
    pub(super) fn distances(&self, one: (&Points, usize), others: &Points, into: &mut [f64]) {
        into.fill(0.0);
        for (own, other) in one.0.columns.iter().zip(&others.columns) {
            let (value, weight) = (own.values[one.1], self.weights[own.axis]);
            let pairs = into.iter_mut().zip(&other.values);
            if own.choice {
                pairs.for_each(|(sum, &there)| *sum += if there == value { 0.0 } else { weight });
            } else {
                pairs.for_each(|(sum, &there)| *sum += weight * (there - value) * (there - value));
            }
        }
    }

    /// The covariances of one point at `level` with the first of others, as many as `into` has room for.
    pub(super) fn row(&self, one: (&Points, usize), level: usize, others: &Points, into: &mut [f64]) {
        self.distances(one, others, into);
        let with = self.levels.with(level);
        for (value, &other) in into.iter_mut().zip(&others.levels) {
            let offset = if other == level { OFFSET } else { 0.0 };
            *value = with[other] * (matern(*value).0 + SHARED) + offset;
        }
    }

    /// The same for [`LANES`] points side by side, from `first` on; what is beyond the last repeats it.
    pub(super) fn rows(
        &self,
        (ones, first): (&Points, usize),
        level: usize,
        others: &Points,
        row: &mut Vec<f64>,
        into: &mut Vec<[f64; LANES]>,
    ) {
        row.resize(others.len(), 0.0);
        into.resize(others.len(), [0.0; LANES]);
        for lane in 0..LANES {
            let at = (first + lane).min(ones.len() - 1);
            if first + lane == at || lane == 0 {
                self.row((ones, at), level, others, row);
            }
            into.iter_mut().zip(row.iter()).for_each(|(lanes, &value)| lanes[lane] = value);
        }
    }
}

/// Matérn-5/2 at a squared distance, and its derivative by that.
pub(super) fn matern(squared: f64) -> (f64, f64) {
    let far = (5.0 * squared).sqrt();
    let decay = (-far).exp();
    ((1.0 + far + far * far / 3.0) * decay, -5.0 / 6.0 * (1.0 + far) * decay)
}

/// What the covariance of levels multiplies.
pub(super) fn shared(matern: f64) -> f64 {
    matern + SHARED
}
