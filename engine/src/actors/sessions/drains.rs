//! Drains: by a person, with a record in the store, or by an agent that ends.

use toprung_proto::v1;

use super::{DrainError, DrainReply, Message, State};
use crate::actors::{cast, now_ms};
use crate::cores::Roster;

impl State {
    /// An agent got SIGTERM: it is drained like one that a person drains, until it registers again.
    pub(super) fn draining(&mut self, agent: String, serial: u64) {
        let current = self.registry.is_current(&agent, serial);
        if let Some((pool, ..)) = self.siblings.as_ref().filter(|_| current) {
            pool.agent_ends(agent);
        }
    }

    pub(super) fn drain(&mut self, agent: &str, reason: Option<String>, reply: DrainReply) {
        match self.roster.change(agent, reason, now_ms()) {
            Ok(record) => self.record(record, Some(reply)),
            // A caller that has given up waits for nothing.
            Err(unknown) => drop(reply.send(Err(unknown.into()))),
        }
    }

    /// Writes a record; it counts once it is durable.
    pub(super) fn record(&mut self, record: v1::AgentRecord, reply: Option<DrainReply>) {
        let (me, batch) = (self.me.clone(), Roster::batch(&record));
        let written = move |result| cast(&me, Message::Recorded(Box::new(record), result, reply));
        if let Err(error) = self.store.submit(batch, written) {
            tracing::error!(%error, "the record of an agent could not be written");
        }
    }

    pub(super) fn recorded(
        &mut self,
        record: v1::AgentRecord,
        written: Result<(), toprung_store::Error>,
        reply: Option<DrainReply>,
    ) {
        let agent = record.name.clone();
        if let Err(error) = &written {
            tracing::error!(agent, %error, "the record of an agent could not be written");
        } else if let Some((pool, ..)) = &self.siblings {
            match &record.drain {
                Some(drain) => pool.drain(agent, drain.reason.clone()),
                None => pool.undrain(agent),
            }
            self.roster.applied(record);
        }
        if let Some(reply) = reply {
            // A caller that has given up waits for nothing.
            let _gone = reply.send(written.map_err(DrainError::from));
        }
    }
}
