//! The engine's other actors around their cores: pool, sessions, session, experiments. What they hold beside is their
//! mailboxes and the connections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use toprung_engine::cores::routes::Failed;
use toprung_engine::cores::{Batches, Places, Registry, Returned, Roster, Route, Routes};
use toprung_engine::experiment::{Machine, Spec};
use toprung_proto::v1::{self, agent_message, engine_message::Kind};

mod drains;
mod pool;
mod registration;
mod sessions;

use crate::book::Book;
use crate::bug::Bug;
use crate::experiments::{Experiment, Message, Out, Reply};
use crate::messages::{Actor, ExperimentsMessage, PoolMessage, SessionMessage, SessionsMessage};
use crate::outer::{Outer, Timer};
use crate::program;

/// An agent that is silent for longer is lost.
pub const LEASE: Duration = Duration::from_mins(1);
/// Longest wait of one actor for another, in milliseconds.
const CALL_DEADLINE: u64 = 10_000;
/// Batches that an agent may send before the first is acknowledged.
const IN_FLIGHT: u32 = 8;

/// In the place of an experiment's number: what is on its way to the disk is the record of an agent.
pub const NO_EXPERIMENT: u64 = 0;

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
    /// Agents that were ever here.
    pub roster: Roster,
    /// Records of agents on their way to the disk.
    records: VecDeque<v1::AgentRecord>,
    book: Book,
}

impl Engine {
    /// Loads what the disk has.
    ///
    /// # Panics
    /// The store in memory cannot be read.
    pub fn start(start: u64, specs: Vec<Spec>, outer: &mut Outer) -> Self {
        let mut engine = Self {
            start,
            specs,
            places: Places::default(),
            registry: Registry::new(LEASE, "store".to_owned()),
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
            roster: Roster::load(&outer.store).expect("memory can be read"),
            records: VecDeque::new(),
            book: Book::default(),
        };
        if outer.bug != Bug::ForgetsDrains {
            let drained = engine.roster.drained().map(|(name, why)| (name.to_owned(), why.to_owned()));
            engine.pool.extend(drained.map(|(name, why)| PoolMessage::Drain(name, why)));
        }
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
                    self.book.hears(&message);
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
                Reply::Heard(_) | Reply::Decided(..) if program::is_lost(outer) => {}
                Reply::Heard(heard) => {
                    let program = outer.programs.get_mut(&id);
                    let found = program.map_or(Ok(()), |program| program.heard(*heard));
                    found.unwrap_or_else(|what| outer.ledger.fail("INV-15", what));
                }
                Reply::Decided(request, answer) => {
                    let program = outer.programs.get_mut(&id);
                    let found = program.map_or(Ok(()), |program| program.answered(&request, answer));
                    found.unwrap_or_else(|what| outer.ledger.fail("INV-15", what));
                }
            }
        }
        if out.failed {
            // Its mailbox goes with it.
            self.experiments.remove(&id);
            self.unanswered_by(id);
            self.supervisor.push_back(ExperimentsMessage::Failed(id));
        } else if out.ended {
            outer.ledger.ended(id);
            self.supervisor.push_back(ExperimentsMessage::Ended(id));
        } else if out.dismissed {
            self.experiments.remove(&id);
            self.unanswered_by(id);
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
            ExperimentsMessage::Lost(_) if outer.bug == Bug::ForgetsLost => {}
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
            ExperimentsMessage::Ended(id) => {
                self.routes.ended(id);
                if let Some(experiment) = self.experiments.get_mut(&id) {
                    experiment.mailbox.push_back(Message::Dismiss);
                }
            }
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

    /// The program of an experiment looks: it sends again what was not answered, or listens.
    pub fn program_looks(&mut self, id: u64, outer: &mut Outer) {
        let Some(program) = outer.programs.get_mut(&id) else { return };
        let Some(experiment) = self.experiments.get_mut(&id) else { return };
        experiment.mailbox.push_back(match &program.pending {
            Some(request) => Message::Decide(Box::new(request.clone())),
            None => Message::Listen(program.after()),
        });
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
