//! All agents: who is connected, who is away and until when, and the way to each.
//!
//! An agent whose stream breaks is away: it keeps what it runs and gets nothing new. If it does not come back within
//! its lease, it is lost: its attempts are requeued elsewhere.

mod drains;
mod registration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use toprung_proto::v1::{self, engine_message::Kind};
use toprung_store::Store;

use super::collector::CollectorHandle;
use super::experiments::ExperimentsHandle;
use super::pool::PoolHandle;
use super::session::{Outgoing, SessionHandle};
use super::{Unavailable, answer, cast, stop};
use crate::cores::roster::Unknown;
use crate::cores::{Registry, Returned, Roster};
use registration::Registering;

/// How often leases are looked at.
const TICK: Duration = Duration::from_secs(1);

enum Message {
    Wire(PoolHandle, ExperimentsHandle, CollectorHandle),
    Register(v1::Register, Outgoing, oneshot::Sender<Result<Registration, String>>),
    Reconciled(Box<Registering>, Result<Vec<(u64, Returned)>, String>),
    Heard(String, u64),
    Draining(String, u64),
    StreamEnded(String, u64),
    /// An agent that holds attempts, as the journal has it, and that has not come yet.
    Expect(String),
    Tell(String, Kind),
    EndAll(String),
    Agents(oneshot::Sender<Vec<v1::Agent>>),
    /// A person drains an agent (with the reason), or undoes it.
    Drain(String, Option<String>, DrainReply),
    /// The record of an agent has reached the store, or has not.
    Recorded(Box<v1::AgentRecord>, Result<(), toprung_store::Error>, Option<DrainReply>),
    Tick,
}

type DrainReply = oneshot::Sender<Result<(), DrainError>>;

/// An agent could not be drained, or given back.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// Nobody knows it.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// That could not be written; nothing has changed.
    #[error(transparent)]
    Store(#[from] toprung_store::Error),
}

/// A session.
pub struct Registration {
    /// The way to it.
    pub session: SessionHandle,
    /// Its serial, which stands before what its stream says later.
    pub serial: u64,
    /// Ends with it.
    pub ended: oneshot::Receiver<()>,
}

/// The way to the agents.
#[derive(Clone)]
pub struct SessionsHandle(ActorRef<Message>);

impl SessionsHandle {
    /// Starts the actor under a supervisor. [`wire`](Self::wire) must follow. `engine`: see [`Registry::new`].
    ///
    /// # Errors
    /// The actor could not be started.
    pub async fn start(
        lease: Duration,
        engine: String,
        store: Store,
        roster: Roster,
        supervisor: ractor::ActorCell,
    ) -> Result<Self, ractor::SpawnErr> {
        let arguments = (lease, engine, store, roster);
        let (actor, _) = Actor::spawn_linked(None, Sessions, arguments, supervisor).await?;
        Ok(Self(actor))
    }

    /// Makes its siblings known.
    pub fn wire(&self, pool: PoolHandle, experiments: ExperimentsHandle, collector: CollectorHandle) {
        cast(&self.0, Message::Wire(pool, experiments, collector));
    }

    /// An agent has connected. Answers its session once it is decided what it may keep.
    ///
    /// # Errors
    /// The actor does not answer, or the agent is refused (the text says why).
    pub async fn register(
        &self,
        register: v1::Register,
        outgoing: Outgoing,
    ) -> Result<Result<Registration, String>, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::Register(register, outgoing, reply));
        answer("the agent registry", receiver).await
    }

    /// Anything came from an agent.
    pub fn heard(&self, agent: String, serial: u64) {
        cast(&self.0, Message::Heard(agent, serial));
    }

    /// An agent is ending: it gets nothing new.
    pub fn draining(&self, agent: String, serial: u64) {
        cast(&self.0, Message::Draining(agent, serial));
    }

    /// An agent's stream has ended.
    pub fn stream_ended(&self, agent: String, serial: u64) {
        cast(&self.0, Message::StreamEnded(agent, serial));
    }

    /// An agent holds attempts; if it does not come within a lease it is lost.
    pub fn expect(&self, agent: String) {
        cast(&self.0, Message::Expect(agent));
    }

    /// A message to an agent. If it is away the message is dropped: what it should know is derived anew when it
    /// comes back.
    pub fn tell(&self, agent: &str, kind: Kind) {
        cast(&self.0, Message::Tell(agent.to_owned(), kind));
    }

    /// Ends all sessions; the agents reconnect.
    pub fn end_all(&self, reason: &str) {
        cast(&self.0, Message::EndAll(reason.to_owned()));
    }

    /// All agents, without the holders of their slots.
    ///
    /// # Errors
    /// The actor does not answer.
    pub async fn agents(&self) -> Result<Vec<v1::Agent>, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::Agents(reply));
        answer("the agent registry", receiver).await
    }

    /// Drains an agent for this reason, or undoes it (`None`). Answers once it is durable and the pool knows.
    ///
    /// # Errors
    /// The actor does not answer; the agent is unknown, or the store cannot write.
    pub async fn drain(
        &self,
        agent: String,
        reason: Option<String>,
    ) -> Result<Result<(), DrainError>, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::Drain(agent, reason, reply));
        answer("the agent registry", receiver).await
    }

    /// Ends the actor and waits for it.
    pub async fn stop(&self) {
        stop(&self.0).await;
    }
}

struct Sessions;

struct State {
    me: ActorRef<Message>,
    lease: Duration,
    siblings: Option<(PoolHandle, ExperimentsHandle, CollectorHandle)>,
    registry: Registry<SessionHandle>,
    store: Store,
    roster: Roster,
}

impl Actor for Sessions {
    type Msg = Message;
    type State = State;
    type Arguments = (Duration, String, Store, Roster);

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        (lease, engine, store, roster): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        cast(&me, Message::Tick);
        let registry = Registry::new(lease, engine);
        Ok(State { me, lease, siblings: None, registry, store, roster })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Wire(pool, experiments, collector) => {
                for (name, reason) in state.roster.drained() {
                    pool.drain(name.to_owned(), reason.to_owned());
                }
                state.siblings = Some((pool, experiments, collector));
            }
            Message::Register(register, outgoing, reply) => {
                state.register(register, outgoing, reply).await;
            }
            Message::Reconciled(registering, returned) => state.reconciled(*registering, returned).await,
            Message::Heard(agent, serial) => state.registry.heard(&agent, serial, Instant::now()),
            Message::Draining(agent, serial) => state.draining(agent, serial),
            Message::Drain(agent, reason, reply) => state.drain(&agent, reason, reply),
            Message::Recorded(record, written, reply) => state.recorded(*record, written, reply),
            Message::StreamEnded(agent, serial) => state.stream_ended(agent, serial).await,
            Message::Expect(agent) => state.registry.expect(agent, Instant::now()),
            Message::Tell(agent, kind) => state.tell(&agent, kind),
            Message::EndAll(reason) => state.end_all(&reason),
            // A caller that has given up waits for nothing.
            Message::Agents(reply) => drop(reply.send(state.registry.views())),
            Message::Tick => {
                state.tick().await;
                // Armed again at the end of each handling, so ticks never pile up.
                tokio::spawn(async move {
                    tokio::time::sleep(TICK).await;
                    cast(&me, Message::Tick);
                });
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message>,
        event: SupervisionEvent,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        // A session that fails takes its stream with it; the agent reconnects and sends again what was not acknowledged.
        if let SupervisionEvent::ActorFailed(_, error) = event {
            tracing::warn!(%error, "an agent session failed");
        }
        Ok(())
    }
}

impl State {
    async fn stream_ended(&mut self, agent: String, serial: u64) {
        if let Some(session) = self.registry.stream_ended(&agent, serial) {
            session.end("the stream has ended".to_owned(), true);
            if let Some((pool, ..)) = &self.siblings
                && let Err(error) = pool.agent_away(agent).await
            {
                tracing::warn!(%error, "an agent that is away may be given work");
            }
        }
    }

    fn tell(&mut self, agent: &str, kind: Kind) {
        if let Some((session, kind)) = self.registry.tell(agent, kind) {
            session.tell(kind);
        }
    }

    fn end_all(&mut self, reason: &str) {
        for session in self.registry.sessions() {
            session.end(reason.to_owned(), true);
        }
    }

    /// The pool first: then nothing that it gives comes to an experiment after the loss.
    async fn tick(&mut self) {
        for (name, session) in self.registry.lost(Instant::now()) {
            if let Some(session) = session {
                session.end("the agent was silent for longer than its lease".to_owned(), true);
            }
            let seconds = self.lease.as_secs();
            tracing::warn!(agent = name, seconds, "agent lost");
            if let Some((pool, experiments, _)) = self.siblings.clone() {
                if let Err(error) = pool.agent_lost(name.clone()).await {
                    tracing::error!(%error, agent = name, "the pool could not be told of a lost agent");
                }
                let reason = format!("agent {name} was not heard of for {seconds} s");
                experiments.agent_lost(name, reason);
            }
        }
    }
}
