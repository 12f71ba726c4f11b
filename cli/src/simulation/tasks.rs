//! Tasks to search on, with the words that their numbers need.

use super::columns::Columns;
use super::{recorded, refused, synthetic};
use crate::args::{Curves, Global};
use crate::commands::source::Loaded;
use crate::errors::Error;
use std::path::Path;
use toprung_simulations::{Table, Task};

/// A task, and what its numbers are called.
pub(crate) struct SimulatedTask {
    /// What searchers search.
    pub task: Box<dyn Task + Send>,
    /// The metric's name.
    pub metric: String,
    /// Whether it is minimised.
    pub smaller_is_better: bool,
    /// What lengths count, as the source says it.
    pub length_unit: String,
    /// How much of that one length of the task is.
    pub unit: u64,
    /// What costs and virtual time are counted in.
    pub time_unit: String,
    /// Where it comes from and how large it is, in a line.
    pub described: String,
    /// What to know about its results; empty: nothing.
    pub caution: String,
    /// How many configurations it holds; none: they are made from formulae.
    pub rows: Option<u32>,
    /// The experiment that ran, if it is one.
    pub recorded: Option<recorded::Ran>,
}

impl SimulatedTask {
    /// The length of a trial trained in full, as the source counts.
    pub(crate) fn full_length(&self) -> u64 {
        self.task.max_length().saturating_mul(self.unit)
    }
}

/// All tasks that the command line names. `loaded`: an experiment file.
pub(crate) async fn all(
    global: &Global,
    curves: &Curves,
    loaded: Option<&Loaded>,
) -> Result<Vec<SimulatedTask>, Error> {
    let mut tasks = Vec::new();
    let columns = curves.columns.as_deref().map(Columns::parse).transpose()?.unwrap_or_default();
    for path in &curves.tables {
        tasks.push(table(path, &columns, curves.maximize, loaded)?);
    }
    for text in &curves.synthetic {
        tasks.push(synthetic::task(text)?);
    }
    for id in &curves.experiments {
        tasks.push(recorded::task(global, *id).await?);
    }
    if tasks.is_empty() {
        return Err(Error::Usage {
            message: "there are no learning curves to search on".to_owned(),
            help:
                "give --table PATH, --from-experiment ID or --synthetic power; several are compared together"
                    .to_owned(),
        });
    }
    distinct(&tasks)?;
    Ok(tasks)
}

fn distinct(tasks: &[SimulatedTask]) -> Result<(), Error> {
    for (place, task) in tasks.iter().enumerate() {
        let name = task.task.name();
        if tasks[..place].iter().any(|other| other.task.name() == name) {
            return Err(Error::Usage {
                message: format!("two tasks are called {name}"),
                help: "leave one out, or rename the file; a synthetic task takes a name: power:name=other"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

fn table(
    path: &Path,
    columns: &Columns,
    maximize: bool,
    loaded: Option<&Loaded>,
) -> Result<SimulatedTask, Error> {
    if path.is_dir() {
        let table = Table::read_folder(path).map_err(refused)?;
        return Ok(of_table(table, words_of_folder(path), "s", path));
    }
    let heads = Table::heads(path).map_err(refused)?;
    let mapping = columns.mapping(path, &heads, maximize, loaded.map(|loaded| &loaded.config))?;
    let table = Table::read(path, &mapping).map_err(refused)?;
    let unit = match loaded {
        Some(loaded) => loaded.config.searcher.time_metric.clone(),
        None => mapping.length.clone().unwrap_or_else(|| "trainings".to_owned()),
    };
    let time = if mapping.cost.is_some() { "s" } else { unit.as_str() };
    let words =
        Words { metric: mapping.metric.clone(), smaller: mapping.smaller_is_better, unit: unit.clone() };
    Ok(of_table(table, words, time, path))
}

struct Words {
    metric: String,
    smaller: bool,
    unit: String,
}

/// What task.json of a folder that was read says beside the curves.
fn words_of_folder(path: &Path) -> Words {
    let text = std::fs::read_to_string(path.join("task.json")).unwrap_or_default();
    let said: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    Words {
        metric: said["metric"].as_str().unwrap_or("metric").to_owned(),
        smaller: said["direction"] != "maximize",
        unit: "epochs".to_owned(),
    }
}

fn of_table(table: Table, words: Words, time_unit: &str, path: &Path) -> SimulatedTask {
    let full = table.max_length() * table.unit();
    let hyperparameters: Vec<&str> = table.space().dimensions.keys().map(String::as_str).collect();
    let described = format!(
        "{}: {} configurations of {}, up to {full} {}, {} of {}",
        path.display(),
        table.rows(),
        hyperparameters.join(", "),
        words.unit,
        if words.smaller { "least" } else { "greatest" },
        words.metric
    );
    SimulatedTask {
        unit: table.unit(),
        metric: words.metric,
        smaller_is_better: words.smaller,
        length_unit: words.unit,
        time_unit: time_unit.to_owned(),
        described,
        caution: String::new(),
        recorded: None,
        rows: u32::try_from(table.rows()).ok(),
        task: Box::new(table),
    }
}

/// A task of easy curves up to 27 epochs.
#[cfg(test)]
pub(crate) fn of_tests() -> SimulatedTask {
    synthetic::task("power").unwrap()
}
