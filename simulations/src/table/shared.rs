//! The benchmark tables: a folder with `task.json`, and `configs.csv` with `curves.csv.zst`, or `table.csv.zst` of a full grid.
//!
//! Of a full grid (`"kind": "final"`) only the result of a training in full is known. It has one length, whose metric is
//! the mean of the repeats, and whose cost is that of the whole training.

use super::axis::Axis;
use super::{Row, Table};
use crate::error::Error;
use crate::task::Scale;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use toprung_searchers::{Assignment, Dimension, Domain, Space, Value};

#[derive(Deserialize)]
struct TaskFile {
    name: String,
    kind: Kind,
    metric: String,
    direction: Direction,
    params: Vec<Param>,
    max_epochs: Option<u64>,
    cap: Option<f64>,
    best_any: Option<f64>,
    best_final: Option<f64>,
    median_final: Option<f64>,
    mean_full_cost: Option<f64>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Curves,
    Final,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Minimize,
    Maximize,
}

impl Direction {
    fn normalised(self, metric: f64) -> f64 {
        if self == Self::Maximize { -metric } else { metric }
    }
}

#[derive(Deserialize)]
struct Param {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    low: Option<f64>,
    high: Option<f64>,
    #[serde(default)]
    log: bool,
    choices: Option<Vec<serde_json::Value>>,
}

impl Table {
    /// Reads a folder of the benchmark tables.
    pub fn read_folder(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("task.json");
        let text = fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let task: TaskFile = serde_json::from_str(&text)
            .map_err(|error| Error::Format { path: path.clone(), problem: error.to_string() })?;
        let domains: Result<BTreeMap<_, _>, String> = task.params.iter().map(dimension).collect();
        let space = Space::new(domains.map_err(|problem| Error::Format { path, problem })?);
        match task.kind {
            Kind::Curves => curves(folder, &task, space),
            Kind::Final => finals(folder, &task, space),
        }
    }
}

fn dimension(param: &Param) -> Result<(String, Dimension), String> {
    let missing = |what: &str| format!("parameter {} has no `{what}`", param.name);
    let domain = if let Some(choices) = &param.choices {
        Domain::Categorical(choices.iter().map(Value::from_json).collect())
    } else {
        let (low, high) =
            (param.low.ok_or_else(|| missing("low"))?, param.high.ok_or_else(|| missing("high"))?);
        match param.kind.as_deref() {
            Some("float") => {
                Domain::Double { min: low, max: high, log: param.log, quantize: None, count: None }
            }
            Some("int") => Domain::Int { min: low as i64, max: high as i64, log: param.log, count: None },
            Some("cat") => Domain::Categorical((low as i64..=high as i64).map(Value::Int).collect()),
            found => {
                return Err(format!(
                    "parameter {} has type {found:?}; allowed are float, int, cat",
                    param.name
                ));
            }
        }
    };
    Ok((param.name.clone(), Dimension::always(domain)))
}

fn curves(folder: &Path, task: &TaskFile, space: Space) -> Result<Table, Error> {
    let missing = |what: &str| Error::Format {
        path: folder.join("task.json"),
        problem: format!("`{what}` is missing"),
    };
    let epochs = task.max_epochs.ok_or_else(|| missing("max_epochs"))? as usize;
    let mut rows = configurations(&folder.join("configs.csv"), &space, epochs)?;
    let path = folder.join("curves.csv.zst");
    let mut reader = csv::Reader::from_reader(decompressed(&path)?);
    let columns = Columns::of(&mut reader, &path)?;
    let [id, epoch, metric, cost] = [
        columns.find("config_id")?,
        columns.find("epoch")?,
        columns.find(&task.metric)?,
        columns.find("cost")?,
    ];
    for (line, record) in reader.records().enumerate() {
        let cells = Cells {
            record: record.map_err(|error| columns.wrong(line, error.to_string()))?,
            line,
            columns: &columns,
        };
        let (config, length) = (cells.whole(id)?, cells.whole(epoch)?);
        let row = rows
            .get_mut(&config)
            .ok_or_else(|| columns.wrong(line, format!("config_id {config} is not in configs.csv")))?;
        let place = (length as usize).checked_sub(1).filter(|place| *place < epochs);
        let place =
            place.ok_or_else(|| columns.wrong(line, format!("epoch {length}, allowed is 1 to {epochs}")))?;
        row.metrics[place] = task.direction.normalised(cells.metric(metric)?);
        row.costs[place] = cells.number(cost)?;
    }
    let rows: Vec<Row> = rows.into_values().collect();
    let cap = task.direction.normalised(task.cap.ok_or_else(|| missing("cap"))?);
    let table = Table::new(&task.name, space, &rows, Some(cap))?;
    let scale = Scale {
        cap,
        best_any: task.best_any.map_or(table.scale.best_any, |metric| task.direction.normalised(metric)),
        best_final: task
            .best_final
            .map_or(table.scale.best_final, |metric| task.direction.normalised(metric)),
        median_final: task
            .median_final
            .map_or(table.scale.median_final, |metric| task.direction.normalised(metric)),
        mean_full_cost: task.mean_full_cost.unwrap_or(table.scale.mean_full_cost),
    };
    Ok(table.with_scale(scale))
}

/// The rows without their curves, by their ids.
fn configurations(path: &Path, space: &Space, epochs: usize) -> Result<BTreeMap<u64, Row>, Error> {
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let mut reader = csv::Reader::from_reader(file);
    let columns = Columns::of(&mut reader, path)?;
    let id = columns.find("config_id")?;
    let axes: Vec<(usize, Axis)> = Axis::all(space)
        .into_iter()
        .map(|axis| Ok((columns.find(&axis.name())?, axis)))
        .collect::<Result<_, Error>>()?;
    let mut rows = BTreeMap::new();
    for (line, record) in reader.records().enumerate() {
        let cells = Cells {
            record: record.map_err(|error| columns.wrong(line, error.to_string()))?,
            line,
            columns: &columns,
        };
        let mut hparams = Assignment::new();
        for (column, axis) in &axes {
            let value = axis
                .read(cells.text(*column))
                .map_err(|problem| columns.wrong(line, format!("{}: {problem}", axis.name())))?;
            hparams.extend(value.map(|value| (axis.name(), value)));
        }
        rows.insert(
            cells.whole(id)?,
            Row { hparams, metrics: vec![f64::NAN; epochs], costs: vec![0.0; epochs] },
        );
    }
    Ok(rows)
}

/// A full grid: `key` has one digit a parameter, the index of its choice.
fn finals(folder: &Path, task: &TaskFile, space: Space) -> Result<Table, Error> {
    let path = folder.join("table.csv.zst");
    let mut reader = csv::Reader::from_reader(decompressed(&path)?);
    let columns = Columns::of(&mut reader, &path)?;
    let (key, seconds) = (columns.find("key")?, columns.find("train_seconds")?);
    let values: Vec<usize> = (0..).map_while(|repeat| columns.find(&format!("value{repeat}")).ok()).collect();
    if values.is_empty() {
        return Err(Error::Format { path, problem: "it has no column `value0`".to_owned() });
    }
    let mut rows = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let cells = Cells {
            record: record.map_err(|error| columns.wrong(line, error.to_string()))?,
            line,
            columns: &columns,
        };
        let mut sum = 0.0;
        for value in &values {
            sum += cells.metric(*value)?;
        }
        let hparams =
            of_key(cells.text(key), &task.params).map_err(|problem| columns.wrong(line, problem))?;
        let metric = task.direction.normalised(sum / values.len() as f64);
        rows.push(Row { hparams, metrics: vec![metric], costs: vec![cells.number(seconds)?] });
    }
    let cap = task.cap.map(|cap| task.direction.normalised(cap));
    Table::new(&task.name, space, &rows, cap)
}

fn of_key(key: &str, params: &[Param]) -> Result<Assignment, String> {
    let choice = |(param, digit): (&Param, char)| {
        let index = digit.to_digit(10)? as usize;
        Some((param.name.clone(), Value::from_json(param.choices.as_ref()?.get(index)?)))
    };
    let hparams: Option<Assignment> = params.iter().zip(key.chars()).map(choice).collect();
    hparams.filter(|_| key.chars().count() == params.len()).ok_or_else(|| {
        format!(
            "key `{key}` must have one digit for each of {} parameters, an index of its choices",
            params.len()
        )
    })
}

fn decompressed(path: &Path) -> Result<impl Read + use<>, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    zstd::Decoder::new(File::open(path).map_err(read)?).map_err(read)
}

/// The heads of a file's columns.
struct Columns<'a> {
    heads: csv::StringRecord,
    path: &'a Path,
}

impl<'a> Columns<'a> {
    fn of(reader: &mut csv::Reader<impl Read>, path: &'a Path) -> Result<Self, Error> {
        let heads = reader
            .headers()
            .map_err(|error| Error::Format { path: path.to_owned(), problem: error.to_string() })?;
        Ok(Self { heads: heads.clone(), path })
    }

    fn find(&self, name: &str) -> Result<usize, Error> {
        let problem = || {
            format!("it has no column `{name}`; it has {}", self.heads.iter().collect::<Vec<_>>().join(", "))
        };
        let found = self.heads.iter().position(|head| head == name);
        found.ok_or_else(|| Error::Format { path: self.path.to_owned(), problem: problem() })
    }

    /// `record` counts from 0, without the line of heads.
    fn wrong(&self, record: usize, problem: String) -> Error {
        Error::Format { path: self.path.to_owned(), problem: format!("line {}: {problem}", record + 2) }
    }
}

/// One line.
struct Cells<'a> {
    record: csv::StringRecord,
    line: usize,
    columns: &'a Columns<'a>,
}

impl Cells<'_> {
    fn text(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or("")
    }

    fn wrong(&self, column: usize, allowed: &str) -> Error {
        let head = self.columns.heads.get(column).unwrap_or("");
        self.columns.wrong(self.line, format!("{head} is `{}`; it must be {allowed}", self.text(column)))
    }

    fn whole(&self, column: usize) -> Result<u64, Error> {
        self.text(column).parse().map_err(|_| self.wrong(column, "a whole number"))
    }

    fn number(&self, column: usize) -> Result<f64, Error> {
        self.text(column).parse().map_err(|_| self.wrong(column, "a number"))
    }

    /// An empty field is NaN: the run diverged.
    fn metric(&self, column: usize) -> Result<f64, Error> {
        if self.text(column).is_empty() { Ok(f64::NAN) } else { self.number(column) }
    }
}
