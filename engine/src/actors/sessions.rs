//! All agents: who is connected, who is away and until when, and the way to each.
//!
//! An agent whose stream breaks is away: it keeps what it runs and gets nothing new. If it does not come back within
//! its lease, it is lost: its attempts are requeued elsewhere.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use toprung_proto::v1::{self, engine_message::Kind};
use toprung_store::Store;

use super::collector::CollectorHandle;
use super::experiments::ExperimentsHandle;
use super::pool::PoolHandle;
use super::session::{Arguments, Outgoing, SessionHandle};
use super::{Unavailable, answer, cast, now_ms, stop};
use crate::cores::registry::allocation;
use crate::cores::roster::Unknown;
use crate::cores::{Registry, Returned, Roster};
use crate::scheduler::Allocation;

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

/// A registration under way.
struct Registering {
    register: v1::Register,
    serial: u64,
    outgoing: Outgoing,
    reply: oneshot::Sender<Result<Registration, String>>,
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
    /// The agent gets nothing from here on; then the experiments say what it may keep. In this order, so that what the
    /// pool gave it before is known to them.
    async fn register(
        &mut self,
        register: v1::Register,
        outgoing: Outgoing,
        reply: oneshot::Sender<Result<Registration, String>>,
    ) {
        let Some((pool, experiments, _)) = self.siblings.clone() else {
            drop(reply.send(Err("the engine is starting".to_owned())));
            return;
        };
        if self.registry.is_taken(&register) {
            let (name, seconds) = (&register.agent, self.lease.as_secs());
            let refusal = format!(
                "an agent named {name} is connected already; give this one another --name, or wait up to {seconds} s \
                 if the other is gone"
            );
            drop(reply.send(Err(refusal)));
            return;
        }
        let (agent, running) = (register.agent.clone(), self.registry.running(&register));
        let (serial, former) = self.registry.register(&register, Instant::now(), now_ms());
        if let Some(session) = former {
            session.end("another session of this agent has begun".to_owned(), false);
        }
        if let Err(error) = pool.agent_away(agent.clone()).await {
            self.registry.refused(&agent, serial);
            drop(reply.send(Err(error.to_string())));
            return;
        }
        let answered = experiments.agent_returned(agent, serial, running);
        let registering = Box::new(Registering { register, serial, outgoing, reply });
        let me = self.me.clone();
        tokio::spawn(async move {
            let answered = answer("an experiment", answered).await.map_err(|error| error.to_string());
            cast(&me, Message::Reconciled(registering, answered.and_then(|returned| returned)));
        });
    }

    async fn reconciled(&mut self, registering: Registering, returned: Result<Vec<(u64, Returned)>, String>) {
        let Registering { register, serial, outgoing, reply } = registering;
        let answer = match returned {
            Ok(returned) => self.open(register.clone(), serial, outgoing, returned).await,
            Err(reason) => Err(reason),
        };
        if let Err(reason) = &answer {
            tracing::info!(agent = register.agent, reason, "an agent was asked to come again");
            self.registry.refused(&register.agent, serial);
        }
        // An agent that has gone again registers again.
        let _gone = reply.send(answer);
    }

    async fn open(
        &mut self,
        register: v1::Register,
        serial: u64,
        outgoing: Outgoing,
        returned: Vec<(u64, Returned)>,
    ) -> Result<Registration, String> {
        let starting = || "the engine is starting".to_owned();
        let (pool, experiments, collector) = self.siblings.clone().ok_or_else(starting)?;
        let outdated = || "another session of this agent has begun".to_owned();
        if !self.registry.is_registering(&register.agent, serial) {
            return Err(outdated());
        }
        let (alive, ended) = oneshot::channel();
        let (agent, instance) = (register.agent.clone(), register.instance);
        let arguments = Arguments { agent, instance, serial, outgoing, experiments, alive };
        let session = SessionHandle::start(arguments, self.me.get_cell()).await;
        let session = session.map_err(|error| error.to_string())?;
        let now = Instant::now();
        let meanwhile = self.registry.registered(&register.agent, serial, session.clone(), now);
        let Some(meanwhile) = meanwhile else {
            session.end(outdated(), true);
            return Err(outdated());
        };
        let (mut running, mut orders): (Vec<Allocation>, Vec<Kind>) = (Vec::new(), Vec::new());
        for (experiment, returned) in returned {
            running.extend(returned.kept.into_iter().map(|held| allocation(experiment, held)));
            orders.extend(returned.orders);
        }
        session.tell(self.registry.answer(&running, super::session::MAX_BATCHES_IN_FLIGHT));
        orders.into_iter().chain(meanwhile).for_each(|kind| session.tell(kind));
        let (slots, kept) = (register.slots.len(), running.len());
        tracing::info!(agent = register.agent, slots, kept, "agent connected");
        collector.agent_back(register.agent.clone());
        if let Some(record) = self.roster.registered(&register.agent, now_ms()) {
            self.record(record, None);
        }
        pool.agent_joined(register.agent, register.slots, running);
        Ok(Registration { session, serial, ended })
    }

    /// An agent got SIGTERM: it is drained like one that a person drains, until it registers again.
    fn draining(&mut self, agent: String, serial: u64) {
        let current = self.registry.is_current(&agent, serial);
        if let Some((pool, ..)) = self.siblings.as_ref().filter(|_| current) {
            pool.agent_ends(agent);
        }
    }

    fn drain(&mut self, agent: &str, reason: Option<String>, reply: DrainReply) {
        match self.roster.change(agent, reason, now_ms()) {
            Ok(record) => self.record(record, Some(reply)),
            // A caller that has given up waits for nothing.
            Err(unknown) => drop(reply.send(Err(unknown.into()))),
        }
    }

    /// Writes a record; it counts once it is durable.
    fn record(&mut self, record: v1::AgentRecord, reply: Option<DrainReply>) {
        let (me, batch) = (self.me.clone(), Roster::batch(&record));
        let written = move |result| cast(&me, Message::Recorded(Box::new(record), result, reply));
        if let Err(error) = self.store.submit(batch, written) {
            tracing::error!(%error, "the record of an agent could not be written");
        }
    }

    fn recorded(
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
