//! The JSON that the commands print, with the questions that the tests ask.

use crate::workplace::Workplace;
use serde_json::Value;

/// An `Experiment`.
#[derive(Debug)]
pub struct Experiment(pub Value);

impl Experiment {
    pub fn state(&self) -> &str {
        self.0["state"].as_str().unwrap()
    }

    /// How many trials are in this state, or `total`.
    pub fn trials(&self, state: &str) -> u64 {
        self.0["trials"][state].as_u64().unwrap()
    }

    pub fn best_trial(&self) -> u64 {
        self.0["best"]["trial"].as_u64().unwrap()
    }

    pub fn best_metric(&self) -> f64 {
        self.0["best"]["metric"].as_f64().unwrap()
    }
}

/// A report of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub attempt: u64,
    pub length: u64,
    pub metrics: Value,
}

/// A `Trial` with its reports.
#[derive(Debug)]
pub struct Trial {
    pub value: Value,
    pub reports: Vec<Report>,
}

impl Trial {
    /// Trial `id` of experiment 1.
    pub fn of(place: &Workplace, id: u64) -> Self {
        Self::with(place, id, &[])
    }

    /// The same from the engine that the options name.
    pub fn with(place: &Workplace, id: u64, options: &[&str]) -> Self {
        let id = id.to_string();
        let mut all = vec!["trials", "1", &id];
        all.extend(options);
        let mut found = place.json(&all);
        let reports = found["reports"].as_array().unwrap().iter().map(report).collect();
        Self { value: found["trial"].take(), reports }
    }

    pub fn state(&self) -> &str {
        self.value["state"].as_str().unwrap()
    }

    pub fn number(&self, field: &str) -> u64 {
        self.value[field].as_u64().unwrap()
    }

    /// The lengths of its reports, in their order.
    pub fn lengths(&self) -> Vec<u64> {
        self.reports.iter().map(|report| report.length).collect()
    }

    /// What it measured, by length; without the attempts.
    pub fn curve(&self) -> Vec<(u64, Value)> {
        self.reports.iter().map(|report| (report.length, report.metrics.clone())).collect()
    }
}

fn report(value: &Value) -> Report {
    let content = &value["report"];
    Report {
        attempt: value["attempt"].as_u64().unwrap(),
        length: content["length"].as_u64().unwrap(),
        metrics: content["metrics"].clone(),
    }
}

/// All trials of experiment 1 with their reports.
pub fn trials(place: &Workplace) -> Vec<Trial> {
    let listed = place.json(&["trials", "1"]);
    let ids = listed["trials"].as_array().unwrap().iter().map(|trial| trial["id"].as_u64().unwrap());
    ids.map(|id| Trial::of(place, id)).collect()
}

/// What trial `id` of experiment 1 printed, line by line.
pub fn log(place: &Workplace, id: u64) -> Vec<String> {
    let id = id.to_string();
    let text = place.ask(&["logs", "1", "--trial", &id, "--json"]).expect(0).out;
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        value["line"]["text"].as_str().unwrap().to_owned()
    };
    text.lines().map(line).collect()
}
