//! The engine's other actors around their cores: pool, sessions, session, experiments. What they hold beside is their
//! mailboxes and the connections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use toprung_agent::parts::AttemptKey;
use toprung_engine::cores::registry::allocation;
use toprung_engine::cores::routes::Failed;
use toprung_engine::cores::{Batches, Notice, Places, Registry, Returned, Route, Routes};
use toprung_engine::experiment::{Machine, Spec};
use toprung_engine::scheduler::{Allocation, Limits, Wish};
use toprung_proto::v1::{self, agent_message, engine_message::Kind, journal_record::Input};

use crate::bug::Bug;
use crate::experiments::{Experiment, Message, Out, Reply};
use crate::outer::{Outer, Timer};

/// An agent that is silent for longer is lost.
pub const LEASE: Duration = Duration::from_mins(1);
/// Longest wait of one actor for another, in milliseconds.
const CALL_DEADLINE: u64 = 10_000;
/// Batches that an agent may send before the first is acknowledged.
const IN_FLIGHT: u32 = 8;

/// What the pool is told.
#[derive(Debug)]
pub enum PoolMessage {
    /// An experiment joins.
    Add(u64, Limits, Vec<Allocation>),
    /// An experiment has failed.
    Remove(u64),
    /// An experiment has ended.
    Ended(u64),
    /// An attempt wants slots.
    Request(v1::AttemptId, Wish),
    /// An experiment does without an agent.
    Exclude(u64, String, String),
    /// A trial wants none any more.
    Withdraw(u64, u32),
    /// An attempt gives its slots back.
    Release(v1::AttemptId),
    /// An agent is there.
    Joined(String, Vec<v1::Slot>, Vec<Allocation>),
    /// An agent is away; the sessions wait for the answer.
    Away(String),
    /// An agent is lost; the sessions wait for the answer.
    Lost(String),
}

/// What the sessions are told.
#[derive(Debug)]
pub enum SessionsMessage {
    /// An agent has connected.
    Register(v1::Register, u64),
    /// It is known what it may keep, or why not.
    Reconciled(u64, Option<Vec<(u64, Returned)>>),
    /// Something came.
    Heard(String, u64),
    /// A stream has ended.
    StreamEnded(String, u64),
    /// An agent holds attempts and has not come.
    Expect(String),
    /// To an agent.
    Tell(String, Kind),
    /// All sessions are to end.
    EndAll,
    /// Time passes.
    Tick,
}

/// What a session is told.
#[derive(Debug)]
pub enum SessionMessage {
    /// From the agent.
    Batch(v1::Batch),
    /// A part is durable.
    PartDone(u64),
    /// To the agent.
    Tell(Kind),
    /// It is over.
    End(bool),
}

/// What the supervisor of the experiments is told.
#[derive(Debug)]
pub enum ExperimentsMessage {
    /// A part of a batch: experiment, serial, events, session.
    Route(u64, u64, v1::AgentEvents, u64),
    /// An agent came back: with its serial, its attempts, and the task that waits.
    Returned(String, u64, Vec<v1::AttemptId>, u64),
    /// An agent is lost.
    Lost(String),
    /// An experiment's actor has failed.
    Failed(u64),
    /// An experiment is to be started again.
    Restart(u64),
    /// An experiment is over.
    Ended(u64),
}

/// What the sessions do when the pool has answered.
enum Wait {
    Register(v1::Register, u64, u64),
    Away,
    Lost(String, Vec<String>),
}

struct Session {
    batches: Batches<()>,
    mailbox: VecDeque<SessionMessage>,
    agent: String,
    instance: String,
    serial: u64,
    connection: u64,
}

/// A registration whose answers are gathered.
struct Task {
    register: v1::Register,
    serial: u64,
    connection: u64,
    missing: BTreeSet<u64>,
    answers: Vec<(u64, Returned)>,
}

/// One mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The pool's.
    Pool,
    /// The sessions'.
    Sessions,
    /// The experiments' supervisor's.
    Experiments,
    /// A session's.
    Session(u64),
    /// An experiment's.
    Experiment(u64),
}

/// One start of the engine.
pub struct Engine {
    /// Counts starts.
    pub start: u64,
    specs: Vec<Spec>,
    places: Places,
    registry: Registry<u64>,
    routes: Routes,
    pool: VecDeque<PoolMessage>,
    sessions: VecDeque<SessionsMessage>,
    supervisor: VecDeque<ExperimentsMessage>,
    wait: Option<Wait>,
    session: BTreeMap<u64, Session>,
    /// The experiments' actors.
    pub experiments: BTreeMap<u64, Experiment>,
    tasks: BTreeMap<u64, Task>,
    /// Connections that are read: to their session.
    readers: BTreeMap<u64, u64>,
    /// Starts from before a registration, for the planted fault.
    starts: Vec<(String, Kind)>,
    numbers: u64,
}

impl Engine {
    /// Loads what the disk has.
    pub fn start(start: u64, specs: Vec<Spec>, outer: &mut Outer) -> Self {
        let mut engine = Self {
            start,
            specs,
            places: Places::default(),
            registry: Registry::new(LEASE),
            routes: Routes::default(),
            pool: VecDeque::new(),
            sessions: VecDeque::new(),
            supervisor: VecDeque::new(),
            wait: None,
            session: BTreeMap::new(),
            experiments: BTreeMap::new(),
            tasks: BTreeMap::new(),
            readers: BTreeMap::new(),
            starts: Vec::new(),
            numbers: 0,
        };
        for experiment in engine.specs.iter().map(|spec| spec.id).collect::<Vec<_>>() {
            engine.load(experiment, outer);
        }
        outer.after(1_000, Timer::Tick(start));
        engine
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn load(&mut self, id: u64, outer: &mut Outer) {
        let Some(spec) = self.specs.iter().find(|spec| spec.id == id).cloned() else { return };
        let loaded = outer.load(&spec);
        if loaded.as_ref().is_some_and(|machine| machine.fold.state.is_end()) {
            // Its actor finds that there is nothing to do, and says so.
            outer.ledger.ended(id);
            self.routes.ended(id);
            return;
        }
        let created = loaded.is_none();
        let machine = loaded.unwrap_or_else(|| Machine::new(spec).expect("the searcher is checked"));
        for held in machine.held() {
            self.sessions.push_back(SessionsMessage::Expect(held.agent));
        }
        let generation = self.number();
        let (experiment, out) = Experiment::new(machine, generation, self.start, created, outer);
        self.experiments.insert(id, experiment);
        if created || outer.bug == Bug::RestartsQuietly {
            self.routes.created(id);
        } else {
            self.routes.loaded(id);
        }
        self.follow(id, out, outer);
    }

    /// Mailboxes that hold something, and whose actor waits for nobody.
    pub fn ready(&self) -> Vec<Actor> {
        let mut ready = Vec::new();
        let mut add = |full: bool, actor| {
            if full {
                ready.push(actor);
            }
        };
        add(!self.pool.is_empty(), Actor::Pool);
        add(!self.sessions.is_empty() && self.wait.is_none(), Actor::Sessions);
        add(!self.supervisor.is_empty(), Actor::Experiments);
        for (id, session) in &self.session {
            add(!session.mailbox.is_empty(), Actor::Session(*id));
        }
        for (id, experiment) in &self.experiments {
            add(!experiment.mailbox.is_empty(), Actor::Experiment(*id));
        }
        ready
    }

    /// One actor handles one message.
    pub fn handle(&mut self, actor: Actor, outer: &mut Outer) {
        match actor {
            Actor::Pool => {
                if let Some(message) = self.pool.pop_front() {
                    self.on_pool(message, outer);
                    self.notices(outer);
                }
            }
            Actor::Sessions => {
                if let Some(message) = self.sessions.pop_front() {
                    self.on_sessions(message, outer);
                }
            }
            Actor::Experiments => {
                if let Some(message) = self.supervisor.pop_front() {
                    self.on_experiments(message, outer);
                }
            }
            Actor::Session(id) => self.on_session(id, outer),
            Actor::Experiment(id) => {
                let Some(experiment) = self.experiments.get_mut(&id) else { return };
                let Some(message) = experiment.mailbox.pop_front() else { return };
                let out = experiment.handle(message, outer);
                self.follow(id, out, outer);
            }
        }
    }

    fn follow(&mut self, id: u64, out: Out, outer: &mut Outer) {
        self.pool.extend(out.pool);
        self.sessions.extend(out.sessions);
        for reply in out.replies {
            match reply {
                Reply::Ack(session, sequence) => {
                    self.tell_session(session, SessionMessage::PartDone(sequence))
                }
                Reply::Returned(task, returned) => self.answered(task, id, returned),
            }
        }
        if out.failed {
            // Its mailbox goes with it.
            self.experiments.remove(&id);
            self.unanswered_by(id);
            self.supervisor.push_back(ExperimentsMessage::Failed(id));
        } else if out.ended {
            outer.ledger.ended(id);
            self.experiments.remove(&id);
            self.unanswered_by(id);
            self.supervisor.push_back(ExperimentsMessage::Ended(id));
        }
    }

    fn on_pool(&mut self, message: PoolMessage, outer: &mut Outer) {
        match message {
            PoolMessage::Add(id, limits, held) => self.places.add_experiment(id, limits, held),
            PoolMessage::Remove(id) => self.places.remove_experiment(id),
            PoolMessage::Ended(id) if outer.bug == Bug::KeepsGifts => self.places.remove_experiment(id),
            PoolMessage::Ended(id) => self.places.experiment_ended(id),
            PoolMessage::Request(attempt, wish) => self.places.request(attempt, wish),
            PoolMessage::Exclude(id, agent, reason) => {
                outer.log(|| format!("pool: experiment {id} does without {agent}: {reason}"));
                outer.ledger.excluded(id, &agent);
                self.places.exclude(id, agent, reason);
            }
            PoolMessage::Withdraw(experiment, trial) => self.places.withdraw(experiment, trial),
            PoolMessage::Release(attempt) => self.places.release(&attempt),
            PoolMessage::Joined(name, slots, running) => self.places.agent_joined(&name, slots, running),
            PoolMessage::Away(name) => {
                self.places.agent_away(&name);
                self.notices(outer);
                self.pool_answers(outer);
            }
            PoolMessage::Lost(name) => {
                self.places.agent_lost(&name);
                self.notices(outer);
                self.pool_answers(outer);
            }
        }
    }

    fn notices(&mut self, outer: &mut Outer) {
        for notice in self.places.notices() {
            let (id, input) = match notice {
                Notice::Capacity { experiment, trials, agents } => {
                    (experiment, Input::Capacity(v1::CapacityChanged { trials, agents }))
                }
                Notice::Allocated(Allocation { attempt, agent, slots }) => {
                    outer.log(|| format!("pool: {attempt:?} gets {slots:?} of {agent}"));
                    self.check_exclusion(&attempt, &agent, outer);
                    let (trial, number) = (attempt.trial, attempt.attempt);
                    let allocated = v1::AttemptAllocated { trial, attempt: number, agent, slots };
                    (attempt.experiment, Input::Allocated(allocated))
                }
            };
            // To an actor that has failed: lost, as in the engine.
            if let Some(experiment) = self.experiments.get_mut(&id) {
                experiment.mailbox.push_back(Message::Input(input));
            }
        }
        self.check_limits(outer);
    }

    /// An excluded agent is given only while no other will do.
    fn check_exclusion(&self, attempt: &v1::AttemptId, agent: &str, outer: &mut Outer) {
        let id = attempt.experiment;
        if !outer.ledger.is_excluded(id, agent) {
            return;
        }
        let Some(experiment) = self.experiments.get(&id) else { return };
        let machine = &experiment.keeper.machine;
        let trouble = machine.trial(attempt.trial).and_then(|trial| trial.trouble.as_deref());
        let slots = machine.spec.config.resources.slots_per_trial;
        let other = self.places.scheduler().agents().iter().find(|(name, there)| {
            let left = trouble.is_some_and(|trouble| trouble.has_left(name));
            !outer.ledger.is_excluded(id, name) && there.could_fit(slots) && !left
        });
        if let Some((other, _)) = other {
            let what =
                format!("{attempt:?} is placed on {agent}, which is excluded, although {other} is there");
            outer.ledger.fail("INV-9", what);
        }
    }

    fn check_limits(&self, outer: &mut Outer) {
        for spec in &self.specs {
            let Some(most) = spec.config.resources.max_slots else { continue };
            let own = |slot: &v1::AttemptId| slot.experiment == spec.id;
            let held = self.places.scheduler().agents().values().map(|agent| {
                let holders = agent.slots.iter().filter_map(|slot| agent.holder(slot.index));
                holders.filter(own).count() as u32
            });
            let held = held.sum::<u32>();
            if held > most {
                outer.ledger.fail("INV-5", format!("experiment {} holds {held} of {most} slots", spec.id));
            }
        }
    }

    fn pool_answers(&mut self, outer: &mut Outer) {
        match self.wait.take() {
            Some(Wait::Register(register, serial, connection)) => {
                self.ask(register, serial, connection, outer)
            }
            Some(Wait::Lost(name, rest)) => {
                self.supervisor.push_back(ExperimentsMessage::Lost(name));
                self.lose(rest);
            }
            Some(Wait::Away) | None => {}
        }
    }

    fn on_sessions(&mut self, message: SessionsMessage, outer: &mut Outer) {
        let now = outer.instant();
        match message {
            SessionsMessage::Register(register, connection) => {
                if self.registry.is_taken(&register) {
                    outer.down(connection, None);
                    return;
                }
                let (serial, former) = self.registry.register(&register, now, outer.calendar_ms());
                if let Some(session) = former {
                    self.tell_session(session, SessionMessage::End(false));
                }
                if outer.bug == Bug::RegistersWithoutPool {
                    self.ask(register, serial, connection, outer);
                    return;
                }
                self.pool.push_back(PoolMessage::Away(register.agent.clone()));
                self.wait = Some(Wait::Register(register, serial, connection));
            }
            SessionsMessage::Reconciled(task, returned) => self.reconciled(task, returned, outer),
            SessionsMessage::Heard(agent, serial) => self.registry.heard(&agent, serial, now),
            SessionsMessage::StreamEnded(agent, serial) => {
                if let Some(session) = self.registry.stream_ended(&agent, serial, now) {
                    self.tell_session(session, SessionMessage::End(true));
                    self.pool.push_back(PoolMessage::Away(agent));
                    self.wait = Some(Wait::Away);
                }
            }
            SessionsMessage::Expect(agent) => self.registry.expect(agent, now),
            SessionsMessage::Tell(agent, kind) => self.tell(&agent, kind, outer),
            SessionsMessage::EndAll => {
                for session in self.registry.sessions() {
                    self.tell_session(session, SessionMessage::End(true));
                }
            }
            SessionsMessage::Tick => {
                outer.after(1_000, Timer::Tick(self.start));
                let mut names = Vec::new();
                for (name, session) in self.registry.lost(now) {
                    outer.log(|| format!("engine: agent {name} is lost"));
                    session
                        .into_iter()
                        .for_each(|session| self.tell_session(session, SessionMessage::End(true)));
                    names.push(name);
                }
                self.lose(names);
            }
        }
    }

    fn lose(&mut self, mut names: Vec<String>) {
        if let Some(name) = names.pop() {
            self.pool.push_back(PoolMessage::Lost(name.clone()));
            self.wait = Some(Wait::Lost(name, names));
        }
    }

    fn tell(&mut self, agent: &str, kind: Kind, outer: &mut Outer) {
        if let Kind::Start(start) = &kind
            && let Some(key) = AttemptKey::from_wire(start.attempt.as_ref())
        {
            outer.ledger.started(key);
        }
        let start = matches!(kind, Kind::Start(_)).then(|| kind.clone());
        if let Some((session, kind)) = self.registry.tell(agent, kind) {
            self.tell_session(session, SessionMessage::Tell(kind));
        } else if let Some(start) = start.filter(|_| outer.bug == Bug::KeepsStarts) {
            self.starts.push((agent.to_owned(), start));
        }
    }

    fn ask(&mut self, register: v1::Register, serial: u64, connection: u64, outer: &mut Outer) {
        let task = self.number();
        let (agent, running) = (register.agent.clone(), register.running.clone());
        let (missing, answers) = (BTreeSet::new(), Vec::new());
        self.tasks.insert(task, Task { register, serial, connection, missing, answers });
        self.supervisor.push_back(ExperimentsMessage::Returned(agent, serial, running, task));
        outer.after(CALL_DEADLINE, Timer::Unanswered(self.start, task));
    }

    /// An answer to a registration has come.
    fn answered(&mut self, task: u64, experiment: u64, returned: Returned) {
        let Some(found) = self.tasks.get_mut(&task) else { return };
        if found.missing.remove(&experiment) {
            found.answers.push((experiment, returned));
        }
        if found.missing.is_empty() {
            let answers = std::mem::take(&mut found.answers);
            self.sessions.push_back(SessionsMessage::Reconciled(task, Some(answers)));
        }
    }

    /// An experiment's actor is gone, and what it was asked with it.
    fn unanswered_by(&mut self, experiment: u64) {
        let gone = self.tasks.iter().filter(|(_, task)| task.missing.contains(&experiment));
        for task in gone.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.unanswered(task);
        }
    }

    /// A registration's answers do not come.
    pub fn unanswered(&mut self, task: u64) {
        if let Some(found) = self.tasks.get_mut(&task).filter(|found| !found.missing.is_empty()) {
            found.missing.clear();
            self.sessions.push_back(SessionsMessage::Reconciled(task, None));
        }
    }

    fn reconciled(&mut self, task: u64, returned: Option<Vec<(u64, Returned)>>, outer: &mut Outer) {
        let Some(Task { register, serial, connection, .. }) = self.tasks.remove(&task) else { return };
        let agent = register.agent.clone();
        let opened = returned.and_then(|returned| {
            let id = self.number();
            let meanwhile = self.registry.registered(&agent, serial, id, outer.instant())?;
            Some((id, returned, meanwhile))
        });
        let Some((id, returned, mut meanwhile)) = opened else {
            self.registry.refused(&agent, serial);
            outer.down(connection, None);
            return;
        };
        if outer.bug == Bug::KeepsStarts {
            let (own, others) =
                std::mem::take(&mut self.starts).into_iter().partition(|(to, _)| *to == agent);
            self.starts = others;
            meanwhile.extend(Vec::into_iter(own).map(|(_, kind)| kind));
        }
        let (mut running, mut orders): (Vec<Allocation>, Vec<Kind>) = (Vec::new(), Vec::new());
        for (experiment, returned) in returned {
            running.extend(returned.kept.into_iter().map(|held| allocation(experiment, held)));
            orders.extend(returned.orders);
        }
        let instance = register.instance.clone();
        outer.log(|| format!("engine: {instance} is registered ({serial}) with {} attempts", running.len()));
        let batches = Batches::new(agent.clone(), instance.clone());
        let mailbox = VecDeque::new();
        let agent_name = agent.clone();
        let session = Session { batches, mailbox, agent: agent_name, instance, serial, connection };
        self.session.insert(id, session);
        self.readers.insert(connection, id);
        let answer = self.registry.answer(&running, IN_FLIGHT);
        for kind in std::iter::once(answer).chain(orders).chain(meanwhile) {
            self.tell_session(id, SessionMessage::Tell(kind));
        }
        self.pool.push_back(PoolMessage::Joined(agent, register.slots, running));
    }

    fn tell_session(&mut self, session: u64, message: SessionMessage) {
        if let Some(session) = self.session.get_mut(&session) {
            session.mailbox.push_back(message);
        }
    }

    fn on_session(&mut self, id: u64, outer: &mut Outer) {
        let Some(session) = self.session.get_mut(&id) else { return };
        let Some(message) = session.mailbox.pop_front() else { return };
        let send = |kind| Some(v1::EngineMessage { kind: Some(kind) });
        match message {
            SessionMessage::Batch(batch) => {
                for (experiment, events) in session.batches.take(batch, ()) {
                    let route = ExperimentsMessage::Route(experiment, session.serial, events, id);
                    self.supervisor.push_back(route);
                }
            }
            SessionMessage::PartDone(sequence) => session.batches.part_done(sequence),
            SessionMessage::Tell(kind) => outer.down(session.connection, send(kind)),
            SessionMessage::End(reconnect) => {
                let goodbye = v1::Goodbye { reason: "over".into(), reconnect };
                outer.down(session.connection, send(Kind::Goodbye(goodbye)));
                self.end_session(id, outer);
                return;
            }
        }
        while let Some(sequence) = session.batches.acknowledge() {
            outer.ledger.acknowledged(&session.instance, sequence);
            outer.down(session.connection, send(Kind::Ack(v1::Ack { sequence })));
        }
    }

    /// The session's actor stops: its reader ends, and the stream with it.
    fn end_session(&mut self, id: u64, outer: &mut Outer) {
        let Some(session) = self.session.remove(&id) else { return };
        outer.down(session.connection, None);
        if self.readers.remove(&session.connection).is_some() {
            self.sessions.push_back(SessionsMessage::StreamEnded(session.agent, session.serial));
        }
    }

    fn on_experiments(&mut self, message: ExperimentsMessage, outer: &mut Outer) {
        match message {
            ExperimentsMessage::Route(id, serial, events, session) => {
                let mut route = self.routes.route(id, &events.agent, serial);
                if outer.bug == Bug::RoutesAnySession && self.routes.is_active(id) {
                    route = Route::There;
                }
                match (route, self.experiments.get_mut(&id)) {
                    (Route::There, Some(experiment)) => {
                        experiment.mailbox.push_back(Message::AgentEvents(events, session));
                    }
                    (Route::Over, _) => self.tell_session(session, SessionMessage::PartDone(events.sequence)),
                    _ => {}
                }
            }
            ExperimentsMessage::Returned(agent, serial, running, task) => {
                self.agent_returned(&agent, serial, &running, task);
            }
            ExperimentsMessage::Lost(agent) => {
                for experiment in self.experiments.values_mut() {
                    experiment.mailbox.push_back(Message::Lost(agent.clone()));
                }
            }
            ExperimentsMessage::Failed(id) => {
                self.pool.push_back(PoolMessage::Remove(id));
                if let Failed::Again { seconds } = self.routes.failed(id, true) {
                    outer.log(|| format!("engine: experiment {id} failed, again after {seconds} s"));
                    outer.after(seconds * 1_000, Timer::Restart(self.start, id));
                }
            }
            ExperimentsMessage::Restart(id) => {
                self.load(id, outer);
                self.sessions.push_back(SessionsMessage::EndAll);
            }
            ExperimentsMessage::Ended(id) => self.routes.ended(id),
        }
    }

    fn agent_returned(&mut self, agent: &str, serial: u64, running: &[v1::AttemptId], task: u64) {
        let Some(found) = self.tasks.get_mut(&task) else { return };
        if self.routes.returned(agent, serial).is_err() {
            self.sessions.push_back(SessionsMessage::Reconciled(task, None));
            return;
        }
        found.missing = self.experiments.keys().copied().filter(|id| self.routes.is_active(*id)).collect();
        for (id, experiment) in &mut self.experiments {
            let own = running.iter().filter(|attempt| attempt.experiment == *id).copied().collect();
            experiment.mailbox.push_back(Message::Returned(agent.to_owned(), own, task));
        }
        if found.missing.is_empty() {
            self.sessions.push_back(SessionsMessage::Reconciled(task, Some(Vec::new())));
        }
    }

    /// Something arrived on a connection.
    pub fn arrived(&mut self, connection: u64, message: Option<v1::AgentMessage>) {
        let Some(message) = message else {
            if let Some(id) = self.readers.remove(&connection)
                && let Some(session) = self.session.get(&id)
            {
                let ended = SessionsMessage::StreamEnded(session.agent.clone(), session.serial);
                self.sessions.push_back(ended);
            }
            return;
        };
        if let Some(agent_message::Kind::Register(register)) = message.kind {
            self.sessions.push_back(SessionsMessage::Register(register, connection));
            return;
        }
        let Some(id) = self.readers.get(&connection) else { return };
        let Some(session) = self.session.get_mut(id) else { return };
        let heard = SessionsMessage::Heard(session.agent.clone(), session.serial);
        if let Some(agent_message::Kind::Batch(batch)) = message.kind {
            session.mailbox.push_back(SessionMessage::Batch(batch));
        }
        self.sessions.push_back(heard);
    }

    /// Time for a message that a timer brings.
    pub fn tick(&mut self) {
        self.sessions.push_back(SessionsMessage::Tick);
    }

    /// An experiment is to be started again.
    pub fn restart(&mut self, id: u64) {
        self.supervisor.push_back(ExperimentsMessage::Restart(id));
    }

    /// Whether this connection is read.
    pub fn reads(&self, connection: u64) -> bool {
        self.readers.contains_key(&connection)
    }

    /// Slots of connected agents: all, and free.
    pub fn slots(&self) -> (usize, usize) {
        self.places.scheduler().slots()
    }
}
