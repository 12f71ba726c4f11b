//! Two agents send reports in batches, as many batches on their way as they are allowed. A report counts when it is
//! acknowledged.

use super::agent::{Agent, BATCH, Heard};
use super::figure::{Figure, Target, Unit};
use super::place::{Place, Setting};
use super::{bare, events, joined, search};
use crate::errors::Error;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use toprung_proto::v1::{self, AttemptId, MetricGroup};
use toprung_store::Batch;

/// Agents, and experiments.
const AGENTS: u64 = 2;
/// Slots of each agent.
const SLOTS: u32 = 8;
/// A length that is never reached.
const FAR: u64 = 1 << 40;
/// One report in so many is a validation.
const VALIDATION: u64 = 16;

pub(super) async fn measure(setting: &Setting) -> Result<Vec<Figure>, Error> {
    let during = setting.size(Duration::from_secs(5), Duration::from_millis(200));
    let place = Place::start(setting).await?;
    for _ in 0..AGENTS {
        let file = search::file("\"true\"", &search::random(u64::from(SLOTS), FAR));
        search::create(&place.client, file, Vec::new()).await?;
    }
    let mut ready = Vec::new();
    for index in 0..AGENTS {
        let agent = Agent::connect(place.url(), place.token(), &format!("agent-{index}"), SLOTS).await?;
        ready.push(tokio::spawn(all_started(agent)));
    }
    let mut set = JoinSet::new();
    for agent in ready {
        let (agent, attempts) = joined(agent.await)?;
        set.spawn(reports(agent, attempts, during));
    }
    let started = Instant::now();
    let mut durable = 0;
    while let Some(task) = set.join_next().await {
        durable += joined(task)?;
    }
    let rate = durable as f64 / started.elapsed().as_secs_f64();
    place.stop().await?;
    let appends = bare::appends(setting, 2 * AGENTS, during / 2, batch).await? * BATCH as f64;
    let what = format!("reports taken in durably, {AGENTS} agents, {BATCH} a batch");
    let figure = Figure::new(what, rate, Unit::PerSecond, Target::AtLeast(100_000.0))
        .against("the same batches straight into the store", appends);
    Ok(vec![figure])
}

/// Waits until all slots of an agent have an attempt.
async fn all_started(mut agent: Agent) -> Result<(Agent, Vec<AttemptId>), Error> {
    let mut attempts = Vec::new();
    while attempts.len() < SLOTS as usize {
        if let Heard::Start(start) = agent.next().await?
            && let Some(attempt) = start.attempt
        {
            attempts.push(attempt);
            agent.say([events::started(attempt)]);
        }
    }
    Ok((agent, attempts))
}

/// Sends reports until the time is over; answers how many were acknowledged by then.
async fn reports(mut agent: Agent, attempts: Vec<AttemptId>, during: Duration) -> Result<usize, Error> {
    let until = tokio::time::Instant::now() + during;
    let (mut durable, mut length) = (0, 0);
    loop {
        while agent.has_room() {
            for _ in 0..BATCH / attempts.len() {
                length += 1;
                agent.say(attempts.iter().map(|attempt| report(*attempt, length)));
            }
            agent.flush()?;
        }
        match tokio::time::timeout_at(until, agent.next()).await {
            Ok(Ok(Heard::Durable(events))) => durable += events,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(durable),
        }
    }
}

fn report(attempt: AttemptId, length: u64) -> v1::AttemptEvent {
    let validation = length.is_multiple_of(VALIDATION);
    let group = if validation { MetricGroup::Validation } else { MetricGroup::Training };
    events::report(attempt, group, length)
}

/// A record with a batch of reports.
fn batch(experiment: u64, sequence: u64) -> Batch {
    let event = |index: usize| {
        let trial = index as u32 % SLOTS + 1;
        report(AttemptId { experiment, trial, attempt: 1 }, sequence * BATCH as u64 + index as u64)
    };
    events::record(experiment, sequence, (0..BATCH).map(event).collect())
}
