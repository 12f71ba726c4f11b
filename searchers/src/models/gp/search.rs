//! Where the improvement over the best is expected to be greatest.
//!
//! Candidates are random points and the neighbours of the best points, some axes of which moved on several scales. All get
//! their mean and a bound on their variance, so a bound on their expected improvement; in the order of that they are
//! evaluated exactly, as long as a bound is above the best value and there is work left. The two best are then refined axis
//! by axis with ever smaller steps.
//!
//! Only what satisfies the constraints is a candidate. Where few points do, more are tried, and the trial's random draw, which
//! does, is among them. Where a person has said what to expect ([`super::belief`]), a half of the random points are from
//! there, and all values count what is expected too.

use super::super::chance::expected;
use super::belief::Belief;
use super::cholesky::LANES;
use super::normal::log_improvement;
use super::posterior::Posterior;
use crate::space::encoding::{Axis, AxisKind, Encoding};
use crate::space::{Assignment, Space};
use crate::stream::Stream;

/// Random candidates.
const RANDOM: usize = 256;
/// Neighbours of the best points.
const LOCAL: usize = 256;
/// Under constraints so many points are tried for each candidate, at most.
const PATIENCE: usize = 8;
/// How many points have neighbours.
const BASES: usize = 6;
/// Groups of [`LANES`] candidates that are evaluated exactly, at most.
const EXACT: usize = 8;
/// How far neighbours are away.
const SCALES: [f64; 5] = [0.3, 0.1, 0.03, 0.01, 0.003];
/// Steps of refinement.
const STEPS: [f64; 4] = [0.1, 0.03, 0.01, 0.003];
/// Candidates that are refined.
const REFINED: usize = 2;

/// What a search looks at.
pub(super) struct Search<'a> {
    pub(super) space: &'a Space,
    pub(super) encoding: &'a Encoding,
    pub(super) posterior: &'a Posterior,
    pub(super) belief: Belief<'a>,
    /// The level at which improvement counts.
    pub(super) level: usize,
    /// Whether a point must not be suggested.
    pub(super) taken: &'a dyn Fn(&[f64]) -> bool,
}

/// A point and the logarithm of its expected improvement, and of what a person expects of it.
type Valued = (f64, Vec<f64>);

impl Search<'_> {
    /// The best point found; none if all that were tried are taken or not admissible. `known` are points among which is the
    /// best so far, `drawn` an admissible one.
    pub(super) fn run(
        &self,
        known: &[Vec<f64>],
        drawn: &Assignment,
        stream: &mut Stream,
    ) -> Option<Vec<f64>> {
        let (bases, best) = self.bases(known);
        let mut candidates = Vec::with_capacity(RANDOM + LOCAL);
        if self.is_constrained() {
            self.offer(self.encoding.encode(drawn), &mut candidates);
        }
        self.gather(RANDOM, &mut candidates, |at| {
            if at % 2 == 0 && !self.belief.is_empty() {
                return expected(self.axes(), stream);
            }
            self.axes().iter().map(|axis| axis.at(stream.unit())).collect()
        });
        if !bases.is_empty() {
            self.gather(LOCAL, &mut candidates, |at| {
                self.neighbour(&bases[at % bases.len()], SCALES[at / bases.len() % SCALES.len()], stream)
            });
        }
        let mut valued = self.best_of(&candidates, best);
        for place in 0..REFINED.min(valued.len()) {
            let (value, point) = valued[place].clone();
            valued[place] = self.refined(value, point, best, stream);
        }
        valued.into_iter().max_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, point)| point)
    }

    fn axes(&self) -> &[Axis] {
        self.encoding.axes()
    }

    fn is_constrained(&self) -> bool {
        !self.space.constraints.is_empty()
    }

    /// Offers `count` points; under constraints more, until so many were taken.
    fn gather(&self, count: usize, candidates: &mut Vec<Vec<f64>>, mut point: impl FnMut(usize) -> Vec<f64>) {
        let (wanted, patience) = (candidates.len() + count, if self.is_constrained() { PATIENCE } else { 1 });
        for at in 0..patience * count {
            if candidates.len() >= wanted {
                break;
            }
            self.offer(point(at), candidates);
        }
    }

    /// Puts a point in its cell and takes it if nobody has it and the constraints allow it.
    fn offer(&self, point: Vec<f64>, candidates: &mut Vec<Vec<f64>>) {
        let point = self.settled(point);
        let allowed = || self.space.allows(&self.encoding.decode(self.space, &point));
        if !(self.taken)(&point) && (!self.is_constrained() || allowed()) {
            candidates.push(point);
        }
    }

    fn settled(&self, mut point: Vec<f64>) -> Vec<f64> {
        if self.encoding.has_conditions() {
            return self.encoding.settle(self.space, &point);
        }
        for (coordinate, axis) in point.iter_mut().zip(self.axes()) {
            if axis.kind == AxisKind::Ordered {
                *coordinate = axis.coordinate(&axis.value(*coordinate)).unwrap_or(*coordinate);
            }
        }
        point
    }

    /// The points of the best means, and the best mean.
    fn bases(&self, known: &[Vec<f64>]) -> (Vec<Vec<f64>>, f64) {
        let asked = self.posterior.ask(self.axes(), known, self.level);
        let means = self.posterior.means(&asked, self.level);
        let mut order: Vec<usize> = (0..known.len()).collect();
        order.sort_by(|&left, &right| means[left].0.total_cmp(&means[right].0));
        let best = order.first().map_or(0.0, |&first| means[first].0);
        (order.into_iter().take(BASES).map(|at| known[at].clone()).collect(), best)
    }

    /// A point near another: each axis moves with a probability that lets about two move.
    fn neighbour(&self, base: &[f64], scale: f64, stream: &mut Stream) -> Vec<f64> {
        let last = self.axes().len() as u64 - 1;
        let (must, part) = (stream.index(last) as usize, (1.5 / self.axes().len() as f64).max(0.15));
        let moved = |(at, (axis, &from)): (usize, (&Axis, &f64))| {
            if at == must || stream.unit() < part { moved(axis, from, scale, stream) } else { from }
        };
        self.axes().iter().zip(base).enumerate().map(moved).collect()
    }

    /// The candidates that are worth the most, best first.
    fn best_of(&self, candidates: &[Vec<f64>], best: f64) -> Vec<Valued> {
        let asked = self.posterior.ask(self.axes(), candidates, self.level);
        let means = self.posterior.means(&asked, self.level).into_iter().zip(candidates);
        let bounds: Vec<f64> = means
            .map(|((mean, variance), point)| improvement(best, mean, variance) + self.belief.worth(point))
            .collect();
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|&left, &right| bounds[right].total_cmp(&bounds[left]));
        let mut valued: Vec<Valued> = Vec::new();
        for group in order.chunks(LANES).take(EXACT) {
            let enough = valued.get(REFINED - 1).is_some_and(|(value, _)| *value >= bounds[group[0]]);
            if enough {
                break;
            }
            let points: Vec<Vec<f64>> = group.iter().map(|&at| candidates[at].clone()).collect();
            valued.extend(self.values(&points, best).into_iter().zip(points));
            valued.sort_by(|left, right| right.0.total_cmp(&left.0));
        }
        valued
    }

    /// The logarithm of the expected improvement at points, and of what a person expects.
    fn values(&self, points: &[Vec<f64>], best: f64) -> Vec<f64> {
        let asked = self.posterior.ask(self.axes(), points, self.level);
        let mut values = Vec::with_capacity(points.len() + LANES);
        for first in (0..points.len()).step_by(LANES) {
            let beliefs = self.posterior.beliefs(&asked, first, self.level);
            values.extend(beliefs.map(|(mean, variance)| improvement(best, mean, variance)));
        }
        values.truncate(points.len());
        values.iter_mut().zip(points).for_each(|(value, point)| *value += self.belief.worth(point));
        values
    }

    /// Walks uphill, each step the best of one along each axis.
    fn refined(&self, mut value: f64, mut point: Vec<f64>, best: f64, stream: &mut Stream) -> Valued {
        for scale in STEPS {
            let mut near = Vec::new();
            for (at, axis) in self.axes().iter().enumerate().filter(|&(at, _)| !point[at].is_nan()) {
                for sign in [-1.0, 1.0] {
                    let mut next = point.clone();
                    next[at] = match axis.kind {
                        AxisKind::Choice(_) => axis.at(stream.unit()),
                        _ => (point[at] + sign * scale * (0.5 + stream.unit())).clamp(0.0, 1.0),
                    };
                    self.offer(next, &mut near);
                }
            }
            let values = self.values(&near, best);
            let found = values.into_iter().zip(near).max_by(|left, right| left.0.total_cmp(&right.0));
            if let Some(found) = found.filter(|found| found.0 > value) {
                (value, point) = found;
            }
        }
        (value, point)
    }
}

/// ln E max(best − y, 0) for y with this mean and variance.
fn improvement(best: f64, mean: f64, variance: f64) -> f64 {
    let deviation = variance.sqrt();
    deviation.ln() + log_improvement((best - mean) / deviation)
}

/// A coordinate near another, mirrored at the bounds; another choice, or anywhere if it was inactive.
fn moved(axis: &Axis, from: f64, scale: f64, stream: &mut Stream) -> f64 {
    if matches!(axis.kind, AxisKind::Choice(_)) || from.is_nan() {
        return axis.at(stream.unit());
    }
    // The sum of three uniform numbers, nearly normal.
    let off = 2.0 * (stream.unit() + stream.unit() + stream.unit() - 1.5);
    // A value of a coarse axis must be able to become the next.
    let step = axis.len().map_or(0.0, |count| 1.0 / count.max(1) as f64);
    let to = (from + off * scale.max(step)).abs();
    if to > 1.0 { (2.0 - to).clamp(0.0, 1.0) } else { to }
}
