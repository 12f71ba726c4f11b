//! Hartmann functions of 3, 4 and 6 dimensions whose fidelity is the length trained.
//!
//! `f(x, z) = −Σ (α_i − bias · (1 − z)) · exp(−Σ A_ij (x_j − P_ij)²)` with `z` the part of the greatest length, so that the
//! function of a shorter training is a biased one (Kandasamy et al., ICML 2017, with one fidelity for all α). The
//! constants are those of Dixon and Szegö (1978); four dimensions are scaled as by Picheny et al. (2013), and their minimum
//! was found by a search.

use super::sampled;
use crate::error::Error;
use crate::noise::{self, Purpose};
use crate::task::{Curve, Point, Scale, Task};
use toprung_searchers::{Assignment, Dimension, Domain, Space, Value};

const ALPHA: [f64; 4] = [1.0, 1.2, 3.0, 3.2];

const A3: [[f64; 3]; 4] = [[3.0, 10.0, 30.0], [0.1, 10.0, 35.0], [3.0, 10.0, 30.0], [0.1, 10.0, 35.0]];

const P3: [[f64; 3]; 4] =
    [[0.3689, 0.1170, 0.2673], [0.4699, 0.4387, 0.7470], [0.1091, 0.8732, 0.5547], [0.0381, 0.5743, 0.8828]];

const A6: [[f64; 6]; 4] = [
    [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
    [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
    [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
    [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
];

const P6: [[f64; 6]; 4] = [
    [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
    [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
    [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
    [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
];

/// A Hartmann function as a task. A unit of length costs 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Hartmann {
    name: String,
    space: Space,
    dimensions: u32,
    max_length: u64,
    bias: f64,
    deviation: f64,
    scale: Scale,
}

impl Hartmann {
    /// `dimensions`: 3, 4 or 6. `bias`: how far the shortest training misleads (0.1 as published, up to 1). `deviation`:
    /// of the normal noise of a report, at least 0.
    pub fn new(dimensions: u32, max_length: u64, bias: f64, deviation: f64) -> Result<Self, Error> {
        let wrong = |setting, found: String, allowed| Err(Error::Setting { setting, found, allowed });
        let Some(minimum) = minimum(dimensions) else {
            return wrong("dimensions", dimensions.to_string(), "3, 4 or 6");
        };
        if !(1..=1 << 20).contains(&max_length) {
            return wrong("max_length", max_length.to_string(), "1 to 1048576");
        }
        if !(0.0..=1.0).contains(&bias) {
            return wrong("bias", bias.to_string(), "0 to 1");
        }
        if !(0.0..=10.0).contains(&deviation) {
            return wrong("noise", deviation.to_string(), "0 to 10");
        }
        let domain = Domain::Double { min: 0.0, max: 1.0, log: false, quantize: None, count: None };
        let space = Space::new(
            (0..dimensions).map(|index| (format!("x{index}"), Dimension::always(domain.clone()))).collect(),
        );
        let cap = f64::INFINITY;
        let empty = Scale { cap, best_any: 0.0, best_final: 0.0, median_final: 0.0, mean_full_cost: 0.0 };
        let name = format!("hartmann{dimensions}");
        let mut built = Self { name, space, dimensions, max_length, bias, deviation: 0.0, scale: empty };
        built.scale = Scale { best_any: minimum, best_final: minimum, ..sampled(&built, cap) };
        Ok(Self { deviation, ..built })
    }

    /// The value where the four terms are so great, at the part `z` of the greatest length.
    fn value(&self, terms: [f64; 4], z: f64) -> f64 {
        let sum: f64 =
            ALPHA.iter().zip(terms).map(|(alpha, term)| (alpha - self.bias * (1.0 - z)) * term).sum();
        if self.dimensions == 4 { (1.1 - sum) / 0.839 } else { -sum }
    }

    fn terms(&self, x: &[f64]) -> [f64; 4] {
        let term = |a: &[f64], p: &[f64]| {
            let sum: f64 = a.iter().zip(p).zip(x).map(|((a, p), x)| a * (x - p).powi(2)).sum();
            (-sum).exp()
        };
        let of = |index: usize| match self.dimensions {
            3 => term(&A3[index], &P3[index]),
            // Four dimensions are the first four of six.
            _ => term(&A6[index], &P6[index]),
        };
        [of(0), of(1), of(2), of(3)]
    }
}

/// The least value in full fidelity.
fn minimum(dimensions: u32) -> Option<f64> {
    match dimensions {
        3 => Some(-3.862_782),
        4 => Some(-3.134_494),
        6 => Some(-3.322_368),
        _ => None,
    }
}

impl Task for Hartmann {
    fn name(&self) -> &str {
        &self.name
    }

    fn space(&self) -> &Space {
        &self.space
    }

    fn max_length(&self) -> u64 {
        self.max_length
    }

    /// The best is the known minimum, the median that of a sample; nothing is capped.
    fn scale(&self) -> Scale {
        self.scale
    }

    fn curve(&self, seed: u32, trial: u32, hparams: &Assignment) -> Curve {
        // The names of the space are in the order of its dimensions.
        let number = |value: &Value| if let Value::Double(number) = value { *number } else { 0.5 };
        let mut x = [0.5; 6];
        for (place, name) in x.iter_mut().zip(self.space.dimensions.keys()) {
            *place = hparams.get(name).map_or(0.5, number);
        }
        let noise = (noise::unit(seed, Purpose::Shape, u64::from(trial), 0) * f64::from(u32::MAX)) as u32;
        Curve::Law { numbers: self.terms(&x[..self.dimensions as usize]), noise }
    }

    fn point(&self, curve: &Curve, length: u64) -> Point {
        let Curve::Law { numbers, noise: key } = *curve else {
            return Point { metric: f64::NAN, cost: 0.0 };
        };
        let mut metric = self.value(numbers, length as f64 / self.max_length as f64);
        if self.deviation > 0.0 {
            metric += self.deviation * noise::normal(key, Purpose::Report, length, 0);
        }
        Point { metric, cost: 1.0 }
    }

    fn cost(&self, curve: &Curve, _length: u64) -> f64 {
        f64::from(u8::from(matches!(curve, Curve::Law { .. })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published places of the minima.
    fn at_minimum(dimensions: u32) -> Vec<f64> {
        match dimensions {
            3 => vec![0.114_614, 0.555_649, 0.852_547],
            4 => vec![0.187_395, 0.194_152, 0.557_918, 0.264_780],
            _ => vec![0.201_69, 0.150_011, 0.476_874, 0.275_332, 0.311_652, 0.657_3],
        }
    }

    #[test]
    fn costs_are_those_of_the_points() {
        let task = Hartmann::new(3, 50, 0.1, 0.1).unwrap();
        for curve in [task.curve(0, 1, &task.space.draw(0, toprung_searchers::TrialId(1))), Curve::Row(0)] {
            assert_eq!(task.cost(&curve, 7), task.point(&curve, 7).cost);
        }
    }

    #[test]
    fn full_fidelity_has_the_published_minima() {
        for dimensions in [3, 4, 6] {
            let task = Hartmann::new(dimensions, 50, 0.1, 0.0).unwrap();
            let hparams: Assignment = at_minimum(dimensions)
                .iter()
                .enumerate()
                .map(|(index, x)| (format!("x{index}"), Value::Double(*x)))
                .collect();
            let found = task.point(&task.curve(0, 1, &hparams), 50).metric;
            assert!((found - task.scale().best_any).abs() < 1e-4, "{dimensions}: {found}");
            assert!(task.scale().median_final > found);
        }
    }

    #[test]
    fn short_trainings_are_biased_upwards() {
        let task = Hartmann::new(6, 50, 0.5, 0.0).unwrap();
        let hparams = task.space.draw(1, toprung_searchers::TrialId(1));
        let curve = task.curve(1, 1, &hparams);
        let metrics: Vec<f64> = (1..=50).map(|length| task.point(&curve, length).metric).collect();
        assert!(metrics.is_sorted_by(|a, b| a >= b), "{metrics:?}");
        assert!(metrics[0] > metrics[49]);
    }

    #[test]
    fn other_dimensions_are_refused() {
        let error = Hartmann::new(5, 50, 0.1, 0.0).unwrap_err();
        assert!(error.to_string().contains("dimensions is 5, allowed is 3, 4 or 6"), "{error}");
    }
}
