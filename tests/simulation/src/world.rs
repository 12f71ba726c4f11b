//! One run: a seed chooses the experiments, the agents, the faults, and at each step which of the things that may happen
//! does. After a while faults stop, and everything has to end.

use toprung_engine::experiment::{Machine, Spec, snapshot};
use toprung_proto::v1::{self, agent_message, journal_record::Input};

mod faults;
mod scenarios;

pub use scenarios::Scenarios;

use crate::agent::Agent;
use crate::bug::Bug;
use crate::engine::{Engine, NO_EXPERIMENT};
use crate::experiments::Message;
use crate::ledger::Violation;
use crate::messages::Actor;
use crate::outer::{Outer, Timer};
use crate::program::Program;

/// Of so many seeds one has an experiment that a program decides.
const DECIDED: u64 = 6;
/// Steps after which a run that has not ended is wrong.
const MOST_STEPS: u64 = 400_000;
/// Virtual milliseconds after the last fault within which everything ends.
const PATIENCE: u64 = 1_800_000;

/// What a run was like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Messages handled, timers and faults.
    pub steps: u64,
    /// Faults.
    pub faults: u64,
    /// Reports that scripts were told are accepted.
    pub reports: u64,
    /// Agents that were excluded from an experiment.
    pub exclusions: u64,
}

/// Runs one seed.
///
/// # Errors
/// The first invariant that did not hold.
pub fn run(seed: u64, bug: Bug, scenarios: &Scenarios, verbose: bool) -> Result<Summary, Violation> {
    let mut world = World::new(seed, bug, scenarios, verbose);
    world.live();
    match world.outer.ledger.violation.take() {
        Some(violation) => Err(violation),
        None => Ok(world.summary),
    }
}

struct World {
    outer: Outer,
    engine: Option<Engine>,
    starts: u64,
    agents: Vec<Agent>,
    specs: Vec<(Spec, u64)>,
    faults_until: u64,
    /// One fault in so many steps.
    rarity: u64,
    summary: Summary,
}

#[derive(Clone, Copy)]
enum Choice {
    Actor(Actor),
    Up(u64),
    Down(u64),
    Disk,
}

impl World {
    fn new(seed: u64, bug: Bug, scenarios: &Scenarios, verbose: bool) -> Self {
        let mut outer = Outer::new(seed, bug, verbose);
        let chance = &mut outer.chance;
        let mut specs = Vec::new();
        let shared = chance.one(1, 4);
        let custom = &scenarios.custom[usize::from(shared)];
        let scenarios = if shared { &scenarios.shared } else { &scenarios.beside };
        for id in 1..=1 + u64::from(chance.one(1, 2)) {
            let (mut spec, mut limit) = scenarios[chance.below(scenarios.len() as u64) as usize].clone();
            if id == 1 && seed.is_multiple_of(DECIDED) {
                (spec, limit) = custom.clone();
            }
            spec.id = id;
            spec.seed = chance.below(1_000) as u32;
            spec.config.resources.priority = [10, 42, 42, 90][chance.below(4) as usize];
            specs.push((spec, limit));
        }
        let count = 1 + chance.below(3) as usize;
        let mut agents: Vec<Agent> =
            (0..count).map(|index| Agent::new(index, 1 + chance.below(3) as u32)).collect();
        let faults_until = chance.below(120_000);
        if chance.one(1, 6) {
            // The last: the first may be lost for good.
            agents[count - 1].bad_until = faults_until;
        }
        let rarity = [40, 150, 600, 4_000][chance.below(4) as usize];
        outer.after(0, Timer::EngineStarts);
        for index in 0..agents.len() {
            outer.within(5_000, Timer::AgentStarts(index));
        }
        if shared && count > 1 {
            outer.within(faults_until.max(1), Timer::AgentGone(0));
        }
        for (spec, _) in specs.iter().filter(|(spec, _)| spec.config.searcher.method.is_custom()) {
            outer.programs.insert(spec.id, Program::new());
            outer.within(3_000, Timer::Program(spec.id));
        }
        let summary = Summary::default();
        Self { outer, engine: None, starts: 0, agents, specs, faults_until, rarity, summary }
    }

    fn live(&mut self) {
        while self.outer.ledger.violation.is_none() {
            self.summary.steps += 1;
            if self.outer.faults {
                if self.outer.now >= self.faults_until {
                    self.heal();
                } else if self.outer.chance.one(1, self.rarity) {
                    self.fault();
                }
            } else if self.is_over() {
                self.check_end();
                return;
            } else if self.summary.steps > MOST_STEPS || self.outer.now > self.faults_until + PATIENCE {
                let agents: Vec<String> = self.agents.iter().map(Agent::rest).collect();
                let state = |experiment: &crate::experiments::Experiment| {
                    let fold = &experiment.keeper.machine.fold;
                    let trials = fold.trials.iter().map(|trial| trial.phase);
                    format!("{:?} {:?}", fold.state, trials.collect::<Vec<_>>())
                };
                let engine = self.engine.as_ref().map(|engine| engine.experiments.values().map(state));
                let engine: Vec<String> = engine.into_iter().flatten().collect();
                self.outer.ledger.fail("INV-7", format!("not over: {engine:?}; {agents:?}"));
                return;
            }
            self.step();
        }
    }

    fn step(&mut self) {
        let choices = self.choices();
        if choices.is_empty() || self.outer.chance.one(1, 60) {
            self.pass_time();
            return;
        }
        let choice = choices[self.outer.chance.below(choices.len() as u64) as usize];
        let outer = &mut self.outer;
        match (choice, &mut self.engine) {
            (Choice::Actor(actor), Some(engine)) => {
                engine.handle(actor, outer);
                self.check_holding(actor);
                self.check_failures(actor);
            }
            (Choice::Up(id), engine) => {
                let Some(connection) = outer.connections.get_mut(&id) else { return };
                let Some(message) = connection.up.pop_front() else { return };
                match engine {
                    Some(engine) => engine.arrived(id, message),
                    None => connection.cut(&mut outer.chance),
                }
            }
            (Choice::Down(id), _) => {
                let Some(connection) = outer.connections.get_mut(&id) else { return };
                let agent = connection.agent;
                if let Some(message) = connection.down.pop_front() {
                    self.agents[agent].arrived(id, message, outer);
                }
            }
            (Choice::Disk, _) => self.write(),
            (Choice::Actor(_), None) => {}
        }
    }

    fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        if let Some(engine) = &self.engine {
            choices.extend(engine.ready().into_iter().map(Choice::Actor));
            if !self.outer.pending.is_empty() {
                choices.push(Choice::Disk);
            }
        }
        for (id, connection) in &self.outer.connections {
            if connection.down_until <= self.outer.now && !connection.down.is_empty() {
                choices.push(Choice::Down(*id));
            }
            let registers = matches!(
                connection.up.front(),
                Some(Some(v1::AgentMessage { kind: Some(agent_message::Kind::Register(_)) }))
            );
            let read = registers || self.engine.as_ref().is_none_or(|engine| engine.reads(*id));
            if connection.up_until <= self.outer.now && read && !connection.up.is_empty() {
                choices.push(Choice::Up(*id));
            }
        }
        choices
    }

    fn pass_time(&mut self) {
        let outer = &mut self.outer;
        let Some((&(at, order), _)) = outer.timers.first_key_value() else { return };
        let stalls = outer.connections.values().flat_map(|found| [found.up_until, found.down_until]);
        if let Some(stall) = stalls.filter(|until| *until > outer.now && *until < at).min() {
            outer.now = stall;
            return;
        }
        outer.now = outer.now.max(at);
        let Some(timer) = outer.timers.remove(&(at, order)) else { return };
        self.on_timer(timer);
    }

    fn on_timer(&mut self, timer: Timer) {
        let outer = &mut self.outer;
        let engine = self.engine.as_mut();
        match timer {
            Timer::EngineStarts => {
                if engine.is_none() {
                    self.starts += 1;
                    outer.log(|| "engine starts".to_owned());
                    let specs = self.specs.iter().map(|(spec, _)| spec.clone()).collect();
                    self.engine = Some(Engine::start(self.starts, specs, outer));
                }
            }
            Timer::Program(id) => {
                if outer.ledger.has_ended(id) {
                    return;
                }
                if outer.faults && outer.chance.one(1, 25) {
                    outer.programs.get_mut(&id).into_iter().for_each(Program::dies);
                }
                engine.into_iter().for_each(|engine| engine.program_looks(id, outer));
                outer.within(1_000, Timer::Program(id));
            }
            Timer::Tick(start) => {
                if let Some(engine) = engine.filter(|engine| engine.start == start) {
                    engine.tick();
                    self.resume();
                }
            }
            Timer::Restart(start, id) => {
                engine
                    .filter(|engine| engine.start == start)
                    .into_iter()
                    .for_each(|engine| engine.restart(id));
            }
            Timer::Unanswered(start, task) => {
                let engine = engine.filter(|engine| engine.start == start);
                engine.into_iter().for_each(|engine| engine.unanswered(task));
            }
            Timer::Retry(start, generation, id, trial, attempt) => {
                let engine = engine.filter(|engine| engine.start == start);
                if let Some(experiment) = engine.and_then(|engine| engine.experiments.get_mut(&id))
                    && experiment.generation == generation
                {
                    let due = Input::Retry(v1::RetryDue { trial, attempt });
                    experiment.mailbox.push_back(Message::Input(due));
                }
            }
            Timer::AgentStarts(agent) => self.agents[agent].start(outer),
            Timer::AgentGone(agent) => self.agents[agent].destroy(outer),
            Timer::Room(agent) => self.agents[agent].fill(None),
            Timer::Connect(agent, starts) => self.agents[agent].connect(starts, outer),
            Timer::Late(agent, connection) => self.agents[agent].late(connection, outer),
            Timer::Beat(agent, connection) => self.agents[agent].beat(connection, outer),
            Timer::Due(agent, starts) => {
                if self.agents[agent].starts == starts {
                    self.agents[agent].send(outer);
                }
            }
            Timer::Script(agent, starts, attempt) => self.agents[agent].step(starts, &attempt, outer),
        }
    }

    /// The disk takes what is next; it may be full, or fail after it has written.
    fn write(&mut self) {
        let outer = &mut self.outer;
        let Some((id, generation, batch)) = outer.pending.pop_front() else { return };
        let full = outer.full_until > outer.now;
        let written = !full || outer.chance.one(1, 4);
        let result = if written { outer.write(batch) } else { Ok(()) };
        // A batch after one that failed is out of sequence and fails too; its actor is gone by then.
        let durable = result.is_ok() && written && !full;
        if id == NO_EXPERIMENT {
            let engine = self.engine.iter_mut().filter(|engine| engine.start == generation);
            engine.for_each(|engine| engine.written(durable));
            return;
        }
        let engine = self.engine.as_mut().and_then(|engine| engine.experiments.get_mut(&id));
        if let Some(experiment) = engine.filter(|experiment| experiment.generation == generation) {
            experiment.mailbox.push_back(Message::Committed(durable));
        }
    }

    fn check_holding(&mut self, actor: Actor) {
        let Actor::Experiment(id) = actor else { return };
        let found = self.engine.as_ref().and_then(|engine| engine.experiments.get(&id));
        let limit = self.specs.iter().find(|(spec, _)| spec.id == id).map_or(0, |(_, limit)| *limit);
        if let Some(holding) = found.map(|found| found.keeper.machine.holding()).filter(|held| *held > limit)
        {
            self.outer
                .ledger
                .fail("INV-5", format!("{holding} trials of experiment {id} hold slots of {limit}"));
        }
    }

    fn check_failures(&mut self, actor: Actor) {
        let Actor::Experiment(id) = actor else { return };
        let found = self.engine.as_ref().and_then(|engine| engine.experiments.get(&id));
        let Some(machine) = found.map(|found| &found.keeper.machine) else { return };
        let max = machine.spec.config.max_restarts;
        let most = machine.fold.trials.iter().map(|trial| trial.restarts).max().unwrap_or(0);
        if most > max {
            self.outer.ledger.fail("INV-14", format!("a trial of {id} is charged {most} failures of {max}"));
        }
        if machine.fold.nodes.excluded().count() >= self.agents.len() {
            self.outer.ledger.fail("INV-13", format!("experiment {id} excludes all agents"));
        }
    }

    fn is_over(&self) -> bool {
        let Some(engine) = &self.engine else { return false };
        let idle = self.agents.iter().all(|agent| agent.is_gone() || agent.is_up() && agent.is_idle());
        let (all, free) = engine.slots();
        let ended = self.specs.iter().all(|(spec, _)| self.outer.ledger.has_ended(spec.id));
        ended && engine.experiments.is_empty() && idle && self.choices().is_empty() && all > 0 && all == free
    }

    fn check_end(&mut self) {
        let gone = self.agents.iter().filter(|agent| agent.is_gone());
        let gone: Vec<String> = gone.map(|agent| agent.name().to_owned()).collect();
        self.outer.ledger.check_end(&gone);
        self.summary.reports = self.outer.ledger.counts().0 as u64;
        self.summary.exclusions = self.outer.ledger.exclusions() as u64;
        for (spec, _) in self.specs.clone() {
            if let Err(what) = self.check_fold(&spec) {
                self.outer.ledger.fail("INV-6", what);
            }
        }
    }

    /// The whole journal folds without a fault to what snapshot and journal give, and to the same decisions.
    fn check_fold(&mut self, spec: &Spec) -> Result<(), String> {
        let mut folded = Machine::new(spec.clone()).map_err(|error| error.to_string())?;
        for record in self.outer.store.journal(spec.id, 1).map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            folded.replay(record).map_err(|error| error.to_string())?;
        }
        if !folded.fold.state.is_end() {
            return Err(format!("experiment {} has not ended in its journal", spec.id));
        }
        for (trial, id) in folded.fold.trials.iter().zip(1..) {
            self.outer.ledger.check_charge(spec.id, id, trial.restarts);
        }
        let loaded = self.outer.load(spec).ok_or("it cannot be loaded")?;
        let bytes = |machine: &Machine| snapshot::encode(machine).map_err(|error| error.to_string());
        if bytes(&loaded)? == bytes(&folded)? {
            Ok(())
        } else {
            Err("a snapshot gives another state".to_owned())
        }
    }
}
