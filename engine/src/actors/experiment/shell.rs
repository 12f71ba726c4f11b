//! The actor: inputs to the machine, records to the store, then effects.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use toprung_proto::v1::{self, attempt_event, engine_message::Kind, journal_record::Input};

use super::asking::Askers;
use super::directing::Listening;
use super::{Begin, Control, ExperimentHandle, Message, Neighbours, Refused};
use crate::actors::session::BatchAck;
use crate::actors::{Reply, cast, now_ms};
use crate::collect::Terms;
use crate::cores::keeper::SNAPSHOT_EVERY;
use crate::cores::{Keeper, Returned, registry};
use crate::experiment::{Effect, Machine, State as ExperimentState, snapshot, view};
use crate::load;

/// Lines kept for those who watch.
const LINES: usize = 512;

/// The actor.
pub(super) struct ExperimentActor;

/// The actor's state: the machine and what surrounds it.
pub struct Shell {
    pub(super) keeper: Keeper<Reply>,
    /// Numbered lines for those who watch; the newest last.
    pub lines: VecDeque<(u64, String)>,
    /// Programs that run the trials, where they do.
    pub(super) askers: Askers,
    /// Who listens to what happens, where a program decides.
    pub listening: Arc<Listening>,
    /// Steps of attempts that are being prepared, by trial.
    pub preparing: BTreeMap<u32, String>,
    pub(super) me: ActorRef<Message>,
    neighbours: Neighbours,
    terms: Arc<Terms>,
    version: watch::Sender<u64>,
    line: u64,
    saving: Option<tokio::task::JoinHandle<()>>,
    closing: Option<oneshot::Sender<()>>,
    /// The supervisor was told of the end. Until it has taken that in, parts of batches may come, and each is answered:
    /// one that were lost here would stay unacknowledged until its agent connects again.
    told_end: bool,
    dismissed: bool,
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
            Message::Control(control, reply) => shell.control(control, reply),
            Message::Ask(lane, wait, reply) => shell.ask(lane, wait, reply),
            Message::Tell(told, reply) => shell.told(*told, reply),
            Message::Lapse => shell.lapse(),
            Message::Decide(request, reply) => shell.decide(&request, reply),
            Message::Query(query) => {
                let reply = query(shell);
                shell.when_durable(reply);
            }
            Message::Committed(result) => {
                result?;
                shell.committed();
            }
            Message::Close(reply) => shell.closing = Some(reply),
            Message::Dismiss => shell.dismissed = true,
        }
        shell.hand_out();
        shell.pump();
        if shell.is_finished() {
            shell.finish().await;
        }
        if shell.dismissed {
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
        Self {
            terms: Arc::new(Terms::new(&machine.spec)),
            askers: Askers::new(&machine),
            keeper: Keeper::new(machine, SNAPSHOT_EVERY),
            lines: VecDeque::new(),
            listening: Arc::default(),
            preparing: BTreeMap::new(),
            me,
            neighbours,
            version,
            line: 0,
            saving: None,
            closing: None,
            told_end: false,
            dismissed: false,
        }
    }

    /// The experiment.
    pub fn machine(&self) -> &Machine {
        &self.keeper.machine
    }

    fn begin(&mut self, created: v1::ExperimentCreated, durable: oneshot::Sender<v1::Experiment>) {
        let last =
            (toprung_store::Key::Meta(load::LAST_EXPERIMENT.into()), created.id.to_be_bytes().to_vec());
        self.keeper.put(last.0, last.1);
        if !created.request_id.is_empty() {
            let key = toprung_store::Key::Request(created.request_id.clone());
            self.keeper.put(key, created.id.to_be_bytes().to_vec());
        }
        self.input(Input::Created(created));
        let experiment = self.view();
        self.when_durable(Box::new(move || drop(durable.send(experiment))));
        // The pump runs with the first message, which the pool's capacity is.
    }

    fn join_pool(&mut self, handle: ExperimentHandle) {
        let (limits, held, effects) = self.keeper.joins();
        let id = self.machine().spec.id;
        if self.machine().spec.is_external() {
            // No agent runs its trials. The pump runs with this first message.
            cast(&self.me, Message::Lapse);
        } else {
            let held = held.into_iter().map(|held| registry::allocation(id, held)).collect();
            self.neighbours.pool.add_experiment(id, limits, held, handle);
        }
        effects.into_iter().for_each(|effect| self.perform(effect));
    }

    pub(super) fn input(&mut self, input: Input) {
        let taken = self.keeper.input(input, now_ms());
        self.show(taken.lines);
        if let Some(attempt) = taken.refused {
            self.neighbours.pool.release(attempt);
        }
    }

    fn show(&mut self, lines: Vec<String>) {
        for line in lines {
            self.line += 1;
            self.lines.push_back((self.line, line));
        }
        while self.lines.len() > LINES {
            self.lines.pop_front();
        }
    }

    fn agent_events(&mut self, mut events: v1::AgentEvents, ack: BatchAck) {
        if self.machine().fold.state.is_end() {
            self.neighbours.collector.late(self.machine().spec.id, &events, ack);
            return;
        }
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

    fn agent_returned(&mut self, agent: &str, running: &[v1::AttemptId], reply: oneshot::Sender<Returned>) {
        let (returned, lines) = self.keeper.agent_returned(agent, running, now_ms());
        self.show(lines);
        // An agent that has gone again asks again.
        self.when_durable(Box::new(move || drop(reply.send(returned))));
    }

    fn agent_lost(&mut self, agent: &str, reason: &str) {
        let lines = self.keeper.agent_lost(agent, reason, now_ms());
        self.show(lines);
    }

    fn control(&mut self, control: Control, reply: oneshot::Sender<Result<v1::Experiment, Refused>>) {
        let before = self.machine().fold.state;
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
            Err(Refused { id: self.machine().spec.id, state: view::state_word(before), what })
        } else {
            self.input(input);
            Ok(self.view())
        };
        // A caller that has given up waits for nothing.
        self.when_durable(Box::new(move || drop(reply.send(answer))));
    }

    pub(super) fn when_durable(&mut self, reply: Reply) {
        if let Some(reply) = self.keeper.when_durable(reply) {
            reply();
        }
    }

    /// Sends what has gathered, if nothing is on its way.
    fn pump(&mut self) {
        let Some(batch) = self.keeper.to_write() else { return };
        let (me, store) = (self.me.clone(), self.neighbours.store.clone());
        // Waits for room in the store's queue, behind those who came before: another experiment's flood must not fail
        // this one. One group is on its way at a time, so there is one such wait per experiment.
        tokio::spawn(async move { cast(&me, Message::Committed(store.append(batch).await)) });
    }

    fn committed(&mut self) {
        let Some(durable) = self.keeper.committed() else { return };
        for effect in durable.effects {
            self.perform(effect);
        }
        for reply in durable.replies {
            reply();
        }
        if let Some((sequence, bytes)) = durable.snapshot {
            self.save_snapshot(sequence, bytes);
        }
        self.version.send_modify(|version| *version += 1);
    }

    /// One at a time: a snapshot that is due while another is being written is left out.
    fn save_snapshot(&mut self, sequence: u64, bytes: Vec<u8>) {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return;
        }
        let (store, id) = (self.neighbours.store.clone(), self.machine().spec.id);
        self.saving = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = store.write_snapshot(id, sequence, snapshot::VERSION, bytes) {
                tracing::warn!(%error, experiment = id, "no snapshot written; the journal is complete");
            }
        }));
    }

    fn perform(&mut self, effect: Effect) {
        let id = self.machine().spec.id;
        match effect {
            Effect::Request { trial, attempt, wish } => {
                self.neighbours.pool.request(self.attempt_id(trial, attempt), wish)
            }
            Effect::Exclude { agent, reason } => self.neighbours.pool.exclude(id, agent, reason),
            Effect::Withdraw { trial } => self.neighbours.pool.withdraw(id, trial),
            Effect::Release { trial, attempt } => {
                self.neighbours.pool.release(self.attempt_id(trial, attempt))
            }
            Effect::Leaves { trial, attempt } => {
                self.neighbours.pool.leaves(self.attempt_id(trial, attempt));
            }
            Effect::Stays { trial, attempt } => {
                self.neighbours.pool.stays(self.attempt_id(trial, attempt));
            }
            Effect::Start { agent, start } => {
                self.neighbours.sessions.tell(&agent, Kind::Start(*start));
            }
            Effect::Stop { agent, stop } => {
                self.neighbours.sessions.tell(&agent, Kind::Stop(stop));
            }
            Effect::Decide { agent, decision } => {
                self.neighbours.sessions.tell(&agent, Kind::Decision(decision));
            }
            Effect::RetryAfter { trial, attempt, delay_ms } => {
                let me = self.me.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
                    cast(&me, Message::Input(Input::Retry(v1::RetryDue { trial, attempt })));
                });
            }
            Effect::Collect { trial } => {
                self.neighbours.collector.of_trial(&self.terms, || self.machine().collection_of(trial));
            }
            Effect::Discard { checkpoint } => {
                self.neighbours.collector.discarded(&self.terms, *checkpoint);
            }
            Effect::Weigh { bytes } => {
                self.neighbours.collector.weigh(&self.terms, bytes, self.handle());
            }
            Effect::Judge => self.neighbours.collector.judge(&self.terms, self.handle()),
            Effect::Ended => {
                self.neighbours.pool.experiment_ended(id);
                self.neighbours.collector.of_experiment(&self.terms);
            }
        }
    }

    fn handle(&self) -> ExperimentHandle {
        ExperimentHandle { actor: self.me.clone(), version: self.version.subscribe() }
    }

    fn attempt_id(&self, trial: u32, attempt: u32) -> v1::AttemptId {
        self.keeper.attempt_id(trial, attempt)
    }

    /// Whether the actor has nothing left to do: the experiment ended, or it was told to close.
    fn is_finished(&self) -> bool {
        self.keeper.is_at_rest() && (self.closing.is_some() || self.machine().fold.state.is_end())
    }

    /// Waits for the snapshot that is being written.
    async fn saved(&mut self) {
        if let Some(saving) = self.saving.take()
            && let Err(error) = saving.await
        {
            tracing::warn!(%error, experiment = self.machine().spec.id, "writing a snapshot failed");
        }
    }

    /// Says that the experiment has ended, or closes.
    async fn finish(&mut self) {
        let id = self.machine().spec.id;
        self.saved().await;
        if self.machine().fold.state.is_end() {
            if !std::mem::replace(&mut self.told_end, true) {
                self.neighbours.experiments.ended(id);
            }
        } else if let Ok(bytes) = snapshot::encode(self.machine()) {
            self.save_snapshot(self.machine().fold.sequence, bytes);
            self.saved().await;
        }
        if let Some(reply) = self.closing.take() {
            self.dismissed = true;
            // A caller that has given up waits for nothing.
            let _gone = reply.send(());
        }
    }
}
