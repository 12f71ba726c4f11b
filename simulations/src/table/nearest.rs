//! Which row of a table is nearest to a configuration.
//!
//! Every numeric hyperparameter is mapped to [0, 1] over its range (on a logarithmic scale where the space has one);
//! squared Euclidean distance, plus 1 for each category that differs; on a tie the lowest row. A hyperparameter that only
//! one of the two has counts 1 as well. Constants do not count.

use super::axis::{ABSENT, Axis, Scale};
use toprung_searchers::{Assignment, Space};

/// The coordinates of all rows, one row after another.
#[derive(Clone, Debug)]
pub(super) struct Nearest {
    axes: Vec<Axis>,
    numbers: usize,
    categories: usize,
    /// Each row's numbers; NaN where it has none.
    units: Vec<f64>,
    /// Each row's categories.
    kinds: Vec<u32>,
    rows: usize,
}

impl Nearest {
    pub(super) fn new<'a>(space: &Space, configurations: impl Iterator<Item = &'a Assignment>) -> Self {
        let axes: Vec<Axis> =
            Axis::all(space).into_iter().filter(|axis| axis.scale != Scale::Fixed).collect();
        let numbers = axes.iter().filter(|axis| axis.is_number()).count();
        let categories = axes.len() - numbers;
        let mut built = Self { axes, numbers, categories, units: Vec::new(), kinds: Vec::new(), rows: 0 };
        for configuration in configurations {
            let (units, kinds) = built.coordinates(configuration);
            built.units.extend(units);
            built.kinds.extend(kinds);
            built.rows += 1;
        }
        built
    }

    fn coordinates(&self, hparams: &Assignment) -> (Vec<f64>, Vec<u32>) {
        let (mut units, mut kinds) = (Vec::with_capacity(self.numbers), Vec::with_capacity(self.categories));
        for axis in &self.axes {
            let value = axis.value(hparams);
            if axis.is_number() {
                units.push(axis.unit(value));
            } else {
                kinds.push(axis.category(value));
            }
        }
        (units, kinds)
    }

    /// The nearest row and its squared distance; `None` of an empty table.
    pub(super) fn find(&self, hparams: &Assignment) -> Option<(u32, f64)> {
        let (units, kinds) = self.coordinates(hparams);
        let mut best: Option<(u32, f64)> = None;
        for row in 0..self.rows {
            let limit = best.map_or(f64::INFINITY, |(_, distance)| distance);
            let distance = self.distance(row, &units, &kinds, limit);
            if distance < limit || best.is_none() {
                best = Some((row as u32, distance));
            }
        }
        best
    }

    /// The squared distance, or something not below `limit` as soon as it is known to be that much.
    fn distance(&self, row: usize, units: &[f64], kinds: &[u32], limit: f64) -> f64 {
        let mut sum = 0.0;
        let own = &self.kinds[row * self.categories..(row + 1) * self.categories];
        for (a, b) in own.iter().zip(kinds) {
            // Two values that the table does not know cannot be told apart from different ones.
            if a != b || (*a != ABSENT && *a == super::axis::UNKNOWN) {
                sum += 1.0;
            }
        }
        let own = &self.units[row * self.numbers..(row + 1) * self.numbers];
        for (a, b) in own.iter().zip(units) {
            if sum >= limit {
                return sum;
            }
            let apart = a - b;
            if apart.is_nan() {
                sum += f64::from(u8::from(a.is_nan() != b.is_nan()));
            } else {
                sum += apart * apart;
            }
        }
        sum
    }
}
