//! Agents that say anything, against the engine's cores: sessions, routes, one experiment, and the pool.
//!
//! The engine's side behaves; only what comes from agents is arbitrary. After each step slots and states are looked at,
//! and at the end the journal must fold to the same state.

use crate::experiments::{experiment, look};
use crate::generated;
use crate::words::text;
use arbitrary::{Result, Unstructured};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use toprung_engine::cores::registry::allocation;
use toprung_engine::cores::routes::Route;
use toprung_engine::cores::{Batches, Keeper, Notice, Places, Registry, Routes};
use toprung_engine::experiment::{Effect, Machine, snapshot};
use toprung_proto::v1::{self, agent_message::Kind, journal_record::Input};

/// Steps of one run, at most.
const STEPS: usize = 400;

/// An agent's name, its session's serial, and the batch to acknowledge.
type Reply = (String, u64, u64);

struct World {
    keeper: Keeper<Reply>,
    twin: Machine,
    registry: Registry<u64>,
    routes: Routes,
    places: Places,
    sessions: BTreeMap<String, (u64, Batches<()>)>,
    retries: BTreeSet<(u32, u32)>,
    now: Instant,
    now_ms: i64,
}

/// Messages of agents from arbitrary bytes.
pub fn agents(bytes: &[u8]) {
    // What is left to generate from is empty at the end.
    let _ = run(&mut Unstructured::new(bytes));
}

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let (created, machine) = experiment(u)?;
    let twin = machine.clone();
    let mut world = World {
        keeper: Keeper::new(machine, 10),
        twin,
        registry: Registry::new(Duration::from_secs(30), "store".to_owned()),
        routes: Routes::default(),
        places: Places::default(),
        sessions: BTreeMap::new(),
        retries: BTreeSet::new(),
        now: Instant::now(),
        now_ms: 1,
    };
    world.routes.created(1);
    world.input(Input::Created(created));
    let (limits, _, _) = world.keeper.joins();
    world.places.add_experiment(1, limits, Vec::new());
    for _ in 0..STEPS {
        if u.is_empty() {
            break;
        }
        world.step(u)?;
    }
    world.commit();
    let folded = snapshot::encode(&world.twin).unwrap();
    assert_eq!(
        snapshot::encode(&world.keeper.machine).unwrap(),
        folded,
        "the journal folds to another state"
    );
    look(&world.keeper.machine);
    Ok(())
}

impl World {
    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.now += Duration::from_millis(u.int_in_range(0..=4_000)?);
        self.now_ms += i64::from(u.int_in_range(0..=4_000_u16)?);
        match u.int_in_range(0..=15)? {
            0 | 1 => self.register(&generated::register(u)?),
            2 | 3 => self.commit(),
            4 => {
                for (agent, _) in self.registry.lost(self.now) {
                    self.sessions.remove(&agent);
                    self.keeper.agent_lost(&agent, "silent", self.now_ms);
                    self.places.agent_lost(&agent);
                }
            }
            5 => {
                for (trial, attempt) in std::mem::take(&mut self.retries) {
                    self.input(Input::Retry(v1::RetryDue { trial, attempt }));
                }
            }
            6 => self.input(Input::Pause(v1::PauseRequested {})),
            7 => self.input(Input::Resume(v1::ResumeRequested {})),
            _ => {
                let agent = text(u)?;
                if let Some(kind) = generated::message(u)?.kind {
                    self.message(&agent, kind);
                }
            }
        }
        self.told();
        let counted: u64 = self.keeper.machine.fold.counts.iter().sum();
        assert_eq!(counted, self.keeper.machine.fold.trials.len() as u64, "a trial is in two states");
        Ok(())
    }

    fn input(&mut self, input: Input) {
        if let Some(refused) = self.keeper.input(input, self.now_ms).refused {
            self.places.release(&refused);
        }
    }

    fn register(&mut self, register: &v1::Register) {
        if register.agent.is_empty() || register.instance.is_empty() || self.registry.is_taken(register) {
            return;
        }
        let (serial, _) = self.registry.register(register, self.now, self.now_ms);
        if self.routes.returned(&register.agent, serial).is_err() {
            self.registry.refused(&register.agent, serial);
            return;
        }
        let of_experiment: Vec<_> =
            register.running.iter().filter(|id| id.experiment == 1).copied().collect();
        let (returned, _) = self.keeper.agent_returned(&register.agent, &of_experiment, self.now_ms);
        let kept: Vec<_> = returned.kept.into_iter().map(|held| allocation(1, held)).collect();
        drop(self.registry.answer(&kept, 8));
        self.places.agent_joined(&register.agent, register.slots.clone(), kept);
        self.registry.registered(&register.agent, serial, serial, self.now);
        let batches = Batches::new(register.agent.clone(), register.instance.clone());
        self.sessions.insert(register.agent.clone(), (serial, batches));
    }

    fn message(&mut self, agent: &str, kind: Kind) {
        let Some((serial, batches)) = self.sessions.get_mut(agent) else { return };
        let serial = *serial;
        self.registry.heard(agent, serial, self.now);
        match kind {
            Kind::Batch(batch) => {
                let sequence = batch.sequence;
                for (experiment, events) in batches.take(batch, ()) {
                    match self.routes.route(experiment, agent, serial) {
                        Route::There => {
                            self.keeper.input(Input::AgentEvents(events), self.now_ms);
                            if self.keeper.when_durable((agent.to_owned(), serial, sequence)).is_some() {
                                batches.part_done(sequence);
                            }
                        }
                        Route::Later => {}
                        Route::Over => batches.part_done(sequence),
                    }
                }
                while batches.acknowledge().is_some() {}
            }
            Kind::Heartbeat(v1::Heartbeat { draining: true }) => self.places.agent_away(agent),
            Kind::Register(_) => {
                // The stream ends.
                self.sessions.remove(agent);
                self.registry.stream_ended(agent, serial);
                self.places.agent_away(agent);
            }
            _ => {}
        }
    }

    /// What was on its way to the store is durable.
    fn commit(&mut self) {
        while let Some(batch) = self.keeper.to_write() {
            for (_, record) in batch.journal {
                self.twin.replay(record).unwrap_or_else(|diverged| panic!("{diverged}"));
            }
            let Some(durable) = self.keeper.committed() else { return };
            for effect in durable.effects {
                self.perform(effect);
            }
            for (agent, serial, sequence) in durable.replies {
                if let Some((_, batches)) = self.sessions.get_mut(&agent).filter(|(of, _)| *of == serial) {
                    batches.part_done(sequence);
                    while batches.acknowledge().is_some() {}
                }
            }
            self.told();
        }
    }

    fn perform(&mut self, effect: Effect) {
        let id = |trial, attempt| v1::AttemptId { experiment: 1, trial, attempt };
        match effect {
            Effect::Request { trial, attempt, wish } => self.places.request(id(trial, attempt), wish),
            Effect::Exclude { agent, reason } => self.places.exclude(1, agent, reason),
            Effect::Leaves { trial, attempt } => self.places.leaves(&id(trial, attempt)),
            Effect::Stays { trial, attempt } => self.places.stays(&id(trial, attempt)),
            Effect::Withdraw { trial } => self.places.withdraw(1, trial),
            Effect::Release { trial, attempt } => self.places.release(&id(trial, attempt)),
            Effect::RetryAfter { trial, attempt, .. } => drop(self.retries.insert((trial, attempt))),
            Effect::Collect { trial } => drop(self.keeper.machine.collection_of(trial)),
            Effect::Ended => {
                self.routes.ended(1);
                self.places.experiment_ended(1);
            }
            Effect::Start { .. } | Effect::Stop { .. } | Effect::Decide { .. } => {}
            Effect::Discard { .. } | Effect::Weigh { .. } | Effect::Judge => {}
        }
    }

    /// What the pool has to say.
    fn told(&mut self) {
        for notice in self.places.notices() {
            match notice {
                Notice::Allocated(given) => self.input(Input::Allocated(v1::AttemptAllocated {
                    trial: given.attempt.trial,
                    attempt: given.attempt.attempt,
                    agent: given.agent,
                    slots: given.slots,
                })),
                Notice::Preempted(leaves) => self.input(Input::Preempted(v1::AttemptPreempted {
                    trial: leaves.attempt.trial,
                    attempt: leaves.attempt.attempt,
                    reason: leaves.reason,
                })),
                Notice::Capacity { trials, agents, .. } => {
                    self.input(Input::Capacity(v1::CapacityChanged { trials, agents }))
                }
            }
        }
    }
}
