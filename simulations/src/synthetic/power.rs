//! Power-law learning curves: `asymptote + (start − asymptote) · (1 + length)^(−rate)`.

use super::sampled;
use crate::error::Error;
use crate::noise::{self, Purpose};
use crate::task::{Curve, Point, Scale, Task};
use std::collections::BTreeMap;
use toprung_searchers::{Assignment, Dimension, Domain, Space, Value};

/// Where every curve begins to fall from.
const START: f64 = 1.0;
/// The rates of curves that do not cross: between slow and fast.
const RATES: (f64, f64) = (0.3, 1.2);

/// A family of curves, by seed. Its space has `dimensions` numbers in 0 … 1; the asymptote of a configuration is its mean
/// squared distance from an optimum that the seed draws (between 0 and 1).
///
/// * **Crossings**: how much slower the better configurations learn: at 0 the rate has nothing to do with the asymptote, at 1
///   the best are the slowest, and early rankings mislead.
/// * **Plateaus**: this share of trials stays at the start for up to half of the length before it begins to learn.
/// * **Divergence**: this share reports NaN from some length on.
/// * **Noise**: normal, with this deviation, at every length.
/// * **Uneven costs**: a unit of length costs `e` to the power of ± this, by the first number of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct PowerLaw {
    name: String,
    space: Space,
    seed: u32,
    max_length: u64,
    optimum: Vec<f64>,
    names: Vec<String>,
    shape: Shape,
    scale: Scale,
}

/// What makes a family of curves hard. All 0: easy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    /// How much slower the better configurations learn, 0 to 1.
    pub crossings: f64,
    /// The share of trials that learn nothing at first, 0 to 1.
    pub plateaus: f64,
    /// The share of trials that diverge, 0 to 1.
    pub divergence: f64,
    /// The deviation of a report, at least 0.
    pub noise: f64,
    /// How uneven costs are, at least 0.
    pub uneven: f64,
}

impl PowerLaw {
    /// A family of this many dimensions (1 to 64), with curves up to `max_length`.
    pub fn new(name: &str, seed: u32, dimensions: u32, max_length: u64, shape: Shape) -> Result<Self, Error> {
        shape.check()?;
        if !(1..=64).contains(&dimensions) {
            return Err(Error::Setting {
                setting: "dimensions",
                found: dimensions.to_string(),
                allowed: "1 to 64",
            });
        }
        if !(1..=1 << 20).contains(&max_length) {
            return Err(Error::Setting {
                setting: "max_length",
                found: max_length.to_string(),
                allowed: "1 to 1048576",
            });
        }
        let names: Vec<String> = (0..dimensions).map(|index| format!("x{index:02}")).collect();
        let domain = Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None };
        let dimension = |name: &String| (name.clone(), Dimension::always(domain.clone()));
        let space = Space::new(names.iter().map(dimension).collect::<BTreeMap<_, _>>());
        let optimum = (0..u64::from(dimensions))
            .map(|index| noise::unit(seed, Purpose::Shape, u64::MAX, index))
            .collect();
        let empty = Scale {
            cap: 2.0 * START,
            best_any: 0.0,
            best_final: 0.0,
            median_final: 0.0,
            mean_full_cost: 0.0,
        };
        let mut family =
            Self { name: name.to_owned(), space, seed, max_length, optimum, names, shape, scale: empty };
        family.scale = sampled(&Self { shape: Shape { noise: 0.0, ..shape }, ..family.clone() }, empty.cap);
        Ok(family)
    }
}

impl Shape {
    fn check(&self) -> Result<(), Error> {
        let shares =
            [("crossings", self.crossings), ("plateaus", self.plateaus), ("divergence", self.divergence)];
        let wrong = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share));
        if let Some((setting, found)) = wrong {
            return Err(Error::Setting { setting, found: found.to_string(), allowed: "0 to 1" });
        }
        let wrong = [("noise", self.noise), ("uneven", self.uneven)]
            .into_iter()
            .find(|(_, size)| !(0.0..=10.0).contains(size));
        wrong.map_or(Ok(()), |(setting, found)| {
            Err(Error::Setting { setting, found: found.to_string(), allowed: "0 to 10" })
        })
    }
}

impl Task for PowerLaw {
    fn name(&self) -> &str {
        &self.name
    }

    fn space(&self) -> &Space {
        &self.space
    }

    fn max_length(&self) -> u64 {
        self.max_length
    }

    /// By a sample of the family without its noise: a search can be a little better than the best of the sample.
    fn scale(&self) -> Scale {
        self.scale
    }

    fn curve(&self, seed: u32, trial: u32, hparams: &Assignment) -> Curve {
        let number = |name: &String| match hparams.get(name) {
            Some(Value::Double(number)) => *number,
            _ => 0.5,
        };
        let apart = self.names.iter().zip(&self.optimum).map(|(name, best)| (number(name) - best).powi(2));
        let asymptote = apart.sum::<f64>() / self.optimum.len() as f64;
        let shape = |count| noise::unit(seed ^ self.seed, Purpose::Shape, u64::from(trial), count);
        let (slow, fast) = RATES;
        let by_chance = shape(0);
        let by_quality = asymptote.sqrt().min(1.0);
        let mixed = (1.0 - self.shape.crossings) * by_chance + self.shape.crossings * by_quality;
        let rate = slow + (fast - slow) * mixed;
        let cost = (self.shape.uneven * (2.0 * number(&self.names[0]) - 1.0)).exp();
        let diverges_at =
            if shape(1) < self.shape.divergence { shape(2) * self.max_length as f64 } else { f64::INFINITY };
        // One key for noise and plateau of this trial in this world.
        let key = (shape(3) * f64::from(u32::MAX)) as u32;
        Curve::Law { numbers: [asymptote, rate, cost, diverges_at], noise: key }
    }

    fn point(&self, curve: &Curve, length: u64) -> Point {
        let Curve::Law { numbers: [asymptote, rate, cost, diverges_at], noise: key } = *curve else {
            return Point { metric: f64::NAN, cost: 0.0 };
        };
        let length = length as f64;
        if length > diverges_at {
            return Point { metric: f64::NAN, cost };
        }
        let plateau =
            self.shape.plateaus > 0.0 && noise::unit(key, Purpose::Shape, 0, 0) < self.shape.plateaus;
        let idle =
            if plateau { noise::unit(key, Purpose::Shape, 0, 1) * 0.5 * self.max_length as f64 } else { 0.0 };
        let learned = (length - idle).max(0.0);
        let mut metric = asymptote + (START - asymptote) * (1.0 + learned).powf(-rate);
        if self.shape.noise > 0.0 {
            metric += self.shape.noise * noise::normal(key, Purpose::Report, length as u64, 0);
        }
        Point { metric, cost }
    }

    /// The same at every length.
    fn cost(&self, curve: &Curve, _length: u64) -> f64 {
        match *curve {
            Curve::Law { numbers: [_, _, cost, _], .. } => cost,
            Curve::Row(_) => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toprung_searchers::TrialId;

    fn family(shape: Shape) -> PowerLaw {
        PowerLaw::new("p", 5, 3, 27, shape).unwrap()
    }

    #[test]
    fn the_optimum_has_the_best_curve_without_noise() {
        let easy = family(Shape::default());
        let best = easy
            .names
            .iter()
            .zip(&easy.optimum)
            .map(|(name, best)| (name.clone(), Value::Double(*best)))
            .collect();
        let Curve::Law { numbers: [asymptote, ..], .. } = easy.curve(0, 1, &best) else { panic!("a law") };
        assert_eq!(asymptote, 0.0);
        assert!(easy.scale().best_any < easy.scale().median_final);
        assert_eq!(easy.scale().mean_full_cost, 27.0);
    }

    #[test]
    fn crossings_make_the_best_the_slowest() {
        let rates = |crossings| {
            let hard = family(Shape { crossings, ..Shape::default() });
            let curves = (1..200).map(|trial| hard.curve(0, trial, &hard.space.draw(0, TrialId(trial))));
            let mut pairs: Vec<(f64, f64)> = curves
                .map(|curve| match curve {
                    Curve::Law { numbers: [asymptote, rate, ..], .. } => (asymptote, rate),
                    Curve::Row(_) => panic!("a law"),
                })
                .collect();
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
            pairs.is_sorted_by(|a, b| a.1 <= b.1)
        };
        assert!(rates(1.0));
        assert!(!rates(0.0));
    }

    #[test]
    fn shares_of_divergence_and_plateaus_hold() {
        let hard = family(Shape { divergence: 0.25, plateaus: 0.5, ..Shape::default() });
        let curves: Vec<Curve> =
            (1..2001).map(|trial| hard.curve(1, trial, &hard.space.draw(1, TrialId(trial)))).collect();
        let nan = curves.iter().filter(|curve| hard.point(curve, 27).metric.is_nan()).count();
        assert!((400..=550).contains(&nan), "{nan}");
        let idle =
            curves.iter().filter(|curve| hard.point(curve, 1).metric == hard.point(curve, 2).metric).count();
        assert!((700..=1000).contains(&idle), "{idle}");
    }

    #[test]
    fn noise_depends_on_seed_trial_and_length_alone() {
        let noisy = family(Shape { noise: 0.1, ..Shape::default() });
        let hparams = noisy.space.draw(0, TrialId(1));
        let metric = |seed, trial, length| noisy.point(&noisy.curve(seed, trial, &hparams), length).metric;
        assert_eq!(metric(0, 1, 3), metric(0, 1, 3));
        assert_ne!(metric(0, 1, 3), metric(1, 1, 3));
        assert_ne!(metric(0, 1, 3), metric(0, 2, 3));
        assert_ne!(metric(0, 1, 26), metric(0, 1, 27));
    }

    #[test]
    fn costs_are_those_of_the_points() {
        let uneven = family(Shape { uneven: 0.7, divergence: 0.5, noise: 0.1, ..Shape::default() });
        for trial in 1..20 {
            let curve = uneven.curve(0, trial, &uneven.space.draw(0, TrialId(trial)));
            for length in [1, 13, 27] {
                assert_eq!(uneven.cost(&curve, length), uneven.point(&curve, length).cost);
            }
        }
        assert_eq!(uneven.cost(&Curve::Row(0), 1), uneven.point(&Curve::Row(0), 1).cost);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let error = PowerLaw::new("p", 0, 0, 27, Shape::default()).unwrap_err();
        assert!(error.to_string().contains("dimensions is 0, allowed is 1 to 64"), "{error}");
        let error = PowerLaw::new("p", 0, 1, 27, Shape { plateaus: 1.5, ..Shape::default() }).unwrap_err();
        assert!(error.to_string().contains("plateaus is 1.5"), "{error}");
    }
}
