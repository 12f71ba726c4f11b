//! Checkpoints that nothing keeps: marks them in the store, tells their agents, forgets them when they are gone.
//!
//! Works on one thing at a time, and waits for each of its writes: so what it does of an experiment is over when
//! [`CollectorHandle::forget`] answers. A mark outlives the engine; an agent is told again whenever it comes back. An
//! error of the store only delays: an experiment that has ended is taken up again at the next start.

mod telling;
mod work;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use toprung_proto::v1::{self, attempt_event};
use toprung_store::Store;

use super::experiment::ExperimentHandle;
use super::session::BatchAck;
use super::sessions::SessionsHandle;
use super::{Unavailable, answer, cast, stop};
use crate::collect::{self, Terms};
use crate::deleted::Notes;
use crate::experiment::collection::OfTrial;

/// Trials that may wait to be looked at; further ones are left to the end of their experiments.
const WAITING: usize = 1_024;

enum Message {
    Wire(SessionsHandle),
    Trial(Arc<Terms>, OfTrial),
    Experiment(Arc<Terms>),
    /// An experiment of the store; `true`: it has ended.
    Resume(u64, bool),
    /// A checkpoint that was marked when it was recorded.
    Discarded(Arc<Terms>, Box<v1::Checkpoint>),
    /// Checkpoints that came after the end of their experiment.
    Late(u64, String, Vec<v1::Checkpoint>, BatchAck),
    Weigh(Arc<Terms>, u64, ExperimentHandle),
    Judge(Arc<Terms>, ExperimentHandle),
    OfDeleted(Notes),
    AgentBack(String),
    Deleted(String, v1::CheckpointsDeleted),
    Forget(u64, oneshot::Sender<()>),
    AtRest(oneshot::Sender<()>),
    Settled(oneshot::Sender<()>),
}

/// The way to the collector.
#[derive(Clone)]
pub struct CollectorHandle {
    actor: ActorRef<Message>,
    waiting: Arc<AtomicUsize>,
}

impl CollectorHandle {
    /// Starts the actor under a supervisor. [`wire`](Self::wire) must follow.
    ///
    /// # Errors
    /// The actor could not be started.
    pub async fn start(store: Store, supervisor: ractor::ActorCell) -> Result<Self, ractor::SpawnErr> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let (actor, _) = Actor::spawn_linked(None, Collector, (store, waiting.clone()), supervisor).await?;
        Ok(Self { actor, waiting })
    }

    /// Makes its sibling known.
    pub fn wire(&self, sessions: SessionsHandle) {
        cast(&self.actor, Message::Wire(sessions));
    }

    /// Takes up what an earlier engine left: experiments that have not ended, and those that have.
    pub fn resume(&self, unfinished: &[u64], ended: &[u64]) {
        unfinished.iter().for_each(|id| cast(&self.actor, Message::Resume(*id, false)));
        ended.iter().for_each(|id| cast(&self.actor, Message::Resume(*id, true)));
    }

    /// Looks at one trial of an experiment that goes on, unless too many wait already.
    pub fn of_trial(&self, terms: &Arc<Terms>, asked: impl FnOnce() -> OfTrial) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < WAITING {
            cast(&self.actor, Message::Trial(terms.clone(), asked()));
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Looks at an experiment that has ended.
    pub fn of_experiment(&self, terms: &Arc<Terms>) {
        cast(&self.actor, Message::Experiment(terms.clone()));
    }

    /// A checkpoint was marked when it was recorded.
    pub fn discarded(&self, terms: &Arc<Terms>, checkpoint: v1::Checkpoint) {
        cast(&self.actor, Message::Discarded(terms.clone(), Box::new(checkpoint)));
    }

    /// Something came of an experiment that has ended. Checkpoints in it are recorded, to be removed; then it is
    /// acknowledged.
    pub fn late(&self, experiment: u64, events: &v1::AgentEvents, ack: BatchAck) {
        let checkpoint = |event: &v1::AttemptEvent| match (&event.kind, &event.attempt) {
            (Some(attempt_event::Kind::Checkpoint(checkpoint)), Some(attempt)) => {
                Some(v1::Checkpoint { trial: attempt.trial, ..checkpoint.clone() })
            }
            _ => None,
        };
        let late: Vec<_> = events.events.iter().filter_map(checkpoint).collect();
        if late.is_empty() {
            ack.done();
        } else {
            cast(&self.actor, Message::Late(experiment, events.agent.clone(), late, ack));
        }
    }

    /// A checkpoint of so many bytes was saved in an experiment whose checkpoints may take only so much.
    pub fn weigh(&self, terms: &Arc<Terms>, bytes: u64, experiment: ExperimentHandle) {
        cast(&self.actor, Message::Weigh(terms.clone(), bytes, experiment));
    }

    /// Pauses the experiment if what is left now takes too much.
    pub fn judge(&self, terms: &Arc<Terms>, experiment: ExperimentHandle) {
        cast(&self.actor, Message::Judge(terms.clone(), experiment));
    }

    /// Removes the checkpoints of deleted experiments, which are noted in the store.
    pub fn deleted_experiment(&self, notes: Notes) {
        cast(&self.actor, Message::OfDeleted(notes));
    }

    /// An agent has connected.
    pub fn agent_back(&self, agent: String) {
        cast(&self.actor, Message::AgentBack(agent));
    }

    /// An agent's answer.
    pub fn deleted(&self, agent: String, deleted: v1::CheckpointsDeleted) {
        cast(&self.actor, Message::Deleted(agent, deleted));
    }

    /// Writes nothing of this experiment from now on.
    ///
    /// # Errors
    /// The actor does not answer.
    pub async fn forget(&self, experiment: u64) -> Result<(), Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.actor, Message::Forget(experiment, reply));
        answer("the collector", receiver).await
    }

    /// Answers when what has ended until now is decided upon: which of its checkpoints stay.
    ///
    /// # Errors
    /// The actor does not answer.
    pub async fn settled(&self) -> Result<(), Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.actor, Message::Settled(reply));
        answer("the collector", receiver).await
    }

    /// Waits, at most so long, until every agent has answered what it was told. Answers whether it came to that.
    pub async fn at_rest(&self, longest: Duration) -> bool {
        let (reply, receiver) = oneshot::channel();
        cast(&self.actor, Message::AtRest(reply));
        matches!(tokio::time::timeout(longest, receiver).await, Ok(Ok(())))
    }

    /// Ends the actor and waits for it.
    pub async fn stop(&self) {
        stop(&self.actor).await;
    }
}

struct Collector;

/// An experiment with marked checkpoints.
struct Due {
    terms: Arc<Terms>,
    /// Marked and not yet gone.
    left: u64,
    ended: bool,
}

struct State {
    store: Store,
    sessions: Option<SessionsHandle>,
    waiting: Arc<AtomicUsize>,
    due: BTreeMap<u64, Due>,
    /// Checkpoints that each agent was told to remove and has not answered for.
    unanswered: BTreeMap<String, usize>,
    resting: Vec<oneshot::Sender<()>>,
    /// Bytes of the checkpoints of experiments with a limit.
    weights: BTreeMap<u64, u64>,
    /// Of deleted experiments.
    notes: Notes,
}

impl Actor for Collector {
    type Msg = Message;
    type State = State;
    type Arguments = (Store, Arc<AtomicUsize>);

    async fn pre_start(
        &self,
        _: ActorRef<Message>,
        (store, waiting): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let (due, unanswered) = (BTreeMap::new(), BTreeMap::new());
        let (weights, notes) = (BTreeMap::new(), Notes::new());
        Ok(State { store, sessions: None, waiting, due, unanswered, resting: Vec::new(), weights, notes })
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let done = match message {
            Message::Wire(sessions) => {
                state.sessions = Some(sessions);
                Ok(())
            }
            Message::Trial(terms, asked) => {
                state.waiting.fetch_sub(1, Ordering::Relaxed);
                state.of_trial(terms, asked).await
            }
            Message::Experiment(terms) => state.of_experiment(terms).await,
            Message::Resume(id, ended) => state.resume(id, ended).await,
            Message::Discarded(terms, checkpoint) => {
                state.entered(terms, vec![collect::place(*checkpoint)], false).await
            }
            Message::Late(id, agent, late, ack) => state.late(id, agent, late, ack).await,
            Message::Weigh(terms, bytes, experiment) => state.weigh(&terms, bytes, &experiment).await,
            Message::Judge(terms, experiment) => state.judge(&terms, &experiment).await,
            Message::OfDeleted(notes) => state.of_deleted(notes).await,
            Message::AgentBack(agent) => state.agent_back(agent).await,
            Message::Deleted(agent, deleted) => state.deleted(&agent, deleted).await,
            Message::Forget(id, reply) => {
                state.due.remove(&id);
                state.weights.remove(&id);
                let _gone = reply.send(());
                Ok(())
            }
            Message::Settled(reply) => {
                // A caller that has given up waits for nothing.
                let _gone = reply.send(());
                Ok(())
            }
            Message::AtRest(reply) => {
                state.resting.push(reply);
                Ok(())
            }
        };
        if let Err(error) = done {
            tracing::warn!(%error, "checkpoints were not collected; tried again later");
        }
        if state.unanswered.values().all(|count| *count == 0) {
            for reply in state.resting.drain(..) {
                // Those who have given up wait for nothing.
                let _gone = reply.send(());
            }
        }
        Ok(())
    }
}
