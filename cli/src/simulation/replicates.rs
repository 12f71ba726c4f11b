//! Very many replicates of promotion ASHA over a table, by the kernels: the spread that thirty seeds do not show.
//!
//! A replicate draws its configurations from the table without replacement, and a unit of length takes a unit of time, whatever it
//! cost: see `toprung_kernels::replicates`. So its figures are near those of the simulated cluster, not the same.

use super::arena::{Arena, Field};
use crate::errors::Error;
use serde_json::{Value as Json, json};
use std::time::Instant;
use toprung_kernels::replicates::{Judge, Outcome, Search, run};
use toprung_kernels::{Device, DeviceChoice};
use toprung_searchers::SearcherConfig;
use toprung_simulations::{Curve, Scale};

/// At which parts of the budget they are judged.
const PARTS: [f64; 4] = [0.125, 0.25, 0.5, 1.0];
/// Lower and upper end of what nine in ten replicates reach.
const ENDS: [f64; 2] = [0.05, 0.95];

/// The replicates of one searcher on one task.
#[derive(Clone, Debug)]
pub(crate) struct Replicated {
    /// The searcher's label.
    pub searcher: String,
    /// The task's name.
    pub task: String,
    /// Where they were played.
    pub device: String,
    /// What that took.
    pub seconds: f64,
    /// What they reached, in regrets of the metric.
    pub outcome: Outcome,
    /// A normalised regret of 1.
    one: f64,
    /// The whole budget, in lengths.
    budget: u64,
}

impl Replicated {
    /// A regret, normalised.
    pub(crate) fn normalised(&self, regret: f64) -> f64 {
        regret / self.one
    }

    /// The same with as many digits as mean something.
    pub(crate) fn rounded(&self, regret: f64) -> f64 {
        (self.normalised(regret) * 1e5).round() / 1e5
    }

    /// Which part of the whole budget a time is.
    pub(crate) fn part(&self, budget: u64) -> f64 {
        budget as f64 / self.budget as f64
    }

    /// For programs.
    pub(crate) fn json(&self) -> Json {
        let at = |at: &toprung_kernels::replicates::AtBudget| {
            json!({
                "budget": at.budget,
                "fraction": self.part(at.budget),
                "mean": self.normalised(at.mean),
                "interval": [self.normalised(at.mean_interval.0), self.normalised(at.mean_interval.1)],
                "median": self.normalised(at.median),
                "quantiles": at.quantiles.iter().map(|regret| self.normalised(*regret)).collect::<Vec<_>>(),
            })
        };
        json!({
            "searcher": self.searcher,
            "task": self.task,
            "replicates": self.outcome.replicates,
            "probabilities": ENDS,
            "at": self.outcome.at.iter().map(at).collect::<Vec<_>>(),
        })
    }
}

/// Plays so many replicates of each promotion ASHA on each table of the arena.
pub(crate) fn play(
    arena: &Arena,
    choice: DeviceChoice,
    slots: u32,
    replicates: u32,
) -> Result<Vec<Replicated>, Error> {
    let device = Device::open(choice).map_err(refused)?;
    let mut all = Vec::new();
    for (place, field) in arena.fields.iter().enumerate() {
        let Some(rows) = field.task.rows else { continue };
        let curves = curves(field, rows);
        for (contestant, found) in arena.contestants.iter().enumerate() {
            let Some((divisor, rungs)) =
                arena.method(place, contestant).and_then(|method| rule(field, method))
            else {
                continue;
            };
            let job = Job { field, curves: &curves, divisor, rungs: &rungs, slots, replicates };
            all.push(one(&device, &job, &found.label, arena.seeds.first().copied().unwrap_or(0))?);
        }
    }
    if all.is_empty() {
        return Err(Error::Usage {
            message: "--replicates found nothing to play".to_owned(),
            help: "it plays `async_halving` with stop_once false, without a model, on tables and experiments that ran".to_owned(),
        });
    }
    Ok(all)
}

struct Job<'a> {
    field: &'a Field,
    curves: &'a [f64],
    divisor: f64,
    rungs: &'a [u32],
    slots: u32,
    replicates: u32,
}

fn one(device: &Device, job: &Job<'_>, label: &str, seed: u32) -> Result<Replicated, Error> {
    let (task, length) = (&job.field.task.task, job.field.task.task.max_length());
    let whole = job.field.allowance.trainings * length as f64 / f64::from(job.slots);
    let budget = (whole.round() as u64).max(1);
    let mut budgets: Vec<u64> =
        PARTS.iter().map(|part| ((part * budget as f64).round() as u64).max(1)).collect();
    budgets.dedup();
    let search = Search {
        curves: job.curves,
        length: length as usize,
        rungs: job.rungs,
        divisor: job.divisor,
        trials: (job.curves.len() / length as usize).min((1 << 20) - 1),
        slots: job.slots.min(1 << 20),
        budgets: &budgets,
        replicates: job.replicates as usize,
        seed: u64::from(seed),
    };
    let judge = Judge { probabilities: ENDS.to_vec(), ..Judge::default() };
    let started = Instant::now();
    let outcome = run(device, &search, &judge).map_err(refused)?;
    let scale: Scale = task.scale();
    Ok(Replicated {
        searcher: label.to_owned(),
        task: task.name().to_owned(),
        device: device.label(),
        seconds: started.elapsed().as_secs_f64(),
        outcome,
        one: scale.median_final - scale.best_any,
        budget,
    })
}

/// Every row's curve, capped.
fn curves(field: &Field, rows: u32) -> Vec<f64> {
    let (task, scale) = (&field.task.task, field.task.task.scale());
    let row = |row: u32| {
        (1..=task.max_length()).map(move |length| scale.capped(task.point(&Curve::Row(row), length).metric))
    };
    (0..rows).flat_map(row).collect()
}

/// Divisor and rungs, in lengths of the task, of a method that the kernels play.
fn rule(field: &Field, method: &SearcherConfig) -> Option<(f64, Vec<u32>)> {
    let SearcherConfig::AsyncHalving { divisor, stop_once: false, .. } = method else { return None };
    let plan = toprung_searchers::plan(method, field.task.task.space()).ok()?;
    let most = u32::try_from(field.task.task.max_length()).ok()?;
    let length =
        |length: u64| u32::try_from(length.div_ceil(field.task.unit)).map_or(most, |length| length.min(most));
    let mut rungs: Vec<u32> = plan.brackets.first()?.rungs.iter().map(|rung| length(rung.length)).collect();
    rungs.dedup();
    Some((*divisor, rungs))
}

fn refused(error: toprung_kernels::Error) -> Error {
    Error::Usage { message: error.to_string(), help: "--device cpu runs anywhere".to_owned() }
}
