//! Messages of agents, from arbitrary bytes: well-formed on the wire, and anything in their fields.

use crate::words::{float, number, signed, small, text, time};
use arbitrary::{Result, Unstructured};
use toprung_proto::v1::{self, agent_message, attempt_event::Kind};

/// At most so many of anything repeated.
const MOST: usize = 4;

pub(crate) fn some<T>(
    u: &mut Unstructured<'_>,
    one: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    (0..u.int_in_range(0..=MOST)?).map(|_| one(u)).collect()
}

pub(crate) fn attempt(u: &mut Unstructured<'_>) -> Result<v1::AttemptId> {
    let experiment = if u.ratio(1, 12)? { number(u)? } else { 1 };
    Ok(v1::AttemptId { experiment, trial: small(u)?, attempt: small(u)? })
}

pub(crate) fn report(u: &mut Unstructured<'_>) -> Result<v1::Report> {
    let metric = |u: &mut Unstructured<'_>| Ok(v1::Metric { name: text(u)?, value: float(u)? });
    let mut metrics = some(u, metric)?;
    if u.ratio(3, 4)? {
        metrics.push(v1::Metric { name: "loss".to_owned(), value: float(u)? });
    }
    let group = if u.ratio(3, 4)? { v1::MetricGroup::Validation.into() } else { signed(u)? };
    Ok(v1::Report { group, length: number(u)?, metrics, time_unix_ms: time(u)? })
}

pub(crate) fn checkpoint(u: &mut Unstructured<'_>) -> Result<v1::Checkpoint> {
    let file = |u: &mut Unstructured<'_>| {
        Ok(v1::CheckpointFile { path: text(u)?, size: number(u)?, sha256: text(u)? })
    };
    Ok(v1::Checkpoint {
        uuid: text(u)?,
        trial: small(u)?,
        attempt: small(u)?,
        length: number(u)?,
        path: text(u)?,
        files: some(u, file)?,
        total_size: number(u)?,
        time_unix_ms: time(u)?,
        agent: text(u)?,
        state: signed(u)?,
    })
}

fn exit(u: &mut Unstructured<'_>) -> Result<v1::Exit> {
    Ok(v1::Exit {
        cause: signed(u)?,
        exit_code: signed(u)?,
        signal: signed(u)?,
        message: text(u)?,
        last_lines: some(u, text)?,
    })
}

pub(crate) fn event(u: &mut Unstructured<'_>) -> Result<v1::AttemptEvent> {
    let kind = match u.int_in_range(0..=12)? {
        0 => None,
        1 | 2 => Some(Kind::Started(v1::Started { pid: signed(u)?, time_unix_ms: time(u)? })),
        3 | 4 => Some(Kind::Checkpoint(checkpoint(u)?)),
        5 => Some(Kind::Preparing(v1::Preparing { step: text(u)? })),
        6 | 7 => Some(Kind::Exit(exit(u)?)),
        12 => Some(Kind::CannotPause(v1::CannotPause { length: number(u)? })),
        _ => Some(Kind::Report(report(u)?)),
    };
    let attempt = if u.ratio(1, 20)? { None } else { Some(attempt(u)?) };
    Ok(v1::AttemptEvent { attempt, kind })
}

pub(crate) fn batch(u: &mut Unstructured<'_>) -> Result<v1::Batch> {
    Ok(v1::Batch { sequence: number(u)?, events: some(u, event)? })
}

#[allow(clippy::needless_update, reason = "fields are added to messages")]
pub(crate) fn register(u: &mut Unstructured<'_>) -> Result<v1::Register> {
    let slot = |u: &mut Unstructured<'_>| {
        Ok(v1::Slot {
            index: small(u)?,
            kind: signed(u)?,
            name: text(u)?,
            uuid: text(u)?,
            memory_bytes: number(u)?,
        })
    };
    Ok(v1::Register {
        agent: text(u)?,
        instance: text(u)?,
        version: text(u)?,
        host: text(u)?,
        slots: some(u, slot)?,
        running: some(u, attempt)?,
        ..v1::Register::default()
    })
}

/// Anything an agent may send.
pub(crate) fn message(u: &mut Unstructured<'_>) -> Result<v1::AgentMessage> {
    let lines = |u: &mut Unstructured<'_>| {
        let line = |u: &mut Unstructured<'_>| {
            Ok(v1::LogLine { stream: signed(u)?, time_unix_ms: time(u)?, text: text(u)? })
        };
        Ok(v1::LogLines { attempt: Some(attempt(u)?), lines: some(u, line)? })
    };
    let deleted = |u: &mut Unstructured<'_>| {
        Ok(v1::CheckpointDeleted { trial: small(u)?, uuid: text(u)?, error: text(u)? })
    };
    let kind = match u.int_in_range(0..=9)? {
        0 => None,
        1 => Some(agent_message::Kind::Register(register(u)?)),
        2 => Some(agent_message::Kind::Heartbeat(v1::Heartbeat { draining: u.arbitrary()? })),
        3 | 4 => {
            Some(agent_message::Kind::Logs(v1::LogBatch { sequence: number(u)?, lines: some(u, lines)? }))
        }
        5 => Some(agent_message::Kind::CheckpointsDeleted(v1::CheckpointsDeleted {
            experiment: number(u)?,
            checkpoints: some(u, deleted)?,
        })),
        _ => Some(agent_message::Kind::Batch(batch(u)?)),
    };
    Ok(v1::AgentMessage { kind })
}
