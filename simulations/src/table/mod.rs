//! Recorded learning curves: a table of configurations and what each reported at every length.
//!
//! A configuration that is not in the table is answered by the [nearest](mod@self) row; of a table that holds a full grid
//! that is the row itself. Every numeric hyperparameter is mapped to 0 … 1 over its range (on its logarithmic scale);
//! squared Euclidean distance, plus 1 for each category that differs; on a tie the first row.
//!
//! Curves that end before the others are continued by a prediction: in the shape of the nearest curve that goes on, never better
//! than the best that was recorded (`curves` has the rule). Look-ups of predicted points are counted.
//!
//! | file | holds |
//! |---|---|
//! | `axis` | a hyperparameter's values as coordinates |
//! | `nearest` | the nearest row |
//! | `curves` | reports at any lengths as regular curves; curves that end early |
//! | `columns` | CSV tables of any origin |
//! | `parquet` | Parquet tables of any origin |
//! | `read` | one or the other, and the heads of their columns |
//! | `shared` | the format of the benchmark tables |

mod axis;
mod columns;
mod curves;
mod nearest;
mod parquet;
mod read;
mod shared;

use crate::error::Error;
use crate::task::{Curve, Point, Scale, Task};
pub use columns::Mapping;
pub use curves::Report;
pub(crate) use curves::{Points, regular as curves_of};
use nearest::Nearest;
use toprung_searchers::{Assignment, Space};

/// A configuration and its curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its hyperparameters, as the space nests them.
    pub hparams: Assignment,
    /// What it reported at length 1, 2, 3, … units, at least one; normalised (smaller is better), NaN where it diverged.
    pub metrics: Vec<f64>,
    /// What each of these units of length cost.
    pub costs: Vec<f64>,
}

/// Configurations with their curves. See the [module](self).
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
    /// How many of each row's points were recorded; those after are predicted.
    recorded: Vec<u32>,
    unit: u64,
    scale: Scale,
    computed_scale: Scale,
}

impl Table {
    /// A table whose metrics above `cap` (and those that are NaN) count as `cap` when a search is scored; without one the
    /// worst metric counts for those that are NaN. The numbers of its [`Scale`] are computed from its rows.
    pub fn new(name: &str, space: Space, rows: &[Row], cap: Option<f64>) -> Result<Self, Error> {
        let problem = |problem: String| Error::Table { name: name.to_owned(), problem };
        space.check()?;
        let max_length = rows.iter().map(|row| row.metrics.len()).max().unwrap_or(0);
        if max_length == 0 {
            return Err(problem("it has no metrics; at least one is needed".to_owned()));
        }
        if u32::try_from(rows.len().max(max_length)).is_err() {
            return Err(problem("it has more than 4294967295 rows or lengths".to_owned()));
        }
        for (index, row) in rows.iter().enumerate() {
            check_row(row).map_err(|wrong| problem(format!("row {index} {wrong}")))?;
        }
        let recorded = rows.iter().map(|row| row.metrics.len() as u32).collect();
        let worst = || {
            rows.iter()
                .flat_map(|row| &row.metrics)
                .filter(|metric| metric.is_finite())
                .fold(f64::NEG_INFINITY, |a, b| a.max(*b))
        };
        let cap = cap.unwrap_or_else(worst);
        let rows = curves::continued(rows, max_length);
        let nearest = Nearest::new(&space, rows.iter().map(|row| &row.hparams));
        let metrics = rows.iter().flat_map(|row| row.metrics.iter().copied()).collect();
        let costs = rows.iter().flat_map(|row| row.costs.iter().copied()).collect();
        let scale = scale_of(&rows, cap);
        let (name, rows) = (name.to_owned(), rows.len());
        Ok(Self {
            name,
            space,
            nearest,
            rows,
            max_length,
            metrics,
            costs,
            recorded,
            unit: 1,
            scale,
            computed_scale: scale,
        })
    }

    /// The same; a length of 1 here stands for `unit` in the source.
    pub(crate) fn with_unit(self, unit: u64) -> Self {
        Self { unit, ..self }
    }

    /// What a length of 1 stands for in the source: all lengths there are multiples of it.
    pub fn unit(&self) -> u64 {
        self.unit
    }

    /// The same, scored by other numbers than those its rows give (a publisher's own, of unrounded metrics).
    pub fn with_scale(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// The scale that its rows give, whatever [`Table::with_scale`] said.
    pub fn computed_scale(&self) -> Scale {
        self.computed_scale
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

    fn is_predicted(&self, curve: &Curve, length: u64) -> bool {
        matches!(*curve, Curve::Row(row) if length > u64::from(self.recorded[row as usize]))
    }

    fn point(&self, curve: &Curve, length: u64) -> Point {
        let Curve::Row(row) = *curve else { return Point { metric: f64::NAN, cost: 0.0 } };
        let index = row as usize * self.max_length + (length.clamp(1, self.max_length as u64) - 1) as usize;
        Point { metric: self.metrics[index], cost: self.costs[index] }
    }
}

fn check_row(row: &Row) -> Result<(), String> {
    let (metrics, costs) = (row.metrics.len(), row.costs.len());
    if metrics != costs || metrics == 0 {
        return Err(format!(
            "has {metrics} metrics and {costs} costs; it must have as many of both, at least one"
        ));
    }
    match row.costs.iter().find(|cost| !cost.is_finite() || **cost < 0.0) {
        Some(cost) => Err(format!("has a cost of {cost}; costs must be finite and at least 0")),
        None => Ok(()),
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
