//! The records of agents, and people who drain them.

use toprung_engine::cores::Roster;
use toprung_proto::v1;

use super::{Engine, NO_EXPERIMENT};
use crate::messages::{PoolMessage, SessionsMessage};
use crate::outer::Outer;

impl Engine {
    /// Writes the record of an agent; it counts once it is durable.
    pub(super) fn record(&mut self, record: v1::AgentRecord, outer: &mut Outer) {
        outer.pending.push_back((NO_EXPERIMENT, self.start, Roster::batch(&record)));
        self.records.push_back(record);
    }

    pub(super) fn recorded(&mut self, durable: bool) {
        let Some(record) = self.records.pop_front().filter(|_| durable) else { return };
        let name = record.name.clone();
        self.pool.push_back(match &record.drain {
            Some(drain) => PoolMessage::Drain(name, drain.reason.clone()),
            None => PoolMessage::Undrain(name),
        });
        self.roster.applied(record);
    }

    /// What was first on its way of the records of agents is durable, or is not.
    pub fn written(&mut self, durable: bool) {
        self.sessions.push_back(SessionsMessage::Recorded(durable));
    }

    /// A person drains an agent, or undoes it.
    pub fn drain(&mut self, agent: String, reason: Option<String>) {
        self.sessions.push_back(SessionsMessage::Drain(agent, reason));
    }
}
