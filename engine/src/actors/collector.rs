//! Checkpoints that nothing keeps: marks them in the store, tells their agents, forgets them when they are gone.
//!
//! Works on one thing at a time, and waits for each of its writes: so what it does of an experiment is over when
//! [`CollectorHandle::forget`] answers. A mark outlives the engine; an agent is told again whenever it comes back. An
//! error of the store only delays: an experiment that has ended is taken up again at the next start.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use toprung_proto::v1::{self, attempt_event, engine_message::Kind};
use toprung_store::Store;

use super::experiment::ExperimentHandle;
use super::session::BatchAck;
use super::sessions::SessionsHandle;
use super::{Unavailable, answer, cast, stop};
use crate::Error;
use crate::collect::{self, Marked, Terms};
use crate::deleted::{self, Notes};
use crate::experiment::collection::OfTrial;

/// Trials that may wait to be looked at; further ones are left to the end of their experiments.
const WAITING: usize = 1_024;
/// Checkpoints in one message to an agent.
const TOLD_AT_ONCE: usize = 256;

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

impl State {
    async fn of_trial(&mut self, terms: Arc<Terms>, asked: OfTrial) -> Result<(), Error> {
        let of = terms.clone();
        let marked = self.blocking(move |store| collect::mark_of_trial(store, &of, &asked)).await?;
        self.entered(terms, marked, false).await
    }

    async fn of_experiment(&mut self, terms: Arc<Terms>) -> Result<(), Error> {
        let of = terms.clone();
        let marked = self.blocking(move |store| collect::mark_of_experiment(store, &of)).await?;
        self.entered(terms, marked, true).await
    }

    async fn resume(&mut self, id: u64, ended: bool) -> Result<(), Error> {
        let (terms, left) = self
            .blocking(move |store| {
                let left = collect::marked(store, id)?.len() as u64;
                Ok((Arc::new(Terms::load(store, id)?), left))
            })
            .await?;
        self.due.insert(id, Due { terms: terms.clone(), left, ended: false });
        if ended { self.of_experiment(terms).await } else { self.settle(id).await }
    }

    /// Further checkpoints of an experiment are marked.
    async fn entered(&mut self, terms: Arc<Terms>, marked: Vec<Marked>, ended: bool) -> Result<(), Error> {
        let id = terms.experiment;
        let due = self.due.entry(id).or_insert_with(|| Due { terms, left: 0, ended: false });
        due.left += marked.len() as u64;
        due.ended |= ended;
        if !marked.is_empty() {
            let agents = self.connected().await?;
            self.tell(id, marked, &agents);
        }
        self.settle(id).await
    }

    /// An experiment of which nothing is left is forgotten.
    async fn settle(&mut self, id: u64) -> Result<(), Error> {
        let Some(due) = self.due.get(&id).filter(|due| due.left == 0) else { return Ok(()) };
        if due.ended {
            self.blocking(move |store| collect::finish(store, id)).await?;
        }
        self.due.remove(&id);
        Ok(())
    }

    async fn agent_back(&mut self, agent: String) -> Result<(), Error> {
        // It has forgotten what it was told before.
        self.unanswered.remove(&agent);
        let agents = BTreeSet::from([agent]);
        for id in self.due.keys().copied().collect::<Vec<_>>() {
            let marked = self.blocking(move |store| collect::marked(store, id)).await?;
            self.tell(id, marked, &agents);
        }
        self.tell_of_deleted(self.notes.clone(), &agents);
        Ok(())
    }

    async fn late(
        &mut self,
        id: u64,
        agent: String,
        late: Vec<v1::Checkpoint>,
        ack: BatchAck,
    ) -> Result<(), Error> {
        let marked = self.blocking(move |store| {
            if crate::archive::experiment(store, id)?.is_none() {
                return Ok(None);
            }
            collect::mark_late(store, id, &agent, late).map(Some)
        });
        // Without its acknowledgement it is sent again.
        let marked = marked.await?;
        ack.done();
        match marked {
            Some((terms, marked)) => self.entered(Arc::new(terms), marked, true).await,
            None => {
                tracing::warn!(
                    experiment = id,
                    "a checkpoint of a deleted experiment was saved; its files stay"
                );
                Ok(())
            }
        }
    }

    async fn weigh(&mut self, terms: &Terms, bytes: u64, experiment: &ExperimentHandle) -> Result<(), Error> {
        let id = terms.experiment;
        let weight = match self.weights.get(&id) {
            Some(weight) => weight + bytes,
            // It is in the store already.
            None => self.blocking(move |store| collect::live(store, id)).await?.1,
        };
        self.weights.insert(id, weight);
        if terms.max_size.is_some_and(|most| weight > most) {
            experiment.collection_due();
        }
        Ok(())
    }

    async fn judge(&mut self, terms: &Terms, experiment: &ExperimentHandle) -> Result<(), Error> {
        let id = terms.experiment;
        let (count, weight) = self.blocking(move |store| collect::live(store, id)).await?;
        self.weights.insert(id, weight);
        if let Some(most) = terms.max_size.filter(|most| weight > *most) {
            let what = if count == 1 {
                "the checkpoint that must be kept takes".to_owned()
            } else {
                format!("the {count} checkpoints that must be kept take")
            };
            experiment.quota_exceeded(format!(
                "{what} {weight} bytes, `checkpoint_storage.max_size` allows \
                 {most}; `toprung resume {id}` goes on without this limit, `toprung fork {id} --set \
                 checkpoint_storage.max_size=…` begins again with another"
            ));
        }
        Ok(())
    }

    async fn of_deleted(&mut self, notes: Notes) -> Result<(), Error> {
        if notes.is_empty() {
            return Ok(());
        }
        self.notes.extend(notes.clone());
        let agents = self.connected().await?;
        self.tell_of_deleted(notes, &agents);
        Ok(())
    }

    fn tell_of_deleted(&mut self, notes: Notes, agents: &BTreeSet<String>) {
        let Some(sessions) = &self.sessions else { return };
        for note in notes.into_values() {
            let v1::DeletedCheckpoints { experiment, checkpoint_dir, storage, shared, agent, checkpoints } =
                note;
            let any = agents.first().filter(|_| shared);
            let Some(agent) = agents.get(&agent).or(any) else { continue };
            *self.unanswered.entry(agent.clone()).or_default() += checkpoints.len();
            let order = v1::DeleteCheckpoints { experiment, checkpoint_dir, checkpoints, storage };
            sessions.tell(agent, Kind::DeleteCheckpoints(order));
        }
    }

    /// An answer that concerns a deleted experiment.
    async fn confirm_deleted(&mut self, id: u64, gone: BTreeSet<(u32, String)>) -> Result<(), Error> {
        let notes = self.notes.clone();
        if notes.values().any(|note| note.experiment == id) {
            self.notes = self.blocking(move |store| deleted::confirm(store, notes, id, &gone)).await?;
        }
        Ok(())
    }

    /// Tells these agents what they have to remove. On shared storage any agent will do if the one that saved is away.
    fn tell(&mut self, id: u64, marked: Vec<Marked>, agents: &BTreeSet<String>) {
        let (Some(due), Some(sessions)) = (self.due.get(&id), &self.sessions) else { return };
        let mut orders: BTreeMap<&String, Vec<v1::CheckpointPlace>> = BTreeMap::new();
        for (agent, place) in marked {
            let any = agents.first().filter(|_| due.terms.shared());
            if let Some(agent) = agents.get(&agent).or(any) {
                orders.entry(agent).or_default().push(place);
            }
        }
        for (agent, checkpoints) in orders {
            *self.unanswered.entry(agent.clone()).or_default() += checkpoints.len();
            for part in checkpoints.chunks(TOLD_AT_ONCE) {
                let checkpoint_dir = due.terms.checkpoint_dir.clone();
                let checkpoints = part.to_vec();
                let storage = due.terms.storage.clone();
                let order = v1::DeleteCheckpoints { experiment: id, checkpoint_dir, checkpoints, storage };
                sessions.tell(agent, Kind::DeleteCheckpoints(order));
            }
        }
    }

    async fn deleted(&mut self, agent: &str, deleted: v1::CheckpointsDeleted) -> Result<(), Error> {
        if let Some(count) = self.unanswered.get_mut(agent) {
            *count = count.saturating_sub(deleted.checkpoints.len());
        }
        let id = deleted.experiment;
        let (gone, kept): (Vec<_>, Vec<_>) =
            deleted.checkpoints.into_iter().partition(|checkpoint| checkpoint.error.is_empty());
        for checkpoint in kept {
            let v1::CheckpointDeleted { trial, uuid, error } = checkpoint;
            tracing::warn!(experiment = id, trial, uuid, agent, error, "a checkpoint was not removed");
        }
        let gone = gone.into_iter().map(|checkpoint| (checkpoint.trial, checkpoint.uuid)).collect();
        if !self.due.contains_key(&id) {
            return self.confirm_deleted(id, gone).await;
        }
        let confirmed = self.blocking(move |store| collect::confirm(store, id, &gone)).await?;
        if let Some(due) = self.due.get_mut(&id) {
            due.left = due.left.saturating_sub(confirmed);
        }
        self.settle(id).await
    }

    async fn connected(&self) -> Result<BTreeSet<String>, Error> {
        let Some(sessions) = &self.sessions else { return Ok(BTreeSet::new()) };
        let agents = sessions.agents().await?;
        Ok(agents.into_iter().filter(|agent| agent.connected).map(|agent| agent.name).collect())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.store.clone();
        let worked = tokio::task::spawn_blocking(move || work(&store)).await;
        worked.map_err(|error| Error::Server { reason: error.to_string() })?
    }
}
