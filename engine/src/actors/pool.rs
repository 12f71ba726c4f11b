//! The pool: a shell around [`Places`]. It hears of requests and agents and tells experiments what they got.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::BTreeMap;
use tokio::sync::oneshot;
use toprung_proto::v1::{self, AttemptId};

use super::experiment::ExperimentHandle;
use super::{Unavailable, answer, cast, stop};
use crate::cores::{Notice, Places};
use crate::scheduler::{AgentSlots, Allocation, Limits, Wish};

enum Message {
    AddExperiment(u64, Limits, Vec<Allocation>, ExperimentHandle),
    RemoveExperiment(u64),
    ExperimentEnded(u64),
    Request(AttemptId, Wish),
    Exclude(u64, String, String),
    Withdraw(u64, u32),
    Release(AttemptId),
    AgentJoined(String, Vec<v1::Slot>, Vec<Allocation>),
    AgentAway(String, oneshot::Sender<()>),
    AgentLost(String, oneshot::Sender<()>),
    Leaves(AttemptId),
    Stays(AttemptId),
    Drain(String, String),
    Undrain(String),
    AgentEnds(String),
    Slots(oneshot::Sender<PoolView>),
    Brief(u64, oneshot::Sender<Brief>),
}

/// Slots and their holders.
#[derive(Clone, Debug, Default)]
pub struct PoolView {
    /// Every slot of every agent that has joined.
    pub agents: BTreeMap<String, Vec<v1::AgentSlot>>,
    /// Attempts that hold slots of an agent, joined or not.
    pub attempts: BTreeMap<String, u32>,
    /// Agents that get nothing new, joined or not, and why.
    pub drained: BTreeMap<String, String>,
    /// The experiments that do without an agent.
    pub excluded: BTreeMap<String, Vec<v1::ExcludedFrom>>,
}

/// What one experiment's watchers need of the pool.
#[derive(Clone, Debug, Default)]
pub struct Brief {
    /// Slots of connected agents.
    pub slots_total: u32,
    /// Why its first request waits; `None`: it has none.
    pub waiting: Option<String>,
    /// Of requests that one agent alone can hold: why that agent does not, by its name.
    pub homes: BTreeMap<String, String>,
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

    /// Makes an experiment known, with the slots that it holds; it is told its capacity.
    pub fn add_experiment(
        &self,
        id: u64,
        limits: Limits,
        held: Vec<Allocation>,
        experiment: ExperimentHandle,
    ) {
        cast(&self.0, Message::AddExperiment(id, limits, held, experiment));
    }

    /// An experiment has ended: whatever it held is free.
    pub fn experiment_ended(&self, id: u64) {
        cast(&self.0, Message::ExperimentEnded(id));
    }

    /// An experiment has failed; its attempts hold their slots until it joins again.
    pub fn remove_experiment(&self, id: u64) {
        cast(&self.0, Message::RemoveExperiment(id));
    }

    /// An attempt wants slots.
    pub fn request(&self, attempt: AttemptId, wish: Wish) {
        cast(&self.0, Message::Request(attempt, wish));
    }

    /// An experiment does without an agent, while another could do.
    pub fn exclude(&self, experiment: u64, agent: String, reason: String) {
        cast(&self.0, Message::Exclude(experiment, agent, reason));
    }

    /// A trial does not want slots any more.
    pub fn withdraw(&self, experiment: u64, trial: u32) {
        cast(&self.0, Message::Withdraw(experiment, trial));
    }

    /// An attempt was told to end: its slots are on their way back.
    pub fn leaves(&self, attempt: AttemptId) {
        cast(&self.0, Message::Leaves(attempt));
    }

    /// An attempt that was told to end goes on after all.
    pub fn stays(&self, attempt: AttemptId) {
        cast(&self.0, Message::Stays(attempt));
    }

    /// A person drains an agent, connected or not.
    pub fn drain(&self, name: String, reason: String) {
        cast(&self.0, Message::Drain(name, reason));
    }

    /// An agent may be given work again.
    pub fn undrain(&self, name: String) {
        cast(&self.0, Message::Undrain(name));
    }

    /// An agent said that it is ending: it is drained until it joins again.
    pub fn agent_ends(&self, name: String) {
        cast(&self.0, Message::AgentEnds(name));
    }

    /// An attempt gives its slots back.
    pub fn release(&self, attempt: AttemptId) {
        cast(&self.0, Message::Release(attempt));
    }

    /// An agent is there, with what it keeps running.
    pub fn agent_joined(&self, name: String, slots: Vec<v1::Slot>, running: Vec<Allocation>) {
        cast(&self.0, Message::AgentJoined(name, slots, running));
    }

    /// An agent is away. When this returns, everything it got is on its way to the experiments, and it gets no more.
    ///
    /// # Errors
    /// The pool does not answer.
    pub async fn agent_away(&self, name: String) -> Result<(), Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::AgentAway(name, reply));
        answer("the pool", receiver).await
    }

    /// An agent's lease ended. When this returns, everything it got is on its way to the experiments.
    ///
    /// # Errors
    /// The pool does not answer.
    pub async fn agent_lost(&self, name: String) -> Result<(), Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::AgentLost(name, reply));
        answer("the pool", receiver).await
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
    places: Places,
    experiments: BTreeMap<u64, ExperimentHandle>,
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
        let follows = !matches!(message, Message::Leaves(_) | Message::Slots(_) | Message::Brief(..));
        state.on_message(message);
        if follows {
            state.tell();
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
    fn on_message(&mut self, message: Message) {
        match message {
            Message::AddExperiment(id, limits, held, handle) => {
                self.places.add_experiment(id, limits, held);
                self.experiments.insert(id, handle);
            }
            Message::RemoveExperiment(id) => {
                self.places.remove_experiment(id);
                self.experiments.remove(&id);
            }
            Message::ExperimentEnded(id) => {
                self.places.experiment_ended(id);
                self.experiments.remove(&id);
            }
            Message::Request(attempt, wish) => self.places.request(attempt, wish),
            Message::Exclude(id, agent, reason) => self.places.exclude(id, agent, reason),
            Message::Withdraw(experiment, trial) => self.places.withdraw(experiment, trial),
            Message::Release(attempt) => self.places.release(&attempt),
            Message::Leaves(attempt) => self.places.leaves(&attempt),
            Message::Stays(attempt) => self.places.stays(&attempt),
            Message::Drain(name, reason) => self.places.drain(&name, &reason),
            Message::Undrain(name) => self.places.undrain(&name),
            Message::AgentEnds(name) => self.places.agent_ends(&name),
            Message::AgentJoined(name, slots, running) => self.places.agent_joined(&name, slots, running),
            Message::AgentAway(name, reply) => {
                self.places.agent_away(&name);
                // A caller that has given up waits for nothing.
                let _gone = reply.send(());
            }
            Message::AgentLost(name, reply) => {
                self.places.agent_lost(&name);
                // A caller that has given up waits for nothing.
                let _gone = reply.send(());
            }
            Message::Brief(experiment, reply) => {
                let scheduler = self.places.scheduler();
                let slots_total = scheduler.slots().0 as u32;
                // A caller that has given up waits for nothing.
                let homes = scheduler.why_homes_wait(experiment);
                let _gone =
                    reply.send(Brief { slots_total, waiting: scheduler.why_waiting(experiment), homes });
            }
            Message::Slots(reply) => {
                // A caller that has given up waits for nothing.
                let _gone = reply.send(self.view());
            }
        }
    }

    fn tell(&mut self) {
        for notice in self.places.notices() {
            match notice {
                Notice::Allocated(allocation) => match self.experiments.get(&allocation.attempt.experiment) {
                    Some(experiment) => experiment.allocated(allocation),
                    None => self.places.release(&allocation.attempt),
                },
                Notice::Preempted(preemption) => {
                    if let Some(experiment) = self.experiments.get(&preemption.attempt.experiment) {
                        experiment.preempted(preemption);
                    }
                }
                Notice::Capacity { experiment, trials, agents } => {
                    if let Some(experiment) = self.experiments.get(&experiment) {
                        experiment.capacity(trials, agents);
                    }
                }
            }
        }
    }

    fn view(&self) -> PoolView {
        let scheduler = self.places.scheduler();
        let view = |agent: &AgentSlots| {
            let slot = |slot: &v1::Slot| v1::AgentSlot {
                slot: Some(slot.clone()),
                attempt: agent.holder(slot.index),
            };
            agent.slots.iter().map(slot).collect()
        };
        let agents = scheduler.agents().iter().map(|(name, agent)| (name.clone(), view(agent)));
        let mut excluded: BTreeMap<String, Vec<v1::ExcludedFrom>> = BTreeMap::new();
        for (experiment, agent, reason) in scheduler.excluded() {
            let from = v1::ExcludedFrom { experiment, reason: reason.to_owned() };
            excluded.entry(agent.to_owned()).or_default().push(from);
        }
        PoolView {
            agents: agents.collect(),
            attempts: scheduler.attempts_by_agent(),
            drained: scheduler.drained(),
            excluded,
        }
    }
}
