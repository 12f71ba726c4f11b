//! One search of many trials that end as soon as they have started: searcher, scheduler, wire and store, without
//! processes.

use super::agent::{Agent, Heard};
use super::figure::{Figure, Target, Unit};
use super::place::{Place, Setting};
use super::{bare, events, failed, search};
use crate::errors::Error;
use crate::output::format::now_ms;
use prost::Message as _;
use std::time::{Duration, Instant};
use toprung_proto::v1::{self, AttemptEvent, AttemptId, ExitCause, MetricGroup, journal_record::Input};
use toprung_store::{Batch, Key};

/// Slots of the agent.
pub(super) const SLOTS: u32 = 256;

pub(super) async fn measure(setting: &Setting) -> Result<Vec<Figure>, Error> {
    let trials = setting.size(30_000, 300);
    let during = setting.size(Duration::from_secs(3), Duration::from_millis(200));
    let place = Place::start(setting).await?;
    let mut agent = Agent::connect(place.url(), place.token(), "agent", SLOTS).await?;
    let started = Instant::now();
    let file = search::file("\"true\"", &search::random(trials, 1));
    let id = search::create(&place.client, file, Vec::new()).await?;
    run(&mut agent, trials, no_op).await?;
    let rate = trials as f64 / started.elapsed().as_secs_f64();
    search::completed(&place.client, id, trials).await?;
    drop(agent);
    place.stop().await?;
    let appends = bare::appends(setting, u64::from(SLOTS), during, batch).await?;
    let what = format!("no-op trials without processes, {SLOTS} slots");
    let figure = Figure::new(what, rate, Unit::PerSecond, Target::AtLeast(5_000.0))
        .against("their records straight into the store", appends);
    Ok(vec![figure])
}

/// Answers each start by `life`, until so many attempts have ended durably.
pub(super) async fn run(
    agent: &mut Agent,
    attempts: u64,
    life: impl Fn(AttemptId) -> Vec<AttemptEvent>,
) -> Result<(), Error> {
    let (mut said, mut durable, mut ended) = (0, 0, 0);
    while ended < attempts || durable < said {
        match agent.next().await? {
            Heard::Start(start) if ended < attempts => {
                let attempt = start.attempt.ok_or_else(|| failed("a start without an attempt"))?;
                let events = life(attempt);
                ended += 1;
                said += events.len();
                agent.say(events);
            }
            Heard::Durable(events) => durable += events,
            Heard::Start(_) | Heard::Stop | Heard::Decision(_) => {}
        }
    }
    Ok(())
}

fn no_op(attempt: AttemptId) -> Vec<AttemptEvent> {
    vec![
        events::started(attempt),
        events::report(attempt, MetricGroup::Validation, 1),
        events::exit(attempt, ExitCause::Success),
    ]
}

/// What a trial leaves in the store: two records (allocation; start, report and end), its reports and its summary.
/// `sequence` counts batches from 1.
pub(super) fn batch(experiment: u64, sequence: u64) -> Batch {
    let trial = sequence as u32;
    let attempt = AttemptId { experiment, trial, attempt: 1 };
    let allocated =
        v1::AttemptAllocated { trial, attempt: 1, agent: "agent".to_owned(), slots: vec![trial % SLOTS] };
    let (agent, instance) = ("agent".to_owned(), "1".to_owned());
    let events = v1::AgentEvents { agent, instance, sequence, events: no_op(attempt) };
    let reason = "reached the longest length 1";
    let decision = v1::Decision { kind: 3, trial, length: 1, reason: reason.to_owned() };
    let record = |sequence, input| v1::JournalRecord {
        sequence,
        time_unix_ms: now_ms(),
        input: Some(input),
        ..v1::JournalRecord::default()
    };
    let ended = v1::JournalRecord {
        trials_created: vec![v1::TrialCreated { trial: trial + 1, hparams_json: HPARAMS.to_owned() }],
        decisions: vec![decision],
        ..record(2 * sequence, Input::AgentEvents(events))
    };
    let journal =
        vec![(experiment, record(2 * sequence - 1, Input::Allocated(allocated))), (experiment, ended)];
    let puts = vec![
        (Key::ReportChunk(experiment, trial, 0), chunk(attempt).encode_to_vec()),
        (Key::Trial(experiment, trial), summary(trial, reason).encode_to_vec()),
    ];
    Batch { journal, puts, deletes: Vec::new() }
}

const HPARAMS: &str = r#"{"learning_rate":0.0012345678901234567,"hidden":123}"#;

fn chunk(attempt: AttemptId) -> v1::ReportChunk {
    let report = match events::report(attempt, MetricGroup::Validation, 1).kind {
        Some(v1::attempt_event::Kind::Report(report)) => Some(report),
        _ => None,
    };
    v1::ReportChunk { reports: vec![v1::AttemptReport { attempt: 1, report }] }
}

fn summary(trial: u32, reason: &str) -> v1::Trial {
    v1::Trial {
        id: trial,
        state: v1::TrialState::Completed.into(),
        reason: reason.to_owned(),
        hparams_json: HPARAMS.to_owned(),
        length: 1,
        train_until: 1,
        best_metric: Some(f64::from(trial)),
        best_length: 1,
        latest_metric: Some(f64::from(trial)),
        attempt: 1,
        created_unix_ms: now_ms(),
        ended_unix_ms: now_ms(),
        ..v1::Trial::default()
    }
}
