//! One experiment's actor: it feeds inputs to the [`Machine`], makes the records durable, then does the effects.
//!
//! An error of the store ends the actor: its supervisor starts it again from the journal, so what was not durable never
//! happened. Answers to readers wait until what they show is durable.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::{oneshot, watch};
use toprung_proto::v1::{self, attempt_event, journal_record::Input};
use toprung_store::Store;

use super::experiments::ExperimentsHandle;
use super::group::{Group, Reply};
use super::pool::PoolHandle;
use super::session::BatchAck;
use super::sessions::SessionsHandle;
use super::{Unavailable, answer, cast, now_ms};
use crate::experiment::reconcile::Held;
use crate::experiment::{Effect, Machine, State as ExperimentState, snapshot, view};
use crate::load;
use crate::scheduler::{Allocation, Limits};

/// Lines kept for those who watch.
const LINES: usize = 512;
/// A snapshot is written after so many records, or as many as there are trials: its cost per record stays flat.
const SNAPSHOT_EVERY: u64 = 2_000;

type Query = Box<dyn FnOnce(&Shell) -> Reply + Send>;

/// What the actor is told.
pub enum Message {
    /// An input from the pool, a timer or the supervisor.
    Input(Input),
    /// A part of an agent's batch.
    AgentEvents(v1::AgentEvents, BatchAck),
    /// An agent came back with what it runs; answered with what it may keep.
    AgentReturned(String, Vec<v1::AttemptId>, oneshot::Sender<Vec<Held>>),
    /// An agent's lease ended.
    AgentLost(String, String),
    /// Why requests wait.
    Waiting(Option<String>),
    /// A command of a person.
    Control(Control, oneshot::Sender<Result<v1::Experiment, Refused>>),
    /// A question.
    Query(Query),
    /// The group on its way has reached the store, or has not.
    Committed(Result<(), toprung_store::Error>),
    /// Write a snapshot and end; the experiment goes on at the next start.
    Close(oneshot::Sender<()>),
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
        let Allocation { attempt, agent, slots } = allocation;
        let input = v1::AttemptAllocated { trial: attempt.trial, attempt: attempt.attempt, agent, slots };
        cast(&self.actor, Message::Input(Input::Allocated(input)));
    }

    /// The pool could hold so many trials.
    pub fn capacity(&self, trials: u32) {
        cast(&self.actor, Message::Input(Input::Capacity(v1::CapacityChanged { trials })));
    }

    /// Why requests wait.
    pub fn waiting(&self, why: Option<String>) {
        cast(&self.actor, Message::Waiting(why));
    }

    /// A part of an agent's batch. Answers `false` if the actor is gone.
    pub fn agent_events(&self, events: v1::AgentEvents, ack: BatchAck) {
        cast(&self.actor, Message::AgentEvents(events, ack));
    }

    /// An agent came back.
    pub fn agent_returned(&self, agent: String, running: Vec<v1::AttemptId>) -> oneshot::Receiver<Vec<Held>> {
        let (reply, receiver) = oneshot::channel();
        cast(&self.actor, Message::AgentReturned(agent, running, reply));
        receiver
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

    /// Whether this handle reaches the actor with this id.
    pub fn is(&self, actor: ractor::ActorId) -> bool {
        self.actor.get_id() == actor
    }
}

struct ExperimentActor;

/// The actor's state: the machine and what surrounds it.
pub struct Shell {
    /// The experiment.
    pub machine: Machine,
    /// Numbered lines for those who watch; the newest last.
    pub lines: VecDeque<(u64, String)>,
    /// Steps of attempts that are being prepared, by trial.
    pub preparing: BTreeMap<u32, String>,
    /// Why requests wait.
    pub waiting: Option<String>,
    me: ActorRef<Message>,
    neighbours: Neighbours,
    version: watch::Sender<u64>,
    line: u64,
    gathering: Group,
    on_its_way: Option<Group>,
    snapshot_at: u64,
    closing: Option<oneshot::Sender<()>>,
}

impl Actor for ExperimentActor {
    type Msg = Message;
    type State = Shell;
    type Arguments = (Begin, Neighbours, watch::Sender<u64>, watch::Receiver<u64>);

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        (begin, neighbours, version, receiver): Self::Arguments,
    ) -> Result<Shell, ActorProcessingErr> {
        let (machine, created) = match begin {
            Begin::New { created, durable } => {
                (load::new_machine(&created, now_ms())?, Some((created, durable)))
            }
            Begin::Load(id) => {
                let store = neighbours.store.clone();
                (tokio::task::spawn_blocking(move || load::machine(&store, id)).await??, None)
            }
        };
        let handle = ExperimentHandle { actor: me.clone(), version: receiver };
        let mut shell = Shell::new(machine, me, neighbours, version);
        if let Some((created, durable)) = created {
            shell.begin(*created, durable);
        }
        shell.join_pool(handle);
        Ok(shell)
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        shell: &mut Shell,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Input(input) => shell.input(input),
            Message::AgentEvents(events, ack) => shell.agent_events(events, ack),
            Message::AgentReturned(agent, running, reply) => shell.agent_returned(&agent, &running, reply),
            Message::AgentLost(agent, reason) => shell.agent_lost(&agent, &reason),
            Message::Waiting(why) => shell.waiting = why,
            Message::Control(control, reply) => shell.control(control, reply),
            Message::Query(query) => {
                let reply = query(shell);
                shell.when_durable(reply);
            }
            Message::Committed(result) => {
                result?;
                shell.committed();
            }
            Message::Close(reply) => shell.closing = Some(reply),
        }
        shell.pump()?;
        if shell.is_finished() {
            shell.close().await;
            me.stop(None);
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message>,
        _: SupervisionEvent,
        _: &mut Shell,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl Shell {
    fn new(
        machine: Machine,
        me: ActorRef<Message>,
        neighbours: Neighbours,
        version: watch::Sender<u64>,
    ) -> Self {
        let snapshot_at = machine.fold.sequence + SNAPSHOT_EVERY.max(machine.fold.trials.len() as u64);
        Self {
            machine,
            lines: VecDeque::new(),
            preparing: BTreeMap::new(),
            waiting: None,
            me,
            neighbours,
            version,
            line: 0,
            gathering: Group::default(),
            on_its_way: None,
            snapshot_at,
            closing: None,
        }
    }

    fn begin(&mut self, created: v1::ExperimentCreated, durable: oneshot::Sender<v1::Experiment>) {
        if !created.request_id.is_empty() {
            let key = toprung_store::Key::Request(created.request_id.clone());
            self.gathering.batch.puts.push((key, created.id.to_be_bytes().to_vec()));
        }
        self.input(Input::Created(created));
        let experiment = view::experiment(&self.machine, now_ms());
        self.when_durable(Box::new(move || drop(durable.send(experiment))));
        // The pump runs with the first message, which the pool's capacity is.
    }

    fn join_pool(&mut self, handle: ExperimentHandle) {
        let resources = &self.machine.spec.config.resources;
        let limits = Limits {
            priority: resources.priority,
            weight: resources.weight,
            slots_per_trial: resources.slots_per_trial,
            max_slots: resources.max_slots,
        };
        self.neighbours.pool.add_experiment(self.machine.spec.id, limits, handle);
        for effect in self.machine.reconcile() {
            self.perform(effect);
        }
    }

    fn input(&mut self, input: Input) {
        let refused = match &input {
            Input::Allocated(allocated) => Some(self.attempt_id(allocated.trial, allocated.attempt)),
            _ => None,
        };
        match self.machine.step(input, now_ms()) {
            Some(mut step) => {
                for line in step.lines.drain(..) {
                    self.line += 1;
                    self.lines.push_back((self.line, line));
                }
                while self.lines.len() > LINES {
                    self.lines.pop_front();
                }
                self.gathering.add(self.machine.spec.id, step);
            }
            // Slots that are not wanted any more go back at once.
            None => {
                if let Some(attempt) = refused {
                    self.neighbours.pool.release(attempt);
                }
            }
        }
    }

    fn agent_events(&mut self, mut events: v1::AgentEvents, ack: BatchAck) {
        let preparing = &mut self.preparing;
        events.events.retain(|event| {
            let trial = event.attempt.as_ref().map_or(0, |attempt| attempt.trial);
            match &event.kind {
                Some(attempt_event::Kind::Preparing(step)) => {
                    preparing.insert(trial, step.step.clone());
                    false
                }
                Some(attempt_event::Kind::Started(_) | attempt_event::Kind::Exit(_)) => {
                    preparing.remove(&trial);
                    true
                }
                _ => true,
            }
        });
        if events.events.is_empty() {
            self.version.send_modify(|version| *version += 1);
        } else {
            self.input(Input::AgentEvents(events));
        }
        self.when_durable(Box::new(move || ack.done()));
    }

    fn agent_returned(&mut self, agent: &str, running: &[v1::AttemptId], reply: oneshot::Sender<Vec<Held>>) {
        let mut kept = Vec::new();
        for held in self.machine.held() {
            if held.agent != agent {
                continue;
            }
            if running.iter().any(|id| id.trial == held.trial && id.attempt == held.attempt) {
                kept.push(held);
            } else {
                let reason = format!("agent {agent} came back without it");
                self.input(Input::Lost(v1::AttemptLost { trial: held.trial, attempt: held.attempt, reason }));
            }
        }
        let stops = self.machine.repeat_stops(agent);
        let sessions = self.neighbours.sessions.clone();
        let agent = agent.to_owned();
        self.when_durable(Box::new(move || {
            // An agent that has gone again asks again.
            let _gone = reply.send(kept);
            for stop in stops {
                sessions.tell(&agent, v1::engine_message::Kind::Stop(stop));
            }
        }));
    }

    fn agent_lost(&mut self, agent: &str, reason: &str) {
        for held in self.machine.held() {
            if held.agent == agent {
                let lost =
                    v1::AttemptLost { trial: held.trial, attempt: held.attempt, reason: reason.to_owned() };
                self.input(Input::Lost(lost));
            }
        }
    }

    fn control(&mut self, control: Control, reply: oneshot::Sender<Result<v1::Experiment, Refused>>) {
        let before = self.machine.fold.state;
        let (input, what, already) = match control {
            Control::Pause => {
                let already = matches!(before, ExperimentState::Pausing | ExperimentState::Paused);
                (Input::Pause(v1::PauseRequested {}), "paused", already)
            }
            Control::Resume => {
                (Input::Resume(v1::ResumeRequested {}), "resumed", before == ExperimentState::Active)
            }
            Control::Kill => {
                let already = matches!(before, ExperimentState::Killing | ExperimentState::Killed);
                (Input::Kill(v1::KillRequested { reason: "killed".into() }), "killed", already)
            }
        };
        let refused = before.is_end() || (before == ExperimentState::Killing && control != Control::Kill);
        let answer = if refused && !already {
            Err(Refused { id: self.machine.spec.id, state: view::state_word(before), what })
        } else {
            self.input(input);
            Ok(view::experiment(&self.machine, now_ms()))
        };
        // A caller that has given up waits for nothing.
        self.when_durable(Box::new(move || drop(reply.send(answer))));
    }

    fn when_durable(&mut self, reply: Reply) {
        if !self.gathering.is_clean() {
            self.gathering.replies.push(reply);
        } else if let Some(group) = &mut self.on_its_way {
            group.replies.push(reply);
        } else {
            reply();
        }
    }

    /// Sends what has gathered, if nothing is on its way.
    fn pump(&mut self) -> Result<(), toprung_store::Error> {
        if self.on_its_way.is_some() || self.gathering.is_clean() {
            return Ok(());
        }
        let mut group = std::mem::take(&mut self.gathering);
        let sequence = self.machine.fold.sequence;
        let due = sequence >= self.snapshot_at || self.machine.fold.state == ExperimentState::Paused;
        if due && !self.machine.fold.state.is_end() {
            self.snapshot_at = sequence + SNAPSHOT_EVERY.max(self.machine.fold.trials.len() as u64);
            match snapshot::encode(&self.machine) {
                Ok(bytes) => group.snapshot = Some((sequence, bytes)),
                Err(error) => tracing::warn!(%error, "no snapshot written; the journal is complete"),
            }
        }
        let batch = std::mem::take(&mut group.batch);
        self.on_its_way = Some(group);
        let me = self.me.clone();
        self.neighbours.store.submit(batch, move |result| cast(&me, Message::Committed(result)))
    }

    fn committed(&mut self) {
        let Some(group) = self.on_its_way.take() else { return };
        for effect in group.effects {
            self.perform(effect);
        }
        for reply in group.replies {
            reply();
        }
        if let Some((sequence, bytes)) = group.snapshot {
            self.save_snapshot(sequence, bytes);
        }
        self.version.send_modify(|version| *version += 1);
    }

    fn save_snapshot(&self, sequence: u64, bytes: Vec<u8>) {
        let (store, id) = (self.neighbours.store.clone(), self.machine.spec.id);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.write_snapshot(id, sequence, snapshot::VERSION, bytes) {
                tracing::warn!(%error, experiment = id, "no snapshot written; the journal is complete");
            }
        });
    }

    fn perform(&mut self, effect: Effect) {
        let id = self.machine.spec.id;
        match effect {
            Effect::Request { trial, attempt } => {
                self.neighbours.pool.request(self.attempt_id(trial, attempt))
            }
            Effect::Withdraw { trial } => self.neighbours.pool.withdraw(id, trial),
            Effect::Release { trial, attempt } => {
                self.neighbours.pool.release(self.attempt_id(trial, attempt))
            }
            Effect::Start { agent, start } => {
                self.neighbours.sessions.tell(&agent, v1::engine_message::Kind::Start(*start));
            }
            Effect::Stop { agent, stop } => {
                self.neighbours.sessions.tell(&agent, v1::engine_message::Kind::Stop(stop));
            }
            Effect::Decide { agent, decision } => {
                self.neighbours.sessions.tell(&agent, v1::engine_message::Kind::Decision(decision));
            }
            Effect::RetryAfter { trial, attempt, delay_ms } => {
                let me = self.me.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
                    cast(&me, Message::Input(Input::Retry(v1::RetryDue { trial, attempt })));
                });
            }
            Effect::Ended => self.neighbours.pool.remove_experiment(id),
        }
    }

    fn attempt_id(&self, trial: u32, attempt: u32) -> v1::AttemptId {
        v1::AttemptId { experiment: self.machine.spec.id, trial, attempt }
    }

    /// Whether the actor has nothing left to do: the experiment ended, or it was told to close.
    fn is_finished(&self) -> bool {
        let at_rest = self.on_its_way.is_none() && self.gathering.is_clean();
        at_rest && (self.closing.is_some() || self.machine.fold.state.is_end())
    }

    async fn close(&mut self) {
        let id = self.machine.spec.id;
        if self.machine.fold.state.is_end() {
            self.neighbours.experiments.ended(id);
        } else if let Ok(bytes) = snapshot::encode(&self.machine) {
            let (store, sequence) = (self.neighbours.store.clone(), self.machine.fold.sequence);
            let write = move || store.write_snapshot(id, sequence, snapshot::VERSION, bytes);
            match tokio::task::spawn_blocking(write).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, experiment = id, "no snapshot written at the end"),
                Err(error) => tracing::warn!(%error, experiment = id, "no snapshot written at the end"),
            }
        }
        if let Some(reply) = self.closing.take() {
            // A caller that has given up waits for nothing.
            let _gone = reply.send(());
        }
    }
}
