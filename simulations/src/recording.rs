//! An experiment that ran: what would another searcher have done with its trials?

use crate::error::Error;
use crate::table::{Points, Report, Row, Table, curves_of};
use toprung_searchers::{Assignment, Space};

/// The trials of an experiment and what they reported. [`Recording::table`] makes a task of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Names the task.
    pub name: String,
    /// The space of the experiment.
    pub space: Space,
    /// Whether a smaller metric is better.
    pub smaller_is_better: bool,
    /// The trials in the order of their ids.
    pub trials: Vec<RecordedTrial>,
}

/// A trial that ran.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedTrial {
    /// Its hyperparameters.
    pub hparams: Assignment,
    /// Its validations in the order in which they came. A trial that was restarted may report a length again: the later counts.
    pub reports: Vec<Report>,
}

impl Recording {
    /// The trials as a table. A configuration that was not run is answered by the nearest that was; the same space and seed
    /// meet the very configurations again. How curves of stopped trials go on: see [`crate::table`].
    ///
    /// Trials without a report are left out. A missing metric, or one worse than `cap`, counts as `cap`; without one the
    /// worst that was recorded.
    pub fn table(&self, cap: Option<f64>) -> Result<Table, Error> {
        let problem = |problem: String| Error::Table { name: self.name.clone(), problem };
        let sign = if self.smaller_is_better { 1.0 } else { -1.0 };
        let trials: Vec<&RecordedTrial> =
            self.trials.iter().filter(|trial| !trial.reports.is_empty()).collect();
        let reports: Vec<Vec<Report>> = trials
            .iter()
            .map(|trial| {
                trial
                    .reports
                    .iter()
                    .map(|report| Report { metric: sign * report.metric, ..*report })
                    .collect()
            })
            .collect();
        let (unit, curves) = curves_of(&reports).map_err(problem)?;
        let row = |(trial, (metrics, costs)): (&&RecordedTrial, Points)| Row {
            hparams: trial.hparams.clone(),
            metrics,
            costs,
        };
        let rows: Vec<Row> = trials.iter().zip(curves).map(row).collect();
        Ok(Table::new(&self.name, self.space.clone(), &rows, cap.map(|cap| sign * cap))?.with_unit(unit))
    }
}
