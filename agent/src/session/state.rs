//! What the agent says to the engine and does at its word: a plain state machine, no I/O, no clock of its own.
//!
//! Invariants: nothing but `Register` is sent before `Registered`; commands may be repeated; an attempt is reported as
//! running until its `Exit` is acknowledged. What [`SessionState::unwritten`] holds is written to the spool before
//! anything of the same turn is sent, and before the trials that said it are answered.

use super::{
    book::{Admission, AttemptBook},
    outbox::{Limits, Outbox},
};
use crate::{
    contract::Order,
    identity::AttemptKey,
    report::{AttemptLine, Credited, Will, event},
    spool::{Entries, Recovered, Source},
};
use prost::Message as _;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use toprung_proto::v1::{
    self, AgentMessage, AttemptEvent, EngineMessage, ExitCause, StopKind, agent_message, attempt_event::Kind,
    engine_message,
};

const LOG_LIMITS: Limits =
    Limits { items: 2048, bytes: 256 << 10, age: Duration::from_millis(50), window: usize::MAX };
/// Log batches in flight.
const LOGS_IN_FLIGHT: usize = 4;
/// More batches in flight than this are of no use.
const MOST_IN_FLIGHT: u32 = 256;
/// Messages that may wait for the connection at once: batches, logs, heartbeats.
pub(crate) const SEND_QUEUE: usize = MOST_IN_FLIGHT as usize + LOGS_IN_FLIGHT + 8;

/// Who this agent is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name of the agent.
    pub agent: String,
    /// Kept with the spool: a restarted daemon has the one that it had.
    pub instance: String,
    /// Name of its host.
    pub host: String,
    /// What it owns.
    pub slots: Vec<v1::Slot>,
}

/// What the daemon is to do.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// The session is open; send a heartbeat this often.
    Opened {
        /// The interval.
        heartbeat: Duration,
    },
    /// Start this attempt.
    Start(Box<v1::StartAttempt>),
    /// End an attempt.
    Order {
        /// Which.
        key: AttemptKey,
        /// How.
        order: Order,
        /// Why.
        reason: String,
    },
    /// The engine decided on a validation.
    Decide {
        /// Of which attempt.
        key: AttemptKey,
        /// At which length.
        at_length: u64,
        /// What.
        decision: v1::Decision,
        /// Whether a trial without a checkpoint may refuse to pause.
        may_refuse: bool,
    },
    /// Remove checkpoints from the disk.
    Delete(v1::DeleteCheckpoints),
    /// This is not the engine that the spool is for: nothing that is here may be sent to it.
    OtherEngine,
    /// The engine ends the session.
    Close {
        /// Whether to come again.
        reconnect: bool,
        /// Why.
        reason: String,
    },
}

/// The session over all connections of this instance.
#[derive(Debug)]
pub struct SessionState {
    identity: Identity,
    /// Batches that may be in flight; `None` while not registered.
    open: Option<usize>,
    /// The engine that all this is for; empty: none yet.
    engine: String,
    events: Outbox<Credited<AttemptEvent>>,
    logs: Outbox<Credited<AttemptLine>>,
    book: AttemptBook,
    unwritten: Entries,
    /// Who waits for what is unwritten.
    waiting: Vec<oneshot::Sender<()>>,
    /// As the spool has it.
    acknowledged: u64,
}

impl SessionState {
    /// A session that has never been connected. `window`: bytes of events that may be in memory.
    pub fn new(identity: Identity, window: usize) -> Self {
        let limits = Limits { items: 512, bytes: 1 << 20, age: Duration::from_millis(2), window };
        Self {
            identity,
            open: None,
            engine: String::new(),
            events: Outbox::new(limits),
            logs: Outbox::new(LOG_LIMITS),
            book: AttemptBook::default(),
            unwritten: Entries::default(),
            waiting: Vec::new(),
            acknowledged: 0,
        }
    }

    /// A session that goes on with what a spool held. Attempts that ended with the former daemon are said to have
    /// ended, after everything that they said: their processes must be dead.
    pub fn resume(identity: Identity, window: usize, recovered: Recovered, now: Instant) -> Self {
        let mut state = Self::new(identity, window);
        state.engine = recovered.engine;
        state.events.resume(recovered.last_sequence, recovered.batches);
        state.acknowledged = state.events.acknowledged();
        for event in recovered.events {
            // It is in the spool already: only its batch is new.
            let bytes = event.encoded_len();
            state.events.push(Credited::own(event, bytes), bytes, now);
        }
        let open = recovered.open.iter().map(|(key, _)| *key);
        for key in open.chain(recovered.exiting) {
            // One of several attempts of a trial may be refused here: it has ended, and is not asked for.
            state.book.admit(key);
        }
        for (key, exit) in recovered.open {
            let exit = exit.unwrap_or_else(|| v1::Exit {
                cause: ExitCause::AgentLost.into(),
                message: "the agent ended, and the attempt with it".to_owned(),
                ..v1::Exit::default()
            });
            state.push_event(Credited::own(event(key, Kind::Exit(exit)), 64), now);
        }
        state
    }

    /// The engine that all this is for; empty: none yet.
    pub(crate) fn engine(&self) -> &str {
        &self.engine
    }

    /// What is to be written to the spool now, before anything is sent.
    pub fn unwritten(&mut self) -> &Entries {
        for batch in self.events.numbered() {
            self.unwritten.seal(batch.sequence, batch.count);
        }
        self.logs.numbered();
        let acknowledged = self.events.acknowledged();
        if acknowledged > self.acknowledged {
            self.acknowledged = acknowledged;
            self.unwritten.acknowledged(acknowledged);
        }
        &self.unwritten
    }

    /// What was unwritten is written: those who wait for it are answered.
    pub fn written(&mut self) {
        self.unwritten.clear();
        for waiting in self.waiting.drain(..) {
            // Whoever has gone waits for nothing.
            let _gone = waiting.send(());
        }
    }

    /// Batches up to this one are acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.events.acknowledged()
    }

    /// The first message of a connection.
    pub fn register(&self) -> AgentMessage {
        let identity = self.identity.clone();
        message(agent_message::Kind::Register(v1::Register {
            agent: identity.agent,
            instance: identity.instance,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: identity.host,
            slots: identity.slots,
            running: self.book.active().map(AttemptKey::to_wire).collect(),
            engine: self.engine.clone(),
        }))
    }

    /// Something happened to an attempt.
    pub fn push_event(&mut self, mut event: Credited<AttemptEvent>, now: Instant) {
        let bytes = event.bytes;
        self.unwritten.event(&event.item);
        self.waiting.extend(event.waiting.take());
        // What is in the spool needs no credit.
        event.credit = None;
        // Slots wait for an exit, a trial for the decision on what it reported.
        let hurries = event.awaited || matches!(event.item.kind, Some(Kind::Exit(_)));
        self.events.push(event, bytes, now);
        if hurries {
            self.events.hurry();
        }
    }

    /// Something is to be said of an attempt if it ends with the daemon.
    pub(crate) fn push_will(&mut self, will: Will) {
        self.unwritten.will(will.key, will.exit);
        self.waiting.push(will.waiting);
    }

    /// An attempt printed a line.
    pub fn push_line(&mut self, line: Credited<AttemptLine>, now: Instant) {
        let bytes = line.bytes;
        self.logs.push(line, bytes, now);
    }

    /// An attempt ended without a word of its own.
    pub fn push_exit(&mut self, key: AttemptKey, cause: ExitCause, message: String, now: Instant) {
        let exit = v1::Exit { cause: cause.into(), message, ..v1::Exit::default() };
        let item = event(key, Kind::Exit(exit));
        let bytes = item.encoded_len();
        self.push_event(Credited::own(item, bytes), now);
    }

    /// What is to be sent now, once [`unwritten`](Self::unwritten) is written.
    pub fn outgoing(&mut self, now: Instant, spool: &mut impl Source) -> Vec<AgentMessage> {
        let Some(max_in_flight) = self.open else { return Vec::new() };
        let mut messages = Vec::new();
        loop {
            while let Some((sequence, events)) = self.events.next(max_in_flight, now) {
                let events = events.iter().map(|event| event.item.clone()).collect();
                messages.push(message(agent_message::Kind::Batch(v1::Batch { sequence, events })));
            }
            let wanted = self.events.wanted(max_in_flight);
            let Some(events) = wanted.and_then(|sequence| spool.batch(sequence)) else { break };
            let items: Vec<_> = events.into_iter().map(own).collect();
            let bytes = items.iter().map(|item| item.bytes).sum();
            self.events.back(items, bytes);
        }
        while let Some((sequence, lines)) = self.logs.next(LOGS_IN_FLIGHT, now) {
            messages.push(message(agent_message::Kind::Logs(log_batch(sequence, lines))));
        }
        messages
    }

    /// When [`Self::outgoing`] has something although nothing else happens.
    pub fn due_at(&self) -> Option<Instant> {
        let max_in_flight = self.open?;
        [self.events.due_at(max_in_flight), self.logs.due_at(LOGS_IN_FLIGHT)].into_iter().flatten().min()
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.open = None;
        self.events.disconnected();
        self.logs.disconnected();
    }

    /// Whether everything that was said is acknowledged.
    pub fn is_drained(&self) -> bool {
        self.events.is_empty() && self.logs.is_empty()
    }

    /// The engine's word.
    pub fn on_engine(&mut self, message: EngineMessage, now: Instant) -> Vec<Effect> {
        use engine_message::Kind;
        match message.kind {
            Some(Kind::Registered(registered)) => self.on_registered(&registered),
            Some(Kind::Start(start)) => self.on_start(start, now),
            Some(Kind::Stop(stop)) => self.on_stop(stop, now),
            Some(Kind::Ack(ack)) => self.on_ack(ack.sequence),
            Some(Kind::Decision(decision)) => self.on_decision(decision),
            Some(Kind::LogAck(ack)) => {
                self.logs.acknowledge(ack.sequence);
                Vec::new()
            }
            Some(Kind::DeleteCheckpoints(order)) => vec![Effect::Delete(order)],
            Some(Kind::Goodbye(goodbye)) => {
                vec![Effect::Close { reconnect: goodbye.reconnect, reason: goodbye.reason }]
            }
            None => Vec::new(),
        }
    }

    fn on_registered(&mut self, registered: &v1::Registered) -> Vec<Effect> {
        if !registered.engine.is_empty() && registered.engine != self.engine {
            if !self.engine.is_empty() {
                return vec![Effect::OtherEngine];
            }
            self.engine.clone_from(&registered.engine);
            self.unwritten.engine(&registered.engine);
        }
        self.open = Some(registered.max_batches_in_flight.clamp(1, MOST_IN_FLIGHT) as usize);
        let heartbeat = Duration::from_secs(registered.heartbeat_seconds.clamp(1, 3600).into());
        let keep: Vec<_> = registered.keep.iter().map(|id| AttemptKey::from_wire(Some(id))).collect();
        let unwanted = self.book.active().filter(|key| !keep.contains(&Some(*key)));
        let kills = unwanted.map(|key| Effect::Order {
            key,
            order: Order::Kill,
            reason: "the engine does not know this attempt any more".to_owned(),
        });
        std::iter::once(Effect::Opened { heartbeat }).chain(kills).collect()
    }

    fn on_start(&mut self, start: v1::StartAttempt, now: Instant) -> Vec<Effect> {
        let Some(key) = AttemptKey::from_wire(start.attempt.as_ref()) else { return Vec::new() };
        match self.book.admit(key) {
            Admission::New => {
                self.unwritten.begun(key);
                vec![Effect::Start(Box::new(start))]
            }
            Admission::Repeated => Vec::new(),
            Admission::Outdated { newest } => {
                let message = format!("refused: attempt {newest} of this trial was here already");
                self.push_exit(key, ExitCause::AgentLost, message, now);
                Vec::new()
            }
        }
    }

    fn on_stop(&mut self, stop: v1::StopAttempt, now: Instant) -> Vec<Effect> {
        let Some(key) = AttemptKey::from_wire(stop.attempt.as_ref()) else { return Vec::new() };
        if !self.book.is_active(key) {
            self.push_exit(key, ExitCause::AgentLost, "unknown here".to_owned(), now);
            return Vec::new();
        }
        let order = match stop.kind() {
            StopKind::Preempt => Order::Preempt,
            StopKind::Stop | StopKind::Unspecified => Order::Stop,
            StopKind::Kill => Order::Kill,
        };
        vec![Effect::Order { key, order, reason: stop.reason }]
    }

    fn on_ack(&mut self, sequence: u64) -> Vec<Effect> {
        for event in self.events.acknowledge(sequence) {
            if let (Some(key), Some(Kind::Exit(_))) =
                (AttemptKey::from_wire(event.item.attempt.as_ref()), &event.item.kind)
            {
                self.book.close(key);
            }
        }
        Vec::new()
    }

    fn on_decision(&mut self, decision: v1::AttemptDecision) -> Vec<Effect> {
        let v1::AttemptDecision { attempt, at_length, decision, may_refuse } = decision;
        match (AttemptKey::from_wire(attempt.as_ref()), decision) {
            (Some(key), Some(decision)) if self.book.is_active(key) => {
                vec![Effect::Decide { key, at_length, decision, may_refuse }]
            }
            _ => Vec::new(),
        }
    }
}

fn own(event: AttemptEvent) -> Credited<AttemptEvent> {
    let bytes = event.encoded_len();
    Credited::own(event, bytes)
}

pub(crate) fn message(kind: agent_message::Kind) -> AgentMessage {
    AgentMessage { kind: Some(kind) }
}

/// Neighbouring lines of one attempt share one `LogLines`.
fn log_batch(sequence: u64, lines: &[Credited<AttemptLine>]) -> v1::LogBatch {
    let lines = lines
        .chunk_by(|one, next| one.item.0 == next.item.0)
        .map(|run| v1::LogLines {
            attempt: run.first().map(|line| line.item.0.to_wire()),
            lines: run.iter().map(|line| line.item.1.clone()).collect(),
        })
        .collect();
    v1::LogBatch { sequence, lines }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
