//! What an agent says about attempts. Pure but for the time.

use crate::output::format::now_ms;
use toprung_proto::v1::{
    self, AttemptEvent, AttemptId, ExitCause, MetricGroup, attempt_event::Kind, journal_record::Input,
};
use toprung_store::Batch;

/// The searcher's metric in all benchmarks.
pub(super) const METRIC: &str = "loss";

fn event(attempt: AttemptId, kind: Kind) -> AttemptEvent {
    AttemptEvent { attempt: Some(attempt), kind: Some(kind) }
}

/// Its process was started.
pub(super) fn started(attempt: AttemptId) -> AttemptEvent {
    event(attempt, Kind::Started(v1::Started { pid: 1, time_unix_ms: now_ms() }))
}

/// A report with two metrics; which values does not matter, but they differ.
pub(super) fn report(attempt: AttemptId, group: MetricGroup, length: u64) -> AttemptEvent {
    let metric = |name: &str, value| v1::Metric { name: name.to_owned(), value };
    // The golden ratio spreads the trials over (0, 1).
    let value = (f64::from(attempt.trial) * 0.618_033_988_749_895).fract() + 1.0 / (length as f64 + 1.0);
    let metrics = vec![metric(METRIC, value), metric("accuracy", 1.0 - value)];
    event(attempt, Kind::Report(v1::Report { group: group.into(), length, metrics, time_unix_ms: now_ms() }))
}

/// A checkpoint was saved.
pub(super) fn checkpoint(attempt: AttemptId, length: u64) -> AttemptEvent {
    let uuid = format!("{:08x}-{:04x}-4000-8000-{length:012x}", attempt.trial, attempt.attempt & 0xffff);
    let files = vec![v1::CheckpointFile { path: "state.bin".to_owned(), size: 4_096, ..Default::default() }];
    event(
        attempt,
        Kind::Checkpoint(v1::Checkpoint {
            path: format!("/checkpoints/{uuid}"),
            uuid,
            trial: attempt.trial,
            attempt: attempt.attempt,
            length,
            files,
            total_size: 4_096,
            time_unix_ms: now_ms(),
            ..v1::Checkpoint::default()
        }),
    )
}

/// Its process ended.
pub(super) fn exit(attempt: AttemptId, cause: ExitCause) -> AttemptEvent {
    event(attempt, Kind::Exit(v1::Exit { cause: cause.into(), ..v1::Exit::default() }))
}

/// What an agent said, as a record of the journal.
pub(super) fn record(experiment: u64, sequence: u64, events: Vec<AttemptEvent>) -> Batch {
    let (agent, instance) = ("agent-0".to_owned(), "1".to_owned());
    let record = v1::JournalRecord {
        sequence,
        time_unix_ms: now_ms(),
        input: Some(Input::AgentEvents(v1::AgentEvents { agent, instance, sequence, events })),
        ..v1::JournalRecord::default()
    };
    Batch { journal: vec![(experiment, record)], ..Batch::default() }
}
