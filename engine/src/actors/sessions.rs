//! All agents: who is connected, who is away and until when, and the way to each.
//!
//! An agent whose stream breaks is away: it keeps what it runs and gets nothing new. If it does not come back within
//! its lease, it is lost: its attempts are requeued elsewhere.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use toprung_proto::v1::{self, engine_message::Kind};

use super::collector::CollectorHandle;
use super::experiments::ExperimentsHandle;
use super::pool::PoolHandle;
use super::session::{Arguments, Outgoing, SessionHandle};
use super::{Unavailable, answer, cast, now_ms, stop};
use crate::experiment::reconcile::Held;
use crate::scheduler::Allocation;

/// How often leases are looked at.
const TICK: Duration = Duration::from_secs(1);

enum Message {
    Wire(PoolHandle, ExperimentsHandle, CollectorHandle),
    Register(v1::Register, Outgoing, oneshot::Sender<Result<Registration, String>>),
    Reconciled(Box<v1::Register>, Outgoing, Vec<(u64, Held)>, oneshot::Sender<Result<Registration, String>>),
    Heard(String, String),
    Draining(String, String),
    StreamEnded(String, String),
    /// An agent that holds attempts, as the journal has it, and that has not come yet.
    Expect(String),
    Tell(String, Kind),
    EndAll(String),
    Agents(oneshot::Sender<Vec<v1::Agent>>),
    Tick,
}

/// A session, and what ends with it.
pub type Registration = (SessionHandle, oneshot::Receiver<()>);

/// The way to the agents.
#[derive(Clone)]
pub struct SessionsHandle(ActorRef<Message>);

impl SessionsHandle {
    /// Starts the actor under a supervisor. [`wire`](Self::wire) must follow.
    ///
    /// # Errors
    /// The actor could not be started.
    pub async fn start(lease: Duration, supervisor: ractor::ActorCell) -> Result<Self, ractor::SpawnErr> {
        let (actor, _) = Actor::spawn_linked(None, Sessions, lease, supervisor).await?;
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
    pub fn heard(&self, agent: String, instance: String) {
        cast(&self.0, Message::Heard(agent, instance));
    }

    /// An agent is ending: it gets nothing new.
    pub fn draining(&self, agent: String, instance: String) {
        cast(&self.0, Message::Draining(agent, instance));
    }

    /// An agent's stream has ended.
    pub fn stream_ended(&self, agent: String, instance: String) {
        cast(&self.0, Message::StreamEnded(agent, instance));
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

    /// Ends the actor and waits for it.
    pub async fn stop(&self) {
        stop(&self.0).await;
    }
}

struct Sessions;

struct Known {
    view: v1::Agent,
    instance: String,
    session: Option<SessionHandle>,
    last_heard: Instant,
}

struct State {
    me: ActorRef<Message>,
    lease: Duration,
    siblings: Option<(PoolHandle, ExperimentsHandle, CollectorHandle)>,
    agents: BTreeMap<String, Known>,
}

impl Actor for Sessions {
    type Msg = Message;
    type State = State;
    type Arguments = Duration;

    async fn pre_start(&self, me: ActorRef<Message>, lease: Duration) -> Result<State, ActorProcessingErr> {
        cast(&me, Message::Tick);
        Ok(State { me, lease, siblings: None, agents: BTreeMap::new() })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Wire(pool, experiments, collector) => {
                state.siblings = Some((pool, experiments, collector));
            }
            Message::Register(register, outgoing, reply) => state.register(register, outgoing, reply),
            Message::Reconciled(register, outgoing, kept, reply) => {
                state.reconciled(*register, outgoing, kept, reply).await;
            }
            Message::Heard(agent, instance) => state.heard(&agent, &instance),
            Message::Draining(agent, instance) => state.draining(agent, &instance),
            Message::StreamEnded(agent, instance) => state.stream_ended(&agent, &instance),
            Message::Expect(agent) => state.expect(agent),
            Message::Tell(agent, kind) => state.tell(&agent, kind),
            Message::EndAll(reason) => state.end_all(&reason),
            // A caller that has given up waits for nothing.
            Message::Agents(reply) => drop(reply.send(state.views())),
            Message::Tick => {
                state.tick();
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
    fn register(
        &mut self,
        register: v1::Register,
        outgoing: Outgoing,
        reply: oneshot::Sender<Result<Registration, String>>,
    ) {
        let Some((_, experiments, _)) = &self.siblings else {
            drop(reply.send(Err("the engine is starting".to_owned())));
            return;
        };
        let known = self.agents.get(&register.agent).filter(|known| known.instance != register.instance);
        if known.is_some_and(|known| known.session.is_some()) {
            let name = &register.agent;
            let seconds = self.lease.as_secs();
            let refusal = format!(
                "an agent named {name} is connected already; give this one another --name, or wait up to {seconds} s \
                 if the other is gone"
            );
            drop(reply.send(Err(refusal)));
            return;
        }
        let (experiments, me) = (experiments.clone(), self.me.clone());
        tokio::spawn(async move {
            let (agent, running) = (register.agent.clone(), register.running.clone());
            match experiments.agent_returned(agent, running).await {
                Ok(kept) => cast(&me, Message::Reconciled(Box::new(register), outgoing, kept, reply)),
                Err(error) => drop(reply.send(Err(error.to_string()))),
            }
        });
    }

    async fn reconciled(
        &mut self,
        register: v1::Register,
        outgoing: Outgoing,
        kept: Vec<(u64, Held)>,
        reply: oneshot::Sender<Result<Registration, String>>,
    ) {
        let Some((pool, experiments, collector)) = self.siblings.clone() else { return };
        let (alive, ended) = oneshot::channel();
        let arguments = Arguments {
            agent: register.agent.clone(),
            instance: register.instance.clone(),
            outgoing: outgoing.clone(),
            experiments,
            alive,
        };
        let session = match SessionHandle::start(arguments, self.me.get_cell()).await {
            Ok(session) => session,
            Err(error) => {
                drop(reply.send(Err(error.to_string())));
                return;
            }
        };
        let running: Vec<Allocation> =
            kept.into_iter().map(|(experiment, held)| allocation(experiment, held)).collect();
        session.tell(Kind::Registered(v1::Registered {
            lease_seconds: self.lease.as_secs() as u32,
            heartbeat_seconds: (self.lease.as_secs() as u32 / 6).max(1),
            max_batches_in_flight: super::session::MAX_BATCHES_IN_FLIGHT,
            keep: running.iter().map(|allocation| allocation.attempt).collect(),
        }));
        tracing::info!(
            agent = register.agent,
            slots = register.slots.len(),
            kept = running.len(),
            "agent connected"
        );
        self.agents.insert(register.agent.clone(), known(&register, session.clone()));
        collector.agent_back(register.agent.clone());
        pool.agent_joined(register.agent, register.slots, running);
        // An agent that has gone again registers again.
        let _gone = reply.send(Ok((session, ended)));
    }

    fn heard(&mut self, agent: &str, instance: &str) {
        if let Some(known) = self.agents.get_mut(agent).filter(|known| known.instance == instance) {
            known.last_heard = Instant::now();
        }
    }

    fn draining(&mut self, agent: String, instance: &str) {
        let current = self.agents.get(&agent).is_some_and(|known| known.instance == instance);
        if let Some((pool, ..)) = self.siblings.as_ref().filter(|_| current) {
            pool.agent_away(agent);
        }
    }

    fn stream_ended(&mut self, agent: &str, instance: &str) {
        let Some(known) = self.agents.get_mut(agent).filter(|known| known.instance == instance) else {
            return;
        };
        if let Some(session) = known.session.take() {
            session.end("the stream has ended".to_owned(), true);
        }
        known.view.connected = false;
        known.last_heard = Instant::now();
        if let Some((pool, ..)) = &self.siblings {
            pool.agent_away(agent.to_owned());
        }
    }

    /// Agents that have registered; those only expected are not shown.
    fn views(&self) -> Vec<v1::Agent> {
        let registered = self.agents.values().filter(|known| !known.instance.is_empty());
        registered.map(|known| known.view.clone()).collect()
    }

    fn expect(&mut self, agent: String) {
        let view = v1::Agent { name: agent.clone(), ..v1::Agent::default() };
        let known = Known { view, instance: String::new(), session: None, last_heard: Instant::now() };
        self.agents.entry(agent).or_insert(known);
    }

    fn tell(&mut self, agent: &str, kind: Kind) {
        match self.agents.get(agent).and_then(|known| known.session.as_ref()) {
            Some(session) => session.tell(kind),
            None => tracing::debug!(agent, "message to an agent that is away dropped"),
        }
    }

    fn end_all(&mut self, reason: &str) {
        for known in self.agents.values_mut() {
            if let Some(session) = &known.session {
                session.end(reason.to_owned(), true);
            }
        }
    }

    fn tick(&mut self) {
        let lease = self.lease;
        let late: Vec<String> = self
            .agents
            .iter()
            .filter(|(_, known)| known.last_heard.elapsed() > lease)
            .map(|(name, _)| name.clone())
            .collect();
        for name in late {
            let Some(known) = self.agents.remove(&name) else { continue };
            if let Some(session) = known.session {
                session.end("the agent was silent for longer than its lease".to_owned(), true);
            }
            tracing::warn!(agent = name, seconds = lease.as_secs(), "agent lost");
            if let Some((pool, experiments, _)) = &self.siblings {
                let reason = format!("agent {name} was not heard of for {} s", lease.as_secs());
                experiments.agent_lost(name.clone(), reason);
                pool.agent_lost(name);
            }
        }
    }
}

fn known(register: &v1::Register, session: SessionHandle) -> Known {
    let slot = |slot: &v1::Slot| v1::AgentSlot { slot: Some(slot.clone()), attempt: None };
    Known {
        view: v1::Agent {
            name: register.agent.clone(),
            host: register.host.clone(),
            version: register.version.clone(),
            slots: register.slots.iter().map(slot).collect(),
            connected_unix_ms: now_ms(),
            connected: true,
        },
        instance: register.instance.clone(),
        session: Some(session),
        last_heard: Instant::now(),
    }
}

fn allocation(experiment: u64, held: Held) -> Allocation {
    let attempt = v1::AttemptId { experiment, trial: held.trial, attempt: held.attempt };
    Allocation { attempt, agent: held.agent, slots: held.slots }
}
