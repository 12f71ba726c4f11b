//! An agent: the session, the spool and the contracts of the real one, around scripts that do what chance says.
//!
//! A turn is as in the real daemon: what is new is written to the spool, then scripts are answered, then batches are
//! sent. The daemon may die within a turn, with a part of what it writes on the disk.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use toprung_agent::parts::{AttemptKey, Effect, Identity, Limits, Order, SessionState, Spool};
use toprung_proto::v1::{self, agent_message};

mod scripts;

use crate::bug::Bug;
use crate::files::Files;
use crate::outer::{Outer, Timer};
use scripts::Script;

/// How long an answer to the registration is waited for, in milliseconds.
const REGISTERING: u64 = 10_000;
/// How long until a spool that could not be written is tried again.
const AGAIN: u64 = 500;
/// Small, so that there are many files, and much has to be read back.
const LIMITS: Limits = Limits { segment_bytes: 1_500, total_bytes: 1 << 30 };
/// Bytes of events in memory.
const WINDOW: usize = 500;

/// The connection to the engine.
enum Link {
    Down,
    Up { connection: u64, heartbeat: u64 },
}

/// One node.
pub struct Agent {
    index: usize,
    name: String,
    slots: u32,
    /// Counts starts of its daemon; even: it is not there.
    pub starts: u64,
    state: SessionState,
    /// The disk, and the spool on it while the daemon runs.
    files: Files,
    spool: Option<Spool<Files>>,
    /// Reports whose scripts wait to be told that they are accepted.
    saying: Vec<i64>,
    /// The spool could not be written: scripts wait.
    blocked: bool,
    /// The node is lost for good.
    gone: bool,
    link: Link,
    backoff: u64,
    /// Before this time no script starts well here.
    pub bad_until: u64,
    scripts: BTreeMap<AttemptKey, Script>,
}

impl Agent {
    /// A node without a daemon.
    pub fn new(index: usize, slots: u32) -> Self {
        let name = format!("agent-{index}");
        let state = SessionState::new(identity(&name, "", slots), WINDOW);
        Self {
            index,
            name,
            slots,
            starts: 0,
            state,
            files: Files::default(),
            spool: None,
            saying: Vec::new(),
            blocked: false,
            gone: false,
            link: Link::Down,
            backoff: 200,
            bad_until: 0,
            scripts: BTreeMap::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the node is lost for good.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether its daemon runs.
    pub fn is_up(&self) -> bool {
        self.starts % 2 == 1
    }

    /// Of its spool.
    fn instance(&self) -> String {
        self.spool.as_ref().map(|spool| spool.instance().to_owned()).unwrap_or_default()
    }

    /// Whether nothing is left to do or to say.
    pub fn is_idle(&self) -> bool {
        self.scripts.is_empty() && (self.state.is_drained() || !self.is_up())
    }

    /// What is left, for people.
    pub fn rest(&self) -> String {
        let scripts = self.scripts.iter().map(|(key, script)| format!("{key} waits: {}", script.waits));
        format!("{}: {:?}, drained: {}", self.name, scripts.collect::<Vec<_>>(), self.state.is_drained())
    }

    /// The daemon starts.
    pub fn start(&mut self, outer: &mut Outer) {
        if self.is_up() || self.gone {
            return;
        }
        self.starts += 1;
        if outer.bug == Bug::ForgetsSpool {
            self.files.wipe();
        }
        let fresh = format!("{}/{}", self.name, self.starts);
        let (spool, mut recovered) = match Spool::open(self.files.clone(), LIMITS, &fresh) {
            Ok(opened) => opened,
            // The daemon ends with an error, and whoever looks after it starts it again.
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                self.starts += 1;
                outer.after(5_000, Timer::AgentStarts(self.index));
                return;
            }
            Err(error) => {
                outer.ledger.fail("INV-9", format!("the spool of {} does not open: {error}", self.name));
                return;
            }
        };
        if let Some(damage) = recovered.damage.first() {
            outer.ledger.fail("INV-9", format!("the spool of {} counts as damaged: {damage}", self.name));
        }
        outer.log(|| format!("{} starts: {recovered:?}", self.name));
        if outer.bug == Bug::ForgetsDead {
            recovered.exiting.extend(recovered.open.drain(..).map(|(key, _)| key));
        }
        let instance = if outer.bug == Bug::RenamesSpool { fresh } else { spool.instance().to_owned() };
        let identity = identity(&self.name, &instance, self.slots);
        self.state = SessionState::resume(identity, WINDOW, recovered, outer.instant());
        self.spool = Some(spool);
        outer.after(0, Timer::Connect(self.index, self.starts));
    }

    /// The daemon dies, and its scripts with it.
    pub fn crash(&mut self, outer: &mut Outer) {
        if !self.is_up() {
            return;
        }
        outer.log(|| format!("{} dies", self.name));
        self.starts += 1;
        self.scripts.clear();
        self.spool = None;
        self.saying.clear();
        self.blocked = false;
        self.files.limit(None);
        self.cut(outer);
        outer.within(90_000, Timer::AgentStarts(self.index));
    }

    /// The node is lost with everything on it.
    pub fn destroy(&mut self, outer: &mut Outer) {
        self.crash(outer);
        outer.log(|| format!("{} is gone", self.name));
        self.gone = true;
        self.files.wipe();
    }

    /// The disk takes so many bytes more; `None`: any number.
    pub fn fill(&mut self, room: Option<usize>) {
        self.files.limit(room);
    }

    fn cut(&mut self, outer: &mut Outer) {
        if let Link::Up { connection, .. } = std::mem::replace(&mut self.link, Link::Down)
            && let Some(found) = outer.connections.get_mut(&connection)
        {
            found.cut(&mut outer.chance);
        }
    }

    /// The connection is gone.
    fn lose(&mut self, outer: &mut Outer) {
        if !self.is_up() {
            return;
        }
        if outer.bug == Bug::DropsSpool {
            for sequence in 1..100 {
                let ack = v1::Ack { sequence };
                let kind = Some(v1::engine_message::Kind::Ack(ack));
                self.state.on_engine(v1::EngineMessage { kind }, outer.instant());
            }
        }
        self.cut(outer);
        self.state.disconnected();
        let delay = self.backoff / 2 + outer.chance.below(self.backoff / 2 + 1);
        self.backoff = (self.backoff * 2).min(10_000);
        outer.after(delay, Timer::Connect(self.index, self.starts));
    }

    /// Time to connect.
    pub fn connect(&mut self, starts: u64, outer: &mut Outer) {
        if starts != self.starts || matches!(self.link, Link::Up { .. }) {
            return;
        }
        let connection = outer.connect(self.index);
        self.link = Link::Up { connection, heartbeat: 0 };
        outer.up(connection, Some(self.state.register()));
        outer.after(REGISTERING, Timer::Late(self.index, connection));
    }

    fn is_on(&self, connection: u64) -> bool {
        matches!(self.link, Link::Up { connection: own, .. } if own == connection)
    }

    /// The registration had its time.
    pub fn late(&mut self, connection: u64, outer: &mut Outer) {
        if matches!(self.link, Link::Up { connection: own, heartbeat: 0 } if own == connection) {
            self.lose(outer);
        }
    }

    /// A heartbeat is due.
    pub fn beat(&mut self, connection: u64, outer: &mut Outer) {
        let Link::Up { heartbeat, .. } = self.link else { return };
        if self.is_on(connection) {
            let kind = agent_message::Kind::Heartbeat(v1::Heartbeat { draining: false });
            outer.up(connection, Some(v1::AgentMessage { kind: Some(kind) }));
            outer.after(heartbeat, Timer::Beat(self.index, connection));
        }
    }

    /// Something came from the engine.
    pub fn arrived(&mut self, connection: u64, message: Option<v1::EngineMessage>, outer: &mut Outer) {
        if !self.is_on(connection) {
            return;
        }
        let Some(message) = message else {
            self.lose(outer);
            return;
        };
        for effect in self.state.on_engine(message, outer.instant()) {
            self.act(effect, connection, outer);
        }
        self.send(outer);
    }

    fn act(&mut self, effect: Effect, connection: u64, outer: &mut Outer) {
        match effect {
            Effect::Opened { heartbeat } => {
                let heartbeat = heartbeat.as_millis() as u64;
                self.link = Link::Up { connection, heartbeat };
                self.backoff = 200;
                outer.after(heartbeat, Timer::Beat(self.index, connection));
            }
            Effect::Start(start) => self.begin(&start, outer),
            Effect::Order { key, order, reason } => {
                self.tell(key, outer, |contract| contract.order(order, &reason));
                if order == Order::Kill {
                    outer.after(1, Timer::Script(self.index, self.starts, key.to_wire()));
                }
            }
            Effect::Decide { key, at_length, decision, may_refuse } => {
                self.tell(key, outer, |contract| contract.decide(at_length, &decision, may_refuse));
            }
            // Checkpoints are no files here, and there is one engine.
            Effect::Delete(_) | Effect::OtherEngine => {}
            // A goodbye for good is for a former session of this agent: a real daemon would end.
            Effect::Close { .. } => self.lose(outer),
        }
    }

    /// Writes what is new and answers the scripts that wait for it. `None`: not now, or the daemon has died.
    fn settle(&mut self, outer: &mut Outer) -> Option<()> {
        let spool = self.spool.as_mut()?;
        spool.release(self.state.acknowledged());
        let entries = self.state.unwritten();
        let dies = outer.faults && !entries.is_empty() && outer.chance.one(1, 400);
        if dies {
            self.files.limit(Some(outer.chance.below(entries.size() as u64 + 1) as usize));
        }
        let written = spool.append(entries);
        if dies {
            // Also when everything was written: nobody was answered.
            self.crash(outer);
            return None;
        }
        self.blocked = written.is_err();
        if self.blocked {
            outer.after(AGAIN, Timer::Due(self.index, self.starts));
            return None;
        }
        self.state.written();
        self.saying.drain(..).for_each(|number| outer.ledger.accepted(number));
        Some(())
    }

    /// Writes, answers and sends what is due.
    pub fn send(&mut self, outer: &mut Outer) {
        if self.settle(outer).is_none() {
            return;
        }
        let Link::Up { connection, .. } = self.link else { return };
        let Some(spool) = self.spool.as_mut() else { return };
        let messages = self.state.outgoing(outer.instant(), spool);
        if self.settle(outer).is_none() {
            // What was not sent is sent again on another connection.
            self.lose(outer);
            return;
        }
        let instance = self.instance();
        for message in messages {
            if let Some(agent_message::Kind::Batch(batch)) = &message.kind {
                outer.ledger.sent(&instance, batch);
            }
            outer.up(connection, Some(message));
        }
        if let Some(due) = self.state.due_at() {
            let delay = outer.millis(due).saturating_sub(outer.now);
            outer.after(delay, Timer::Due(self.index, self.starts));
        }
    }
}

fn identity(name: &str, instance: &str, slots: u32) -> Identity {
    let slot = |index| v1::Slot { index, kind: v1::SlotKind::Cpu.into(), ..v1::Slot::default() };
    Identity {
        agent: name.to_owned(),
        instance: instance.to_owned(),
        host: name.to_owned(),
        slots: (0..slots).map(slot).collect(),
    }
}
