//! The parts alone: the disk, the store, the wire. What the engine does above them is the difference.

use super::figure::{Figure, Target, Unit};
use super::place::Setting;
use super::times::Percentiles;
use super::{agent, failed, joined};
use crate::errors::Error;
use std::io::{Seek as _, Write as _};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use toprung_store::{Batch, Store};

/// Writes and flushes 4 KiB, again and again, in the directory of the benchmarks.
pub(super) fn flush(setting: &Setting) -> Result<Figure, Error> {
    let scratch = setting.scratch()?;
    let failed = || Error::io(format!("cannot write in {}", scratch.path().display()));
    let mut file = std::fs::File::create(scratch.path().join("flush")).map_err(failed())?;
    let mut times = Vec::new();
    for round in 0..setting.size(500_u64, 20) {
        let started = Instant::now();
        file.seek(std::io::SeekFrom::Start(round % 256 * 4_096)).map_err(failed())?;
        file.write_all(&[round as u8; 4_096]).map_err(failed())?;
        file.sync_data().map_err(failed())?;
        times.push(started.elapsed());
    }
    let times = Percentiles::of(times);
    let p50 = times.map_or(f64::NAN, |times| times.p50);
    Ok(Figure::new("bare disk: write and flush 4 KiB", p50, Unit::Milliseconds, Target::None)
        .with_times(times))
}

/// Batches a second that the store alone makes durable, from so many tasks with an experiment each. `batch` is given
/// the experiment and the sequence of its record, both from 1.
pub(super) async fn appends(
    setting: &Setting,
    tasks: u64,
    during: Duration,
    batch: impl Fn(u64, u64) -> Batch + Clone + Send + 'static,
) -> Result<f64, Error> {
    let scratch = setting.scratch()?;
    let store = Store::open(scratch.path(), toprung_store::Options::default()).map_err(failed)?;
    let started = Instant::now();
    let mut set = JoinSet::new();
    for experiment in 1..=tasks {
        let (store, batch) = (store.clone(), batch.clone());
        set.spawn(async move {
            let mut done = 0_u64;
            while started.elapsed() < during {
                store.append(batch(experiment, done + 1)).await.map_err(failed)?;
                done += 1;
            }
            Ok(done)
        });
    }
    rate(set, started).await
}

/// Times of appending one record each, at a steady rate, to the store alone.
pub(super) async fn paced(
    setting: &Setting,
    every: Duration,
    during: Duration,
    batch: impl Fn(u64, u64) -> Batch,
) -> Result<Vec<Duration>, Error> {
    let scratch = setting.scratch()?;
    let store = Store::open(scratch.path(), toprung_store::Options::default()).map_err(failed)?;
    let mut pace = tokio::time::interval(every);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < during {
        pace.tick().await;
        let left = Instant::now();
        store.append(batch(1, times.len() as u64 + 1)).await.map_err(failed)?;
        times.push(left.elapsed());
    }
    Ok(times)
}

/// Health checks a second by so many clients over so many connections: gRPC without anything behind it.
pub(super) async fn calls(
    url: &str,
    clients: usize,
    connections: usize,
    during: Duration,
) -> Result<f64, Error> {
    let mut channels = Vec::new();
    for _ in 0..connections {
        channels.push(agent::channel(url).await?);
    }
    let connected = (0..clients).map(|index| HealthClient::new(channels[index % connections].clone()));
    let connected: Vec<_> = connected.collect();
    let started = Instant::now();
    let mut set = JoinSet::new();
    for mut client in connected {
        set.spawn(async move {
            let mut done = 0_u64;
            while started.elapsed() < during {
                client.check(HealthCheckRequest::default()).await.map_err(failed)?;
                done += 1;
            }
            Ok(done)
        });
    }
    rate(set, started).await
}

async fn rate(mut set: JoinSet<Result<u64, Error>>, started: Instant) -> Result<f64, Error> {
    let mut done = 0;
    while let Some(task) = set.join_next().await {
        done += joined(task)?;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}
