//! The records that callers put: their keys as JSON and back, and what their values are.

use serde_json::{Map, Value};

use crate::Key;
use crate::keys::{Kind, u32_at, u64_at};

/// The kinds of records that are exported one by one, in this order.
pub(super) const KINDS: [Kind; 7] = [
    Kind::Experiment,
    Kind::Trial,
    Kind::ReportChunk,
    Kind::Checkpoint,
    Kind::Request,
    Kind::Meta,
    Kind::Agent,
];

/// The key that these bytes are.
pub(super) fn parse(bytes: &[u8]) -> Option<Key> {
    let text = |from: usize| String::from_utf8(bytes.get(from..)?.to_vec()).ok();
    let kind = KINDS.into_iter().find(|kind| Some(&(*kind as u8)) == bytes.first())?;
    let key = match kind {
        Kind::Experiment => Key::Experiment(u64_at(bytes, 1)?),
        Kind::Trial => Key::Trial(u64_at(bytes, 1)?, u32_at(bytes, 9)?),
        Kind::ReportChunk => Key::ReportChunk(u64_at(bytes, 1)?, u32_at(bytes, 9)?, u64_at(bytes, 13)?),
        Kind::Checkpoint => Key::Checkpoint(u64_at(bytes, 1)?, u32_at(bytes, 9)?, text(13)?),
        Kind::Request => Key::Request(text(1)?),
        Kind::Agent => Key::Agent(text(1)?),
        _ => Key::Meta(text(1)?),
    };
    (key.encode() == bytes).then_some(key)
}

/// The experiment a record belongs to, if it is one's.
pub(super) fn experiment(key: &Key) -> Option<u64> {
    match key {
        Key::Experiment(id) | Key::Trial(id, _) | Key::ReportChunk(id, ..) | Key::Checkpoint(id, ..) => {
            Some(*id)
        }
        Key::Request(_) | Key::Meta(_) | Key::Agent(_) => None,
    }
}

/// The message a record is, if it is one.
pub(super) fn message(key: &Key) -> Option<&'static str> {
    match key {
        Key::Experiment(_) => Some("Experiment"),
        Key::Trial(..) => Some("Trial"),
        Key::ReportChunk(..) => Some("ReportChunk"),
        Key::Checkpoint(..) => Some("Checkpoint"),
        Key::Agent(_) => Some("AgentRecord"),
        Key::Request(_) | Key::Meta(_) => None,
    }
}

/// The beginning of a line.
pub(super) fn to_json(key: &Key) -> Map<String, Value> {
    let mut line = Map::new();
    let mut add = |name: &str, value: Value| drop(line.insert(name.to_owned(), value));
    let kind = match key {
        Key::Experiment(_) => "experiment",
        Key::Trial(..) => "trial",
        Key::ReportChunk(..) => "reports",
        Key::Checkpoint(..) => "checkpoint",
        Key::Request(_) => "request",
        Key::Meta(_) => "meta",
        Key::Agent(_) => "agent",
    };
    add("kind", kind.into());
    if let Some(experiment) = experiment(key) {
        add("experiment", experiment.into());
    }
    match key {
        Key::Trial(_, trial) | Key::ReportChunk(_, trial, _) | Key::Checkpoint(_, trial, _) => {
            add("trial", (*trial).into());
        }
        _ => {}
    }
    match key {
        Key::ReportChunk(_, _, chunk) => add("chunk", (*chunk).into()),
        Key::Checkpoint(_, _, name) | Key::Request(name) | Key::Meta(name) | Key::Agent(name) => {
            add("name", name.as_str().into())
        }
        _ => {}
    }
    line
}

/// The key of a line.
pub(super) fn from_json(line: &Value) -> Option<Key> {
    let experiment = || line.get("experiment")?.as_u64();
    let trial = || u32::try_from(line.get("trial")?.as_u64()?).ok();
    let name = || Some(line.get("name")?.as_str()?.to_owned());
    Some(match line.get("kind")?.as_str()? {
        "experiment" => Key::Experiment(experiment()?),
        "trial" => Key::Trial(experiment()?, trial()?),
        "reports" => Key::ReportChunk(experiment()?, trial()?, line.get("chunk")?.as_u64()?),
        "checkpoint" => Key::Checkpoint(experiment()?, trial()?, name()?),
        "request" => Key::Request(name()?),
        "meta" => Key::Meta(name()?),
        "agent" => Key::Agent(name()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_comes_back() {
        let keys = [
            Key::Experiment(u64::MAX),
            Key::Trial(1, 2),
            Key::ReportChunk(1, 2, 3),
            Key::Checkpoint(1, 2, "aa".to_owned()),
            Key::Request("r \"x\"".to_owned()),
            Key::Meta(String::new()),
            Key::Agent("gpu-1".to_owned()),
        ];
        for key in keys {
            assert_eq!(parse(&key.encode()), Some(key.clone()));
            assert_eq!(from_json(&Value::Object(to_json(&key))), Some(key));
        }
        assert_eq!(parse(b"e123"), None);
        assert_eq!(parse(b""), None);
    }
}
