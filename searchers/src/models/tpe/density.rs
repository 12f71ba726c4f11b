//! Densities over whole points: a mixture with one product of kernels for each observation, and the random draw as one more.
//!
//! A product for each observation (Falkner et al. 2018, instead of a mixture for each axis as in Bergstra et al. 2011) keeps
//! what hyperparameters do together. Every component is a density over *all* axes: where its observation was inactive, it
//! is flat, as the random draw that it had there and that was then ignored. So two points are compared
//! over the axes that both have, whatever their conditions, and densities of points with different active axes stay
//! comparable: no observation is lost to a group that is too small to learn from.
//!
//! Widths follow Scott's rule for the number of observations n and of active axes d, `spread · n^(−1 / (4 + d))`, where the
//! spread of an axis is the standard deviation of its observed coordinates with one uniform observation more, so that
//! two that agree by chance are not taken for a certainty. Below the greatest length no spread is taken for less than [`CAUTIOUS`]:
//! the order of short trainings agrees only in part with that of long ones, so what they say is kept vague, and the
//! methods that choose among trials early get trials that differ. No width is below 1/n of the axis (kernels closer than the mean
//! distance of n points would be spikes; at most [`FINEST`]), nor below [`CELL_PART`] of the cell of its value, so that
//! the neighbours of an integer stay in sight. For choices the share of all values, a width of its own, shrinks by
//! the same power of n.
//!
//! What a person expects is one more component of the density of the good ([`Density::with_belief`]). It says where good trials are, so it
//! is in that density alone.

use super::kernel::{Kernel, Place, expected, flat};
use crate::space::encoding::{Axis, AxisKind};
use crate::stream::Stream;
use std::collections::BTreeMap;

/// The least spread where trials were compared before their end: more than a uniform axis has.
pub(super) const CAUTIOUS: f64 = 0.5;
/// The least width of any kernel.
const FINEST: f64 = 0.01;
/// The least width, in widths of the cell.
const CELL_PART: f64 = 0.3;
/// The variance of a uniform coordinate.
const UNIFORM_VARIANCE: f64 = 1.0 / 12.0;

/// One axis of a mixture.
#[derive(Clone, Debug)]
struct Marginal {
    /// The different kernels, the flat one first. Values that come often, such as small integers, are computed once.
    kernels: Vec<Kernel>,
    /// Which of them each component has; [`FLAT`]: its observation did not have the axis.
    of: Vec<usize>,
}

/// The place of the flat kernel of an axis.
const FLAT: usize = 0;

/// What a person expects, as a component.
#[derive(Clone, Debug)]
struct Belief {
    /// One for each axis.
    kernels: Vec<Kernel>,
    /// As so many other components.
    weight: f64,
}

/// A mixture: the observations and the random draw, with equal weights, and what a person expects.
#[derive(Clone, Debug)]
pub(super) struct Density {
    axes: Vec<Marginal>,
    components: usize,
    belief: Option<Belief>,
}

/// A drawn point, and for each axis whether the component it came from had observed it.
pub(super) struct Drawn {
    pub(super) point: Vec<f64>,
    pub(super) informed: Vec<bool>,
}

impl Marginal {
    fn new(axis: &Axis, index: usize, points: &[&[f64]], width: f64) -> Self {
        let mut marginal = Self { kernels: vec![flat(axis)], of: Vec::with_capacity(points.len()) };
        let mut places: BTreeMap<u64, usize> = BTreeMap::new();
        for point in points {
            let Some(place) = Place::new(axis, point[index]) else {
                marginal.of.push(FLAT);
                continue;
            };
            let kernel = places.entry(place.at.to_bits()).or_insert_with(|| {
                marginal.kernels.push(around(axis, place, width));
                marginal.kernels.len() - 1
            });
            marginal.of.push(*kernel);
        }
        marginal
    }

    fn has(&self, component: usize) -> bool {
        self.of[component] != FLAT
    }
}

impl Density {
    /// The density around these points. No spread of an axis is taken for less than `least_spread`.
    pub(super) fn new(axes: &[Axis], points: &[&[f64]], least_spread: f64) -> Self {
        let active = points.iter().flat_map(|point| point.iter()).filter(|at| !at.is_nan()).count();
        let rate = -1.0 / (4.0 + active as f64 / points.len().max(1) as f64);
        let marginal = |(index, axis)| {
            Marginal::new(axis, index, points, width(axis, index, points, least_spread, rate))
        };
        let marginals = axes.iter().enumerate().map(marginal).collect();
        Self { axes: marginals, components: points.len(), belief: None }
    }

    /// The same with what a person expects as one more component, worth `weight` of the others.
    pub(super) fn with_belief(self, axes: &[Axis], weight: f64) -> Self {
        Self { belief: Some(Belief { kernels: axes.iter().map(expected).collect(), weight }), ..self }
    }

    /// The logarithm of the density at a point, relative to that of a random draw.
    pub(super) fn log_density(&self, places: &[Option<Place>]) -> f64 {
        let (mut anywhere, mut logs) = (0.0, vec![0.0; self.components]);
        for (marginal, place) in self.axes.iter().zip(places) {
            let Some(place) = *place else { continue };
            let factors: Vec<f64> = marginal.kernels.iter().map(|kernel| kernel.log_density(place)).collect();
            anywhere += factors[FLAT];
            for (log, &kernel) in logs.iter_mut().zip(&marginal.of) {
                *log += factors[kernel];
            }
        }
        logs.push(anywhere);
        let mut weights = logs.len() as f64;
        if let Some(belief) = &self.belief {
            weights += belief.weight;
            logs.push(belief.log_density(places) + belief.weight.ln());
        }
        let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - greatest).exp()).sum();
        greatest + (sum / weights).ln()
    }

    /// A point by chance, with a coordinate for each axis, inactive ones included.
    pub(super) fn draw(&self, stream: &mut Stream) -> Drawn {
        if let Some(belief) = &self.belief {
            let all = (self.components + 1) as f64 + belief.weight;
            if stream.unit() * all < belief.weight {
                let point: Vec<f64> = belief.kernels.iter().map(|kernel| kernel.draw(stream)).collect();
                return Drawn { informed: vec![true; point.len()], point };
            }
        }
        let component = stream.index(self.components as u64) as usize;
        let anywhere = component == self.components;
        let kernel =
            |axis: &Marginal| axis.kernels[if anywhere { FLAT } else { axis.of[component] }].draw(stream);
        let point = self.axes.iter().map(kernel).collect();
        Drawn { point, informed: self.axes.iter().map(|axis| anywhere || axis.has(component)).collect() }
    }

    /// Draws the `missing` axes of a point again, from a component that has observed all of them, or else the first of
    /// them. The point was drawn from a component that had not, but its conditions turned out to make them active.
    pub(super) fn redraw(&self, drawn: &mut Drawn, missing: &[usize], stream: &mut Stream) {
        let having = |axes: &[usize]| -> Vec<usize> {
            (0..self.components).filter(|&one| axes.iter().all(|&axis| self.axes[axis].has(one))).collect()
        };
        let mut donors = having(missing);
        if donors.is_empty() {
            donors = having(&missing[..1]);
        }
        // The random draw is one more, as in every draw; or what a person expects in its place.
        if let Some(&donor) = donors.get(stream.index(donors.len() as u64) as usize) {
            for &axis in missing.iter().filter(|&&axis| self.axes[axis].has(donor)) {
                drawn.point[axis] = self.axes[axis].kernels[self.axes[axis].of[donor]].draw(stream);
            }
        } else if let Some(belief) = &self.belief {
            for &axis in missing {
                drawn.point[axis] = belief.kernels[axis].draw(stream);
            }
        }
        missing.iter().for_each(|&axis| drawn.informed[axis] = true);
    }
}

impl Belief {
    fn log_density(&self, places: &[Option<Place>]) -> f64 {
        let factors = self.kernels.iter().zip(places);
        factors.filter_map(|(kernel, place)| Some(kernel.log_density((*place)?))).sum()
    }
}

/// The width of the kernels of one axis; for choices the share of all values.
fn width(axis: &Axis, index: usize, points: &[&[f64]], least_spread: f64, rate: f64) -> f64 {
    let observed = points.iter().map(|point| point[index]).filter(|at| !at.is_nan());
    let (count, sum) = observed.clone().fold((0.0, 0.0), |(count, sum), at| (count + 1.0, sum + at));
    let shrink = f64::max(count, 1.0).powf(rate);
    if let AxisKind::Choice(_) = axis.kind {
        return shrink.min(1.0);
    }
    let mean = sum / f64::max(count, 1.0);
    let squares: f64 = observed.map(|at| (at - mean) * (at - mean)).sum();
    let spread = ((squares + UNIFORM_VARIANCE) / (count + 1.0)).sqrt();
    (spread.max(least_spread) * shrink).max((1.0 / (count + 1.0)).max(FINEST))
}

fn around(axis: &Axis, place: Place, width: f64) -> Kernel {
    if let AxisKind::Choice(values) = axis.kind {
        return Kernel::Choice { own: place.at as usize, values, spread: width };
    }
    let cell = place.cell.map_or(0.0, |(low, high)| high - low);
    Kernel::bell(place.at, width.max(CELL_PART * cell))
}
