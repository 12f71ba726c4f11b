//! One connected agent: its batches in, commands out.
//!
//! A batch is split by experiment; it is acknowledged once every part is durable, and in the order of arrival.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::BTreeMap;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use toprung_proto::v1::{self, engine_message::Kind};

use super::cast;
use super::experiments::ExperimentsHandle;

/// Batches that an agent may send before the first of them is acknowledged.
pub const MAX_BATCHES_IN_FLIGHT: u32 = 8;
/// Messages to an agent that may wait for its connection; an agent that lets more gather is disconnected.
pub const OUTGOING: usize = 8_192;

/// What leaves on the agent's stream.
pub type Outgoing = mpsc::Sender<Result<v1::EngineMessage, tonic::Status>>;

/// What the session is told.
pub enum Message {
    /// From the agent, with the permit that bounds what is under way.
    Batch(v1::Batch, OwnedSemaphorePermit),
    /// A part of a batch is durable.
    PartDone(u64),
    /// To the agent.
    Tell(Kind),
    /// The session is over.
    End { reason: String, reconnect: bool },
}

/// Says that a part of a batch is durable. Dropping it unsaid leaves the batch unacknowledged: the agent sends it
/// again when it reconnects.
pub struct BatchAck {
    session: ActorRef<Message>,
    sequence: u64,
}

impl BatchAck {
    /// The part is durable.
    pub fn done(self) {
        cast(&self.session, Message::PartDone(self.sequence));
    }
}

/// What a session needs.
pub struct Arguments {
    /// Name of the agent.
    pub agent: String,
    /// This start of its daemon.
    pub instance: String,
    /// Its stream.
    pub outgoing: Outgoing,
    /// Who routes batches.
    pub experiments: ExperimentsHandle,
    /// Dropped with the session: its reader ends then.
    pub alive: oneshot::Sender<()>,
}

/// The way to a session.
#[derive(Clone)]
pub struct SessionHandle(ActorRef<Message>);

impl SessionHandle {
    /// Starts the actor under its supervisor.
    ///
    /// # Errors
    /// The actor could not be started.
    pub async fn start(
        arguments: Arguments,
        supervisor: ractor::ActorCell,
    ) -> Result<Self, ractor::SpawnErr> {
        let (actor, _) = Actor::spawn_linked(None, Session, arguments, supervisor).await?;
        Ok(Self(actor))
    }

    /// A batch from the agent.
    pub fn batch(&self, batch: v1::Batch, permit: OwnedSemaphorePermit) {
        cast(&self.0, Message::Batch(batch, permit));
    }

    /// A message to the agent.
    pub fn tell(&self, kind: Kind) {
        cast(&self.0, Message::Tell(kind));
    }

    /// Ends the session.
    pub fn end(&self, reason: String, reconnect: bool) {
        cast(&self.0, Message::End { reason, reconnect });
    }
}

struct Session;

struct State {
    agent: String,
    instance: String,
    outgoing: Outgoing,
    experiments: ExperimentsHandle,
    _alive: oneshot::Sender<()>,
    /// Batches under way: parts that are not durable yet, and the permit.
    under_way: BTreeMap<u64, (usize, OwnedSemaphorePermit)>,
}

impl Actor for Session {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        _: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments { agent, instance, outgoing, experiments, alive } = arguments;
        Ok(State { agent, instance, outgoing, experiments, _alive: alive, under_way: BTreeMap::new() })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let goes_on = match message {
            Message::Batch(batch, permit) => state.batch(&me, batch, permit),
            Message::PartDone(sequence) => state.part_done(sequence),
            Message::Tell(kind) => state.send(kind),
            Message::End { reason, reconnect } => {
                state.send(Kind::Goodbye(v1::Goodbye { reason, reconnect }));
                false
            }
        };
        if !goes_on {
            me.stop(None);
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message>,
        _: SupervisionEvent,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl State {
    fn batch(&mut self, me: &ActorRef<Message>, batch: v1::Batch, permit: OwnedSemaphorePermit) -> bool {
        let sequence = batch.sequence;
        if self.under_way.contains_key(&sequence) {
            return true;
        }
        let mut parts: BTreeMap<u64, Vec<v1::AttemptEvent>> = BTreeMap::new();
        for event in batch.events {
            if let Some(attempt) = &event.attempt {
                parts.entry(attempt.experiment).or_default().push(event);
            }
        }
        self.under_way.insert(sequence, (parts.len(), permit));
        if parts.is_empty() {
            return self.acknowledge();
        }
        for (experiment, events) in parts {
            let (agent, instance) = (self.agent.clone(), self.instance.clone());
            let events = v1::AgentEvents { agent, instance, sequence, events };
            self.experiments.route(experiment, events, BatchAck { session: me.clone(), sequence });
        }
        true
    }

    fn part_done(&mut self, sequence: u64) -> bool {
        if let Some((parts, _)) = self.under_way.get_mut(&sequence) {
            *parts = parts.saturating_sub(1);
        }
        self.acknowledge()
    }

    /// Acknowledges in order: a later batch waits for the earlier ones.
    fn acknowledge(&mut self) -> bool {
        while let Some(first) = self.under_way.first_entry() {
            if first.get().0 > 0 {
                break;
            }
            let (sequence, _) = first.remove_entry();
            if !self.send(Kind::Ack(v1::Ack { sequence })) {
                return false;
            }
        }
        true
    }

    /// Answers `false` if the session must end: the stream is closed or its reader is too slow.
    fn send(&self, kind: Kind) -> bool {
        let sent = self.outgoing.try_send(Ok(v1::EngineMessage { kind: Some(kind) }));
        if let Err(error) = &sent {
            tracing::info!(agent = self.agent, %error, "agent session ended");
        }
        sent.is_ok()
    }
}
