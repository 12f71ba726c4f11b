//! One experiment's actor (`shell`; `asking` for programs that run trials themselves, `directing` for one that decides) and the way to it (this file). It feeds inputs to the `Machine`, makes the records durable, then does the effects.
//!
//! An error of the store ends the actor: its supervisor starts it again from the journal, so what was not durable never
//! happened. Answers to readers wait until what they show is durable.

mod asking;
mod directing;
mod shell;

use ractor::{Actor, ActorRef};
use tokio::sync::{oneshot, watch};
use toprung_proto::v1::{self, journal_record::Input};
use toprung_store::Store;

use super::collector::CollectorHandle;
use super::experiments::ExperimentsHandle;
use super::pool::PoolHandle;
use super::session::BatchAck;
use super::sessions::SessionsHandle;
use super::{Reply, Unavailable, answer, cast};
use crate::cores::Returned;
use crate::experiment::directing::RefusedDecision;
use crate::experiment::external::Lane;
use crate::scheduler::{Allocation, Preemption};

pub use asking::{Asked, NotTaken};
use shell::ExperimentActor;
pub use shell::Shell;

type Query = Box<dyn FnOnce(&Shell) -> Reply + Send>;

/// What the actor is told.
pub enum Message {
    /// An input from the pool, a timer or the supervisor.
    Input(Input),
    /// A part of an agent's batch.
    AgentEvents(v1::AgentEvents, BatchAck),
    /// An agent came back with what it runs; answered with what it may keep.
    AgentReturned(String, Vec<v1::AttemptId>, oneshot::Sender<Returned>),
    /// An agent's lease ended.
    AgentLost(String, String),
    /// A command of a person.
    Control(Control, oneshot::Sender<Result<v1::Experiment, Refused>>),
    /// A program asks for a trial, and may wait for one.
    Ask(Lane, bool, oneshot::Sender<Asked>),
    /// A program told what came of its trial.
    Tell(Box<v1::TrialTold>, oneshot::Sender<Result<v1::TellResponse, NotTaken>>),
    /// Programs may have been silent for too long.
    Lapse,
    /// A program decided.
    Decide(Box<v1::DecideRequest>, oneshot::Sender<Result<v1::DecideResponse, RefusedDecision>>),
    /// A question.
    Query(Query),
    /// The group on its way has reached the store, or has not.
    Committed(Result<(), toprung_store::Error>),
    /// Write a snapshot and end; the experiment goes on at the next start.
    Close(oneshot::Sender<()>),
    /// The supervisor sends nothing any more: what it sent before has been handled.
    Dismiss,
}

/// A command of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Let the trials save and give their slots back.
    Pause,
    /// Go on.
    Resume,
    /// End.
    Kill,
}

/// A command does not fit the state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("experiment {id} is {state}: it cannot be {what}")]
pub struct Refused {
    /// The experiment.
    pub id: u64,
    /// Its state.
    pub state: &'static str,
    /// What was wanted of it.
    pub what: &'static str,
}

/// How an experiment's actor begins.
pub enum Begin {
    /// A new experiment; `created` is told once it is durable.
    New { created: Box<v1::ExperimentCreated>, durable: oneshot::Sender<v1::Experiment> },
    /// From snapshot and journal.
    Load(u64),
}

/// What the actor works with.
#[derive(Clone)]
pub struct Neighbours {
    /// Where records go.
    pub store: Store,
    /// Who gives slots.
    pub pool: PoolHandle,
    /// Who reaches agents.
    pub sessions: SessionsHandle,
    /// Who has checkpoints removed.
    pub collector: CollectorHandle,
    /// The supervisor.
    pub experiments: ExperimentsHandle,
}

/// The way to an experiment.
#[derive(Clone)]
pub struct ExperimentHandle {
    actor: ActorRef<Message>,
    version: watch::Receiver<u64>,
}

impl ExperimentHandle {
    /// Starts the actor under its supervisor.
    ///
    /// # Errors
    /// The experiment cannot be loaded; the error says why.
    pub async fn start(
        begin: Begin,
        neighbours: Neighbours,
        supervisor: ractor::ActorCell,
    ) -> Result<Self, ractor::SpawnErr> {
        let (sender, version) = watch::channel(0);
        let arguments = (begin, neighbours, sender, version.clone());
        let (actor, _) = Actor::spawn_linked(None, ExperimentActor, arguments, supervisor).await?;
        Ok(Self { actor, version })
    }

    /// The pool gave slots.
    pub fn allocated(&self, allocation: Allocation) {
        let Allocation { attempt, agent, slots, .. } = allocation;
        let input = v1::AttemptAllocated { trial: attempt.trial, attempt: attempt.attempt, agent, slots };
        cast(&self.actor, Message::Input(Input::Allocated(input)));
    }

    /// The pool wants an attempt's slots back.
    pub fn preempted(&self, preemption: Preemption) {
        let Preemption { attempt, reason } = preemption;
        let input = v1::AttemptPreempted { trial: attempt.trial, attempt: attempt.attempt, reason };
        cast(&self.actor, Message::Input(Input::Preempted(input)));
    }

    /// The pool could hold so many trials.
    pub fn capacity(&self, trials: u32, agents: u32) {
        cast(&self.actor, Message::Input(Input::Capacity(v1::CapacityChanged { trials, agents })));
    }

    /// A part of an agent's batch. Answers `false` if the actor is gone.
    pub fn agent_events(&self, events: v1::AgentEvents, ack: BatchAck) {
        cast(&self.actor, Message::AgentEvents(events, ack));
    }

    /// An agent came back.
    pub fn agent_returned(&self, agent: String, running: Vec<v1::AttemptId>) -> oneshot::Receiver<Returned> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.actor, Message::AgentReturned(agent, running, reply));
        receiver
    }

    /// Its checkpoints take more than they may: what nothing keeps is to go now.
    pub fn collection_due(&self) {
        cast(&self.actor, Message::Input(Input::Collection(v1::CollectionDue {})));
    }

    /// What must be kept takes more than it may.
    pub fn quota_exceeded(&self, reason: String) {
        cast(&self.actor, Message::Input(Input::Quota(v1::QuotaExceeded { reason })));
    }

    /// An agent's lease ended.
    pub fn agent_lost(&self, agent: String, reason: String) {
        cast(&self.actor, Message::AgentLost(agent, reason));
    }

    /// Carries out a command; answers once it is durable.
    ///
    /// # Errors
    /// The actor does not answer, or the command does not fit the state.
    pub async fn control(&self, control: Control) -> Result<Result<v1::Experiment, Refused>, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.actor, Message::Control(control, reply));
        answer("the experiment", receiver).await
    }

    /// A program asks for a trial. `wait`: the answer comes when there is one; whoever gives up drops the receiver.
    pub fn ask_for_trial(&self, lane: Lane, wait: bool) -> oneshot::Receiver<Asked> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.actor, Message::Ask(lane, wait, reply));
        receiver
    }

    /// A program told what came of its trial; answers once that is durable.
    ///
    /// # Errors
    /// The actor does not answer, or the tell makes no sense.
    pub async fn tell(&self, told: v1::TrialTold) -> Result<Result<v1::TellResponse, NotTaken>, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.actor, Message::Tell(Box::new(told), reply));
        answer("the experiment", receiver).await
    }

    /// A program decided; answers once that is durable.
    ///
    /// # Errors
    /// The actor does not answer, or the decision cannot be taken.
    pub async fn decide(
        &self,
        request: v1::DecideRequest,
    ) -> Result<Result<v1::DecideResponse, RefusedDecision>, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.actor, Message::Decide(Box::new(request), reply));
        answer("the experiment", receiver).await
    }

    /// Asks a question; answers once everything the answer shows is durable.
    ///
    /// # Errors
    /// The actor does not answer.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Shell) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        let query: Query = Box::new(move |shell| {
            let found = question(shell);
            // A caller that has given up waits for nothing.
            Box::new(move || drop(reply.send(found)))
        });
        cast(&self.actor, Message::Query(query));
        answer("the experiment", receiver).await
    }

    /// Changes with every durable step.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.clone()
    }

    /// Writes a snapshot and ends the actor.
    ///
    /// # Errors
    /// The actor does not answer.
    pub async fn close(&self) -> Result<(), Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.actor, Message::Close(reply));
        answer("the experiment", receiver).await
    }

    /// Ends the actor of an experiment that has said that it ended, once it has handled what it was sent.
    pub fn dismiss(&self) {
        cast(&self.actor, Message::Dismiss);
    }

    /// Whether this handle reaches the actor with this id.
    pub fn is(&self, actor: ractor::ActorId) -> bool {
        self.actor.get_id() == actor
    }
}
