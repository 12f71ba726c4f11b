//! Kernels: the density around one observed coordinate of one axis.
//!
//! Every density here is *relative*: divided by the density that a random draw has. A product over many axes then stays near
//! one instead of running out of the range of numbers, and an axis that says nothing is a factor of one.
//!
//! Numbers have a Gaussian, truncated to `0.0 ..= 1.0` and scaled to a whole. Where a value has a cell, its density is the
//! mean over the cell (the mass of the cell by its width), so that the first and the last integer, half of whose
//! neighbourhood does not exist, are as likely as they should be. Choices have the kernel of Aitchison and Aitken (1976):
//! the observed value keeps most of the mass, and all values share the rest.

use crate::normal::between;
use crate::space::encoding::{Axis, AxisKind};
use crate::space::prior::AxisPrior;
use crate::stream::Stream;
use std::f64::consts::TAU;

/// A cell narrower than this part of a kernel's width has its density in the middle (the error is below 10⁻³).
const NARROW: f64 = 0.1;
/// Draws from a truncated Gaussian are repeated until they fall within; at least one in three does.
const MAX_REPEATS: u32 = 64;
/// Masses below this count as this, so that a logarithm stays finite.
const LEAST_MASS: f64 = 1e-300;

/// A density over the coordinates of one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kernel {
    /// As a random draw, over numbers.
    Flat,
    /// A truncated Gaussian.
    Bell {
        centre: f64,
        width: f64,
        /// The logarithm of the mass of the whole Gaussian that is within `0.0 ..= 1.0`.
        log_inside: f64,
        /// The logarithm of the density at the centre.
        log_peak: f64,
    },
    /// `spread` of the mass is shared by all values, the rest belongs to `own`.
    Choice { own: usize, values: usize, spread: f64 },
}

/// A coordinate with its cell, if its axis has cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) at: f64,
    pub(super) cell: Option<(f64, f64)>,
}

impl Place {
    /// The place of a coordinate; none if it is NaN: the axis is inactive.
    pub(super) fn new(axis: &Axis, at: f64) -> Option<Self> {
        let cell = (axis.kind == AxisKind::Ordered && !at.is_nan()).then(|| axis.cell(&axis.value(at)));
        (!at.is_nan()).then_some(Self { at, cell: cell.flatten() })
    }
}

/// As a random draw.
pub(super) fn flat(axis: &Axis) -> Kernel {
    match axis.kind {
        AxisKind::Choice(values) => Kernel::Choice { own: 0, values, spread: 1.0 },
        AxisKind::Continuous | AxisKind::Ordered => Kernel::Flat,
    }
}

/// As a person expects; as a random draw where nobody has said.
pub(super) fn expected(axis: &Axis) -> Kernel {
    match axis.prior() {
        Some(AxisPrior::Bell(bell)) => Kernel::bell(bell.center, bell.deviation),
        Some(AxisPrior::Choice { center, count, weight }) => {
            Kernel::Choice { own: center, values: count, spread: 1.0 - weight }
        }
        None => flat(axis),
    }
}

impl Kernel {
    /// A Gaussian around `centre` (in `0.0 ..= 1.0`), truncated.
    pub(super) fn bell(centre: f64, width: f64) -> Self {
        let log_inside = between(-centre / width, (1.0 - centre) / width).max(LEAST_MASS).ln();
        Self::Bell { centre, width, log_inside, log_peak: -log_inside - (width * TAU.sqrt()).ln() }
    }

    /// The logarithm of the relative density at a place of the same axis.
    pub(super) fn log_density(&self, place: Place) -> f64 {
        match *self {
            Self::Flat => 0.0,
            Self::Bell { centre, width, log_inside, log_peak } => {
                let (low, high) = place.cell.unwrap_or((place.at, place.at));
                if high - low <= NARROW * width {
                    let off = (place.at - centre) / width;
                    return log_peak - 0.5 * off * off;
                }
                let mass = between((low - centre) / width, (high - centre) / width);
                mass.max(LEAST_MASS).ln() - log_inside - (high - low).ln()
            }
            Self::Choice { own, values, spread } => {
                let is_own = place.at == own as f64;
                (spread + if is_own { (1.0 - spread) * values as f64 } else { 0.0 }).max(LEAST_MASS).ln()
            }
        }
    }

    /// A coordinate by chance.
    pub(super) fn draw(&self, stream: &mut Stream) -> f64 {
        match *self {
            Self::Flat => stream.unit(),
            Self::Bell { centre, width, .. } => {
                let draws = std::iter::repeat_with(|| centre + width * gauss(stream));
                let inside = draws.take(MAX_REPEATS as usize).find(|at| (0.0..=1.0).contains(at));
                inside.unwrap_or(centre)
            }
            Self::Choice { own, values, spread } => {
                let shared = stream.unit() < spread;
                let any = stream.index((values as u64).saturating_sub(1)) as usize;
                (if shared { any } else { own }) as f64
            }
        }
    }
}

/// A standard normal number (Box and Muller 1958).
fn gauss(stream: &mut Stream) -> f64 {
    let (radius, angle) = (1.0 - stream.unit(), stream.unit());
    (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::TrialId;
    use crate::space::encoding::Encoding;
    use crate::space::{Dimension, Domain, Space};
    use crate::stream::Purpose;
    use proptest::prelude::*;
    use statrs::distribution::{ChiSquared, ContinuousCDF};

    fn space(domain: Domain) -> Space {
        Space::new([("x".to_owned(), Dimension::always(domain))].into())
    }

    fn stream(seed: u32) -> Stream {
        Stream::new(seed, TrialId(1), Purpose::Decision(1))
    }

    fn int(min: i64, max: i64, log: bool) -> Space {
        space(Domain::Int { min, max, log, count: None })
    }

    /// The cells of an axis of few values.
    fn places(encoding: &Encoding, min: i64, max: i64) -> Vec<Place> {
        let axis = &encoding.axes()[0];
        let place = |value| {
            let value = crate::space::Value::Int(value);
            Place { at: axis.coordinate(&value).unwrap(), cell: axis.cell(&value) }
        };
        (min..=max).map(place).collect()
    }

    /// Draws against expected masses; the 99.9 % point of the statistic.
    fn check_draws(space: &Space, kernel: Kernel, min: i64, max: i64) {
        let encoding = Encoding::new(space);
        let places = places(&encoding, min, max);
        let width = |place: &Place| place.cell.map(|(low, high)| high - low).unwrap();
        let masses: Vec<f64> =
            places.iter().map(|place| kernel.log_density(*place).exp() * width(place)).collect();
        let sum: f64 = masses.iter().sum();
        assert!((sum - 1.0).abs() < 1e-3, "masses sum to {sum}");
        let (mut counts, mut stream) = (vec![0.0; masses.len()], stream(5));
        for _ in 0..50_000 {
            let point = encoding.settle(space, &[kernel.draw(&mut stream)]);
            counts[places.iter().position(|place| place.at == point[0]).unwrap()] += 1.0;
        }
        let (mut statistic, mut freedom) = (0.0, -1.0);
        for (count, mass) in counts.iter().zip(&masses) {
            if mass * 50_000.0 >= 5.0 {
                statistic += (count - mass * 50_000.0).powi(2) / (mass * 50_000.0);
                freedom += 1.0;
            } else {
                assert!(*count < 30.0, "{count} draws where {mass} is expected");
            }
        }
        let limit = ChiSquared::new(f64::max(freedom, 1.0)).unwrap().inverse_cdf(0.999);
        assert!(statistic < limit, "{statistic} of {limit}: {counts:?} {masses:?}");
    }

    #[test]
    fn integers_have_no_bias_at_their_bounds() {
        for (min, max, log) in [(1, 6, false), (-2, 2, false), (1, 20, true), (3, 9, true)] {
            let space = int(min, max, log);
            for kernel in
                [Kernel::Flat, Kernel::bell(0.02, 0.2), Kernel::bell(0.5, 0.05), Kernel::bell(1.0, 0.9)]
            {
                check_draws(&space, kernel, min, max);
            }
        }
    }

    #[test]
    fn what_is_flat_over_integers_is_what_a_random_draw_is() {
        let space = int(1, 4, true);
        let encoding = Encoding::new(&space);
        let (mut drawn, mut by_prior) = ([0_i32; 4], [0_i32; 4]);
        let (kernel, mut stream) = (flat(&encoding.axes()[0]), stream(9));
        let number = |value: &crate::space::Value| match value {
            crate::space::Value::Int(value) => *value as usize - 1,
            other => panic!("{other:?}"),
        };
        for trial in 1..=20_000 {
            drawn[number(&space.draw(3, TrialId(trial))["x"])] += 1;
            by_prior[number(&encoding.axes()[0].value(kernel.draw(&mut stream)))] += 1;
        }
        for (one, other) in drawn.iter().zip(by_prior) {
            assert!((one - other).abs() < 500, "{drawn:?} {by_prior:?}");
        }
    }

    #[test]
    fn choices_sum_to_one_and_are_drawn_so() {
        let kernel = Kernel::Choice { own: 2, values: 4, spread: 0.4 };
        let mass = |own: usize| kernel.log_density(Place { at: own as f64, cell: None }).exp() / 4.0;
        assert!((mass(0) - 0.1).abs() < 1e-12 && (mass(2) - 0.7).abs() < 1e-12);
        let mut stream = stream(3);
        let own = (0..20_000).filter(|_| kernel.draw(&mut stream) == 2.0).count();
        assert!((13_600..14_400).contains(&own), "{own}");
    }

    proptest! {
        #[test]
        fn bells_integrate_to_one(centre in 0.0..=1.0_f64, width in 0.005..2.0_f64) {
            let kernel = Kernel::bell(centre, width);
            let steps = 20_000;
            let at = |step: u32| Place { at: (f64::from(step) + 0.5) / f64::from(steps), cell: None };
            let sum: f64 = (0..steps).map(|step| kernel.log_density(at(step)).exp()).sum();
            prop_assert!((sum / f64::from(steps) - 1.0).abs() < 1e-3, "{}", sum);
        }
    }
}
