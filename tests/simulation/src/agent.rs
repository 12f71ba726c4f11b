//! An agent: the session and the contracts of the real one, around scripts that do what chance says.

use std::collections::BTreeMap;
use toprung_agent::parts::{
    Answer, AttemptKey, Contract, Credited, Demand, Effect, Group, Identity, Order, SessionState, Terms,
};
use toprung_proto::v1::{self, ExitCause, agent_message, attempt_event::Kind};

use crate::bug::Bug;
use crate::ledger::SCRIPT;
use crate::outer::{Outer, Timer};

/// How long an answer to the registration is waited for, in milliseconds.
const REGISTERING: u64 = 10_000;

/// What a script does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Begin,
    Ask,
    Save,
}

struct Script {
    contract: Contract,
    next: Next,
    waits: bool,
    length: u64,
    slots: Vec<u32>,
}

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
        let state = session(&name, 0, slots);
        let (link, scripts) = (Link::Down, BTreeMap::new());
        Self { index, name, slots, starts: 0, state, link, backoff: 200, bad_until: 0, scripts }
    }

    /// Whether its daemon runs.
    pub fn is_up(&self) -> bool {
        self.starts % 2 == 1
    }

    /// This start of its daemon.
    pub fn instance(&self) -> String {
        instance(&self.name, self.starts)
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
        if self.is_up() {
            return;
        }
        self.starts += 1;
        self.state = session(&self.name, self.starts, self.slots);
        outer.after(0, Timer::Connect(self.index, self.starts));
    }

    /// The daemon dies, and its scripts with it.
    pub fn crash(&mut self, outer: &mut Outer) {
        if !self.is_up() {
            return;
        }
        outer.log(|| format!("{} dies", self.instance()));
        self.starts += 1;
        self.scripts.clear();
        self.cut(outer);
        outer.within(90_000, Timer::AgentStarts(self.index));
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
            Effect::Decide { key, at_length, decision } => {
                self.tell(key, outer, |contract| contract.decide(at_length, &decision));
            }
            // Checkpoints are no files here.
            Effect::Delete(_) => {}
            // A goodbye for good is for a former session of this agent: a real daemon would end.
            Effect::Close { .. } => self.lose(outer),
        }
    }

    fn tell(&mut self, key: AttemptKey, outer: &mut Outer, change: impl FnOnce(&mut Contract)) {
        let Some(script) = self.scripts.get_mut(&key) else { return };
        change(&mut script.contract);
        if std::mem::take(&mut script.waits) {
            outer.after(1, Timer::Script(self.index, self.starts, key.to_wire()));
        }
    }

    fn begin(&mut self, start: &v1::StartAttempt, outer: &mut Outer) {
        let Some(key) = AttemptKey::from_wire(start.attempt.as_ref()) else { return };
        outer.log(|| format!("{} starts {key} on {:?}", self.instance(), start.slots));
        outer.ledger.starts(key);
        for (other, script) in &self.scripts {
            let ends = script.contract.demand() == Some(Demand::Kill);
            if !ends && script.slots.iter().any(|slot| start.slots.contains(slot)) {
                outer.ledger.fail("INV-4", format!("{key} and {other} run on one slot of {}", self.name));
            }
        }
        let contract = Contract::new(Terms {
            train_until: start.train_until,
            max_length: start.max_length,
            time_metric: start.time_metric.clone(),
            metric: start.metric.clone(),
            conversion: start.conversion.unwrap_or_default(),
        });
        let length = start.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.length);
        let slots = start.slots.clone();
        self.scripts.insert(key, Script { contract, next: Next::Begin, waits: false, length, slots });
        outer.within(3_000, Timer::Script(self.index, self.starts, key.to_wire()));
    }

    /// A script does its next thing.
    pub fn step(&mut self, starts: u64, attempt: &v1::AttemptId, outer: &mut Outer) {
        let Some(key) = AttemptKey::from_wire(Some(attempt)).filter(|_| starts == self.starts) else {
            return;
        };
        let Some(script) = self.scripts.get_mut(&key) else { return };
        let kill = matches!(script.contract.demand(), Some(Demand::Kill | Demand::Terminate));
        if kill {
            self.exit(key, ExitCause::Requested, outer);
        } else if outer.faults && outer.chance.one(1, 120) {
            self.exit(key, ExitCause::Failed, outer);
        } else if self.bad_until > outer.now && script.next == Next::Begin {
            self.fail_here(key, outer);
        } else {
            self.proceed(key, outer);
        }
        self.send(outer);
    }

    /// The node is broken.
    fn fail_here(&mut self, key: AttemptKey, outer: &mut Outer) {
        let cause = [ExitCause::Failed, ExitCause::Environment, ExitCause::Signal, ExitCause::OutOfMemory]
            [outer.chance.below(4) as usize];
        if cause != ExitCause::Environment {
            self.say(key, Kind::Started(v1::Started::default()), outer);
        }
        if outer.chance.one(1, 8) {
            let action = v1::LogPolicyAction::ExcludeNode.into();
            let matched = v1::PolicyMatched { name: "ECC Error".into(), action, ..Default::default() };
            self.say(key, Kind::PolicyMatched(matched), outer);
        }
        self.exit(key, cause, outer);
    }

    fn proceed(&mut self, key: AttemptKey, outer: &mut Outer) {
        let Some(script) = self.scripts.get_mut(&key) else { return };
        match script.next {
            Next::Begin => {
                script.next = Next::Ask;
                self.say(key, Kind::Started(v1::Started::default()), outer);
            }
            Next::Ask => match script.contract.next(script.length) {
                None => {
                    script.waits = true;
                    return;
                }
                Some(Answer::Train { .. }) => self.train(key, outer),
                Some(Answer::Finish) => {
                    self.exit(key, ExitCause::Success, outer);
                    return;
                }
                Some(_) => {
                    self.exit(key, ExitCause::Requested, outer);
                    return;
                }
            },
            Next::Save => {
                script.next = Next::Ask;
                let length = script.length;
                if outer.chance.one(9, 10) {
                    let uuid = format!("{key}-{length}");
                    let checkpoint = v1::Checkpoint { uuid, length, ..v1::Checkpoint::default() };
                    self.say(key, Kind::Checkpoint(checkpoint), outer);
                }
            }
        }
        outer.within(400, Timer::Script(self.index, self.starts, key.to_wire()));
    }

    fn train(&mut self, key: AttemptKey, outer: &mut Outer) {
        let instance = self.instance();
        let Some(script) = self.scripts.get_mut(&key) else { return };
        script.length += 1;
        script.next = Next::Save;
        let length = script.length;
        let names = std::iter::once("loss");
        if script.contract.report(Group::Validation, length, names).is_err() {
            outer.ledger.fail("INV-7", format!("{key} was refused a report"));
        }
        let value = f64::from((key.trial.wrapping_mul(2_654_435_761) >> 7) % 97) / length as f64;
        for group in [Group::Training, Group::Validation] {
            let number = outer.ledger.accept(key, &instance);
            let wire = if group == Group::Training {
                v1::MetricGroup::Training
            } else {
                v1::MetricGroup::Validation
            };
            let metrics = vec![v1::Metric { name: "loss".into(), value }];
            let report = v1::Report { group: wire.into(), length, metrics, time_unix_ms: number };
            self.say(key, Kind::Report(report), outer);
        }
    }

    fn exit(&mut self, key: AttemptKey, cause: ExitCause, outer: &mut Outer) {
        self.scripts.remove(&key);
        outer.log(|| format!("{} ends {key}: {cause:?}", self.instance()));
        let message = format!("{SCRIPT} ended");
        let exit = v1::Exit { cause: cause.into(), message, ..v1::Exit::default() };
        self.say(key, Kind::Exit(exit.clone()), outer);
        if outer.bug == Bug::ExitsTwice {
            self.say(key, Kind::Exit(exit), outer);
        }
    }

    fn say(&mut self, key: AttemptKey, kind: Kind, outer: &mut Outer) {
        let event = v1::AttemptEvent { attempt: Some(key.to_wire()), kind: Some(kind) };
        self.state.push_event(Credited::own(event, 100), outer.instant());
    }

    /// Sends what is due.
    pub fn send(&mut self, outer: &mut Outer) {
        let Link::Up { connection, .. } = self.link else { return };
        for message in self.state.outgoing(outer.instant()) {
            if let Some(agent_message::Kind::Batch(batch)) = &message.kind {
                outer.ledger.sent(&self.instance(), batch);
            }
            outer.up(connection, Some(message));
        }
        if let Some(due) = self.state.due_at() {
            let delay = outer.millis(due).saturating_sub(outer.now);
            outer.after(delay, Timer::Due(self.index, self.starts));
        }
    }
}

fn instance(name: &str, starts: u64) -> String {
    format!("{name}/{starts}")
}

fn session(name: &str, starts: u64, slots: u32) -> SessionState {
    let slot = |index| v1::Slot { index, kind: v1::SlotKind::Cpu.into(), ..v1::Slot::default() };
    SessionState::new(Identity {
        agent: name.to_owned(),
        instance: instance(name, starts),
        host: name.to_owned(),
        slots: (0..slots).map(slot).collect(),
    })
}
