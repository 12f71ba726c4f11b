//! Densities over whole points: a mixture with one product of kernels for each observation, and the prior as one more.
//!
//! A product for each observation (Falkner et al. 2018, instead of a mixture for each axis as in Bergstra et al. 2011) keeps
//! what hyperparameters do together. Every component is a density over *all* axes: where its observation was inactive, it
//! has the prior, which is what a random draw would have had there and what was then ignored. So two points are compared
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

use super::kernel::{Kernel, Place, prior};
use crate::space::encoding::{Axis, AxisKind};
use crate::stream::Stream;

/// The least spread where trials were compared before their end: more than a uniform axis has.
pub(super) const CAUTIOUS: f64 = 0.5;
/// The least width of any kernel.
const FINEST: f64 = 0.01;
/// The least width, in widths of the cell.
const CELL_PART: f64 = 0.3;
/// The variance of a uniform coordinate.
const UNIFORM_VARIANCE: f64 = 1.0 / 12.0;

/// One observation.
#[derive(Clone, Debug)]
struct Component {
    /// One for each axis.
    kernels: Vec<Kernel>,
    /// Whether the observation had the axis.
    active: Vec<bool>,
}

/// A mixture with equal weights.
#[derive(Clone, Debug)]
pub(super) struct Density {
    prior: Vec<Kernel>,
    components: Vec<Component>,
}

/// A drawn point, and for each axis whether the component it came from had observed it.
pub(super) struct Drawn {
    pub(super) point: Vec<f64>,
    pub(super) informed: Vec<bool>,
}

impl Density {
    /// The density around these points. No spread of an axis is taken for less than `least_spread`.
    pub(super) fn new(axes: &[Axis], points: &[&[f64]], least_spread: f64) -> Self {
        let active = points.iter().flat_map(|point| point.iter()).filter(|at| !at.is_nan()).count();
        let rate = -1.0 / (4.0 + active as f64 / points.len().max(1) as f64);
        let widths: Vec<f64> = axes
            .iter()
            .enumerate()
            .map(|(index, axis)| width(axis, index, points, least_spread, rate))
            .collect();
        let prior: Vec<Kernel> = axes.iter().map(prior).collect();
        let component = |point: &&[f64]| {
            let kernel = |(index, axis): (usize, &Axis)| match Place::new(axis, point[index]) {
                Some(place) => around(axis, place, widths[index]),
                None => prior[index],
            };
            Component {
                kernels: axes.iter().enumerate().map(kernel).collect(),
                active: point.iter().map(|at| !at.is_nan()).collect(),
            }
        };
        let components = points.iter().map(component).collect();
        Self { prior, components }
    }

    /// The logarithm of the density at a point, relative to that of a random draw. `logs` is room to compute in.
    pub(super) fn log_density(&self, places: &[Option<Place>], logs: &mut Vec<f64>) -> f64 {
        let product = |kernels: &Vec<Kernel>| {
            let factors = kernels.iter().zip(places);
            factors.filter_map(|(kernel, place)| Some(kernel.log_density((*place)?))).sum::<f64>()
        };
        logs.clear();
        logs.push(product(&self.prior));
        logs.extend(self.components.iter().map(|component| product(&component.kernels)));
        let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - greatest).exp()).sum();
        greatest + (sum / logs.len() as f64).ln()
    }

    /// A point by chance, with a coordinate for each axis, inactive ones included.
    pub(super) fn draw(&self, stream: &mut Stream) -> Drawn {
        let index = stream.index(self.components.len() as u64) as usize;
        let (kernels, informed) = match self.components.get(index) {
            Some(component) => (&component.kernels, component.active.clone()),
            None => (&self.prior, vec![true; self.prior.len()]),
        };
        Drawn { point: kernels.iter().map(|kernel| kernel.draw(stream)).collect(), informed }
    }

    /// Draws the `missing` axes of a point again, from a component that has observed all of them, or else the first of
    /// them. The point was drawn from a component that had not, but its conditions turned out to make them active.
    pub(super) fn redraw(&self, drawn: &mut Drawn, missing: &[usize], stream: &mut Stream) {
        let has = |component: &&Component, axes: &[usize]| axes.iter().all(|&axis| component.active[axis]);
        let mut donors: Vec<&Component> =
            self.components.iter().filter(|component| has(component, missing)).collect();
        if donors.is_empty() {
            donors = self.components.iter().filter(|component| has(component, &missing[..1])).collect();
        }
        // The prior is one more, as in every draw.
        if let Some(donor) = donors.get(stream.index(donors.len() as u64) as usize) {
            for &axis in missing.iter().filter(|&&axis| donor.active[axis]) {
                drawn.point[axis] = donor.kernels[axis].draw(stream);
            }
        }
        missing.iter().for_each(|&axis| drawn.informed[axis] = true);
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
