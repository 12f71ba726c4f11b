//! An engine in a process of its own with one active experiment of 100 000 finished trials, 10 reports each: its memory,
//! and how long it takes to start again after SIGKILL.

use super::agent::Agent;
use super::child::Server;
use super::figure::{Figure, Target, Unit};
use super::place::Setting;
use super::times::milliseconds;
use super::trials::{SLOTS, run};
use super::{events, search};
use crate::client::Client;
use crate::errors::Error;
use toprung_proto::v1::{AttemptEvent, AttemptId, ExitCause, MetricGroup};

/// Reports of a trial; the last is its validation.
const REPORTS: u64 = 10;

pub(super) async fn measure(setting: &Setting) -> Result<Vec<Figure>, Error> {
    let trials = setting.size(100_000, 300);
    let scratch = setting.scratch()?;
    let server = Server::start(scratch.path()).await?;
    let empty = server.memory()?.resident;
    let published = &server.published;
    let client = Client::connect(&published.url, Some(&published.token), None).await?;
    let mut agent = Agent::connect(&published.url, &published.token, "agent", SLOTS).await?;
    // More trials than are run: the experiment stays in memory.
    let file = search::file("\"true\"", &search::random(2 * trials, REPORTS));
    search::create(&client, file, Vec::new()).await?;
    run(&mut agent, trials, life).await?;
    let memory = server.memory()?;
    drop(agent);
    server.kill().await?;
    let again = Server::start(scratch.path()).await?;
    let took = milliseconds(&again.took);
    again.kill().await?;
    let what = format!("highest memory of an engine, {trials} trials × {REPORTS} reports");
    let figure = Figure::new(what, memory.highest, Unit::Mebibytes, Target::AtMost(300.0))
        .against("at the end", memory.resident)
        .against("the engine without experiments", empty);
    let what = format!("start after SIGKILL with {trials} trials in an active experiment");
    Ok(vec![figure, Figure::new(what, took, Unit::Milliseconds, Target::AtMost(2_000.0))])
}

fn life(attempt: AttemptId) -> Vec<AttemptEvent> {
    let training = (1..REPORTS).map(|length| events::report(attempt, MetricGroup::Training, length));
    let mut all = vec![events::started(attempt)];
    all.extend(training);
    all.push(events::report(attempt, MetricGroup::Validation, REPORTS));
    all.push(events::exit(attempt, ExitCause::Success));
    all
}
