//! An experiment that ran in Toprung as a task: its hyperparameters, its trials and what they reported.
//!
//! A report says when it came, not how long the training took. Between two reports of an attempt that is the time between
//! them. Before the first report of an attempt lie its start-up and its waiting: that length is taken at the pace of the
//! trial's other reports, else of all trials.

use super::refused;
use super::tasks::SimulatedTask;
use crate::args::Global;
use crate::client::Client;
use crate::commands::look;
use crate::errors::Error;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use toprung_proto::v1;
use toprung_searchers::{Assignment, Space, Value};
use toprung_simulations::{RecordedTrial, Recording, Report};

/// So many trials are asked for at a time.
const PAGE: u32 = 1_000;

/// The search that ran.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// Its number.
    pub id: u64,
    /// Its seed.
    pub seed: u32,
    /// The length trained by all its trials.
    pub total_length: u64,
    /// The complete `searcher` section.
    pub searcher: Map<String, Json>,
}

/// A report: trial, attempt, length, metric, milliseconds.
#[derive(Clone, Copy, Debug)]
struct Said {
    trial: u32,
    attempt: u32,
    length: u64,
    metric: f64,
    time_ms: i64,
}

/// Reads the experiment from the engine that answers.
pub(super) async fn task(global: &Global, id: u64) -> Result<SimulatedTask, Error> {
    let (experiment, trials, said) = look(global, |client, _| async move { read(&client, id).await }).await?;
    let config = serde_json::from_str::<Json>(&experiment.config_json).unwrap_or_default();
    let (space, seed) = (space(id, &config)?, config["reproducibility"]["experiment_seed"].as_u64());
    let searcher = config["searcher"].as_object().cloned().unwrap_or_default();
    let name = format!("experiment {id}");
    let trials = recorded(&trials, &said);
    let reports: usize = trials.iter().map(|trial| trial.reports.len()).sum();
    if reports == 0 {
        return Err(Error::Conflict(format!(
            "experiment {id} has no validation with the metric {}: there are no curves to search on",
            experiment.metric
        )));
    }
    let count = trials.iter().filter(|trial| !trial.reports.is_empty()).count();
    let smaller_is_better = experiment.smaller_is_better;
    let table = Recording { name, space, smaller_is_better, trials }.table(None).map_err(refused)?;
    let unit = table.unit();
    let length = toprung_simulations::Task::max_length(&table) * unit;
    let shorter = length < experiment.max_length;
    Ok(SimulatedTask {
        described: format!(
            "experiment {id} ({}): {count} trials with {reports} validations, up to {length} {}",
            experiment.name, experiment.time_metric
        ),
        rows: u32::try_from(table.rows()).ok(),
        caution: caution(shorter, length, &experiment),
        task: Box::new(table),
        metric: experiment.metric,
        smaller_is_better,
        length_unit: experiment.time_metric,
        unit,
        time_unit: "s".to_owned(),
        recorded: Some(Ran {
            id,
            seed: seed.and_then(|seed| u32::try_from(seed).ok()).unwrap_or(0),
            total_length: experiment.total_length,
            searcher,
        }),
    })
}

fn caution(shorter: bool, length: u64, experiment: &v1::Experiment) -> String {
    let mut text = "configurations that were not run are answered by the nearest that was".to_owned();
    if shorter {
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            "; no trial was trained to {} {}, so the curves end at {length}",
            experiment.max_length, experiment.time_metric
        );
    }
    text
}

async fn read(client: &Client, id: u64) -> Result<(v1::Experiment, Vec<v1::Trial>, Vec<Said>), Error> {
    let experiment = client.experiment(id).await?;
    let (mut trials, mut after): (Vec<v1::Trial>, u32) = (Vec::new(), 0);
    loop {
        let request = v1::ListTrialsRequest { experiment: id, after, limit: PAGE, best_first: false };
        let page = client.trials(request).await?;
        after = page.trials.last().map_or(after, |trial| trial.id);
        let more = page.more && !page.trials.is_empty();
        trials.extend(page.trials);
        if !more {
            break;
        }
    }
    let request = v1::StreamReportsRequest { experiment: id, trial: None, follow: false };
    let mut stream = client.reports(request).await?;
    let mut said = Vec::new();
    while let Some(page) = client.next(&mut stream).await? {
        said.extend(page.reports.iter().filter_map(|report| validation(report, &experiment.metric)));
    }
    Ok((experiment, trials, said))
}

/// What a validation says about the searcher's metric.
fn validation(report: &v1::TrialReport, metric: &str) -> Option<Said> {
    let content = report.report.as_ref().filter(|content| content.group() == v1::MetricGroup::Validation)?;
    let found = content.metrics.iter().find(|found| found.name == metric)?;
    let (trial, attempt, length) = (report.trial, report.attempt, content.length);
    (length > 0).then_some(Said {
        trial,
        attempt,
        length,
        metric: found.value,
        time_ms: content.time_unix_ms,
    })
}

/// The space of a complete configuration, by the parser of the experiment file.
fn space(id: u64, config: &Json) -> Result<Space, Error> {
    let mut part = json!({
        "entrypoint": "recorded",
        "hyperparameters": config["hyperparameters"],
        "searcher": {"name": "random", "metric": "recorded", "max_trials": 1, "max_length": {"epochs": 1}},
    });
    if !config["constraints"].is_null() {
        part["constraints"] = config["constraints"].clone();
    }
    let parsed = toprung_config::parse(&toprung_config::to_yaml(&part));
    parsed.map(|parsed| parsed.config.space).map_err(|found| {
        Error::Engine(format!(
            "the hyperparameters of experiment {id} cannot be read by this version: {found}"
        ))
    })
}

fn recorded(trials: &[v1::Trial], said: &[Said]) -> Vec<RecordedTrial> {
    let mut by_trial: BTreeMap<u32, Vec<Said>> = BTreeMap::new();
    for report in said {
        by_trial.entry(report.trial).or_default().push(*report);
    }
    let usual = pace(&paces(by_trial.values().flatten())).unwrap_or(1.0);
    let trial = |trial: &v1::Trial| RecordedTrial {
        hparams: hparams(&trial.hparams_json),
        reports: by_trial.get(&trial.id).map_or_else(Vec::new, |said| reports(said, usual)),
    };
    trials.iter().map(trial).collect()
}

fn hparams(text: &str) -> Assignment {
    match serde_json::from_str::<Json>(text) {
        Ok(Json::Object(map)) => {
            map.iter().map(|(name, value)| (name.clone(), Value::from_json(value))).collect()
        }
        _ => Assignment::new(),
    }
}

/// A trial's reports with what each took. `usual`: seconds a unit of length, for a trial that shows no pace.
fn reports(said: &[Said], usual: f64) -> Vec<Report> {
    let own = pace(&paces(said.iter())).unwrap_or(usual);
    let (mut before, mut length): (Option<&Said>, u64) = (None, 0);
    let mut found = Vec::with_capacity(said.len());
    for report in said {
        let trained = report.length.saturating_sub(length);
        let measured = before.and_then(|before| took(before, report));
        let seconds = measured.unwrap_or(own * trained as f64);
        found.push(Report { length: report.length, metric: report.metric, seconds });
        (before, length) = (Some(report), length.max(report.length));
    }
    found
}

/// The seconds between two reports of an attempt.
fn took(before: &Said, after: &Said) -> Option<f64> {
    let same = before.trial == after.trial && before.attempt == after.attempt && after.length > before.length;
    same.then(|| (after.time_ms - before.time_ms).max(0) as f64 / 1_000.0)
}

/// Seconds a unit of length, of each pair of reports of one attempt that follow each other.
fn paces<'a>(said: impl Iterator<Item = &'a Said>) -> Vec<f64> {
    let mut before: Option<&Said> = None;
    let mut found = Vec::new();
    for report in said {
        let seconds = before.and_then(|before| Some((took(before, report)?, report.length - before.length)));
        found.extend(seconds.map(|(seconds, length)| seconds / length as f64));
        before = Some(report);
    }
    found
}

/// The median; none of nothing, or where no time passed.
fn pace(paces: &[f64]) -> Option<f64> {
    let mut sorted = paces.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().filter(|pace| *pace > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(trial: u32, attempt: u32, length: u64, time_ms: i64) -> Said {
        Said { trial, attempt, length, metric: 0.5, time_ms }
    }

    #[test]
    fn time_without_training_is_not_counted() {
        // 2 s an epoch; the second attempt began after a long pause, and its first epoch is taken at the trial's pace.
        let all =
            [said(1, 1, 1, 90_000), said(1, 1, 2, 92_000), said(1, 1, 3, 94_000), said(1, 2, 5, 900_000)];
        let seconds: Vec<f64> = reports(&all, 1.0).iter().map(|report| report.seconds).collect();
        assert_eq!(seconds, [2.0, 2.0, 2.0, 4.0]);
        // A trial with one report has the pace of the others.
        assert_eq!(reports(&[said(2, 1, 4, 5_000)], 3.0)[0].seconds, 12.0);
    }

    #[test]
    fn a_length_that_was_trained_again_keeps_its_times() {
        let all = [said(1, 1, 1, 1_000), said(1, 1, 2, 3_000), said(1, 2, 2, 9_000), said(1, 2, 3, 11_000)];
        let found = reports(&all, 1.0);
        assert_eq!(found.iter().map(|report| report.seconds).collect::<Vec<_>>(), [2.0, 2.0, 0.0, 2.0]);
    }

    #[test]
    fn a_complete_configuration_gives_its_space() {
        let text = "entrypoint: python train.py {lr}\nhyperparameters: {lr: {type: log, minval: -4, maxval: -1}}\n\
                    searcher: {name: random, metric: e, max_trials: 2, max_length: {epochs: 3}}\n";
        let config = toprung_config::parse(text).unwrap().config;
        assert_eq!(space(1, &config.masked()).unwrap(), config.space);
    }
}
