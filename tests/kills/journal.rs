//! The store as `toprung store export` writes it down.

use crate::workplace::Workplace;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a search decided, in the order of its journal.
#[derive(Debug, Default, PartialEq)]
pub struct Decided {
    /// Decisions with their reasons.
    pub decisions: Vec<Value>,
    /// Hyperparameters of trial 1, 2, ….
    pub hparams: Vec<String>,
    /// State and reason of each trial at its end.
    pub ends: Vec<(String, String)>,
}

/// A report as it lies in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub trial: u64,
    pub attempt: u64,
    pub length: u64,
    pub metrics: BTreeMap<String, f64>,
}

/// Experiment 1 of a store.
#[derive(Debug, Default)]
pub struct Export {
    pub decided: Decided,
    pub reports: Vec<Stored>,
    /// Reports in the journal's own records: (trial, attempt, length).
    pub journalled: Vec<(u64, u64, u64)>,
    /// Failures charged to each trial.
    pub restarts: BTreeMap<u64, u64>,
    pub curves: BTreeMap<u64, usize>,
}

/// The export of a data directory that no engine uses.
pub fn export(place: &Workplace, data_dir: &str) -> Export {
    let text = place.ask(&["store", "export", "-", "--data-dir", data_dir]).expect(0).out;
    let mut export = Export::default();
    for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let value = &line["value"];
        match line["kind"].as_str().unwrap() {
            "journal" => export.record(value),
            "trial" => export.trial(line["trial"].as_u64().unwrap(), value),
            "reports" => export.reports(line["trial"].as_u64().unwrap(), value),
            _ => {}
        }
    }
    export
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn number(value: &Value) -> u64 {
    // 64-bit integers are strings in the JSON of protocol buffers, and 0 is left out.
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

impl Export {
    fn record(&mut self, record: &Value) {
        self.decided.decisions.extend(list(&record["decisions"]).cloned());
        for created in list(&record["trials_created"]) {
            let text = created["hparams_json"].as_str().unwrap();
            let hparams: Value = serde_json::from_str(text).unwrap();
            self.curves.insert(number(&created["trial"]), number(&hparams["curve"]) as usize);
            self.decided.hparams.push(text.to_owned());
        }
        for event in list(&record["agent_events"]["events"]).filter(|event| event["report"].is_object()) {
            let of = &event["attempt"];
            let length = number(&event["report"]["length"]);
            self.journalled.push((number(&of["trial"]), number(&of["attempt"]), length));
        }
    }

    fn trial(&mut self, id: u64, trial: &Value) {
        let text = |field: &str| trial[field].as_str().unwrap_or_default().to_owned();
        self.decided.ends.push((text("state"), text("reason")));
        self.restarts.insert(id, number(&trial["restarts"]));
    }

    fn reports(&mut self, trial: u64, chunk: &Value) {
        for item in list(&chunk["reports"]) {
            let report = &item["report"];
            let metrics = list(&report["metrics"]).map(|metric| {
                (metric["name"].as_str().unwrap().to_owned(), metric["value"].as_f64().unwrap())
            });
            self.reports.push(Stored {
                trial,
                attempt: number(&item["attempt"]),
                length: number(&report["length"]),
                metrics: metrics.collect(),
            });
        }
    }
}
