//! Where a person expects good values: a centre and a confidence for a hyperparameter.
//!
//! On an axis of [`super::encoding`] it is a distribution:
//!
//! * where values have an order, a normal distribution around the centre's coordinate, cut off at the bounds, with a standard
//!   deviation of 0.4 · (1 − confidence) of the axis, at least [`NARROWEST`];
//! * where they have none, the centre with probability c + (1 − c)/k for confidence c and k values, each other value with
//!   (1 − c)/k.
//!
//! Densities are relative to a random draw: 1 is as likely as without a prior, 3 three times as likely.

use super::encoding::{Axis, AxisKind};
use super::{Dimension, Domain, Space, Value};
use crate::normal::{between, density};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The least standard deviation, as a part of the axis.
pub const NARROWEST: f64 = 0.02;
/// The standard deviation of no confidence at all.
const WIDEST: f64 = 0.4;

/// What is expected of a hyperparameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// A value of its domain.
    pub center: Value,
    /// `0.0 ..= 1.0`: 0 is nearly the random draw, 1 nearly nothing but the centre.
    pub confidence: f64,
}

impl Prior {
    /// The confidence of a word: `low` 0.25, `medium` 0.5, `high` 0.75.
    pub fn confidence_of(word: &str) -> Option<f64> {
        match word {
            "low" => Some(0.25),
            "medium" => Some(0.5),
            "high" => Some(0.75),
            _ => None,
        }
    }

    /// What is wrong with it for a domain, if anything is.
    pub(super) fn problem(&self, domain: &Domain) -> Option<&'static str> {
        if !(0.0..=1.0).contains(&self.confidence) {
            return Some("the confidence of its prior must be a number from 0 to 1");
        }
        if matches!(domain, Domain::Const(_) | Domain::Group(_)) {
            return Some("only what is searched can have a prior");
        }
        (!domain.has(&self.center)).then_some("the center of its prior is no value of it")
    }
}

impl Domain {
    /// Whether a value lies in it. A number between the steps of `quantize` does.
    pub fn has(&self, value: &Value) -> bool {
        let number = match value {
            Value::Int(value) => Some(*value as f64),
            Value::Double(value) => Some(*value),
            _ => None,
        };
        match self {
            Self::Const(only) => only.is_same(value),
            Self::Int { min, max, .. } => match value {
                Value::Int(value) => (min..=max).contains(&value),
                _ => number.is_some_and(|number| {
                    number.fract() == 0.0 && (*min as f64..=*max as f64).contains(&number)
                }),
            },
            Self::Double { min, max, .. } => number.is_some_and(|number| (*min..=*max).contains(&number)),
            Self::Log { base, minval, maxval, .. } => {
                let (one, other) = (base.powf(*minval), base.powf(*maxval));
                // A bound that was written as a decimal number may differ from the power in its last digits.
                let (low, high) = (one.min(other) * (1.0 - 1e-9), one.max(other) * (1.0 + 1e-9));
                number.is_some_and(|number| (low..=high).contains(&number))
            }
            Self::Categorical(values) | Self::Ordinal(values) => {
                values.iter().any(|known| known.is_same(value))
            }
            Self::Group(_) => false,
        }
    }
}

impl Space {
    /// Whether any hyperparameter has a prior.
    pub fn has_priors(&self) -> bool {
        has_priors(&self.dimensions)
    }
}

fn has_priors(dimensions: &BTreeMap<String, Dimension>) -> bool {
    dimensions.values().any(|dimension| match &dimension.domain {
        Domain::Group(inner) => has_priors(inner),
        _ => dimension.prior.is_some(),
    })
}

/// A prior on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AxisPrior {
    /// A normal distribution, cut off at 0 and 1.
    Bell(Bell),
    /// One value of `count` with a weight beside its share.
    Choice { center: usize, count: usize, weight: f64 },
}

/// A normal distribution cut off at 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bell {
    pub(crate) center: f64,
    /// The standard deviation of the whole, before it is cut off.
    pub(crate) deviation: f64,
}

impl AxisPrior {
    /// The prior of an axis whose hyperparameter has one.
    pub(super) fn new(prior: &Prior, axis: &Axis) -> Option<Self> {
        let center = axis.coordinate(&prior.center)?;
        Some(match axis.kind {
            AxisKind::Choice(count) => {
                Self::Choice { center: center as usize, count, weight: prior.confidence }
            }
            _ => Self::Bell(Bell::around(center, WIDEST * (1.0 - prior.confidence))),
        })
    }

    /// A distribution of the same kind around another coordinate.
    pub(crate) fn around(axis: &Axis, coordinate: f64, deviation: f64, weight: f64) -> Self {
        match axis.kind {
            AxisKind::Choice(count) => Self::Choice { center: coordinate as usize, count, weight },
            _ => Self::Bell(Bell::around(coordinate, deviation)),
        }
    }

    /// How much likelier a coordinate is than in a random draw; of an ordered axis, its whole cell.
    pub(crate) fn density(&self, axis: &Axis, coordinate: f64) -> f64 {
        match *self {
            Self::Choice { center, count, weight } => {
                let share = 1.0 - weight;
                if coordinate as usize == center { share + weight * count as f64 } else { share }
            }
            Self::Bell(bell) => match axis.cell(&axis.value(coordinate)) {
                Some((low, high)) if high > low => bell.mass(low, high) / (high - low),
                _ => bell.density(coordinate),
            },
        }
    }

    /// A coordinate by chance; `unit` is uniform in `0.0 .. 1.0`.
    pub(crate) fn draw(&self, unit: f64) -> f64 {
        match *self {
            Self::Choice { center, weight, .. } if unit < weight => center as f64,
            Self::Choice { count, weight, .. } => {
                let rest = (unit - weight) / (1.0 - weight);
                (rest * count as f64).floor().min(count as f64 - 1.0)
            }
            Self::Bell(bell) => bell.draw(unit),
        }
    }
}

impl Bell {
    fn around(center: f64, deviation: f64) -> Self {
        Self { center, deviation: deviation.max(NARROWEST) }
    }

    /// How far a coordinate is from the centre, in standard deviations.
    fn score(self, coordinate: f64) -> f64 {
        (coordinate - self.center) / self.deviation
    }

    /// The whole between the bounds, before it is made 1.
    fn whole(self) -> f64 {
        between(self.score(0.0), self.score(1.0))
    }

    fn density(self, coordinate: f64) -> f64 {
        if !(0.0..=1.0).contains(&coordinate) {
            return 0.0;
        }
        density(self.score(coordinate)) / (self.deviation * self.whole())
    }

    /// The probability of an interval within the bounds.
    fn mass(self, low: f64, high: f64) -> f64 {
        between(self.score(low), self.score(high)) / self.whole()
    }

    /// By bisection of the distribution function, down to a double's last digits.
    fn draw(self, unit: f64) -> f64 {
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        let (begin, wanted) = (self.score(0.0), unit * self.whole());
        for _ in 0..54 {
            let middle = 0.5 * (low + high);
            if between(begin, self.score(middle)) <= wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        0.5 * (low + high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::encoding::Encoding;
    use proptest::prelude::*;

    /// So many draws, evenly spread, say how likely values are.
    const DRAWS: f64 = 1_000.0;

    fn axis(domain: Domain, center: Value, confidence: f64) -> (Encoding, AxisPrior) {
        let prior = Prior { center, confidence };
        let dimension = Dimension { prior: Some(prior), ..Dimension::always(domain) };
        let space = Space::new(BTreeMap::from([("x".to_owned(), dimension)]));
        assert_eq!(space.check(), Ok(()));
        let encoding = Encoding::new(&space);
        let prior = encoding.axes()[0].prior().unwrap();
        (encoding, prior)
    }

    fn int(min: i64, max: i64, log: bool) -> Domain {
        Domain::Int { min, max, log, count: None }
    }

    #[test]
    fn the_center_of_a_logarithmic_axis_is_a_value() {
        let log = Domain::Log { base: 10.0, minval: -4.0, maxval: 0.0, count: None };
        let (encoding, prior) = axis(log, Value::Double(1e-3), 0.5);
        let AxisPrior::Bell(bell) = prior else { panic!("{prior:?}") };
        assert!((bell.center - 0.25).abs() < 1e-12 && (bell.deviation - 0.2).abs() < 1e-12);
        let axis = &encoding.axes()[0];
        assert!(prior.density(axis, 0.25) > 1.5 && prior.density(axis, 0.9) < 0.1);
    }

    #[test]
    fn a_choice_is_likelier_by_its_confidence() {
        let values = ["x", "y", "z", "w"].map(|text| Value::String(text.to_owned())).to_vec();
        let (encoding, prior) = axis(Domain::Categorical(values), Value::String("y".to_owned()), 0.5);
        let drawn: Vec<f64> = (0..1000).map(|step| prior.draw(f64::from(step) / 1000.0)).collect();
        let count = |choice: f64| drawn.iter().filter(|drawn| **drawn == choice).count();
        assert_eq!([0.0, 1.0, 2.0, 3.0].map(count), [125, 625, 125, 125]);
        let axis = &encoding.axes()[0];
        assert_eq!((prior.density(axis, 1.0), prior.density(axis, 3.0)), (2.5, 0.5));
    }

    #[test]
    fn what_no_domain_has_is_no_center() {
        let unit = Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None };
        for (domain, center, confidence) in [
            (int(1, 9, false), Value::Int(10), 0.5),
            (int(1, 9, false), Value::Double(2.5), 0.5),
            (unit.clone(), Value::Double(-0.1), 0.5),
            (unit.clone(), Value::Double(0.5), 1.5),
            (unit, Value::String("x".to_owned()), 0.5),
            (Domain::Const(Value::Int(1)), Value::Int(1), 0.5),
        ] {
            let prior = Prior { center, confidence };
            assert!(prior.problem(&domain).is_some(), "{prior:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn densities_are_those_of_the_draws(
            confidence in 0.0..=1.0_f64, log in any::<bool>(), max in 2..40_i64, center in 0.0..1.0_f64,
        ) {
            let center = Value::Int(1 + (center * max as f64) as i64);
            let (encoding, prior) = axis(int(1, max, log), center, confidence);
            let axis = &encoding.axes()[0];
            let mut masses: BTreeMap<i64, f64> = BTreeMap::new();
            for step in 0..DRAWS as u32 {
                let Value::Int(value) = axis.value(prior.draw((f64::from(step) + 0.5) / DRAWS)) else { panic!() };
                *masses.entry(value).or_default() += 1.0 / DRAWS;
            }
            for value in 1..=max {
                let coordinate = axis.coordinate(&Value::Int(value)).unwrap();
                let (low, high) = axis.cell(&Value::Int(value)).unwrap();
                let expected = prior.density(axis, coordinate) * (high - low);
                let found = masses.get(&value).copied().unwrap_or(0.0);
                prop_assert!((expected - found).abs() < 2.0 / DRAWS, "{value}: {expected} {found}");
            }
        }
    }
}
