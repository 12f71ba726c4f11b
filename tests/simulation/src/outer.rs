//! What engine and agents stand on: time, network, disk and chance. All of it may fail while [`Outer::faults`] says so.

use prost::Message as _;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use toprung_engine::experiment::{Machine, Spec, snapshot};
use toprung_engine::load;
use toprung_proto::v1;
use toprung_store::{Batch, Key, Store};

use crate::bug::Bug;
use crate::ledger::Ledger;
use crate::program::Program;

/// Chance, from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 to below `end` (at least 1).
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end.max(1)
    }

    /// True `times` in `of`.
    pub fn one(&mut self, times: u64, of: u64) -> bool {
        self.below(of) < times
    }
}

/// From an agent: a message, or the end of its stream.
pub type Up = Option<v1::AgentMessage>;
/// From the engine: a message, or the end of its stream.
pub type Down = Option<v1::EngineMessage>;

/// One connection. Each direction keeps its order; each may stand still for a while.
#[derive(Debug, Default)]
pub struct Connection {
    /// The agent's index.
    pub agent: usize,
    /// On the way to the engine.
    pub up: VecDeque<Up>,
    /// On the way to the agent.
    pub down: VecDeque<Down>,
    /// Nothing arrives at the engine before this time.
    pub up_until: u64,
    /// Nothing arrives at the agent before this time.
    pub down_until: u64,
    /// Nothing more may be sent.
    pub cut: bool,
}

impl Connection {
    /// Cuts it: what is on its way arrives up to a random point.
    pub fn cut(&mut self, chance: &mut Chance) {
        if self.cut {
            return;
        }
        self.cut = true;
        self.up.truncate(chance.below(self.up.len() as u64 + 1) as usize);
        self.down.truncate(chance.below(self.down.len() as u64 + 1) as usize);
        self.up.push_back(None);
        self.down.push_back(None);
    }
}

/// What happens at a time.
#[derive(Clone, Debug)]
pub enum Timer {
    /// The engine starts.
    EngineStarts,
    /// A program that decides an experiment looks.
    Program(u64),
    /// The leases are looked at; of this start of the engine.
    Tick(u64),
    /// An experiment is started again; of this start of the engine.
    Restart(u64, u64),
    /// A retry is due: start of the engine, generation of the experiment's actor, experiment, trial, attempt.
    Retry(u64, u64, u64, u32, u32),
    /// A registration is given up: start of the engine, its task.
    Unanswered(u64, u64),
    /// An agent's daemon starts.
    AgentStarts(usize),
    /// An agent's node is lost for good.
    AgentGone(usize),
    /// An agent connects; of this instance.
    Connect(usize, u64),
    /// An agent's registration was not answered: its connection.
    Late(usize, u64),
    /// An agent's disk has room again.
    Room(usize),
    /// An agent's heartbeat: its connection.
    Beat(usize, u64),
    /// An agent's batch is old enough; of this instance.
    Due(usize, u64),
    /// A script does something: agent, instance, attempt.
    Script(usize, u64, v1::AttemptId),
}

/// A batch on its way to the disk: experiment, generation of its actor.
pub type Pending = (u64, u64, Batch);

/// Everything outside engine and agents.
pub struct Outer {
    /// The planted fault.
    pub bug: Bug,
    /// Chance.
    pub chance: Chance,
    /// Virtual milliseconds.
    pub now: u64,
    base: Instant,
    /// How far the engine's calendar is off, in milliseconds.
    pub calendar: i64,
    /// Whether faults may happen still.
    pub faults: bool,
    /// The disk writes nothing before this time.
    pub full_until: u64,
    /// What is durable.
    pub store: Store,
    /// What is not durable yet.
    pub pending: VecDeque<Pending>,
    /// Connections by number.
    pub connections: BTreeMap<u64, Connection>,
    last_connection: u64,
    /// Timers by time and order.
    pub timers: BTreeMap<(u64, u64), Timer>,
    last_timer: u64,
    /// The programs that decide experiments.
    pub programs: BTreeMap<u64, Program>,
    /// The invariants' books.
    pub ledger: Ledger,
    /// Whether to print what happens.
    pub verbose: bool,
}

impl Outer {
    /// Before anything has happened.
    ///
    /// # Panics
    /// There is no memory for a store.
    pub fn new(seed: u64, bug: Bug, verbose: bool) -> Self {
        Self {
            bug,
            chance: Chance::new(seed),
            now: 0,
            base: Instant::now(),
            calendar: 1_700_000_000_000,
            faults: true,
            full_until: 0,
            store: Store::in_memory().expect("a store in memory opens"),
            pending: VecDeque::new(),
            connections: BTreeMap::new(),
            last_connection: 0,
            timers: BTreeMap::new(),
            last_timer: 0,
            programs: BTreeMap::new(),
            ledger: Ledger::default(),
            verbose,
        }
    }

    /// The monotonic clock.
    pub fn instant(&self) -> Instant {
        self.base + Duration::from_millis(self.now)
    }

    /// The engine's calendar: it may jump.
    pub fn calendar_ms(&self) -> i64 {
        self.calendar + self.now as i64
    }

    /// Milliseconds from the beginning to a moment.
    pub fn millis(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.base).as_millis() as u64 + 1
    }

    /// Sets a timer.
    pub fn after(&mut self, delay_ms: u64, timer: Timer) {
        self.last_timer += 1;
        self.timers.insert((self.now + delay_ms, self.last_timer), timer);
    }

    /// Sets a timer at a random time within so many milliseconds.
    pub fn within(&mut self, longest_ms: u64, timer: Timer) {
        let delay = 1 + self.chance.below(longest_ms);
        self.after(delay, timer);
    }

    /// Opens a connection.
    pub fn connect(&mut self, agent: usize) -> u64 {
        self.last_connection += 1;
        self.connections.insert(self.last_connection, Connection { agent, ..Connection::default() });
        self.last_connection
    }

    /// Sends to the engine; into the void if the connection is cut.
    pub fn up(&mut self, connection: u64, message: Up) {
        if let Some(connection) = self.connections.get_mut(&connection).filter(|found| !found.cut) {
            connection.up.push_back(message);
        }
    }

    /// Sends to the agent; into the void if the connection is cut.
    pub fn down(&mut self, connection: u64, message: Down) {
        if let Some(connection) = self.connections.get_mut(&connection).filter(|found| !found.cut) {
            connection.down.push_back(message);
        }
    }

    /// Prints a line of the log.
    pub fn log(&self, line: impl FnOnce() -> String) {
        if self.verbose {
            println!("{:>8} {}", self.now, line());
        }
    }

    /// Writes a batch for good.
    pub fn write(&mut self, batch: Batch) -> Result<(), toprung_store::Error> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (records, puts) = (batch.journal.clone(), batch.puts.clone());
        self.store.submit(batch, move |result| drop(sender.send(result)))?;
        receiver.recv().map_err(|_| toprung_store::Error::Closed)??;
        for (experiment, record) in &records {
            self.ledger.durable(*experiment, record);
        }
        for (key, value) in &puts {
            if let (Key::Agent(_), Ok(record)) = (key, v1::AgentRecord::decode(value.as_slice())) {
                self.ledger.recorded(&record);
            }
        }
        Ok(())
    }

    /// An experiment as the disk has it.
    ///
    /// # Panics
    /// The configuration is not usable; seeds choose only from usable ones.
    pub fn load(&mut self, spec: &Spec) -> Option<Machine> {
        if self.store.last_sequence(spec.id).ok()? == 0 {
            return None;
        }
        let fresh = Machine::new(spec.clone()).expect("the searcher is checked");
        let folded = match self.believed_snapshot(spec) {
            Some(machine) => Ok(machine),
            None => load::folded(&self.store, fresh),
        };
        match folded {
            Ok(machine) => Some(machine),
            Err(error) => {
                self.ledger.fail("INV-6", error.to_string());
                None
            }
        }
    }

    /// The planted fault: a snapshot ahead of its journal counts.
    fn believed_snapshot(&self, spec: &Spec) -> Option<Machine> {
        let found = self.store.read_snapshot(spec.id).ok()?.filter(|_| self.bug == Bug::BelievesSnapshot)?;
        let ahead = found.seq > self.store.last_sequence(spec.id).ok()?;
        snapshot::decode(spec.clone(), &found.bytes).ok().filter(|_| ahead)
    }
}
