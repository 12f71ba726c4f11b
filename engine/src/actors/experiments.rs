//! The supervisor of all active experiments. It numbers new ones, routes what agents say, and starts an experiment
//! whose actor failed again from its journal, with back-off; after repeated failure it gives that one up.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;
use toprung_proto::v1::{self, journal_record::Input};
use toprung_store::{Health, Store};

use super::collector::CollectorHandle;
use super::experiment::{Begin, ExperimentHandle, Neighbours};
use super::pool::PoolHandle;
use super::session::BatchAck;
use super::sessions::SessionsHandle;
use super::{Unavailable, answer, cast, stop};
use crate::cores::routes::Failed;
use crate::cores::{Returned, Route, Routes};
use crate::load;

enum Message {
    Wire(PoolHandle, SessionsHandle, CollectorHandle),
    Load(Vec<u64>, oneshot::Sender<()>),
    Create(Box<v1::ExperimentCreated>, oneshot::Sender<v1::Experiment>),
    Get(u64, oneshot::Sender<Option<ExperimentHandle>>),
    Count(oneshot::Sender<usize>),
    Route(u64, u64, v1::AgentEvents, BatchAck),
    AgentReturned(String, u64, Vec<v1::AttemptId>, oneshot::Sender<AllReturned>),
    AgentLost(String, String),
    Restart(u64),
    Ended(u64),
    CloseAll(oneshot::Sender<Vec<ExperimentHandle>>),
}

/// What an agent may keep of each experiment, or why that cannot be said now.
pub type AllReturned = Result<Vec<(u64, Returned)>, String>;

/// The way to the experiments.
#[derive(Clone)]
pub struct ExperimentsHandle(ActorRef<Message>);

impl ExperimentsHandle {
    /// Starts the actor under a supervisor. [`wire`](Self::wire) must follow. `next_id`: of the next new experiment.
    ///
    /// # Errors
    /// The actor could not be started.
    pub async fn start(
        store: Store,
        next_id: u64,
        supervisor: ractor::ActorCell,
    ) -> Result<Self, ractor::SpawnErr> {
        let (actor, _) = Actor::spawn_linked(None, Experiments, (store, next_id), supervisor).await?;
        Ok(Self(actor))
    }

    /// Makes its siblings known.
    pub fn wire(&self, pool: PoolHandle, sessions: SessionsHandle, collector: CollectorHandle) {
        cast(&self.0, Message::Wire(pool, sessions, collector));
    }

    /// Loads experiments that have not ended; answers when all are there.
    ///
    /// # Errors
    /// The actor is gone.
    pub async fn load(&self, ids: Vec<u64>) -> Result<(), Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::Load(ids, reply));
        // Loading is bounded by the journals; it has no deadline of its own because nothing works before it.
        receiver.await.map_err(|_| Unavailable("the experiments"))
    }

    /// Starts a new experiment (its id is set here); answers once it is durable.
    ///
    /// # Errors
    /// The actor does not answer.
    pub async fn create(&self, created: v1::ExperimentCreated) -> Result<v1::Experiment, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::Create(Box::new(created), reply));
        answer("the experiments", receiver).await
    }

    /// An active experiment. `None`: it has ended or does not exist.
    ///
    /// # Errors
    /// The actor does not answer.
    pub async fn get(&self, id: u64) -> Result<Option<ExperimentHandle>, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::Get(id, reply));
        answer("the experiments", receiver).await
    }

    /// How many experiments have not ended, without those that wait for their start.
    ///
    /// # Errors
    /// The actor does not answer.
    pub async fn count(&self) -> Result<usize, Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::Count(reply));
        answer("the experiments", receiver).await
    }

    /// A part of a batch of an agent's session.
    pub fn route(&self, experiment: u64, serial: u64, events: v1::AgentEvents, ack: BatchAck) {
        cast(&self.0, Message::Route(experiment, serial, events, ack));
    }

    /// An agent came back with what it runs; asked at once, answered later with what it may keep.
    pub fn agent_returned(
        &self,
        agent: String,
        serial: u64,
        running: Vec<v1::AttemptId>,
    ) -> oneshot::Receiver<AllReturned> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::AgentReturned(agent, serial, running, reply));
        receiver
    }

    /// An agent's lease ended.
    pub fn agent_lost(&self, agent: String, reason: String) {
        cast(&self.0, Message::AgentLost(agent, reason));
    }

    /// An experiment has ended and its actor is done.
    pub fn ended(&self, id: u64) {
        cast(&self.0, Message::Ended(id));
    }

    /// Writes all snapshots and ends all experiment actors.
    ///
    /// # Errors
    /// An actor does not answer.
    pub async fn close_all(&self) -> Result<(), Unavailable> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.0, Message::CloseAll(reply));
        for experiment in answer("the experiments", receiver).await? {
            experiment.close().await?;
        }
        Ok(())
    }

    /// Ends the actor and waits for it.
    pub async fn stop(&self) {
        stop(&self.0).await;
    }
}

struct Experiments;

struct State {
    me: ActorRef<Message>,
    store: Store,
    next_id: u64,
    siblings: Option<(PoolHandle, SessionsHandle, CollectorHandle)>,
    active: BTreeMap<u64, ExperimentHandle>,
    routes: Routes,
    closing: bool,
}

impl Actor for Experiments {
    type Msg = Message;
    type State = State;
    type Arguments = (Store, u64);

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        (store, next_id): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let (active, routes) = (BTreeMap::new(), Routes::default());
        Ok(State { me, store, next_id, siblings: None, active, routes, closing: false })
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Wire(pool, sessions, collector) => state.siblings = Some((pool, sessions, collector)),
            Message::Load(ids, reply) => {
                for id in ids {
                    state.start(id, Begin::Load(id)).await;
                }
                let _gone = reply.send(());
            }
            Message::Create(created, reply) => state.create(created, reply).await,
            // A caller that has given up waits for nothing.
            Message::Get(id, reply) => drop(reply.send(state.active.get(&id).cloned())),
            Message::Count(reply) => drop(reply.send(state.active.len())),
            Message::Route(id, serial, events, ack) => state.route(id, serial, events, ack),
            Message::AgentReturned(agent, serial, running, reply) => {
                state.agent_returned(&agent, serial, &running, reply);
            }
            Message::AgentLost(agent, reason) => {
                for experiment in state.active.values() {
                    experiment.agent_lost(agent.clone(), reason.clone());
                }
            }
            Message::Restart(id) => state.restart(id).await,
            Message::Ended(id) => {
                state.routes.ended(id);
                if let Some(experiment) = state.active.remove(&id) {
                    experiment.dismiss();
                }
            }
            Message::CloseAll(reply) => {
                state.closing = true;
                let _gone = reply.send(std::mem::take(&mut state.active).into_values().collect());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(actor, error) = event {
            state.on_failed(actor.get_id(), &error);
        }
        Ok(())
    }
}

impl State {
    async fn create(
        &mut self,
        mut created: Box<v1::ExperimentCreated>,
        durable: oneshot::Sender<v1::Experiment>,
    ) {
        if self.closing {
            return;
        }
        let id = self.next_id;
        self.next_id += 1;
        created.id = id;
        if created.name.is_empty() {
            created.name = crate::names::made_up(created.seed, id);
        }
        self.start(id, Begin::New { created, durable }).await;
    }

    async fn start(&mut self, id: u64, begin: Begin) {
        let Some((pool, sessions, collector)) = self.siblings.clone() else { return };
        let experiments = ExperimentsHandle(self.me.clone());
        let store = self.store.clone();
        let neighbours = Neighbours { store, pool, sessions: sessions.clone(), collector, experiments };
        let loaded = matches!(begin, Begin::Load(_));
        match ExperimentHandle::start(begin, neighbours, self.me.get_cell()).await {
            Ok(handle) => {
                if loaded {
                    let held = handle.ask(|shell| shell.machine().held()).await.unwrap_or_default();
                    held.into_iter().for_each(|held| sessions.expect(held.agent));
                    self.routes.loaded(id);
                } else {
                    self.routes.created(id);
                }
                self.active.insert(id, handle);
            }
            Err(ractor::SpawnErr::StartupFailed(error)) => self.failed(id, &error),
            Err(error) => self.failed(id, &error.into()),
        }
    }

    fn on_failed(&mut self, actor: ractor::ActorId, error: &ActorProcessingErr) {
        let Some(id) = self.active.iter().find(|(_, handle)| handle.is(actor)).map(|(id, _)| *id) else {
            return;
        };
        self.active.remove(&id);
        if let Some((pool, ..)) = &self.siblings {
            pool.remove_experiment(id);
        }
        self.failed(id, error);
    }

    /// Starts an experiment again after a while, or gives it up. A store that cannot write is not the experiment's
    /// failure: it is tried again for as long as it takes.
    fn failed(&mut self, id: u64, error: &ActorProcessingErr) {
        if self.closing {
            return;
        }
        let Failed::Again { seconds } = self.routes.failed(id, is_of_store(error)) else {
            self.give_up(id, &error.to_string());
            return;
        };
        tracing::error!(experiment = id, %error, "experiment failed; it is started again");
        let delay = Duration::from_secs(seconds);
        let (me, mut health) = (self.me.clone(), self.store.watch_health());
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            // Before the store can write, an experiment that is started again would only fail again. The store tries
            // every second; if it is gone, so is the engine.
            if health.wait_for(|health| *health == Health::Ok).await.is_err() {
                return;
            }
            cast(&me, Message::Restart(id));
        });
    }

    async fn restart(&mut self, id: u64) {
        if self.closing || self.active.contains_key(&id) {
            return;
        }
        self.start(id, Begin::Load(id)).await;
        // What agents sent and was not acknowledged comes again only on a new session.
        if let Some((_, sessions, _)) = &self.siblings {
            sessions.end_all("an experiment was started again");
        }
    }

    /// Marks an experiment failed; its journal stays as it is.
    fn give_up(&mut self, id: u64, error: &str) {
        tracing::error!(experiment = id, error, "experiment failed too often; it is given up");
        if let Some((_, sessions, _)) = &self.siblings {
            // On their return the agents are told to end what they run of it.
            sessions.end_all("an experiment was given up");
        }
        let (store, error) = (self.store.clone(), error.to_owned());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = load::mark_failed(&store, id, &error) {
                tracing::error!(experiment = id, %error, "the failure of an experiment could not be stored");
            }
        });
    }

    fn route(&mut self, id: u64, serial: u64, events: v1::AgentEvents, ack: BatchAck) {
        match (self.routes.route(id, &events.agent, serial), self.active.get(&id)) {
            (Route::There, Some(experiment)) => experiment.agent_events(events, ack),
            (Route::Over, _) => match &self.siblings {
                Some((.., collector)) => collector.late(id, &events, ack),
                None => ack.done(),
            },
            (Route::There | Route::Later, _) => drop(ack),
        }
    }

    fn agent_returned(
        &mut self,
        agent: &str,
        serial: u64,
        running: &[v1::AttemptId],
        reply: oneshot::Sender<AllReturned>,
    ) {
        if let Err(experiment) = self.routes.returned(agent, serial) {
            // An agent that has gone again asks again.
            let _gone = reply.send(Err(format!("experiment {experiment} is being started again")));
            return;
        }
        let ask = |(id, experiment): (&u64, &ExperimentHandle)| {
            let running = running.iter().filter(|attempt| attempt.experiment == *id).copied().collect();
            (*id, experiment.agent_returned(agent.to_owned(), running))
        };
        let asked: Vec<_> = self.active.iter().map(ask).collect();
        tokio::spawn(async move {
            let mut all = Vec::new();
            for (id, receiver) in asked {
                // Without its answer the agent would end what it should keep.
                let Ok(returned) = answer("the experiment", receiver).await else {
                    let _gone = reply.send(Err(format!("experiment {id} does not answer")));
                    return;
                };
                all.push((id, returned));
            }
            // An agent that has gone again asks again.
            let _gone = reply.send(Ok(all));
        });
    }
}

/// Whether the store could not write or read, and may again later. A broken journal stays broken.
fn is_of_store(error: &ActorProcessingErr) -> bool {
    use toprung_store::Error as Store;
    let heals = |error: &Store| !matches!(error, Store::BrokenJournal { .. } | Store::BrokenRecord { .. });
    match error.downcast_ref::<crate::Error>() {
        Some(crate::Error::Store(inner)) => heals(inner),
        Some(_) => false,
        None => error.downcast_ref::<Store>().is_some_and(heals),
    }
}

/// The input that marks an experiment failed.
pub(crate) fn failed_input(reason: &str) -> Input {
    Input::Failed(v1::ExperimentFailed { reason: reason.to_owned() })
}
