//! 64 clients pause and resume an experiment each, as fast as they are answered. Every answer is durable. Measured with
//! a connection for each client, and with few that they share: the wire alone has its price per connection.

use super::figure::{Figure, Target, Unit};
use super::place::{Place, Setting};
use super::times::Percentiles;
use super::{bare, joined, search};
use crate::client::Client;
use crate::errors::Error;
use crate::output::format::now_ms;
use prost::Message as _;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use toprung_proto::v1::{self, journal_record::Input};
use toprung_store::{Batch, Key};

/// Connections of the clients that share some.
const SHARED: usize = 4;

pub(super) async fn measure(setting: &Setting) -> Result<Vec<Figure>, Error> {
    let clients = setting.size(64, 4);
    let during = setting.size(Duration::from_secs(5), Duration::from_millis(200));
    let place = Place::start(setting).await?;
    let mut ids = Vec::new();
    for _ in 0..clients {
        let file = search::file("\"true\"", &search::random(1, 1));
        ids.push(search::create(&place.client, file, Vec::new()).await?);
    }
    let mut measured = Vec::new();
    for connections in [clients, SHARED] {
        let (rate, times) = transitions(&place, &ids, connections, during).await?;
        let calls = bare::calls(place.url(), clients, connections, during / 2).await?;
        measured.push((connections, rate, times, calls));
    }
    place.stop().await?;
    let appends = bare::appends(setting, clients as u64, during / 2, batch).await?;
    let figure = |(connections, rate, times, calls)| {
        let what = format!("durable state transitions, {clients} clients, {connections} connections");
        Figure::new(what, rate, Unit::PerSecond, Target::AtLeastWithin(20_000.0, 10.0))
            .with_times(Percentiles::of(times))
            .against("health checks by the same clients", calls)
            .against("the same records straight into the store", appends)
    };
    Ok(measured.into_iter().map(figure).collect())
}

/// Transitions a second by one client for each experiment, and the time of each.
async fn transitions(
    place: &Place,
    experiments: &[u64],
    connections: usize,
    during: Duration,
) -> Result<(f64, Vec<Duration>), Error> {
    let mut connected = Vec::new();
    for _ in 0..connections {
        connected.push(place.another_client().await?);
    }
    let started = Instant::now();
    let mut set = JoinSet::new();
    for (index, id) in experiments.iter().enumerate() {
        set.spawn(one_client(connected[index % connections].clone(), *id, started + during));
    }
    let mut times = Vec::new();
    while let Some(task) = set.join_next().await {
        times.extend(joined(task)?);
    }
    Ok((times.len() as f64 / started.elapsed().as_secs_f64(), times))
}

async fn one_client(client: Client, id: u64, until: Instant) -> Result<Vec<Duration>, Error> {
    let mut times = Vec::new();
    while Instant::now() < until {
        let started = Instant::now();
        client.pause(id).await?;
        times.push(started.elapsed());
        let started = Instant::now();
        client.resume(id).await?;
        times.push(started.elapsed());
    }
    Ok(times)
}

/// What a pause writes: its record and the experiment's summary.
fn batch(experiment: u64, sequence: u64) -> Batch {
    let record = v1::JournalRecord {
        sequence,
        time_unix_ms: now_ms(),
        input: Some(Input::Pause(v1::PauseRequested {})),
        ..v1::JournalRecord::default()
    };
    let summary = v1::Experiment {
        id: experiment,
        name: "benchmark".to_owned(),
        reason: "pause requested".to_owned(),
        searcher: "random".to_owned(),
        metric: super::events::METRIC.to_owned(),
        time_metric: "batches".to_owned(),
        created_unix_ms: now_ms(),
        trials: Some(v1::TrialCounts { total: 1, pending: 1, ..v1::TrialCounts::default() }),
        ..v1::Experiment::default()
    };
    Batch {
        journal: vec![(experiment, record)],
        puts: vec![(Key::Experiment(experiment), summary.encode_to_vec())],
        deletes: Vec::new(),
    }
}
