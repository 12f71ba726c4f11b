//! The pool: a shell around the [`Scheduler`]. It hears of requests and agents and tells experiments what they got.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::BTreeMap;
use tokio::sync::oneshot;
use toprung_proto::v1::{self, AttemptId};

use super::experiment::ExperimentHandle;
use super::{Unavailable, answer, cast, stop};
use crate::scheduler::{AgentSlots, Allocation, Limits, Scheduler};

enum Message {
    AddExperiment(u64, Limits, ExperimentHandle),
    RemoveExperiment(u64),
    Request(AttemptId, Option<String>),
    Withdraw(u64, u32),
    Release(AttemptId),
    AgentJoined(String, Vec<v1::Slot>, Vec<Allocation>),
    AgentAway(String),
    AgentLost(String),
    Slots(oneshot::Sender<PoolView>),
    Brief(u64, oneshot::Sender<Brief>),
}

/// Slots and their holders.
#[derive(Clone, Debug, Default)]
pub struct PoolView {
    /// Every slot of every agent.
    pub agents: BTreeMap<String, Vec<v1::AgentSlot>>,
}

/// What one experiment's watchers need of the pool.
#[derive(Clone, Debug, Default)]
pub struct Brief {
    /// Slots of connected agents.
    pub slots_total: u32,
    /// Why its first request waits; `None`: it has none.
    pub waiting: Option<String>,
}

/// The way to the pool.
#[derive(Clone)]
pub struct PoolHandle(ActorRef<Message>);

impl PoolHandle {
    /// Starts the pool under a supervisor.
    ///
    /// # Errors
    /// The actor could not be started.
    pub async fn start(supervisor: ractor::ActorCell) -> Result<Self, ractor::SpawnErr> {
        let (actor, _) = Actor::spawn_linked(None, Pool, (), supervisor).await?;
        Ok(Self(actor))
    }

    /// Makes an experiment known; it is told its capacity.
    pub fn add_experiment(&self, id: u64, limits: Limits, experiment: ExperimentHandle) {
        cast(&self.0, Message::AddExperiment(id, limits, experiment));
    }

    /// Forgets an experiment.
    pub fn remove_experiment(&self, id: u64) {
        cast(&self.0, Message::RemoveExperiment(id));
    }

    /// An attempt wants slots: of this agent only, if one is named.
    pub fn request(&self, attempt: AttemptId, only_on: Option<String>) {
        cast(&self.0, Message::Request(attempt, only_on));
    }

    /// A trial does not want slots any more.
    pub fn withdraw(&self, experiment: u64, trial: u32) {
        cast(&self.0, Message::Withdraw(experiment, trial));
    }

    /// An attempt gives its slots back.
    pub fn release(&self, attempt: AttemptId) {
        cast(&self.0, Message::Release(attempt));
    }

    /// An agent is there, with what it keeps running.
    pub fn agent_joined(&self, name: String, slots: Vec<v1::Slot>, running: Vec<Allocation>) {
        cast(&self.0, Message::AgentJoined(name, slots, running));
    }

    /// An agent's stream broke.
    pub fn agent_away(&self, name: String) {
        cast(&self.0, Message::AgentAway(name));
    }

    /// An agent's lease ended.
    pub fn agent_lost(&self, name: String) {
        cast(&self.0, Message::AgentLost(name));
    }

    /// All slots and their holders.
    ///
    /// # Errors
    /// The pool does not answer.
    pub async fn view(&self) -> Result<PoolView, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::Slots(reply));
        answer("the pool", receiver).await
    }

    /// What an experiment's watchers need.
    ///
    /// # Errors
    /// The pool does not answer.
    pub async fn brief(&self, experiment: u64) -> Result<Brief, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::Brief(experiment, reply));
        answer("the pool", receiver).await
    }

    /// Ends the actor and waits for it.
    pub async fn stop(&self) {
        stop(&self.0).await;
    }
}

struct Pool;

#[derive(Default)]
struct State {
    scheduler: Scheduler,
    experiments: BTreeMap<u64, Known>,
}

struct Known {
    handle: ExperimentHandle,
    capacity: u32,
}

impl Actor for Pool {
    type Msg = Message;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<State, ActorProcessingErr> {
        Ok(State::default())
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.on_message(message);
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
    fn on_message(&mut self, message: Message) {
        match message {
            Message::AddExperiment(id, limits, handle) => {
                self.scheduler.add_experiment(id, limits);
                self.experiments.insert(id, Known { handle, capacity: 0 });
                self.tell_capacities();
            }
            Message::RemoveExperiment(id) => {
                self.scheduler.remove_experiment(id);
                self.experiments.remove(&id);
            }
            Message::Request(attempt, only_on) => self.scheduler.request(attempt, only_on),
            Message::Withdraw(experiment, trial) => self.scheduler.withdraw(experiment, trial),
            Message::Release(attempt) => {
                self.scheduler.release(&attempt);
            }
            Message::AgentJoined(name, slots, running) => {
                self.scheduler.agent_joined(&name, AgentSlots::new(slots), running);
                self.tell_capacities();
            }
            Message::AgentAway(name) => self.scheduler.agent_away(&name),
            Message::AgentLost(name) => {
                self.scheduler.agent_lost(&name);
                self.tell_capacities();
            }
            Message::Brief(experiment, reply) => {
                let slots_total = self.scheduler.slots().0 as u32;
                // A caller that has given up waits for nothing.
                let _gone =
                    reply.send(Brief { slots_total, waiting: self.scheduler.why_waiting(experiment) });
                return;
            }
            Message::Slots(reply) => {
                // A caller that has given up waits for nothing.
                let _gone = reply.send(self.view());
                return;
            }
        }
        for allocation in self.scheduler.allocate() {
            match self.experiments.get(&allocation.attempt.experiment) {
                Some(known) => known.handle.allocated(allocation),
                None => {
                    self.scheduler.release(&allocation.attempt);
                }
            }
        }
    }

    fn tell_capacities(&mut self) {
        for (id, known) in &mut self.experiments {
            let capacity = self.scheduler.capacity(*id);
            if capacity != known.capacity {
                known.capacity = capacity;
                known.handle.capacity(capacity);
            }
        }
    }

    fn view(&self) -> PoolView {
        let slots_of = |agent: &AgentSlots| {
            let slot = |slot: &v1::Slot| v1::AgentSlot {
                slot: Some(slot.clone()),
                attempt: agent.holder(slot.index),
            };
            agent.slots.iter().map(slot).collect()
        };
        let agents =
            self.scheduler.agents().iter().map(|(name, agent)| (name.clone(), slots_of(agent))).collect();
        PoolView { agents }
    }
}
