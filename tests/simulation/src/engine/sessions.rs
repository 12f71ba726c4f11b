//! The actors of agents: the one that knows them all, and each one's session.

use toprung_agent::parts::AttemptKey;
use toprung_proto::v1::{self, engine_message::Kind};

use super::{Engine, Wait};
use crate::bug::Bug;
use crate::messages::{ExperimentsMessage, PoolMessage, SessionMessage, SessionsMessage};
use crate::outer::{Outer, Timer};

impl Engine {
    pub(super) fn on_sessions(&mut self, message: SessionsMessage, outer: &mut Outer) {
        let now = outer.instant();
        match message {
            SessionsMessage::Register(register, connection) => {
                if self.registry.is_taken(&register) {
                    outer.down(connection, None);
                    return;
                }
                let (serial, former) = self.registry.register(&register, now, outer.calendar_ms());
                if let Some(session) = former {
                    self.tell_session(session, SessionMessage::End(false));
                }
                if outer.bug == Bug::RegistersWithoutPool {
                    self.ask(register, serial, connection, outer);
                    return;
                }
                self.pool.push_back(PoolMessage::Away(register.agent.clone()));
                self.wait = Some(Wait::Register(register, serial, connection));
            }
            SessionsMessage::Reconciled(task, returned) => self.reconciled(task, returned, outer),
            SessionsMessage::Heard(agent, serial) => self.registry.heard(&agent, serial, now),
            SessionsMessage::StreamEnded(agent, serial) => {
                if let Some(session) = self.registry.stream_ended(&agent, serial) {
                    self.tell_session(session, SessionMessage::End(true));
                    self.pool.push_back(PoolMessage::Away(agent));
                    self.wait = Some(Wait::Away);
                }
            }
            SessionsMessage::Expect(agent) => self.registry.expect(agent, now),
            SessionsMessage::Tell(agent, kind) => self.tell(&agent, kind, outer),
            SessionsMessage::Drain(agent, reason) => {
                // One that was never here is unknown.
                if let Ok(record) = self.roster.change(&agent, reason, outer.calendar_ms()) {
                    self.record(record, outer);
                }
            }
            SessionsMessage::Recorded(durable) => self.recorded(durable),
            SessionsMessage::EndAll => {
                for session in self.registry.sessions() {
                    self.tell_session(session, SessionMessage::End(true));
                }
            }
            SessionsMessage::Tick => {
                outer.after(1_000, Timer::Tick(self.start));
                let mut names = Vec::new();
                for (name, session) in self.registry.lost(now) {
                    outer.log(|| format!("engine: agent {name} is lost"));
                    session
                        .into_iter()
                        .for_each(|session| self.tell_session(session, SessionMessage::End(true)));
                    names.push(name);
                }
                self.lose(names);
            }
        }
    }

    pub(super) fn lose(&mut self, mut names: Vec<String>) {
        if let Some(name) = names.pop() {
            self.pool.push_back(PoolMessage::Lost(name.clone()));
            self.wait = Some(Wait::Lost(name, names));
        }
    }

    pub(super) fn tell(&mut self, agent: &str, kind: Kind, outer: &mut Outer) {
        if let Kind::Start(start) = &kind
            && let Some(key) = AttemptKey::from_wire(start.attempt.as_ref())
        {
            outer.ledger.started(key);
        }
        let start = matches!(kind, Kind::Start(_)).then(|| kind.clone());
        if let Some((session, kind)) = self.registry.tell(agent, kind) {
            self.tell_session(session, SessionMessage::Tell(kind));
        } else if let Some(start) = start.filter(|_| outer.bug == Bug::KeepsStarts) {
            self.starts.push((agent.to_owned(), start));
        }
    }

    pub(super) fn tell_session(&mut self, session: u64, message: SessionMessage) {
        if let Some(session) = self.session.get_mut(&session) {
            session.mailbox.push_back(message);
        }
    }

    pub(super) fn on_session(&mut self, id: u64, outer: &mut Outer) {
        let Some(session) = self.session.get_mut(&id) else { return };
        let Some(message) = session.mailbox.pop_front() else { return };
        let send = |kind| Some(v1::EngineMessage { kind: Some(kind) });
        match message {
            SessionMessage::Batch(batch) => {
                for (experiment, events) in session.batches.take(batch, ()) {
                    let route = ExperimentsMessage::Route(experiment, session.serial, events, id);
                    self.supervisor.push_back(route);
                }
            }
            SessionMessage::PartDone(sequence) => session.batches.part_done(sequence),
            SessionMessage::Tell(kind) => outer.down(session.connection, send(kind)),
            SessionMessage::End(reconnect) => {
                let goodbye = v1::Goodbye { reason: "over".into(), reconnect };
                outer.down(session.connection, send(Kind::Goodbye(goodbye)));
                self.end_session(id, outer);
                return;
            }
        }
        while let Some(sequence) = session.batches.acknowledge() {
            outer.ledger.acknowledged(&session.instance, sequence);
            outer.down(session.connection, send(Kind::Ack(v1::Ack { sequence })));
        }
    }

    /// The session's actor stops: its reader ends, and the stream with it.
    pub(super) fn end_session(&mut self, id: u64, outer: &mut Outer) {
        let Some(session) = self.session.remove(&id) else { return };
        outer.down(session.connection, None);
        if self.readers.remove(&session.connection).is_some() {
            self.sessions.push_back(SessionsMessage::StreamEnded(session.agent, session.serial));
        }
    }
}
