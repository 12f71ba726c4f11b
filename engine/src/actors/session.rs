//! One connected agent: its batches in, commands out.
//!
//! A batch is split by experiment; it is acknowledged once every part is durable, and in the order of arrival.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use toprung_proto::v1::{self, engine_message::Kind};

use super::cast;
use super::experiments::ExperimentsHandle;
use crate::cores::Batches;

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
    /// Of its registration.
    pub serial: u64,
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
    serial: u64,
    outgoing: Outgoing,
    experiments: ExperimentsHandle,
    _alive: oneshot::Sender<()>,
    batches: Batches<OwnedSemaphorePermit>,
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
        let Arguments { agent, instance, serial, outgoing, experiments, alive } = arguments;
        Ok(State { serial, outgoing, experiments, _alive: alive, batches: Batches::new(agent, instance) })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let goes_on = match message {
            Message::Batch(batch, permit) => state.batch(&me, batch, permit),
            Message::PartDone(sequence) => {
                state.batches.part_done(sequence);
                state.acknowledge()
            }
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
        for (experiment, events) in self.batches.take(batch, permit) {
            let ack = BatchAck { session: me.clone(), sequence };
            self.experiments.route(experiment, self.serial, events, ack);
        }
        self.acknowledge()
    }

    fn acknowledge(&mut self) -> bool {
        while let Some(sequence) = self.batches.acknowledge() {
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
            tracing::info!(agent = self.batches.agent(), %error, "agent session ended");
        }
        sent.is_ok()
    }
}
