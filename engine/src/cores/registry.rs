//! All agents: who is connected, who is away and until when, who is being registered.
//!
//! Each registration has a serial. What comes from an older one (its stream's end, its heartbeat, its late answer)
//! counts for nothing.
//!
//! While an agent is being registered, orders and decisions for it are kept and sent after `Registered`: the
//! experiments have answered before them what the agent must know. A start is not kept: the pool gives no slots of an
//! agent that is away, so it is one from before, which the agent's return has ended.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use toprung_proto::v1::{self, engine_message::Kind};

use crate::experiment::reconcile::Held;
use crate::scheduler::Allocation;

/// Messages kept for an agent that is being registered; with more, it has to register again.
const MOST_KEPT: usize = 4_096;

/// How an agent is reached.
enum Way<S> {
    /// Not now.
    Away,
    /// Being registered: what it is to be told then.
    Registering(Vec<Kind>),
    /// Being registered, and too much was to be told.
    Overfull,
    /// By its session.
    Session(S),
}

impl<S> Way<S> {
    fn is_registering(&self) -> bool {
        matches!(self, Self::Registering(_) | Self::Overfull)
    }

    fn into_session(self) -> Option<S> {
        if let Self::Session(session) = self { Some(session) } else { None }
    }
}

struct Known<S> {
    view: v1::Agent,
    /// Of the agent's spool; empty: only expected.
    instance: String,
    /// Of the newest registration; 0: only expected.
    serial: u64,
    way: Way<S>,
    last_heard: Instant,
}

/// The agents; `S` is the way to a session.
pub struct Registry<S> {
    lease: Duration,
    /// This engine's store.
    engine: String,
    serial: u64,
    agents: BTreeMap<String, Known<S>>,
}

impl<S: Clone> Registry<S> {
    /// Without agents. `lease`: silence after which an agent is lost. `engine`: what tells this engine's store from
    /// others.
    pub fn new(lease: Duration, engine: String) -> Self {
        Self { lease, engine, serial: 0, agents: BTreeMap::new() }
    }

    /// What an agent runs of this engine's: another one's attempts have the same numbers.
    pub fn running(&self, register: &v1::Register) -> Vec<v1::AttemptId> {
        let other = !register.engine.is_empty() && register.engine != self.engine;
        if other { Vec::new() } else { register.running.clone() }
    }

    /// Whether another agent of this name is connected: one name, one agent. One with the same instance is a daemon
    /// that was started again (nobody else can have its spool), and takes the place of the former at once.
    pub fn is_taken(&self, register: &v1::Register) -> bool {
        let other = |known: &Known<S>| known.instance != register.instance;
        let known = self.agents.get(&register.agent).filter(|known| other(known));
        known.is_some_and(|known| matches!(known.way, Way::Session(_)))
    }

    /// A registration begins: its serial, and the session that it ends.
    pub fn register(&mut self, register: &v1::Register, now: Instant, now_ms: i64) -> (u64, Option<S>) {
        self.serial += 1;
        let serial = self.serial;
        let former = self.agents.remove(&register.agent).and_then(|known| known.way.into_session());
        let way = Way::Registering(Vec::new());
        let instance = register.instance.clone();
        let known = Known { view: view(register, now_ms), instance, serial, way, last_heard: now };
        self.agents.insert(register.agent.clone(), known);
        (serial, former)
    }

    /// Whether this registration is the agent's newest, and goes on.
    pub fn is_registering(&self, agent: &str, serial: u64) -> bool {
        self.agents.get(agent).is_some_and(|known| known.serial == serial && known.way.is_registering())
    }

    /// The registration succeeds: what was kept for the agent meanwhile, in order. `None`: it is outdated, or too much
    /// was to be kept; it must be refused.
    pub fn registered(&mut self, agent: &str, serial: u64, session: S, now: Instant) -> Option<Vec<Kind>> {
        let known = self.agents.get_mut(agent).filter(|known| known.serial == serial)?;
        let Way::Registering(kept) = std::mem::replace(&mut known.way, Way::Away) else { return None };
        known.way = Way::Session(session);
        known.view.connected = true;
        known.last_heard = now;
        Some(kept)
    }

    /// The registration has failed: the agent is away.
    pub fn refused(&mut self, agent: &str, serial: u64) {
        if let Some(known) = self.agents.get_mut(agent).filter(|known| known.serial == serial) {
            known.way = Way::Away;
        }
    }

    /// What the engine answers to a registration.
    pub fn answer(&self, kept: &[Allocation], max_batches_in_flight: u32) -> Kind {
        Kind::Registered(v1::Registered {
            lease_seconds: self.lease.as_secs() as u32,
            heartbeat_seconds: (self.lease.as_secs() as u32 / 6).max(1),
            max_batches_in_flight,
            keep: kept.iter().map(|allocation| allocation.attempt).collect(),
            engine: self.engine.clone(),
        })
    }

    /// Anything came from an agent.
    pub fn heard(&mut self, agent: &str, serial: u64, now: Instant) {
        if let Some(known) = self.agents.get_mut(agent).filter(|known| known.serial == serial) {
            known.last_heard = now;
        }
    }

    /// Whether this is the agent's present session.
    pub fn is_current(&self, agent: &str, serial: u64) -> bool {
        self.agents.get(agent).is_some_and(|known| known.serial == serial)
    }

    /// An agent's stream has ended: the session to end, if that was its newest. The agent is away now; its lease counts
    /// from its last word, not from when the engine noticed.
    pub fn stream_ended(&mut self, agent: &str, serial: u64) -> Option<S> {
        let known = self.agents.get_mut(agent).filter(|known| known.serial == serial)?;
        known.view.connected = false;
        std::mem::replace(&mut known.way, Way::Away).into_session()
    }

    /// An agent holds attempts, as the journal has it, and has not come yet.
    pub fn expect(&mut self, agent: String, now: Instant) {
        let view = v1::Agent { name: agent.clone(), ..v1::Agent::default() };
        let known = Known { view, instance: String::new(), serial: 0, way: Way::Away, last_heard: now };
        self.agents.entry(agent).or_insert(known);
    }

    /// Where a message to an agent goes now. `None`: it is kept, or dropped because its return derives it anew.
    pub fn tell(&mut self, agent: &str, kind: Kind) -> Option<(S, Kind)> {
        let known = self.agents.get_mut(agent)?;
        match &mut known.way {
            Way::Session(session) => return Some((session.clone(), kind)),
            Way::Registering(kept) if kept.len() >= MOST_KEPT => known.way = Way::Overfull,
            Way::Registering(kept) if !matches!(kind, Kind::Start(_)) => kept.push(kind),
            _ => {}
        }
        None
    }

    /// All sessions.
    pub fn sessions(&self) -> Vec<S> {
        let session = |known: &Known<S>| match &known.way {
            Way::Session(session) => Some(session.clone()),
            _ => None,
        };
        self.agents.values().filter_map(session).collect()
    }

    /// Forgets the agents whose lease has ended: their names and sessions.
    pub fn lost(&mut self, now: Instant) -> Vec<(String, Option<S>)> {
        let lease = self.lease;
        let late = |known: &Known<S>| {
            !known.way.is_registering() && now.saturating_duration_since(known.last_heard) > lease
        };
        let names: Vec<String> =
            self.agents.iter().filter(|(_, known)| late(known)).map(|(name, _)| name.clone()).collect();
        let forget = |name: String| self.agents.remove(&name).map(|known| (name, known.way.into_session()));
        names.into_iter().filter_map(forget).collect()
    }

    /// Agents that have registered; those only expected are not shown.
    pub fn views(&self) -> Vec<v1::Agent> {
        self.agents.values().filter(|known| known.serial > 0).map(|known| known.view.clone()).collect()
    }
}

fn view(register: &v1::Register, now_ms: i64) -> v1::Agent {
    let slot = |slot: &v1::Slot| v1::AgentSlot { slot: Some(slot.clone()), attempt: None };
    v1::Agent {
        name: register.agent.clone(),
        host: register.host.clone(),
        version: register.version.clone(),
        slots: register.slots.iter().map(slot).collect(),
        connected_unix_ms: now_ms,
        connected: false,
        ..v1::Agent::default()
    }
}

/// Slots that an agent keeps holding.
pub fn allocation(experiment: u64, held: Held) -> Allocation {
    let attempt = v1::AttemptId { experiment, trial: held.trial, attempt: held.attempt };
    Allocation { attempt, agent: held.agent, slots: held.slots, leaving: held.leaving }
}
