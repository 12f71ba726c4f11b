//! Recorded learning curves: a table of configurations and what each reported at every length.
//!
//! A configuration that is not in the table is answered by the [nearest](mod@self) row; of a table that holds a full grid
//! that is the row itself.
//!
//! | file | holds |
//! |---|---|
//! | `axis` | a hyperparameter's values as coordinates |
//! | `nearest` | the nearest row |
//! | `shared` | the format of the benchmark tables |

mod axis;
mod nearest;
mod shared;

use crate::error::Error;
use crate::task::{Curve, Point, Scale, Task};
use nearest::Nearest;
use toprung_searchers::{Assignment, Space};

/// A configuration and its curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its hyperparameters, as the space nests them.
    pub hparams: Assignment,
    /// What it reported at length 1, 2, 3, …; normalised (smaller is better), NaN where it diverged.
    pub metrics: Vec<f64>,
    /// What each of these units of length cost.
    pub costs: Vec<f64>,
}

/// Configurations with their curves, all of the same length. See the [module](self).
#[derive(Clone, Debug)]
pub struct Table {
    name: String,
    space: Space,
    nearest: Nearest,
    rows: usize,
    max_length: usize,
    /// Row after row, one a length.
    metrics: Vec<f64>,
    costs: Vec<f64>,
    scale: Scale,
}

impl Table {
    /// A table whose metrics above `cap` (and those that are NaN) count as `cap` when a search is scored. The numbers of
    /// its [`Scale`] are computed from its rows.
    pub fn new(name: &str, space: Space, rows: &[Row], cap: f64) -> Result<Self, Error> {
        let problem = |problem: String| Error::Table { name: name.to_owned(), problem };
        space.check()?;
        let max_length = rows.first().map_or(0, |row| row.metrics.len());
        if max_length == 0 {
            return Err(problem("it has no rows with a metric; at least one is needed".to_owned()));
        }
        for (index, row) in rows.iter().enumerate() {
            if row.metrics.len() != max_length || row.costs.len() != max_length {
                let (metrics, costs) = (row.metrics.len(), row.costs.len());
                return Err(problem(format!(
                    "row {index} has {metrics} metrics and {costs} costs; all rows must have {max_length}, as the first"
                )));
            }
            if let Some(cost) = row.costs.iter().find(|cost| !cost.is_finite() || **cost < 0.0) {
                return Err(problem(format!(
                    "row {index} has a cost of {cost}; costs must be finite and at least 0"
                )));
            }
        }
        let nearest = Nearest::new(&space, rows.iter().map(|row| &row.hparams));
        let metrics = rows.iter().flat_map(|row| row.metrics.iter().copied()).collect();
        let costs = rows.iter().flat_map(|row| row.costs.iter().copied()).collect();
        let scale = scale_of(rows, cap);
        Ok(Self {
            name: name.to_owned(),
            space,
            nearest,
            rows: rows.len(),
            max_length,
            metrics,
            costs,
            scale,
        })
    }

    /// The same, scored by other numbers than those its rows give (a publisher's own, of unrounded metrics).
    pub fn with_scale(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// How many configurations there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The row nearest to a configuration, and the squared distance between them.
    pub fn nearest(&self, hparams: &Assignment) -> (u32, f64) {
        // A table has rows: `new` sees to it.
        self.nearest.find(hparams).unwrap_or((0, f64::INFINITY))
    }
}

impl Task for Table {
    fn name(&self) -> &str {
        &self.name
    }

    fn space(&self) -> &Space {
        &self.space
    }

    fn max_length(&self) -> u64 {
        self.max_length as u64
    }

    fn scale(&self) -> Scale {
        self.scale
    }

    fn curve(&self, _seed: u32, _trial: u32, hparams: &Assignment) -> Curve {
        Curve::Row(self.nearest(hparams).0)
    }

    fn point(&self, curve: &Curve, length: u64) -> Point {
        let Curve::Row(row) = *curve else { return Point { metric: f64::NAN, cost: 0.0 } };
        let index = row as usize * self.max_length + (length.clamp(1, self.max_length as u64) - 1) as usize;
        Point { metric: self.metrics[index], cost: self.costs[index] }
    }
}

fn scale_of(rows: &[Row], cap: f64) -> Scale {
    let zero = Scale { cap, best_any: 0.0, best_final: 0.0, median_final: 0.0, mean_full_cost: 0.0 };
    let least = |metrics: &mut dyn Iterator<Item = f64>| {
        metrics.map(|metric| zero.capped(metric)).fold(f64::INFINITY, f64::min)
    };
    let last = || rows.iter().filter_map(|row| row.metrics.last().copied());
    let mut finals: Vec<f64> = last().map(|metric| zero.capped(metric)).collect();
    finals.sort_unstable_by(f64::total_cmp);
    let full_costs = rows.iter().map(|row| row.costs.iter().sum::<f64>());
    Scale {
        cap,
        best_any: least(&mut rows.iter().flat_map(|row| row.metrics.iter().copied())),
        best_final: least(&mut last()),
        median_final: f64::midpoint(finals[(finals.len() - 1) / 2], finals[finals.len() / 2]),
        mean_full_cost: full_costs.sum::<f64>() / rows.len() as f64,
    }
}
