//! Tables of any origin: CSV or Parquet, one line a configuration and length, described by a [`Mapping`].

use super::curves::{Points, Report};
use super::{Row, Table, curves_of};
use crate::error::Error;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::path::Path;
use toprung_searchers::{Assignment, Dimension, Domain, Space, Value};

/// Numbers over so many orders of magnitude, all greater than 0, are taken to be on a logarithmic scale.
const LOG_RATIO: f64 = 1_000.0;

/// Which column is what.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// The task's name.
    pub name: String,
    /// Columns that are hyperparameters. With a `space` they must be its hyperparameters, groups joined by dots.
    pub hyperparameters: Vec<String>,
    /// The column that tells configurations apart; none: their hyperparameters do.
    pub configuration: Option<String>,
    /// The column of the length trained; none: each configuration has one line, trained in full.
    pub length: Option<String>,
    /// The column of the metric.
    pub metric: String,
    /// Whether a smaller metric is better.
    pub smaller_is_better: bool,
    /// The column of seconds or cost; none: each unit of length costs 1.
    pub cost: Option<String>,
    /// Whether that column is the sum since the start of the trial, rather than what was added since the line before.
    pub cost_is_sum: bool,
    /// A missing metric, or a worse one, counts as this; none: the worst there is.
    pub cap: Option<f64>,
    /// The space; none: what the columns hold (integers, numbers, categories; their least to their greatest).
    pub space: Option<Space>,
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Empty,
    Int(i64),
    Number(f64),
    Bool(bool),
    Text(String),
}

impl Cell {
    pub(super) fn of_text(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            Self::Empty
        } else if let Ok(number) = text.parse::<i64>() {
            Self::Int(number)
        } else if let Ok(number) = text.parse::<f64>() {
            Self::Number(number)
        } else if let Ok(truth) = text.to_ascii_lowercase().parse::<bool>() {
            Self::Bool(truth)
        } else {
            Self::Text(text.to_owned())
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            Self::Empty => Some(f64::NAN),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }

    fn value(&self) -> Option<Value> {
        match self {
            Self::Empty => None,
            Self::Int(number) => Some(Value::Int(*number)),
            Self::Number(number) if number.is_finite() => Some(Value::Double(*number)),
            Self::Number(number) => Some(Value::String(number.to_string())),
            Self::Bool(truth) => Some(Value::Bool(*truth)),
            Self::Text(text) => Some(Value::String(text.clone())),
        }
    }

    /// What tells it from others.
    fn key(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Int(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Bool(truth) => truth.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A configuration while it is read.
struct Found {
    cells: Vec<Cell>,
    reports: Vec<Report>,
}

/// The places of a mapping's columns.
struct Places {
    hyperparameters: Vec<usize>,
    configuration: Option<usize>,
    length: Option<usize>,
    metric: usize,
    cost: Option<usize>,
}

/// Configurations by their ids, in the order in which they were first met.
pub(super) struct Builder<'a> {
    mapping: &'a Mapping,
    path: &'a Path,
    places: Places,
    by_key: BTreeMap<String, usize>,
    found: Vec<Found>,
}

impl Table {
    /// Reads a CSV file with a line of heads (`.zst`: compressed with zstd).
    pub fn read_csv(path: &Path, mapping: &Mapping) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let format = |error: csv::Error| Error::Format { path: path.to_owned(), problem: error.to_string() };
        let file = File::open(path).map_err(read)?;
        let compressed = path.extension().is_some_and(|extension| extension == "zst");
        let input: Box<dyn std::io::Read> =
            if compressed { Box::new(zstd::Decoder::new(file).map_err(read)?) } else { Box::new(file) };
        let mut reader = csv::Reader::from_reader(input);
        let heads: Vec<String> = reader.headers().map_err(format)?.iter().map(str::to_owned).collect();
        let mut builder = Builder::new(path, mapping, &heads)?;
        for (index, record) in reader.records().enumerate() {
            let record = record.map_err(format)?;
            builder.line(index, |column| Cell::of_text(record.get(column).unwrap_or("")))?;
        }
        builder.finish()
    }
}

impl<'a> Builder<'a> {
    pub(super) fn new(path: &'a Path, mapping: &'a Mapping, heads: &[String]) -> Result<Self, Error> {
        let find = |name: &String| {
            let problem = || format!("it has no column `{name}`; it has {}", heads.join(", "));
            let place = heads.iter().position(|head| head == name);
            place.ok_or_else(|| Error::Format { path: path.to_owned(), problem: problem() })
        };
        let places = Places {
            hyperparameters: mapping.hyperparameters.iter().map(find).collect::<Result<_, _>>()?,
            configuration: mapping.configuration.as_ref().map(find).transpose()?,
            length: mapping.length.as_ref().map(find).transpose()?,
            metric: find(&mapping.metric)?,
            cost: mapping.cost.as_ref().map(find).transpose()?,
        };
        Ok(Self { mapping, path, places, by_key: BTreeMap::new(), found: Vec::new() })
    }

    fn wrong(&self, index: usize, problem: &str) -> Error {
        Error::Format { path: self.path.to_owned(), problem: format!("row {}: {problem}", index + 1) }
    }

    /// Takes a line (`index` from 0, heads not counted), whose cells `cell` gives by their columns.
    pub(super) fn line(&mut self, index: usize, cell: impl Fn(usize) -> Cell) -> Result<(), Error> {
        let places = &self.places;
        let number = |column: usize, what: &str| {
            let found = cell(column);
            found.number().ok_or_else(|| {
                self.wrong(index, &format!("{what} is `{}`; it must be a number", found.key()))
            })
        };
        let length = match places.length {
            Some(column) => number(column, "the length")?,
            None => 1.0,
        };
        if length < 1.0 || length.fract() != 0.0 || length > 2_f64.powi(53) {
            return Err(
                self.wrong(index, &format!("the length is {length}; it must be a whole number, at least 1"))
            );
        }
        let metric = number(places.metric, "the metric")?;
        let seconds = match places.cost {
            Some(column) => number(column, "the cost")?,
            None => f64::NAN,
        };
        if places.cost.is_some() && (!seconds.is_finite() || seconds < 0.0) {
            return Err(
                self.wrong(index, &format!("the cost is {seconds}; it must be finite and at least 0"))
            );
        }
        let cells: Vec<Cell> = places.hyperparameters.iter().map(|&column| cell(column)).collect();
        let key = match places.configuration {
            Some(column) => cell(column).key(),
            None => cells.iter().map(Cell::key).collect::<Vec<_>>().join("\u{1f}"),
        };
        let place = match self.by_key.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.found.push(Found { cells, reports: Vec::new() });
                *new.insert(self.found.len() - 1)
            }
        };
        self.found[place].reports.push(Report { length: length as u64, metric, seconds });
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Table, Error> {
        let sign = if self.mapping.smaller_is_better { 1.0 } else { -1.0 };
        for found in &mut self.found {
            found.reports.sort_by_key(|report| report.length);
            let (mut before, mut length) = (0.0, 0);
            for report in &mut found.reports {
                report.metric *= sign;
                if self.mapping.cost.is_none() {
                    report.seconds = (report.length - length) as f64;
                } else if self.mapping.cost_is_sum {
                    let sum = report.seconds;
                    report.seconds = (sum - before).max(0.0);
                    before = sum;
                }
                length = report.length;
            }
        }
        let space = self.mapping.space.clone().unwrap_or_else(|| self.space());
        let reports: Vec<Vec<Report>> = self.found.iter().map(|found| found.reports.clone()).collect();
        let problem = |problem: String| Error::Format { path: self.path.to_owned(), problem };
        let (unit, curves) = curves_of(&reports).map_err(problem)?;
        let row = |(found, (metrics, costs)): (&Found, Points)| Row {
            hparams: self.hparams(found),
            metrics,
            costs,
        };
        let rows: Vec<Row> = self.found.iter().zip(curves).map(row).collect();
        let table = Table::new(&self.mapping.name, space, &rows, self.mapping.cap.map(|cap| sign * cap))?;
        Ok(table.with_unit(unit))
    }

    fn hparams(&self, found: &Found) -> Assignment {
        let mut hparams = Assignment::new();
        for (name, cell) in self.mapping.hyperparameters.iter().zip(&found.cells) {
            let Some(value) = cell.value() else { continue };
            let path: Vec<&str> =
                if self.mapping.space.is_some() { name.split('.').collect() } else { vec![name] };
            enter(&mut hparams, &path, value);
        }
        hparams
    }

    /// The space that the columns span.
    fn space(&self) -> Space {
        let axis = |(index, name): (usize, &String)| {
            let values: Vec<Value> =
                self.found.iter().filter_map(|found| found.cells[index].value()).collect();
            (name.clone(), Dimension::always(domain(&values)))
        };
        Space::new(self.mapping.hyperparameters.iter().enumerate().map(axis).collect())
    }
}

/// Enters a value by its path in nested groups.
fn enter(group: &mut Assignment, path: &[&str], value: Value) {
    match path {
        [] => {}
        [name] => {
            group.insert((*name).to_owned(), value);
        }
        [name, rest @ ..] => {
            let inner = group.entry((*name).to_owned()).or_insert_with(|| Value::Map(BTreeMap::new()));
            if let Value::Map(inner) = inner {
                enter(inner, rest, value);
            }
        }
    }
}

/// The least domain that holds these values.
fn domain(values: &[Value]) -> Domain {
    let number = |value: &Value| match value {
        Value::Int(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => None,
    };
    let numbers: Option<Vec<f64>> = values.iter().map(number).collect();
    let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else {
        let mut categories: Vec<Value> = Vec::new();
        for value in values {
            if !categories.contains(value) {
                categories.push(value.clone());
            }
        }
        return if categories.is_empty() {
            Domain::Const(Value::Null)
        } else {
            Domain::Categorical(categories)
        };
    };
    let (min, max) = numbers
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), &number| (min.min(number), max.max(number)));
    let log = min > 0.0 && max / min >= LOG_RATIO;
    let whole = values.iter().all(|value| matches!(value, Value::Int(_)));
    if min == max {
        Domain::Const(values[0].clone())
    } else if whole {
        Domain::Int { min: min as i64, max: max as i64, log, count: None }
    } else {
        Domain::Double { min, max, log, quantize: None, count: None }
    }
}
