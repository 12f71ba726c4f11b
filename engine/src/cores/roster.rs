//! Every agent that has ever registered in this data directory, and which of them a person drains.
//!
//! Journal, then act: a change gives the record to be written; once that is durable it is [`applied`](Roster::applied),
//! and only then does the pool hear of it. The records survive the engine, so an agent that comes back after a restart
//! is still drained.

use prost::Message as _;
use std::collections::BTreeMap;
use toprung_proto::v1;
use toprung_store::{Batch, Key, Store};

use crate::Error;

/// Records read at a time.
const PAGE: usize = 1_000;

/// No agent of this name has ever been here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no agent named `{name}` has ever been here; {help}")]
pub struct Unknown {
    /// The name.
    pub name: String,
    /// The nearest known name, or all.
    pub help: String,
}

/// The records, by name.
#[derive(Clone, Debug, Default)]
pub struct Roster(BTreeMap<String, v1::AgentRecord>);

impl Roster {
    /// The records of a store. Reads the disk.
    ///
    /// # Errors
    /// The store cannot be read, or a record is broken.
    pub fn load(store: &Store) -> Result<Self, Error> {
        let mut roster = Self::default();
        let mut after: Option<String> = None;
        loop {
            let page = store.agents(after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(roster) };
            after = Some(last.clone());
            for (_, bytes) in page {
                let record = v1::AgentRecord::decode(bytes.as_slice());
                let unreadable = |error: prost::DecodeError| Error::Unreadable {
                    what: "the record of an agent",
                    reason: error.to_string(),
                };
                roster.applied(record.map_err(unreadable)?);
            }
        }
    }

    /// An agent has registered: its record, if it is the first time.
    pub fn registered(&self, name: &str, now_ms: i64) -> Option<v1::AgentRecord> {
        let record =
            || v1::AgentRecord { name: name.to_owned(), first_registered_unix_ms: now_ms, drain: None };
        (!self.0.contains_key(name)).then(record)
    }

    /// A person drains an agent (`Some`: why, may be empty) or undoes it (`None`): the record to be written. Draining
    /// again changes the reason and keeps the time.
    ///
    /// # Errors
    /// No agent of this name has ever been here.
    pub fn change(&self, name: &str, drain: Option<String>, now_ms: i64) -> Result<v1::AgentRecord, Unknown> {
        let Some(known) = self.0.get(name) else {
            let names = self.0.keys().map(String::as_str);
            let help = if self.0.is_empty() {
                "no agent has registered yet".to_owned()
            } else {
                toprung_config::suggestion(name, names)
            };
            return Err(Unknown { name: name.to_owned(), help });
        };
        let since_unix_ms = known.drain.as_ref().map_or(now_ms, |drain| drain.since_unix_ms);
        let drain = drain.map(|reason| v1::AgentDrain { reason, since_unix_ms });
        Ok(v1::AgentRecord { drain, ..known.clone() })
    }

    /// A record is durable.
    pub fn applied(&mut self, record: v1::AgentRecord) {
        self.0.insert(record.name.clone(), record);
    }

    /// Drained agents and why.
    pub fn drained(&self) -> impl Iterator<Item = (&str, &str)> {
        let drained = |record| {
            let v1::AgentRecord { name, drain, .. }: &v1::AgentRecord = record;
            drain.as_ref().map(|drain| (name.as_str(), drain.reason.as_str()))
        };
        self.0.values().filter_map(drained)
    }

    /// The batch that writes a record.
    pub fn batch(record: &v1::AgentRecord) -> Batch {
        let put = (Key::Agent(record.name.clone()), record.encode_to_vec());
        Batch { puts: vec![put], ..Batch::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_agents_are_drained_and_the_nearest_is_named() {
        let mut roster = Roster::default();
        let error = roster.change("gpu1", Some(String::new()), 5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no agent named `gpu1` has ever been here; no agent has registered yet"
        );
        roster.applied(roster.registered("gpu-1", 3).unwrap());
        assert_eq!(roster.registered("gpu-1", 4), None, "it is written once");
        let error = roster.change("gpu1", Some(String::new()), 5).unwrap_err();
        assert_eq!(error.to_string(), "no agent named `gpu1` has ever been here; did you mean `gpu-1`?");
        assert!(roster.change("gpu1", None, 5).is_err());
    }

    #[test]
    fn a_drain_survives_the_store_and_is_undone() {
        let store = Store::in_memory().unwrap();
        let write = |record: &v1::AgentRecord| {
            store.submit(Roster::batch(record), |result| result.unwrap()).unwrap();
        };
        let mut roster = Roster::default();
        roster.applied(roster.registered("a", 1).unwrap());
        let drained = roster.change("a", Some("new disks".into()), 2).unwrap();
        write(&drained);
        let mut loaded = Roster::load(&store).unwrap();
        assert_eq!(loaded.drained().collect::<Vec<_>>(), [("a", "new disks")]);
        let again = loaded.change("a", Some("new fans".into()), 9).unwrap();
        assert_eq!(again.drain.as_ref().unwrap().since_unix_ms, 2);
        loaded.applied(loaded.change("a", None, 10).unwrap());
        assert_eq!(loaded.drained().count(), 0);
    }
}
