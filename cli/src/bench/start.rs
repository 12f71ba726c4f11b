//! A server started over a store with ten ended experiments of 100 000 trials each, from its start until it is healthy.

use super::child::Server;
use super::figure::{Figure, Target, Unit};
use super::place::Setting;
use super::times::{Percentiles, milliseconds};
use super::{failed, joined, search, trials};
use crate::errors::Error;
use crate::output::format::now_ms;
use prost::Message as _;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;
use toprung_proto::v1::{self, journal_record::Input};
use toprung_store::{Batch, Key, Store};

/// Ended experiments.
const EXPERIMENTS: u64 = 10;
/// Trials written together.
const TOGETHER: u64 = 100;
/// Starts that are measured.
const STARTS: usize = 3;

pub(super) async fn measure(setting: &Setting) -> Result<Vec<Figure>, Error> {
    let trials = setting.size(100_000, 300);
    let empty = setting.scratch()?;
    let (bare, _) = starts(empty.path()).await?;
    let scratch = setting.scratch()?;
    fill(&scratch.path().join("data/store"), trials).await?;
    let (median, memory) = starts(scratch.path()).await?;
    let what = format!("start with {} finished trials in the store", EXPERIMENTS * trials);
    let figure = Figure::new(what, median.p50, Unit::Milliseconds, Target::AtMost(2_000.0))
        .with_times(Some(median))
        .against("start over an empty store", bare.p50);
    let what = format!("memory after that start, {} trials", EXPERIMENTS * trials);
    Ok(vec![figure, Figure::new(what, memory, Unit::Mebibytes, Target::None)])
}

/// Starts and kills a server a few times; its times, and its memory after the last start.
async fn starts(scratch: &Path) -> Result<(Percentiles, f64), Error> {
    let (mut times, mut memory): (Vec<Duration>, f64) = (Vec::new(), 0.0);
    for _ in 0..STARTS {
        let server = Server::start(scratch).await?;
        times.push(server.took);
        tracing::debug!(took = milliseconds(&server.took), "started");
        memory = server.memory()?.resident;
        server.kill().await?;
    }
    let times = Percentiles::of(times).ok_or_else(|| failed("nothing was started"))?;
    Ok((times, memory))
}

/// Writes what ten ended searches leave.
async fn fill(store: &Path, trials: u64) -> Result<(), Error> {
    std::fs::create_dir_all(store).map_err(Error::io(format!("cannot create {}", store.display())))?;
    let opened = Store::open(store, toprung_store::Options::default()).map_err(failed)?;
    let mut set = JoinSet::new();
    for experiment in 1..=EXPERIMENTS {
        set.spawn(fill_experiment(opened.clone(), experiment, trials));
    }
    while let Some(task) = set.join_next().await {
        joined(task)?;
    }
    // The last handle waits for the store's threads.
    tokio::task::spawn_blocking(move || drop(opened)).await.map_err(failed)
}

async fn fill_experiment(store: Store, experiment: u64, trials: u64) -> Result<(), Error> {
    store.append(created(experiment, trials)).await.map_err(failed)?;
    for first in (1..=trials).step_by(TOGETHER as usize) {
        let mut together = Batch::default();
        for trial in first..(first + TOGETHER).min(trials + 1) {
            let mut batch = trials::batch(experiment, trial);
            // The record of the creation comes before them.
            batch.journal.iter_mut().for_each(|(_, record)| record.sequence += 1);
            together.journal.append(&mut batch.journal);
            together.puts.append(&mut batch.puts);
        }
        store.append(together).await.map_err(failed)?;
    }
    Ok(())
}

/// The first record of an experiment, and its summary as it is at the end.
fn created(experiment: u64, trials: u64) -> Batch {
    let created = v1::ExperimentCreated {
        id: experiment,
        config_yaml: search::file("\"true\"", &search::random(trials, 1)),
        config_file: "bench.yaml".to_owned(),
        name: "benchmark".to_owned(),
        ..v1::ExperimentCreated::default()
    };
    let record = v1::JournalRecord {
        sequence: 1,
        time_unix_ms: now_ms(),
        input: Some(Input::Created(created)),
        ..v1::JournalRecord::default()
    };
    let summary = v1::Experiment {
        id: experiment,
        name: "benchmark".to_owned(),
        state: v1::ExperimentState::Completed.into(),
        reason: "all trials are done".to_owned(),
        searcher: "random".to_owned(),
        metric: super::events::METRIC.to_owned(),
        smaller_is_better: true,
        time_metric: "batches".to_owned(),
        max_length: 1,
        created_unix_ms: now_ms(),
        ended_unix_ms: now_ms(),
        progress: 1.0,
        trials: Some(v1::TrialCounts { total: trials, completed: trials, ..v1::TrialCounts::default() }),
        total_length: trials,
        full_length: trials,
        ..v1::Experiment::default()
    };
    let puts = vec![(Key::Experiment(experiment), summary.encode_to_vec())];
    Batch { journal: vec![(experiment, record)], puts, deletes: Vec::new() }
}
